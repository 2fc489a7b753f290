"""How many strangers may stand at the door: of the connections that nobody knows yet, only so many stay open.

libzmq gives each connection some twenty kilobytes and three seconds before it knows who is there, and sets no bound
to their number; thousands of them would fill memory, or use up the descriptors that the known ones need. So once there
are too many, the network address from which most have come loses the one that has stood there longest. An honest
handshake is over in milliseconds, and seldom comes from where a flood comes from.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address

import zmq

__all__ = ["MOST_UNKNOWN", "Doorkeeper", "Waiting", "hang_up"]

MOST_UNKNOWN = 256
"""So many connections may stand open from which no known peer has yet been heard."""

_WATCHED = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
_EVENT = struct.Struct("=Hi")


class Waiting:
    """The connections at the door: the address of each, and those of each address in the order they came."""

    __slots__ = ("_from", "_of")

    def __init__(self) -> None:
        self._from: dict[int, str] = {}
        self._of: dict[str, dict[int, None]] = {}

    def __len__(self) -> int:
        return len(self._from)

    def add(self, descriptor: int, address: str) -> None:
        """One more has come."""
        self.discard(descriptor)
        self._from[descriptor] = address
        self._of.setdefault(address, {})[descriptor] = None

    def discard(self, descriptor: int) -> None:
        """It has gone, or is known now."""
        address = self._from.pop(descriptor, None)
        if address is None:
            return
        del self._of[address][descriptor]
        if not self._of[address]:
            del self._of[address]

    def surplus(self) -> int | None:
        """Take out the one to be hung up on, if there are too many."""
        if len(self._from) <= MOST_UNKNOWN:
            return None
        crowd = max(self._of.values(), key=len)
        oldest = next(iter(crowd))
        self.discard(oldest)
        return oldest


class Doorkeeper:
    """Watches one listening socket, in a thread of its own; a connection is told by its descriptor."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], watched: zmq.Socket[bytes], name: str
    ) -> None:
        """Call it before the socket listens; `name` is one that no other doorkeeper of this context has."""
        self.turned_away = 0
        self._lock = threading.Lock()
        self._waiting = Waiting()
        address = f"inproc://{name}"
        watched.monitor(address, _WATCHED)
        self._events = context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.LINGER, 0)
        self._events.setsockopt(zmq.RCVHWM, 0)  # a full queue would stop libzmq's own thread
        self._events.connect(address)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def unknown(self) -> int:
        """How many connections nobody knows yet."""
        with self._lock:
            return len(self._waiting)

    def know(self, descriptor: int) -> None:
        """A known peer was heard over this connection: it stays."""
        with self._lock:
            self._waiting.discard(descriptor)

    def join(self) -> None:
        """Wait for the end of the thread, which comes with the end of the context."""
        self._thread.join(5)

    def _run(self) -> None:
        with self._events as events:
            while True:
                try:
                    self._take(*_EVENT.unpack(events.recv_multipart()[0]))
                except zmq.ContextTerminated:
                    return
                except (zmq.ZMQError, struct.error):
                    continue

    def _take(self, event: int, descriptor: int) -> None:
        address = _address(descriptor) if event == zmq.EVENT_ACCEPTED else None
        with self._lock:
            if address is None:
                self._waiting.discard(descriptor)
            else:
                self._waiting.add(descriptor, address)
            surplus = self._waiting.surplus()
        if surplus is not None:
            self.turned_away += 1
            hang_up(surplus)


def hang_up(descriptor: int) -> None:
    """End a connection by its descriptor; libzmq finds its end, and closes it."""
    with suppress(OSError), _borrowed(descriptor) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def _address(descriptor: int) -> str | None:
    """Whom a connection comes from, a whole network of IPv6 as one; None when it has gone already."""
    try:
        with _borrowed(descriptor) as connection:
            host = str(connection.getpeername()[0])
            six = connection.family == socket.AF_INET6
    except OSError:
        return None
    return IPv6Address(host.partition("%")[0]).packed[:8].hex() if six else host


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A connection of libzmq's, to look at or to end; OSError when it is none any more.

    It may have closed just now and its number be another's: at worst an honest peer dials again.
    """
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        if connection.family not in {socket.AF_INET, socket.AF_INET6}:
            raise OSError
        yield connection
