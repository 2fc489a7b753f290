"""A whole cluster in one process: false clock, seeded randomness, and a network that may do anything.

Machines run as in the real thing; only the driver, the sockets and the disk are pretended here. What a machine
wants to remember is in its `disk` before any of its letters is on the `wire`, so a crash at any moment is a
`restart()` that reads the disk again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypedDict

from msgspec.structs import replace
from nacl.signing import SigningKey
from watch import Watch, WatchedJudge
from wire import Envelope, Hook, honest

from cluster.charter import Charter, CharterMember, LeafPlan, Outsider
from cluster.client import REQUEST_LIFE_MS, Client
from cluster.client_views import KeygenView, SigningView
from cluster.codec import encode
from cluster.coordinator import Coordinator
from cluster.effects import Notice, Now, Outgoing, Step
from cluster.grants import Grants
from cluster.heads import Anchored
from cluster.holds import Holds
from cluster.journal import ClockKept, RecoveredKept, SignedKept
from cluster.judging import Judge, Judgement, Words
from cluster.keys import Secrets
from cluster.messages import Decision, SignedLetter
from cluster.node import Node
from cluster.owner_says import Answer, CopyShown, OwnerSays
from cluster.people import Person
from cluster.profiles import Profiles
from cluster.record_body import Body
from cluster.records import Record
from cluster.roster import ClientEntry, CoordinatorEntry, NodeEntry, PersonEntry, Roster, digest
from cluster.schemes import SCHEMES, Wallet, known_keys
from cluster.settings import profile_of_texts
from cluster.subjects import Subject
from cluster.vault import Vault
from curve import SecretScalar, tagged_hash
from policy import Conditions, Grant
from policy.granting import GrantLeft

START_MS = 1_800_000_000_000


class TestIdentity:
    """An Ed25519 identity from a label."""

    __test__ = False

    def __init__(self, label: str) -> None:
        self._key = SigningKey(tagged_hash("test/identity", label.encode()))
        self.public = bytes(self._key.verify_key)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature."""
        return self._key.sign(message).signature


class Common(TypedDict):
    """What every machine is given."""

    roster: Roster
    roster_digest: bytes
    identity: TestIdentity
    boot_id: bytes


@dataclass(frozen=True)
class Crash:
    """Kill a machine at its `at`-th step (0 is the first): `before` its commit, once `committed`, or once `sent`."""

    name: str
    at: int
    moment: str


@dataclass
class Seat:
    """One machine, its disk, and whether it is running."""

    name: str
    identity: TestIdentity
    disk: list[Record] = field(default_factory=list)
    machine: Node | Coordinator | Client | Person | None = None
    boots: int = 0
    steps: int = 0
    wake_at_ms: int | None = None
    vault: Vault | None = None
    said: list[Outgoing] = field(default_factory=list)
    anchor: Anchored = field(default_factory=Anchored)
    told: list[Notice] = field(default_factory=list)


@dataclass
class ScriptedJudge:
    """Judges by a function, so that a story can say what a node thinks; approves unless told otherwise."""

    name: str
    decide: Callable[[Subject, bool | None], Decision] = lambda subject, said: Decision.APPROVE
    need_nodes: int = 0
    roles: tuple[str, ...] = ()
    booked: dict[bytes, list[bytes]] = field(default_factory=dict)
    profiles: Profiles = field(default_factory=lambda: Profiles(profile_of_texts, "regtest"))

    def judge(self, subject: Subject, words: Words, now: Now) -> Judgement:
        """What the function says."""
        decision = self.decide(subject, None if words.owner is None else words.owner.yes)
        codes = () if decision is Decision.APPROVE else (f"policy-{decision.name.lower()}",)
        digest_ = tagged_hash("test/policy", self.name.encode())
        return Judgement(
            decision,
            codes,
            digest_,
            codes,
            Conditions(self.need_nodes, self.roles),
            ("pay?",),
            asks_owner=decision is Decision.ASK,
        )

    @property
    def clock_in_doubt(self) -> bool:
        """Never."""
        return False

    def frozen(self, wallet_id: bytes) -> str:
        """Not."""
        return ""

    @property
    def holds(self) -> Holds:
        """Nobody froze anything."""
        return Holds(Roster(1, "regtest", bytes(32), 1, (), (), (), ()))

    def book(self, kept: SignedKept, wallet_id: bytes) -> None:
        """Count by spend id."""
        self.booked.setdefault(kept.spend_id, []).append(kept.session_id)

    def budget_time(self, now: Now) -> int:
        """The wall clock."""
        return now.wall_ms

    def see_clock(self, now: Now) -> None:
        """Nothing to see."""

    @property
    def grants(self) -> Grants:
        """None, and none can be added: nobody signed any for this node."""
        return Grants(bytes(32))

    def left_of(self, grant: Grant, wallet: Wallet) -> GrantLeft | None:
        """Nothing."""
        return None

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Nothing but bookings, which the desk restores."""

    def clock_entry(self, now: Now) -> ClockKept | None:
        """No clock of its own."""
        return None

    def recovery_entry(self, now: Now) -> RecoveredKept | None:
        """Never rebuilt."""
        return None

    def confirm_clock(self, now: Now) -> None:
        """Nothing to confirm."""

    def digest_for(self, wallet_id: bytes) -> bytes:
        """One digest for every wallet."""
        return tagged_hash("test/policy", self.name.encode())


class World:
    """n nodes, one coordinator, clients that share a clock and a wire.

    `people` are those of the roster, with their roles; `client_of` is whose device the client is. `scheme` is that of
    the wallets made here, `outsiders` and `leaves` stand in their charters.
    Where `vouched`, a node that starts need not wait for its peers: its chain is known to be the newest.
    """

    scheme: str = "frost"
    vouched: bool = True
    outsiders: tuple[Outsider, ...] = ()
    leaves: tuple[LeafPlan, ...] = ()
    clients: tuple[str, ...] = ("client",)
    start_ms: int = START_MS

    def __init__(
        self,
        t: int = 2,
        n: int = 3,
        *,
        seed: int = 1,
        judges: Callable[[str], Judge] | None = None,
        hook: Hook = honest,
        crash: Crash | None = None,
        people: Mapping[str, tuple[str, ...]] | None = None,
        client_of: str = "",
        coordinators: tuple[str, ...] = ("coord",),
    ) -> None:
        self.crash = crash
        self.watch = self.new_watch()
        self.random = Random(seed)
        self.now = Now(self.start_ms, 1_000)
        self.t, self.n = t, n
        self.hook = hook
        self._wire: list[tuple[int, int, Envelope]] = []
        self._count = 0
        self._made: dict[bytes, Wallet] = {}
        self.node_names = tuple(f"node{i}" for i in range(n))
        self.people, self.client_of = dict(people or {}), client_of
        self.coordinator_names = coordinators
        names = (*self.node_names, *coordinators, *self.clients, *self.people)
        self.seats = {name: Seat(name, TestIdentity(name)) for name in names}
        self._judges = judges or ScriptedJudge
        self.roster = self._roster()
        self.roster_digest = digest(encode(self.roster))
        self._by_key = {seat.identity.public: name for name, seat in self.seats.items()}
        for name in self.seats:
            self.restart(name)

    # Building.

    def _secrets(self, name: str, index: int) -> Secrets:
        label = (name.encode(), bytes([index]))
        return Secrets(
            SecretScalar.from_bytes(tagged_hash("test/host", *label)),
            SecretScalar.from_bytes(tagged_hash("test/signing", *label)),
        )

    def _roster(self) -> Roster:
        nodes = tuple(
            NodeEntry(
                name,
                self.seats[name].identity.public,
                tagged_hash("test/transport", name.encode()),
                tuple(self._secrets(name, i).host_key.point().to_bytes() for i in range(4)),
                tuple(self._secrets(name, i).signing_key.point().to_bytes() for i in range(4)),
                f"role{i}",
            )
            for i, name in enumerate(self.node_names)
        )
        coordinators = tuple(
            CoordinatorEntry(
                name,
                self.seats[name].identity.public,
                tagged_hash("test/transport", name.encode()),
                f"tcp://127.0.0.1:{5555 + i}",
            )
            for i, name in enumerate(self.coordinator_names)
        )
        clients = tuple(
            ClientEntry(
                name,
                self.seats[name].identity.public,
                tagged_hash("test/transport", name.encode()),
                self.client_of,
            )
            for name in self.clients
        )
        people = tuple(
            PersonEntry(
                name, self.seats[name].identity.public, tagged_hash("test/transport", name.encode()), roles
            )
            for name, roles in self.people.items()
        )
        return Roster(1, "regtest", tagged_hash("test/cluster"), 1, nodes, coordinators, clients, people)

    def charter(self, index: int = 0, name: str = "vault") -> Charter:
        """A charter for all nodes, t of n, of this world's scheme; a tree's favourite quorum is the first t."""
        members = tuple(
            CharterMember(e.identity, e.host_pubkeys[index], e.signing_pubkeys[index])
            for e in self.roster.nodes
        )
        spec = next(known for known in SCHEMES if known.startswith(self.scheme + " ")).partition(" ")[2]
        wallet_id = tagged_hash("test/wallet", name.encode(), bytes([index]))
        charter = Charter(
            1,
            "regtest",
            self.roster.cluster_id,
            wallet_id,
            name,
            self.scheme,
            spec,
            index,
            self.t,
            members,
            self.outsiders,
            (),
            self.leaves,
        )
        return replace(charter, favourite=charter.cosigners[: self.t]) if charter.is_tree else charter

    # Living.

    def new_watch(self) -> Watch:
        """Who looks at every step."""
        return Watch()

    def clock(self, name: str) -> Now:
        """What a machine's clocks show: all the same."""
        del name
        return self.now

    def entropy(self) -> bytes:
        """32 seeded random bytes."""
        return self.random.randbytes(32)

    def stop(self, name: str) -> None:
        """Kill a machine: its memory is gone, its disk stays."""
        self.seats[name].machine = None
        self.seats[name].wake_at_ms = None

    def restart(self, name: str) -> None:
        """Start a machine from its disk."""
        seat = self.seats[name]
        seat.boots += 1
        boot_id = tagged_hash("test/boot", name.encode(), seat.boots.to_bytes(4, "big"))[:16]
        common = Common(
            roster=self.roster, roster_digest=self.roster_digest, identity=seat.identity, boot_id=boot_id
        )
        dialled = [self.seats[one].identity.public for one in self.coordinator_names]
        if name in self.node_names:
            seat.vault = Vault(
                lambda index: self._secrets(name, index), tagged_hash("test/seal", name.encode())
            )
            watched = self.watch.judges[name] = WatchedJudge(self.judge(name))
            seat.machine = Node(
                vault=seat.vault, judge=watched, records=list(seat.disk), anchored=seat.anchor, **common
            )
            if self.vouched:
                seat.machine.heads._vouched, seat.machine.heads._rebuilt = True, False
        elif name in self.coordinator_names:
            seat.machine = Coordinator(records=list(seat.disk), **common)
        elif name in self.people:
            seat.machine = Person(
                records=list(seat.disk), coordinators=dialled, read_texts=profile_of_texts, **common
            )
        else:
            seat.machine = Client(coordinators=dialled, **common)
        self.perform(name, seat.machine.start(self.clock(name), self.entropy()))

    def judge(self, name: str) -> Judge:
        """The judge of a node: this world's, or one that approves everything."""
        return self._judges(name)

    def perform(self, name: str, step: Step) -> None:
        """What the driver does: first the disk, then the wire; unless a crash was planned for this step."""
        seat = self.seats[name]
        dies = self.crash is not None and (self.crash.name, self.crash.at) == (name, seat.steps)
        moment = self.crash.moment if self.crash is not None and dies else ""
        seat.steps += 1
        if moment != "before":
            seat.disk.extend(step.remember)
            seat.wake_at_ms = step.wake_at_ms
            seat.told.extend(step.notify)
            self.watch.look(name, seat.identity.public, step, seat.disk)
            for outgoing in step.say if moment != "committed" else ():
                seat.said.append(outgoing)
                self.send(name, outgoing)
        if dies:
            self.stop(name)

    def send(self, name: str, outgoing: Outgoing) -> None:
        """Put a letter on the wire, through the hook."""
        addressee = self._by_key[outgoing.addressee]
        for envelope in self.hook(Envelope(name, addressee, outgoing.letter, outgoing.signature)):
            self._count += 1
            at = self.now.monotonic_ms + envelope.delay_ms
            heapq.heappush(self._wire, (at, self._count, envelope))

    def advance(self, ms: int) -> None:
        """Let time pass, nothing else."""
        self.now = Now(self.now.wall_ms + ms, self.now.monotonic_ms + ms)

    def step(self) -> None:
        """The next event, whichever comes first: a letter arrives, or a machine wakes."""
        wakes = [
            (s.wake_at_ms, s.name) for s in self.seats.values() if s.machine and s.wake_at_ms is not None
        ]
        wake_at, sleeper = min(wakes, default=(None, ""))
        if self._wire and (wake_at is None or self._wire[0][0] <= wake_at):
            at, _, envelope = heapq.heappop(self._wire)
            self.advance(max(0, at - self.now.monotonic_ms))
            self.deliver(envelope)
        elif wake_at is not None:
            self.advance(max(1, wake_at - self.now.monotonic_ms))
            machine = self.seats[sleeper].machine
            assert machine is not None
            self.perform(sleeper, machine.tick(self.clock(sleeper), self.entropy()))
        else:
            self.advance(1_000)

    def deliver(self, envelope: Envelope) -> None:
        """Hand a letter to its addressee, if that one is running."""
        machine = self.seats[envelope.addressee].machine
        if machine is None:
            return
        sender = self.seats[envelope.sender].identity.public
        now = self.clock(envelope.addressee)
        step = machine.receive(sender, envelope.letter, envelope.signature, now, self.entropy())
        self.perform(envelope.addressee, step)

    def run(self, until: Callable[[], bool] = lambda: False, *, ms: int = 60_000) -> bool:
        """Let things happen until a condition holds or that much time has passed; whether it holds."""
        end = self.now.monotonic_ms + ms
        while not until():
            if self.now.monotonic_ms >= end:
                return False
            self.step()
        return True

    # Shorthand.

    def node(self, name: str) -> Node:
        """A running node."""
        machine = self.seats[name].machine
        assert isinstance(machine, Node)
        return machine

    @property
    def coordinator(self) -> Coordinator:
        """The running coordinator."""
        machine = self.seats["coord"].machine
        assert isinstance(machine, Coordinator)
        return machine

    @property
    def client(self) -> Client:
        """The running client."""
        machine = self.seats["client"].machine
        assert isinstance(machine, Client)
        return machine

    def person(self, name: str) -> Person:
        """A person's running device."""
        machine = self.seats[name].machine
        assert isinstance(machine, Person)
        return machine

    def says(self, name: str, request_id: bytes, yes: bool) -> None:
        """A person looks at what is listed, finds the request, and signs a yes or no."""
        self.perform(name, self.person(name).look(None, self.now, self.entropy()))
        if not self.run(lambda: request_id in self.person(name).views):
            raise AssertionError(
                f"{name} cannot read it: {self.person(name).trouble} {self.person(name).unread}"
            )
        self.perform(name, self.person(name).says(request_id, yes, self.now, self.entropy()))

    def says_of_change(self, name: str, change_id: bytes, yes: bool) -> None:
        """A person looks at the changes of policies, finds this one, and agrees to it or cancels it."""
        person = self.person(name)
        self.perform(name, person.look_at_changes(None, self.now, self.entropy()))
        if not self.run(lambda: change_id in person.changes.views):
            raise AssertionError(f"{name} cannot read it: {person.trouble} {person.changes.unread}")
        self.perform(name, person.says_of_change(change_id, yes, self.now, self.entropy()))

    def answer(self, name: str, answer: OwnerSays) -> None:
        """A node's owner speaks."""
        self.perform(name, self.node(name).answer(answer, self.clock(name), self.entropy()))

    def propose(self, charter: Charter) -> KeygenView:
        """The client proposes a wallet."""
        subject, step = self.client.propose(charter, self.now, self.entropy())
        self.perform("client", step)
        return self.client.keygen[subject]

    def make_wallet(self, index: int = 0, name: str = "vault", *, ms: int = 60_000) -> Wallet:
        """The whole ceremony, everybody honest and willing."""
        charter = self.charter(index, name)
        view = self.propose(charter)
        subject = digest(encode(charter))
        agreed = set()

        def willing() -> bool:
            for name in self.node_names:
                node = self.seats[name].machine
                if not isinstance(node, Node):
                    continue
                plan = node.plan(subject)
                if plan is not None and plan.stage == "proposed" and name not in agreed:
                    agreed.add(name)
                    self.answer(name, Answer(subject, True))
                if plan is not None and plan.stage == "made":
                    wallet = node.keygen.wallets[charter.wallet_id]
                    self.answer(name, CopyShown(charter.wallet_id, wallet.recovery_data))
            return view.wallet is not None

        if not self.run(willing, ms=ms):
            raise AssertionError(f"no wallet: {view.state} {view.codes} {self.client.trouble}")
        assert view.wallet is not None
        self.client.known = known_keys({**self._made, view.wallet.wallet_id: view.wallet})
        self._made[view.wallet.wallet_id] = view.wallet
        return view.wallet

    def request(
        self,
        wallet: Wallet,
        psbt: bytes,
        note_text: str = "",
        *,
        life_ms: int = REQUEST_LIFE_MS,
        intent: SignedLetter | None = None,
        leaf: str = "",
    ) -> SigningView:
        """The client asks for signatures."""
        request_id, step = self.client.request(
            wallet, psbt, note_text, self.now, self.entropy(), life_ms=life_ms, intent=intent, leaf=leaf
        )
        self.perform("client", step)
        return self.client.signing[request_id]
