"""A client of a VSS server (lightningdevkit/vss-server): protobuf over HTTP, in one keyspace of one user.

What an answer means is decided by its error code, never by its status alone: a proxy's 404 is no proof that an
object is missing. The server needs no trust: what it keeps is sealed, and what it answers is checked elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from cluster.state_store import vss_messages as messages
from cluster.state_store.http_line import HttpLine
from cluster.state_store.protocol import (
    MAX_PAGE,
    MAX_VALUE_BYTES,
    KeyValue,
    KeyVersion,
    NoSuchKey,
    Page,
    StoreLoginRefused,
    StoreUnavailable,
    VersionConflict,
    check_put,
)
from curve import SecretScalar, ecdsa_sign

__all__ = ["Login", "VssStore", "bearer_login", "signature_login"]

Login = Callable[[], str]
"""Makes the `Authorization` header of one request."""

SIGNING_CONSTANT = b"VSS Signature Authorizer Signing Salt Constant.................."
"""What a login signature begins with, so that it can be taken for nothing else."""

T = TypeVar("T")

MAX_OBJECT_REPLY = MAX_VALUE_BYTES + 8 * 1024
MAX_PAGE_REPLY = 256 * 1024
MAX_OTHER_REPLY = 64 * 1024


def bearer_login(token: Callable[[], str]) -> Login:
    """Log in with a token (a JWT) that somebody issued; read anew for each request, as it expires."""
    return lambda: f"Bearer {token()}"


def signature_login(secret: SecretScalar, unix_s: Callable[[], int]) -> Login:
    """Log in by proof of a key of our own: public key, signature and time, as the server's default wants it."""
    key = secret.point().to_bytes()

    def header() -> str:
        time = str(unix_s())
        digest = hashlib.sha256(SIGNING_CONSTANT + key + time.encode()).digest()
        return key.hex() + ecdsa_sign(secret, digest).hex() + time

    return header


class VssStore:
    """The objects of one keyspace at a VSS server."""

    def __init__(self, line: HttpLine, store_id: str, login: Login) -> None:
        """Nothing is dialled yet."""
        self._line = line
        self._store_id = store_id
        self._login = login

    @property
    def where(self) -> str:
        """Where the store is, for people."""
        return self._line.address.url

    def get_object(self, key: str) -> KeyValue:
        """The object under a key."""
        reply = self._call("getObject", messages.get_request(self._store_id, key), MAX_OBJECT_REPLY)
        return self._read(lambda: messages.read_object(reply, key))

    def put_objects(
        self,
        transaction_items: Sequence[KeyValue],
        delete_items: Sequence[KeyVersion] = (),
        global_version: int | None = None,
    ) -> None:
        """Write and remove objects, all or none."""
        check_put(transaction_items, delete_items)
        request = messages.put_request(self._store_id, transaction_items, delete_items, global_version)
        self._call("putObjects", request, MAX_OTHER_REPLY)

    def delete_object(self, item: KeyVersion) -> None:
        """Remove an object of this version, if there is one."""
        self._call("deleteObject", messages.delete_request(self._store_id, item), MAX_OTHER_REPLY)

    def list_key_versions(
        self, key_prefix: str = "", page_size: int = MAX_PAGE, page_token: str = ""
    ) -> Page:
        """One page of keys, the newest first."""
        request = messages.list_request(self._store_id, key_prefix, page_size, page_token)
        reply = self._call("listKeyVersions", request, MAX_PAGE_REPLY)
        return self._read(lambda: messages.read_page(reply))

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _call(self, name: str, request: bytes, max_reply: int) -> bytes:
        headers = {"Content-Type": "application/octet-stream", "Authorization": self._login()}
        status, reply = self._line.post(f"/{name}", request, headers, max_reply)
        if status == 200:
            return reply
        raise self._error(status, reply)

    def _error(self, status: int, reply: bytes) -> Exception:
        try:
            code, said = messages.read_error(reply[:MAX_OTHER_REPLY])
        except messages.BadReply:
            code, said = 0, ""
        more = f" ({said[:120]})" if said else ""
        match code:
            case messages.NO_SUCH_KEY:
                return NoSuchKey(f"{self.where}: there is no such object{more}")
            case messages.CONFLICT:
                return VersionConflict(f"{self.where}: an object has another version than expected{more}")
            case messages.AUTH:
                return StoreLoginRefused(f"{self.where}: it does not accept our login{more}")
            case messages.INVALID_REQUEST:
                return StoreUnavailable(f"{self.where}: it takes our request for invalid{more}")
            case messages.INTERNAL_SERVER:
                return StoreUnavailable(f"{self.where}: it has a fault of its own{more}")
            case _:
                return StoreUnavailable(
                    f"{self.where}: it answered {status} and nothing of VSS; is the URL right?"
                )

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except messages.BadReply as error:
            raise StoreUnavailable(f"{self.where}: its answer makes no sense ({error})") from None
