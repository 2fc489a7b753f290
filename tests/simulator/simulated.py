"""A world whose disks are real databases, whose letters stand in transcripts, and whose clocks may differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

from simulator.policies import PEOPLE
from watch import Watch
from wire import Envelope
from world import START_MS, World

from cluster.charter import LeafPlan
from cluster.client import Client
from cluster.client_views import SigningView
from cluster.codec import encode
from cluster.effects import Now, Outgoing, Step
from cluster.journal import RosterKept, note
from cluster.judge import PolicyJudge
from cluster.judging import Judge
from cluster.node import Node
from cluster.owner_says import PolicyProposed
from cluster.records import NO_WALLET, Head, Record
from cluster.schemes import Wallet, known_keys
from cluster.settings import profile_of_texts
from cluster.storage import Anchor, Store, TranscriptFile
from curve import tagged_hash

CLIENTS = ("client", "till")
COORDINATORS = ("coord", "spare")
OLDER, AFTER = 4_320, 1_000
LEAVES = (
    LeafPlan("alone", "pk", (1,), 1, older=OLDER),
    LeafPlan("some", "multi", (0, 1, 2), 2, after=AFTER),
)
"""The recovery leaves of the wallets that have any: one node after a while, and two with keys of their own."""
KEYGEN_MS = 600_000
"""So long before a seed begins was its wallet made."""


@dataclass(frozen=True)
class Kind:
    """What kind of wallet a seed has."""

    scheme: str
    t: int
    n: int
    coordinators: int = 1
    leaves: bool = False


@dataclass(frozen=True)
class Shape:
    """How a seed is set up: coordinators, recovery leaves, and what vouches for a node's disk as it starts.

    Where nothing does (`vouched`), each node's disk is taken to be the newest; else it is asked of its anchor, if it is
    among the `anchored`, and of its peers.
    """

    coordinators: int = 1
    leaves: bool = False
    vouched: bool = True
    anchored: frozenset[str] = frozenset()


class Unwatched(Watch):
    """Looks at nothing: here the audit judges, and only what it can see."""

    def look(self, *_: object) -> None:
        """Nothing."""


class Cluster(World):
    """Real judges, two clients and two people."""

    clients = CLIENTS

    def __init__(self, kind: Kind, *, seed: int = 1) -> None:
        self.scheme, self.leaves = kind.scheme, LEAVES if kind.leaves else ()
        coordinators = COORDINATORS[: kind.coordinators]
        super().__init__(kind.t, kind.n, seed=seed, people=PEOPLE, coordinators=coordinators)

    def new_watch(self) -> Watch:
        return Unwatched()

    def judge(self, name: str) -> Judge:
        return PolicyJudge(self.roster, self.seats[name].identity.public, profile_of_texts)

    def restart(self, name: str) -> None:
        disk = self.seats[name].disk
        if not disk and name not in self.clients:
            disk.append(note(RosterKept(self.now.wall_ms, encode(self.roster))))
        super().restart(name)


@dataclass(frozen=True)
class Prepared:
    """Everybody's disk after a key generation, so that a thousand seeds need only one."""

    kind: Kind
    disks: dict[str, tuple[Record, ...]]
    wallet: Wallet


@cache
def prepared(kind: Kind) -> Prepared:
    """The same every time."""
    world = Cluster(kind)
    wallet = world.make_wallet()
    world.run(ms=500)
    disks = {name: tuple(seat.disk) for name, seat in world.seats.items() if name not in world.clients}
    return Prepared(kind, disks, wallet)


def _nothing(head: Head) -> None:
    """What follows a commit by itself."""


class Disk(list[Record]):
    """A machine's records as it reads them, the database in which they stand, and what follows a commit."""

    def __init__(self, store: Store, committed: Callable[[Head], None] = _nothing) -> None:
        super().__init__(store.read())
        self.store = store
        self._committed = committed

    def extend(self, records: Iterable[Record]) -> None:
        new = list(records)
        if new:
            head = self.store.append(new)
            super().extend(new)
            self._committed(head)


class Simulated(Cluster):
    """One run: the cluster of a prepared wallet, on real files below `place`."""

    start_ms = START_MS + KEYGEN_MS

    def __init__(self, made: Prepared, place: Path, seed: int, shape: Shape = Shape()) -> None:
        self.made, self.place, self.vouched = made, place, shape.vouched
        self.skew_ms: dict[str, int] = {}
        self.transcripts: dict[str, TranscriptFile] = {}
        self.views: list[SigningView] = []
        self.crashed: Counter[str] = Counter()
        self.commits: dict[str, list[int]] = {}
        self.left: list[Path] = []
        self.anchors = {name: self.new_anchor(name) for name in sorted(shape.anchored)}
        for anchor in self.anchors.values():
            anchor.create()
        super().__init__(made.kind, seed=seed)

    @property
    def audited(self) -> tuple[str, ...]:
        """Whose files the audit sees."""
        return (*self.node_names, *self.coordinator_names)

    def database(self, name: str) -> Path:
        return self.place / f"{name}.sqlite3"

    def transcript(self, name: str) -> Path:
        return self.place / f"{name}.transcript"

    def new_anchor(self, name: str) -> Anchor:
        """An anchor of this node that no file backs yet."""
        return Anchor(
            self.place / f"{name}.{len(self.left)}.anchor", tagged_hash("test/anchor", name.encode())
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that the audit is given: what is in use, and the disks that were taken out."""
        return (*(f(name) for name in self.audited for f in (self.database, self.transcript)), *self.left)

    # Disks.

    def restart(self, name: str) -> None:
        seat = self.seats[name]
        if name in self.audited:
            self._reopen(name)
        elif name in self.people and not seat.disk:
            seat.disk = list(self.made.disks[name])
        if name in self.anchors:
            seat.anchor = self.anchors[name].read()
        World.restart(self, name)

    def _reopen(self, name: str) -> None:
        seat, path = self.seats[name], self.database(name)
        if isinstance(seat.disk, Disk):
            seat.disk.store.close()
            seat.disk = Disk(Store.open(path), self._after_commit(name))
            return
        self.transcripts[name] = TranscriptFile(self.transcript(name), seat.identity.public)
        self._make(name, self.made.disks[name])

    def _make(self, name: str, records: Sequence[Record]) -> None:
        """A new database with these records."""
        store = Store.create(self.database(name))
        store.append(records)
        self.seats[name].disk = Disk(store, self._after_commit(name))
        self.commits[name] = [len(records)]

    def _after_commit(self, name: str) -> Callable[[Head], None]:
        """Note where commits end, and move the anchor, as the runtime does."""

        def committed(head: Head) -> None:
            self.commits[name].append(head.height)
            node = self.running(name)
            if name in self.anchors and node is not None and node.heads.settled:
                self.anchors[name].write(head, node.heads.lineage)

        return committed

    def change_disk(self, name: str, records: Sequence[Record], *, keep: bool = True) -> None:
        """Another disk in the place of this one, which is kept for the audit, or gone."""
        self.stop(name)
        disk = self.seats[name].disk
        assert isinstance(disk, Disk)
        disk.store.close()
        if keep:
            self.left.append(self.place / f"{name}-left{len(self.left)}.sqlite3")
            read = Store.create(self.left[-1])
            read.append(disk)
            read.close()
        for file in self.place.glob(f"{name}.sqlite3*"):
            file.unlink()
        self._make(name, records)

    def lose_transcript(self, name: str) -> None:
        """What a machine wrote down of its letters is gone, too."""
        self.transcripts[name].close()
        self.transcript(name).unlink()
        self.transcripts[name] = TranscriptFile(self.transcript(name), self.seats[name].identity.public)

    def close(self) -> None:
        """Let go of all files, so that they can be read."""
        for name in self.audited:
            self.stop(name)
            disk = self.seats[name].disk
            assert isinstance(disk, Disk)
            disk.store.close()
            self.transcripts[name].close()

    # Clocks.

    def clock(self, name: str) -> Now:
        return Now(self.now.wall_ms + self.skew_ms.get(name, 0), self.now.monotonic_ms)

    # Crashes.

    def perform(self, name: str, step: Step) -> None:
        super().perform(name, step)
        if self.seats[name].machine is None and self.crash is not None:
            self.crashed[f"crash {self.crash.moment}"] += 1
            self.crash = None

    # The wire.

    def send(self, name: str, outgoing: Outgoing) -> None:
        if name in self.transcripts:
            self.transcripts[name].said(
                outgoing.addressee, outgoing.letter, outgoing.signature, self.clock(name).wall_ms
            )
        super().send(name, outgoing)

    def deliver(self, envelope: Envelope) -> None:
        name = envelope.addressee
        if name in self.transcripts and self.seats[name].machine is not None:
            sender = self.seats[envelope.sender].identity.public
            at_ms = self.clock(name).wall_ms
            self.transcripts[name].heard(sender, envelope.letter, envelope.signature, at_ms)
        super().deliver(envelope)

    # Clients.

    def ask(self, client: str, psbt: bytes, *, life_ms: int, leaf: str = "") -> SigningView:
        """A client asks for signatures, by the key path or by a leaf."""
        machine, wallet = self.seats[client].machine, self.made.wallet
        assert isinstance(machine, Client)
        machine.known = known_keys({wallet.wallet_id: wallet})
        request_id, step = machine.request(
            wallet, psbt, "", self.now, self.entropy(), life_ms=life_ms, leaf=leaf
        )
        self.perform(client, step)
        self.views.append(machine.signing[request_id])
        return self.views[-1]

    def running(self, name: str) -> Node | None:
        """A node, if it runs."""
        machine = self.seats[name].machine
        return machine if isinstance(machine, Node) else None

    def unheard(self, names: Sequence[str], within_ms: int) -> str:
        """Who of these nodes has no fresh heartbeat of whom; "" where all hear each other."""
        for name, other in permutations(names, 2):
            peer = self.node(name).beats.peers[self.seats[other].identity.public]
            if peer.fresh_ms is None or self.clock(name).monotonic_ms - peer.fresh_ms > within_ms:
                return f"{name} does not hear {other}"
        return ""

    def propose_policy(self, name: str, text: str) -> None:
        """A node's owner puts a profile in force."""
        self.answer(name, PolicyProposed(text, NO_WALLET, ""))
