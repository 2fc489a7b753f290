"""Worlds whose nodes must be vouched for, and older copies of their disks put back."""

from __future__ import annotations

from collections.abc import Sequence

from spends import payment
from world import World

from cluster.head_records import QuarantineKept
from cluster.heads import Anchored
from cluster.journal import SignedKept, read
from cluster.records import Head, Record
from cluster.schemes import Wallet

MINUTE_MS = 60_000
NO_ANCHOR = Anchored()


class Unvouched(World):
    """A world in which a node that starts is believed only by its anchor or its peers."""

    vouched = False


def made(t: int = 2, n: int = 3) -> tuple[Unvouched, Wallet]:
    world = Unvouched(t, n)
    return world, world.make_wallet()


def sign(world: World, wallet: Wallet, label: str, *, ms: int = MINUTE_MS) -> bool:
    view = world.request(wallet, payment(wallet, label=label))
    return world.run(lambda: view.final is not None, ms=ms)


def put_back(world: World, name: str, disk: Sequence[Record], anchor: Anchored = NO_ANCHOR) -> None:
    """Stop a node, put this copy of its disk in place, and start it."""
    world.stop(name)
    seat = world.seats[name]
    seat.disk, seat.anchor = list(disk), anchor
    world.watch.signed_spends.pop(name, None)  # an older disk has forgotten some: that is the matter here
    world.restart(name)


def quarantine(world: World, name: str = "node0") -> QuarantineKept | None:
    return world.node(name).heads.quarantine


def head_of(disk: Sequence[Record]) -> Anchored:
    return Anchored(Head().after(disk), 0, "")


def signed_of(world: World, name: str) -> list[SignedKept]:
    entries = (read(record) for record in world.seats[name].disk)
    return [entry for entry in entries if isinstance(entry, SignedKept)]


def lived(requests: int = 12) -> tuple[Unvouched, Wallet, list[Record]]:
    """A world that has signed for a while and rests, and node0's disk as it is then."""
    world, wallet = made()
    for number in range(requests):
        assert sign(world, wallet, f"before {number}")
    world.run(ms=15_000)
    return world, wallet, list(world.seats["node0"].disk)
