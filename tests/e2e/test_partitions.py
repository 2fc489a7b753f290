"""A network that falls apart and comes together again, once by pulled cables and once by a proxy that stalls.

After healing the next signature comes within two heartbeats, and an order that comes after an owner's no is not obeyed.
A connection ends after 5 s of silence, with the letters in it, and no honest coordinator orders what has less than 15 s
to live: an order that comes when its nonces, approvals or request are over needs an attacker, and has its story in
memory (tests/cluster/test_story_stale_orders.py).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from chaos_proxy import ChaosProxy
from crash_cluster import CrashCluster, audit, profiles
from namespaces import BRIDGE_ADDRESS, Cables, cables, can_make

from cluster.codec import Letter, open_letter
from cluster.local import COORDINATOR, _free_port
from cluster.messages import Kind
from cluster.transcripts import read_transcript

pytestmark = pytest.mark.slow

HEARTBEAT_S = 5.0
NODES = ("home", "phone", "offline")


@dataclass
class Parted(CrashCluster):
    """A cluster whose nodes may each be behind a cable of their own."""

    lines: Cables | None = None

    def program(self, name: str) -> list[str]:
        """Behind its cable, if it has one."""
        inside = self.lines.inside(name) if self.lines is not None and name in self.lines.names else []
        return [*inside, *super().program(name)]


@dataclass
class Network:
    """A running cluster, and what takes it apart."""

    cluster: Parted
    cut: Callable[..., None]
    heal: Callable[..., None]
    number: int = field(default=0)

    def ask(self) -> Callable[[], object]:
        """Ask for one more signature; what waits for it, and verifies it."""
        self.number += 1
        psbt = self.cluster.payment("w", f"p{self.number}")
        asking = self.cluster.begin_sign("w", psbt)

        def signed() -> None:
            done = self.cluster.finish(asking)
            assert done.code == 0, done
            self.cluster.verify("w", psbt, done)

        return signed


@pytest.fixture(
    params=[
        "proxy",
        pytest.param(
            "namespaces", marks=pytest.mark.skipif(not can_make(), reason="no network namespaces here")
        ),
    ]
)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Network]:
    """Everybody runs and has a wallet; offline is stopped, so that home and phone are both needed."""
    port, inner = _free_port(), _free_port()
    with ExitStack() as stack:
        if request.param == "proxy":
            endpoint, bind, lines = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{inner}", None
        else:
            endpoint, bind = f"tcp://{BRIDGE_ADDRESS}:{port}", ""
            lines = stack.enter_context(cables(NODES))
        cluster = Parted(
            tmp_path / "c", profiles(), kdf_memory_mib=19, endpoint=endpoint, bind=bind, lines=lines
        )
        cluster.create()
        cluster.accept_roster()
        stack.enter_context(cluster)
        if lines is None:
            proxy = stack.enter_context(
                ChaosProxy(port, inner, lambda: {name: one.pid for name, one in cluster.running.items()})
            )
            made = Network(cluster, proxy.cut, proxy.heal)
        else:
            made = Network(cluster, lines.cut, lines.heal)
        cluster.start(COORDINATOR, *NODES)
        done = cluster.keygen("w", 2)
        cluster.await_wallet("w", done.need()["descriptor"])
        cluster.stop("offline")
        yield made
        cluster.close()
        print(audit(cluster))


def wrote(cluster: CrashCluster, name: str, what: str, kind: str) -> int:
    """How often a party wrote a record, or said a letter, of this kind."""
    return sum(kind in event.get(what, ()) for event in cluster.events(name))


def wait_for(what: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_after_healing_the_next_signature_comes_within_two_heartbeats(network: Network) -> None:
    network.ask()()
    for parties, seconds in ((("home",), 1.0), (("home", "phone"), 12.0)):
        network.cut(*parties)
        signed = network.ask()
        time.sleep(seconds)
        before = wrote(network.cluster, COORDINATOR, "record", "final")
        network.heal(*parties)
        healed = time.monotonic()
        wait_for(lambda before=before: wrote(network.cluster, COORDINATOR, "record", "final") > before)  # type: ignore[misc]
        taken = time.monotonic() - healed
        print(f"\n{parties} away for {seconds} s: the next signature {taken:.1f} s after")
        assert taken < 2 * HEARTBEAT_S
        signed()


def heard(cluster: CrashCluster, name: str, kind: Kind) -> list[Letter]:
    """The letters of a kind that have reached a party."""
    frames = read_transcript(cluster.transcript(name).read_bytes()).frames
    letters = (open_letter(f.letter, f.signature, f.sender) for f in frames if f.heard)
    return [letter for letter in letters if letter.header.kind is kind]


def test_an_order_that_comes_after_its_owners_no_is_not_obeyed(network: Network) -> None:
    """Phone is held up until home has given its nonces: so the order leaves when home is cut off already."""
    cluster = network.cluster
    given, signed = wrote(cluster, COORDINATOR, "letter", "ORDER"), wrote(cluster, "home", "record", "signed")
    cluster.running["phone"].send_signal(signal.SIGSTOP)
    asking = cluster.begin_sign("w", cluster.payment("w", "stale"))
    wait_for(lambda: bool(heard(cluster, COORDINATOR, Kind.NONCES)))
    network.cut("home")
    cluster.running["phone"].send_signal(signal.SIGCONT)
    wait_for(lambda: wrote(cluster, COORDINATOR, "letter", "ORDER") == given + 2)
    assert not heard(cluster, "home", Kind.ORDER)
    (proposal, *_) = heard(cluster, "home", Kind.PROPOSE)
    cluster.say_yes("home", proposal.header.request_id.hex(), yes=False)
    network.heal("home")
    wait_for(lambda: bool(heard(cluster, "home", Kind.ORDER)))
    time.sleep(1)
    asking.kill()
    asking.communicate()
    assert wrote(cluster, "home", "record", "signed") == signed
    network.ask()()
