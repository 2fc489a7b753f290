"""Strangers at a coordinator's port: thousands of connections that never finish, and frames that never end.

    python flooding.py HOST PORT COUNT KIND

opens so many connections, and opens each anew as soon as it is closed, until standard input ends. It prints a line once
all were open together, and then one each second: how many are open, and how many were opened in all.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
"""ZMTP 3.1: signature, version, mechanism, as a client."""

HUGE = b"\x02" + struct.pack(">Q", 100 * 1024 * 1024)
"""The head of a frame of 100 MiB."""

KINDS = {"silent": b"", "greeting": GREETING, "huge": GREETING + HUGE, "rubbish": b"GET / HTTP/1.1\r\n\r\n"}
"""What each connection says before it falls silent; `huge` goes on for as long as anybody listens."""

PIECE = bytes(64 * 1024)
NEW_AT_ONCE = 64


@dataclass
class Knocker:
    """Keeps so many connections to one place open."""

    where: tuple[str, int]
    count: int
    kind: str
    opened: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _open: set[socket.socket] = field(default_factory=set)

    @property
    def now_open(self) -> int:
        """How many there are."""
        return len(self._open)

    def turn(self, patience_s: float) -> None:
        """Open what is missing, take note of what was closed, and talk where more is to be said."""
        for _ in range(min(NEW_AT_ONCE, self.count - len(self._open))):
            self._knock()
        for key, events in self._selector.select(patience_s):
            made = key.fileobj
            assert isinstance(made, socket.socket)
            try:
                if events & selectors.EVENT_WRITE:
                    self._talk(made)
                if events & selectors.EVENT_READ and not made.recv(4096):
                    self._hang_up(made)
            except BlockingIOError:
                pass
            except OSError:
                self._hang_up(made)

    def _knock(self) -> None:
        made = socket.socket()
        made.setblocking(False)
        if made.connect_ex(self.where) not in {0, errno.EINPROGRESS}:
            made.close()
            return
        self._open.add(made)
        self.opened += 1
        self._selector.register(made, selectors.EVENT_WRITE | selectors.EVENT_READ)

    def _talk(self, made: socket.socket) -> None:
        key = self._selector.get_key(made)
        if key.data is None:
            made.send(KINDS[self.kind])
            more = selectors.EVENT_WRITE if self.kind == "huge" else 0
            self._selector.modify(made, selectors.EVENT_READ | more, "greeted")
        else:
            made.send(PIECE)

    def _hang_up(self, made: socket.socket) -> None:
        self._selector.unregister(made)
        self._open.discard(made)
        made.close()


def main() -> None:
    """See the top."""
    host, port, count, kind = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    knocker = Knocker((host, int(port)), int(count), kind)
    ends = selectors.DefaultSelector()
    ends.register(sys.stdin, selectors.EVENT_READ)
    said = 0.0
    while not ends.select(0):
        knocker.turn(0.05)
        if time.monotonic() >= said + 1:
            said = time.monotonic()
            print(knocker.now_open, knocker.opened, flush=True)


if __name__ == "__main__":
    main()
