"""Worlds whose nodes must be vouched for, and older copies of their disks put back."""

from __future__ import annotations

from collections.abc import Sequence

from evil import EvilCoordinator
from spends import payment
from wire import Envelope
from world import World

from cluster.codec import Mouth
from cluster.head_records import QuarantineKept
from cluster.heads import Anchored
from cluster.journal import SignedKept, read
from cluster.messages import HeadAsk, HeadRelay, HeadSaid, Kind, SignedLetter
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


class Answers:
    """A coordinator in league with peers whose keys it has: it writes what it likes to node0, which just started."""

    def __init__(self) -> None:
        self.world, self.wallet, self.disk = lived(2)
        self.evil = EvilCoordinator(self.world)
        self.own = self.newest()
        put_back(self.world, "node0", self.disk)
        said = self.evil.opened("node0", self.world.seats["node0"].said)
        self.boot_id = [letter.header.boot_id for letter in said if isinstance(letter.body, HeadAsk)][-1]

    def newest(self) -> SignedLetter:
        said = self.evil.opened("node0", self.world.seats["node0"].said)
        return [letter.signed for letter in said if letter.header.kind is Kind.HEARTBEAT][-1]

    def say(self, signer: str, *statements: SignedLetter, boot_id: bytes = b"") -> None:
        me = self.world.seats["node0"].identity.public
        body = HeadSaid(me, boot_id or self.boot_id, statements)
        mouth = Mouth(self.world.seats[signer].identity, self.world.roster.cluster_id, b"life" * 4)
        coord = self.world.seats["coord"].identity.public
        inner = mouth.say(Kind.HEAD_SAID, coord, body, expires_at_ms=self.world.now.wall_ms + 60_000)
        self.evil.tell("node0", Kind.HEAD_RELAY, HeadRelay(int(Kind.HEAD_SAID), inner))

    @property
    def settled(self) -> bool:
        return self.world.node("node0").heads.settled

    @property
    def complaints(self) -> set[str]:
        return {code for _, code in self.world.node("node0").complaints.counts}


class Twins:
    """Two processes of node0, on copies of one disk, and a coordinator that brings both what is for either."""

    def __init__(self) -> None:
        self.world, self.wallet = made()
        self.world.run(ms=20_000)
        world, seat = self.world, self.world.seats["node0"]
        disk = list(seat.disk)
        world.restart("node0")
        first, first_disk = seat.machine, seat.disk
        world.seats["twin"] = type(seat)("twin", seat.identity, first_disk, first, wake_at_ms=seat.wake_at_ms)
        world.watch.judges["twin"] = world.watch.judges["node0"]
        seat.disk, seat.machine = disk, None
        seat.boots += 1
        world.hook = self.both
        world.restart("node0")

    def both(self, envelope: Envelope) -> list[Envelope]:
        if envelope.addressee != "node0":
            return [envelope]
        twin = Envelope(envelope.sender, "twin", envelope.letter, envelope.signature)
        return [envelope, twin]

    def doubt(self, name: str) -> str:
        peer = self.world.node(name).beats.peers[self.world.seats["node0"].identity.public]
        return "" if peer.doubt is None else peer.doubt.code
