"""Network namespaces: each party on a machine of its own, as far as its network goes, and cables that can be pulled.

    10.213.0.1 -- bridge -- one pair of ends for each party, its own end in a namespace of its own

Only root may make them; `can_make` says whether this process can. Nothing here reaches beyond this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

BRIDGE_ADDRESS = "10.213.0.1"


def ip(*words: str, check: bool = True) -> bool:
    """Run `ip`; whether it did."""
    done = subprocess.run(["ip", *words], capture_output=True, check=False)
    if check and done.returncode:
        raise OSError(done.stderr.decode().strip())
    return done.returncode == 0


@cache
def can_make() -> bool:
    """Whether this process may make namespaces and bridges."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with cables(("probe",)):
            return True
    except OSError:
        return False


@dataclass
class Cables:
    """The cable of each party."""

    names: dict[str, str]

    def inside(self, party: str) -> list[str]:
        """What starts a program on a party's side."""
        return ["ip", "netns", "exec", self.names[party]]

    def cut(self, *parties: str) -> None:
        """Pull these cables."""
        for party in parties:
            ip("link", "set", f"v{self.names[party]}", "down")

    def heal(self, *parties: str) -> None:
        """Plug them in again."""
        for party in parties:
            ip("link", "set", f"v{self.names[party]}", "up")


@contextmanager
def cables(parties: Sequence[str]) -> Iterator[Cables]:
    """A bridge with an address, and a cable from it to each party."""
    mark = f"{os.getpid() % 100_000}"
    bridge = f"asb{mark}"
    made = Cables({party: f"as{mark}x{place}" for place, party in enumerate(parties)})
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{BRIDGE_ADDRESS}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for place, name in enumerate(made.names.values()):
            ip("netns", "add", name)
            ip("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"v{name}", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"10.213.0.{place + 10}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        for name in made.names.values():
            ip("link", "del", f"v{name}", check=False)
            ip("netns", "del", name, check=False)
        ip("link", "del", bridge, check=False)
