"""One line to an HTTP server that may be anybody's: verified TLS, one deadline for all, and bounded bytes.

No redirect is followed and no proxy of the environment is used: what answers is whom the owner named.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cluster.errors import ConfigError
from cluster.state_store.protocol import StoreUnavailable

__all__ = ["Address", "HttpLine", "address_of"]

HEADER_BYTES = 32 * 1024
"""What a reply's header may add to its body."""

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: only a machine's own loopback may be spoken to without TLS."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """As the owner wrote it, in one form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


def address_of(url: str) -> Address:
    """The address in a URL; ValueError says what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("write https://store.example/vss")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, password, query or fragment")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("has characters that no URL has")
    secure = parts.scheme == "https"
    if not secure and not _is_loopback(parts.hostname):
        raise ValueError("is not this machine: write https://, so that nobody between can pretend to be it")
    return Address(secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/") or "/vss")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HttpLine:
    """Says one thing at a time; after anything unexpected it hangs up, and dials anew for the next."""

    def __init__(self, address: Address, *, timeout_s: float, ca_file: Path | None = None) -> None:
        """Nothing is dialled yet; ConfigError when the file of authorities cannot be read."""
        self.address = address
        self._timeout_s = timeout_s
        self._line: http.client.HTTPConnection | None = None
        self._tls: ssl.SSLContext | None = None
        if address.secure:
            try:
                self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"{ca_file}: no certificates can be read from it ({error})") from None
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    def post(self, path: str, body: bytes, headers: Mapping[str, str], max_reply: int) -> tuple[int, bytes]:
        """The status and body of the reply; StoreUnavailable when there is none in time, or it is too large."""
        again = self._line is not None
        deadline = time.monotonic() + self._timeout_s
        try:
            try:
                return self._post(path, body, headers, max_reply, deadline)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A server closes a line that was idle; that this one is tried twice is harmless: versions tell.
                if not again:
                    raise
                self.close()
                return self._post(path, body, headers, max_reply, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise StoreUnavailable(f"{self.address.url}: {_reason(error)}") from None
        except BaseException:
            self.close()
            raise

    def _post(
        self, path: str, body: bytes, headers: Mapping[str, str], max_reply: int, deadline: float
    ) -> tuple[int, bytes]:
        line = self._line if self._line is not None else self._dialled(deadline)
        assert line.sock is not None  # it was dialled
        line.sock.settimeout(max(0.001, deadline - time.monotonic()))
        line.response_class = _bounded_reply(deadline, max_reply + HEADER_BYTES)
        line.request("POST", self.address.path + path, body=body, headers=dict(headers))
        reply = line.getresponse()
        try:
            data = _whole(reply, max_reply)
        finally:
            reply.close()
        if reply.will_close:
            self.close()
        return reply.status, data

    def _dialled(self, deadline: float) -> http.client.HTTPConnection:
        timeout = max(0.001, deadline - time.monotonic())
        if self._tls is None:
            line = http.client.HTTPConnection(self.address.host, self.address.port, timeout=timeout)
        else:
            line = http.client.HTTPSConnection(
                self.address.host, self.address.port, timeout=timeout, context=self._tls
            )
        line.connect()
        self._line = line
        return line

    def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(OSError):
                line.close()


def _whole(reply: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if reply.length is not None and reply.length > max_bytes:
        raise OSError(f"the reply is larger than {max_bytes} bytes")
    data = bytearray()
    while piece := reply.read(PIECE_BYTES):
        data += piece
        if len(data) > max_bytes:
            raise OSError(f"the reply is larger than {max_bytes} bytes")
    if reply.length:
        raise OSError("the reply was cut off")
    return bytes(data)


def _bounded_reply(deadline: float, most: int) -> type[http.client.HTTPResponse]:
    """The class of a reply that is read through `_Bounded`, whatever lengths and chunks it claims to have."""

    class Reply(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, method: str | None = None) -> None:
            super().__init__(sock, method=method)
            self.fp.close()
            self.fp = io.BufferedReader(_Bounded(sock, deadline, most), PIECE_BYTES)

    return Reply


class _Bounded(io.RawIOBase):
    """A socket for reading, up to a moment and a number of bytes."""

    def __init__(self, sock: socket.socket, deadline: float, most: int) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        if self._left <= 0:
            raise OSError("the reply is too large")
        self._sock.settimeout(remaining)
        count = self._raw.readinto(buffer[: min(len(buffer), self._left)])
        self._left -= count or 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, http.client.HTTPException):
        return "what it answers is no HTTP"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return (getattr(error, "strerror", "") or str(error) or type(error).__name__).lower()
