"""Every machine killed at every step of keygen and of signing, at each of the moments that differ on disk.

The world's watch fails a run in which a nonce meets two sessions, a partial signature leaves unwritten, or the
same session is answered with other bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from spends import payment
from world import Crash, World

from cluster.client_views import KeygenView, SigningView
from cluster.codec import encode
from cluster.coordinator import Coordinator
from cluster.journal import SignedKept, read
from cluster.messages import Kind
from cluster.node import Node
from cluster.owner_says import Answer, CopyShown
from cluster.roster import digest
from cluster.schemes import Wallet

MOMENTS = ("before", "committed", "sent")
DOWN_MS = 700


@dataclass
class Ceremony:
    """Owners who say yes and show copies whenever they are asked."""

    world: World
    view: KeygenView

    def go_on(self) -> bool:
        """Answer whatever waits; whether the ceremony has ended, one way or the other."""
        world, charter = self.world, self.view.charter
        subject = digest(encode(charter))
        for name in world.node_names:
            node = world.seats[name].machine
            plan = node.plan(subject) if isinstance(node, Node) else None
            if plan is None or not isinstance(node, Node):
                continue
            if plan.stage == "proposed":
                world.answer(name, Answer(subject, True))
            elif plan.stage == "made":
                copy = node.keygen.wallets[charter.wallet_id].recovery_data
                world.answer(name, CopyShown(charter.wallet_id, copy))
            if world.seats[name].machine is None:
                revive(world)
        revive(world)
        return self.view.wallet is not None or self.view.state == "failed"


def revive(world: World) -> None:
    """Start again whoever was killed, after a while."""
    for name, seat in world.seats.items():
        if seat.machine is None:
            world.advance(DOWN_MS)
            world.crash = None
            world.restart(name)


def steps_of_keygen(name: str) -> int:
    world = World()
    world.make_wallet()
    world.run(ms=500)
    return world.seats[name].steps


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["coord", "node0", "node2"])
def test_keygen_survives_a_crash_at_every_step(name: str, moment: str) -> None:
    for at in range(1, steps_of_keygen(name) + 1):
        world = World(seed=at)
        world.crash = Crash(name, at, moment)
        charter = world.charter()
        ceremony = Ceremony(world, world.propose(charter))
        assert world.run(ceremony.go_on, ms=120_000), (name, at, moment, ceremony.view.state)
        if ceremony.view.wallet is None:
            # Only a member that lost its secrets before message 2 ends a session; the owners begin anew.
            assert ceremony.view.codes == ("keygen-lost",), (name, at, moment)
            second = Ceremony(world, world.propose(world.charter(1, "again")))
            assert world.run(second.go_on, ms=120_000), (name, at, moment)
            ceremony = second
        wallet = ceremony.view.wallet
        assert wallet is not None
        revive(world)
        view = world.request(wallet, payment(wallet))
        assert run_to_the_end(world, view), (name, at, moment, view.state, view.codes)


@dataclass
class Prepared:
    """Disks after a keygen, so that each run starts from the same place."""

    wallet: Wallet
    disks: dict[str, list]  # type: ignore[type-arg]

    def world(self, seed: int) -> World:
        world = World(seed=seed)
        for name, disk in self.disks.items():
            world.stop(name)
            world.seats[name].disk = list(disk)
        for name in self.disks:
            world.restart(name)
        world.run(ms=100)
        for seat in world.seats.values():
            seat.steps = 0
        return world


@pytest.fixture(scope="module")
def prepared(scheme: str) -> Prepared:
    del scheme  # its worlds go by it
    world = World()
    wallet = world.make_wallet()
    world.run(ms=500)
    disks = {name: list(seat.disk) for name, seat in world.seats.items() if name != "client"}
    return Prepared(wallet, disks)


def run_to_the_end(world: World, view: SigningView) -> bool:
    """Go on, starting again whoever was killed, until the client has its transaction."""

    def signed() -> bool:
        revive(world)
        return final(view)

    return world.run(signed)


def final(view: SigningView) -> bool:
    return view.final is not None


def blamed(world: World) -> list[str]:
    """Who wrote down a complaint: everybody is honest, whoever was killed."""
    return [name for name, seat in world.seats.items() if "complaint" in {r.kind for r in seat.disk}]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["coord", "node0", "node1", "node2"])
def test_signing_survives_a_crash_at_every_step(prepared: Prepared, name: str, moment: str) -> None:
    honest = prepared.world(0)
    view = honest.request(prepared.wallet, payment(prepared.wallet))
    assert honest.run(lambda: final(view))
    honest.run(ms=500)
    for at in range(honest.seats[name].steps + 1):
        world = prepared.world(at)
        world.crash = Crash(name, at, moment)
        view = world.request(prepared.wallet, payment(prepared.wallet))
        assert run_to_the_end(world, view), (name, at, moment, view.state, view.codes)
        assert not blamed(world), (name, at, moment)


@pytest.mark.parametrize("moment", MOMENTS)
def test_only_two_nodes_and_one_of_them_crashes(prepared: Prepared, moment: str) -> None:
    """Nobody can stand in for the one that crashed."""
    for at in range(8):
        world = prepared.world(at)
        world.stop("node1")
        world.node_names = ("node0", "node2")
        del world.seats["node1"]
        world.hook = lambda e: [] if e.addressee == "node1" else [e]
        world.crash = Crash("node2", at, moment)
        view = world.request(prepared.wallet, payment(prepared.wallet))
        assert run_to_the_end(world, view), (at, moment, view.state, view.codes)
        assert not blamed(world), (at, moment)


def test_a_stored_answer_is_repeated_byte_for_byte_after_a_restart(prepared: Prepared) -> None:
    world = prepared.world(5)
    orders = []

    def keep_orders(envelope):  # type: ignore[no-untyped-def]
        if envelope.kind is Kind.ORDER and envelope.addressee == "node0":
            orders.append(envelope)
        return [] if envelope.kind is Kind.PARTIAL_SIGNATURES else [envelope]

    world.hook = keep_orders
    view = world.request(prepared.wallet, payment(prepared.wallet))
    assert world.run(
        lambda: bool(orders) and "signed" in {r.kind for r in world.seats["node0"].disk}, ms=30_000
    )
    stored = [e for e in (read(r) for r in world.seats["node0"].disk) if isinstance(e, SignedKept)]
    world.stop("node0")
    world.restart("node0")
    world.deliver(orders[0])
    sent = [o for o in world.seats["node0"].said if stored[0].psigs[0] in o.letter]
    assert len(sent) >= 2
    assert [e for e in (read(r) for r in world.seats["node0"].disk) if isinstance(e, SignedKept)] == stored
    assert not final(view)


def test_an_answer_to_an_order_of_an_earlier_life_is_no_complaint(prepared: Prepared) -> None:
    """Sessions end with the coordinator's process; whoever answers late was honest."""
    world = prepared.world(6)
    answered = list[str]()

    def late(envelope):  # type: ignore[no-untyped-def]
        if envelope.kind is not Kind.PARTIAL_SIGNATURES or answered:
            return [envelope]
        answered.append(envelope.sender)
        return [replace(envelope, delay_ms=400)]

    world.hook = late
    view = world.request(prepared.wallet, payment(prepared.wallet))
    assert world.run(lambda: bool(answered))
    world.restart("coord")
    assert world.run(lambda: final(view))
    world.run(ms=1_000)
    assert not blamed(world)
    coordinator = world.seats["coord"].machine
    assert isinstance(coordinator, Coordinator)
    assert not coordinator.complaints.counts


@pytest.mark.parametrize("seed", range(25))
def test_several_machines_crash_again_and_again(prepared: Prepared, seed: int) -> None:
    """Random crashes of anybody, up to six in one request, some while another is down."""
    world = prepared.world(seed)
    left = [6]
    view = world.request(prepared.wallet, payment(prepared.wallet, coins=2, label=f"{seed}"))

    def plan() -> bool:
        if world.crash is None and left[0] and world.random.random() < 0.3:
            left[0] -= 1
            name = world.random.choice(["coord", *world.node_names])
            at = world.seats[name].steps + world.random.randrange(3)
            world.crash = Crash(name, at, world.random.choice(MOMENTS))
        if world.random.random() < 0.2:
            revive(world)
        return final(view)

    assert world.run(plan, ms=120_000), (seed, view.state, view.codes)
    assert not blamed(world)
