"""A VSS server in this process, for the tests: its wire is written by hand, so that it shares no mistake with ours.

It follows `proto/vss.proto` and the server's own behavioural tests: versions, conflicts, deletions, pages of at most
100 keys, the newest first, and a global version that only the first page tells.
"""

from __future__ import annotations

import hashlib
import itertools
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

CONFLICT, INVALID, INTERNAL, NO_SUCH_KEY, AUTH = 1, 2, 3, 4, 5
STATUS = {CONFLICT: 409, INVALID: 400, INTERNAL: 500, NO_SUCH_KEY: 404, AUTH: 401}
SALT = b"VSS Signature Authorizer Signing Salt Constant.................."
GLOBAL = "global_version"
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Failure(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


# The wire.


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(at: int, value: int) -> bytes:
    return varint(at << 3) + varint(value) if value else b""


def blob(at: int, value: bytes) -> bytes:
    return varint(at << 3 | 2) + varint(len(value)) + value


def fields(data: bytes) -> dict[int, list[Any]]:
    """Field numbers to values: ints and byte strings."""
    found: dict[int, list[Any]] = {}
    at = 0

    def take() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = take()
        if tag & 7 == 0:
            value: Any = take()
            value = value - 2**64 if value >= 2**63 else value
        else:
            assert tag & 7 == 2
            size = take()
            value = data[at : at + size]
            assert len(value) == size
            at += size
        found.setdefault(tag >> 3, []).append(value)
    return found


def item_of(data: bytes) -> tuple[str, int, bytes]:
    found = fields(data)
    return found.get(1, [b""])[0].decode(), found.get(2, [0])[0], found.get(3, [b""])[0]


def item(key: str, version: int, value: bytes = b"") -> bytes:
    return blob(1, key.encode()) + number(2, version) + (blob(3, value) if value else b"")


# The server.


@dataclass
class Object:
    order: int
    version: int
    value: bytes


@dataclass
class VssDouble:
    """What the server holds, by user and store; tests reach in to do what an evil or broken one would."""

    login: str = "signature"
    stores: dict[tuple[str, str], dict[str, Object]] = field(default_factory=dict)
    answer: Callable[[str, bytes], tuple[int, bytes] | None] = lambda path, body: None
    calls: list[str] = field(default_factory=list)
    url: str = ""
    _orders: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        with self._lock:
            self.calls.append(path.rpartition("/")[2])
            given = self.answer(path, body)
            if given is not None:
                return given
            try:
                user = self._user(authorization)
                do = {
                    "/vss/getObject": self._get,
                    "/vss/putObjects": self._put,
                    "/vss/deleteObject": self._delete,
                    "/vss/listKeyVersions": self._list,
                }.get(path)
                if do is None:
                    return 400, b"Invalid request path."
                request = fields(body)
                objects = self.stores.setdefault((user, request.get(1, [b""])[0].decode()), {})
                return 200, do(objects, request)
            except Failure as failure:
                return STATUS[failure.code], number(1, failure.code) + blob(2, b"no")

    def only(self) -> dict[str, Object]:
        """The objects of the one store that there is."""
        (objects,) = [found for found in self.stores.values() if found] or [{}]
        return objects

    def _user(self, authorization: str) -> str:
        if self.login == "signature":
            key, signature, time = authorization[:66], authorization[66:194], authorization[194:]
            digest = hashlib.sha256(SALT + bytes.fromhex(key) + time.encode()).digest()
            r, s = int(signature[:64], 16), int(signature[64:], 16)
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), bytes.fromhex(key))
            try:
                public.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))
            except InvalidSignature:
                raise Failure(AUTH) from None
            if s > HALF_ORDER or not time.isdigit():
                raise Failure(AUTH)
            return key
        if authorization != f"Bearer {self.login}":
            raise Failure(AUTH)
        return "subject"

    def _get(self, objects: dict[str, Object], request: dict[int, list[Any]]) -> bytes:
        key = request.get(2, [b""])[0].decode()
        if key not in objects and key != GLOBAL:
            raise Failure(NO_SUCH_KEY)
        found = objects.get(key, Object(0, 0, b""))
        return blob(2, item(key, found.version, found.value))

    def _put(self, objects: dict[str, Object], request: dict[int, list[Any]]) -> bytes:
        written = [item_of(data) for data in request.get(3, [])]
        removed = [item_of(data) for data in request.get(4, [])]
        if len(written) + len(removed) > 1000:
            raise Failure(INVALID)
        if 2 in request:
            written.append((GLOBAL, request[2][0], b""))
        for key, version, _ in written:
            if version != -1 and version != (objects[key].version if key in objects else 0):
                raise Failure(CONFLICT)
        for key, version, _ in removed:
            if key not in objects or version not in {-1, objects[key].version}:
                raise Failure(CONFLICT)
        for key, version, value in written:
            order = objects[key].order if key in objects else next(self._orders)
            objects[key] = Object(order, max(version, 0) + 1, value)
        for key, _, _ in removed:
            del objects[key]
        return b""

    def _delete(self, objects: dict[str, Object], request: dict[int, list[Any]]) -> bytes:
        if 2 not in request:
            raise Failure(INVALID)
        key, version, _ = item_of(request[2][0])
        if key in objects and version in {-1, objects[key].version}:
            del objects[key]
        return b""

    def _list(self, objects: dict[str, Object], request: dict[int, list[Any]]) -> bytes:
        prefix = request.get(2, [b""])[0].decode()
        token = request.get(4)
        reply = b""
        if token is None and GLOBAL in objects:
            reply += varint(3 << 3) + varint(objects[GLOBAL].version)
        elif token is None:
            reply += varint(3 << 3) + b"\x00"
        size = min(request.get(3, [100])[0], 100)
        below = int(token[0]) if token is not None else 2**62
        rows = sorted(
            ((o.order, key, o.version) for key, o in objects.items()
             if key != GLOBAL and key.startswith(prefix) and o.order < below),
            reverse=True,
        )  # fmt: skip
        for _, key, version in rows[:size]:
            reply += blob(1, item(key, version))
        more = 0 < size < len(rows)
        return reply + blob(2, str(rows[size - 1][0]).encode() if more else b"")


@contextmanager
def vss_double(login: str = "signature", certificate: Path | None = None) -> Iterator[VssDouble]:
    """A server on this machine's loopback while the block runs, with TLS if it is given a certificate."""
    double = VssDouble(login)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/octet-stream"
            status, reply = double.handle(self.path, self.headers.get("authorization", ""), body)
            self.send_response(status)
            self.send_header("vss-protocol-version", "0")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        double.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/vss"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()
