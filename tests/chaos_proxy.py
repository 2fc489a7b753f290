"""A network that can be cut: a TCP proxy in front of the coordinator that knows which process a connection is from.

While a party is cut off its bytes stay where they are, in both directions, and nobody is told: as in a real partition.
Once it is healed they go on, late, unless an end has given up meanwhile.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PIECE = 64 * 1024


def owner_of(port: int, pids: dict[str, int]) -> str:
    """Which of these processes has the local end of a connection from this port of the loopback address."""
    wanted = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inodes = {f"socket:[{line.split()[9]}]" for line in lines if line.split()[1] == wanted}
    for name, pid in pids.items():
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if link.is_symlink() and str(link.readlink()) in inodes:
                    return name
    return ""


@dataclass(eq=False)
class Pipe:
    """One direction of one connection."""

    source: socket.socket
    target: socket.socket
    party: str


@dataclass
class ChaosProxy:
    """Passes everything on from one port to another, except for whoever is cut off."""

    listen_port: int
    target_port: int
    pids: Callable[[], dict[str, int]]
    _cut: set[str] = field(default_factory=set)
    _pipes: list[Pipe] = field(default_factory=list)
    _stopped: bool = False

    def cut(self, *names: str) -> None:
        """From now on nothing gets through from or to these parties."""
        self._cut |= set(names)

    def heal(self, *names: str) -> None:
        """Everything gets through again."""
        self._cut -= set(names)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.listen_port))
        self._listener.settimeout(0.05)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._accept, self._pump)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        for pipe in self._pipes:
            pipe.source.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                near, (_, port) = self._listener.accept()
            except TimeoutError:
                continue
            party = owner_of(port, self.pids())
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port), 5)
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setblocking(False)
            self._pipes += [Pipe(near, far, party), Pipe(far, near, party)]

    def _pump(self) -> None:
        while not self._stopped:
            with selectors.DefaultSelector() as selector:
                for pipe in tuple(self._pipes):
                    if pipe.party not in self._cut and pipe.source.fileno() >= 0:
                        selector.register(pipe.source, selectors.EVENT_READ, pipe)
                ready = selector.select(0.01) if selector.get_map() else []
                for key, _ in ready:
                    self._pass_on(key.data)

    def _pass_on(self, pipe: Pipe) -> None:
        try:
            piece = pipe.source.recv(PIECE)
            if piece:
                pipe.target.setblocking(True)
                pipe.target.settimeout(5)
                pipe.target.sendall(piece)
                pipe.target.setblocking(False)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._pipes[:] = [one for one in self._pipes if one.source not in {pipe.source, pipe.target}]
        pipe.source.close()
        pipe.target.close()
