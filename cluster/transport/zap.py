"""Who may connect: the set of known transport keys, and the ZAP handler that asks it for every connection.

The handler is our own because the one in pyzmq for asyncio dies on the first exception and then nobody can
connect. It runs in a thread of its own on a ROUTER socket, which, unlike a REP socket, no malformed request
can bring out of step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import zmq

from cluster.transport.profile import ZAP_DOMAIN

__all__ = ["AllowSet", "ZapHandler"]

_ADDRESS = "inproc://zeromq.zap.01"
_KEY_BYTES = 32


class AllowSet:
    """The transport keys that may connect, each with a label for people; safe to use from two threads."""

    __slots__ = ("_clock", "_labels", "_later", "_lock")

    def __init__(self, allowed: Mapping[bytes, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._later: dict[bytes, float] = {}
        self._labels: dict[bytes, str] = {}
        for key, label in allowed.items():
            self.add(key, label)

    def __contains__(self, key: bytes) -> bool:
        with self._lock:
            return key in self._labels

    def add(self, key: bytes, label: str) -> None:
        """Let this key in from now on; ValueError unless it has 32 bytes."""
        if len(key) != _KEY_BYTES:
            raise ValueError("a transport key is 32 bytes")
        with self._lock:
            self._labels[key] = label

    def discard(self, key: bytes) -> None:
        """Let this key in no more; what its live connections still bring is dropped."""
        with self._lock:
            self._labels.pop(key, None)

    def put_off(self, key: bytes, seconds: float) -> None:
        """Let this key in again only after so long; what its live connections bring is for the caller to drop."""
        with self._lock:
            self._later[key] = self._clock() + seconds

    def is_put_off(self, key: bytes) -> bool:
        """Whether this key has to wait."""
        with self._lock:
            if self._later.get(key, 0.0) > self._clock():
                return True
            self._later.pop(key, None)
            return False

    def label(self, key: bytes) -> str:
        """What people call this key; a short hex form for a stranger."""
        with self._lock:
            return self._labels.get(key, f"stranger {key.hex()[:8]}")


class ZapHandler:
    """Answers every ZAP request of one ZeroMQ context: 200 for a known CURVE key, 300 for later, 400 else."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: AllowSet) -> None:
        self._allowed = allowed
        self.accepted = 0
        self.refused = 0
        self.malformed = 0
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ADDRESS)
        self._thread = threading.Thread(target=self._run, name="zap", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, which comes with the end of the context."""
        self._thread.join(5)

    def _run(self) -> None:
        with self._socket as socket:
            while True:
                try:
                    self._answer(socket, socket.recv_multipart())
                except zmq.ContextTerminated:
                    return
                except zmq.ZMQError:
                    continue

    def _answer(self, socket: zmq.Socket[bytes], request: list[bytes]) -> None:
        """Nothing that comes in may end the thread: without it nobody could connect any more."""
        try:
            reply = self._reply(request)
            if reply is None:
                self.malformed += 1
            else:
                socket.send_multipart(reply, zmq.DONTWAIT)
        except zmq.ContextTerminated:
            raise
        except Exception:
            self.malformed += 1

    def _reply(self, request: list[bytes]) -> list[bytes] | None:
        """One reply (RFC 27), or None for what is not a request."""
        if len(request) < 8 or request[1] != b"":
            return None
        envelope, (version, request_id, domain, _, _, mechanism), credentials = (
            request[:2],
            request[2:8],
            request[8:],
        )
        known = (
            (version, domain, mechanism) == (b"1.0", ZAP_DOMAIN, b"CURVE")
            and len(credentials) == 1
            and credentials[0] in self._allowed
        )
        if known and self._allowed.is_put_off(credentials[0]):
            # Not final, as a 400 would be: libzmq dials again by itself.
            return [*envelope, b"1.0", request_id, b"300", b"later", b"", b""]
        if known:
            self.accepted += 1
            return [*envelope, b"1.0", request_id, b"200", b"OK", credentials[0].hex().encode(), b""]
        self.refused += 1
        return [*envelope, b"1.0", request_id, b"400", b"unknown key", b"", b""]
