"""The coordinator: carries letters between clients, people and nodes and gathers quorums. Nobody needs to trust it.

A pure machine with three doors, `receive`, `submit` and `tick`; each returns one Step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from cluster.codec import BadLetter, Ear, Identity, Letter, Mouth, open_letter
from cluster.complaints import Complaints
from cluster.coordinator_clocks import ClockCarrier
from cluster.coordinator_drills import DrillHolder
from cluster.coordinator_freezes import FreezeCarrier
from cluster.coordinator_heads import HeadCarrier
from cluster.coordinator_keygen import KeygenDesk
from cluster.coordinator_people import PeopleDesk
from cluster.coordinator_policies import PolicyCarrier
from cluster.coordinator_rebuilding import RebuildingDesk
from cluster.coordinator_signing import SigningDesk
from cluster.effects import Now, Step
from cluster.held_wallets import HeldWallets
from cluster.journal import BootKept, read
from cluster.messages import KINDS, NO_ID, PROTOCOL_VERSION, Cosigned, Hello, Kind, NodeStatus, Status
from cluster.presence import Presence
from cluster.records import Head, Record
from cluster.restoring import sense_made_of
from cluster.roster import Roster
from cluster.schemes import SCHEMES
from cluster.turn import Turn

_KEYGEN_KINDS = range(Kind.KEYGEN_REQUEST, Kind.KEYGEN_FINAL + 1)
_HELD_KINDS = range(Kind.HELD_LIST, Kind.HELD_FINAL + 1)
_POLICY_KINDS = (Kind.POLICY_CHANGE, Kind.POLICY_CONSENT, Kind.POLICY_ENDED, Kind.POLICY_RECEIPT)
_DRILL_KINDS = range(Kind.DRILL_REQUEST, Kind.DRILL_FINAL + 1)


class Carrier(Protocol):
    """Passes on what others say to each other, whole."""

    def carry(self, letter: Letter, turn: Turn) -> None:
        """Pass a letter on; whoever gets it checks who signed it."""


class Coordinator:
    """One coordinator of one cluster, over the records of its earlier runs."""

    def __init__(
        self,
        *,
        roster: Roster,
        roster_digest: bytes,
        identity: Identity,
        boot_id: bytes,
        records: Iterable[Record],
    ) -> None:
        """Read the records again, in order; raises ValueError when one of them makes no sense."""
        self.roster = roster
        self._roster_digest = roster_digest
        self._mouth = Mouth(identity, roster.cluster_id, boot_id)
        coordinators = [entry.identity for entry in roster.coordinators]
        self._ear = Ear.of(roster.cluster_id, identity.public, coordinators)
        self._presence = Presence(SCHEMES)
        self.keygen = KeygenDesk(roster, self._presence)
        self.signing = SigningDesk(roster, self._presence, self.keygen.wallets)
        self.policies = PolicyCarrier(roster)
        self._freezes = FreezeCarrier(roster)
        self.heads = HeadCarrier(roster)
        self._carriers: dict[Kind, Carrier] = {
            **dict.fromkeys(_POLICY_KINDS, self.policies),
            **dict.fromkeys((Kind.FREEZE, Kind.FREEZE_RECEIPT), self._freezes),
            **dict.fromkeys((Kind.CLOCK_ASK, Kind.CLOCK_SAID), ClockCarrier(roster)),
            **dict.fromkeys((Kind.HEARTBEAT, Kind.HEAD_ASK, Kind.HEAD_SAID), self.heads),
        }
        self._drills = DrillHolder(roster, self._presence, self.keygen.wallets)
        self.people = PeopleDesk(
            roster, self._presence, self.signing.jobs, self.keygen.wallets, self.keygen.makings
        )
        self._rebuilding = RebuildingDesk(HeldWallets(roster, self.keygen.kept), self.signing, self.people)
        self.complaints = Complaints(roster)
        self.head = Head()
        for record in records:
            with sense_made_of(record, self.head.height):
                entry = read(record)
                self.keygen.restore(entry, record.wallet_id)
                self.signing.jobs.restore(entry, record.wallet_id)
                self.people.restore(entry)
                self.head = self.head.after([record])
        self.signing.jobs.settle()

    def start(self, now: Now, entropy: bytes) -> Step:
        """The first step after a start: remember it, and repeat whatever is open."""
        turn = self._turn(now, entropy)
        turn.note(BootKept(now.wall_ms, self._mouth.boot_id))
        return self._end(turn)

    def receive(self, sender: bytes, letter: bytes, signature: bytes, now: Now, entropy: bytes) -> Step:
        """A letter arrived from the holder of an identity key; whatever is wrong with it is a complaint."""
        turn = self._turn(now, entropy)
        try:
            self._hear(sender, letter, signature, turn)
        except BadLetter as bad:
            self.complaints.add(sender, bad.code, turn)
        return self._end(turn)

    def submit(self, letter: bytes, signature: bytes, sender: bytes, now: Now, entropy: bytes) -> Step:
        """A client's signed request came by file instead of by wire: the same checks, the same path."""
        return self.receive(sender, letter, signature, now, entropy)

    def tick(self, now: Now, entropy: bytes) -> Step:
        """Time has passed: repeat, pass over, expire."""
        return self._end(self._turn(now, entropy))

    # Inside.

    def _turn(self, now: Now, entropy: bytes) -> Turn:
        return Turn(now, entropy, self.head, self._mouth)

    def _end(self, turn: Turn) -> Step:
        ticks = (
            self.keygen.tick(turn),
            self.signing.tick(turn),
            self.people.tick(turn),
            self._rebuilding.tick(turn),
            self._drills.tick(turn),
        )
        wakes = [wake for wake in ticks if wake is not None]
        self.head = turn.head
        return turn.step(min(wakes, default=None))

    def _hear(self, sender: bytes, letter: bytes, signature: bytes, turn: Turn) -> None:
        role = self.roster.role_of(sender)
        if not role:
            raise BadLetter("letter-stranger", "the sender is not in the roster")
        opened = open_letter(letter, signature, sender)
        # No coordinator speaks to another: its Hello would be answered, and that answer too, for ever.
        if role == "coordinator" or role not in KINDS[opened.header.kind].senders:
            raise BadLetter("letter-role", f"a {role} may not send it a {opened.header.kind.name}")
        self._ear.check(opened.header, turn.now.wall_ms)
        started = self._presence.heard(sender, opened.header.boot_id, turn.now.monotonic_ms)
        if started and role == "node":
            self.keygen.greeted(sender, turn)
            self.signing.greeted(sender, turn)
            self.people.greeted(sender)
            self._freezes.greeted(sender, turn)
        self._handle(opened, role, turn)

    def _handle(self, letter: Letter, role: str, turn: Turn) -> None:
        kind = letter.header.kind
        if isinstance(letter.body, Hello):
            self._hello(letter, letter.body, turn)
        elif kind is Kind.REQUEST:
            self.signing.request(letter, turn)
        elif isinstance(letter.body, Cosigned):
            self.signing.cosigned(letter, letter.body, turn)
        elif kind is Kind.KEYGEN_REQUEST:
            self.keygen.request(letter, turn)
        elif kind is Kind.STATUS_QUERY:
            self._asked(letter, turn) if role == "person" else self._query(letter, turn)
        elif kind is Kind.PERSON_SAYS:
            self.people.says(letter, turn)
        elif kind is Kind.PERSON_RECEIPT:
            self.people.receipt(letter, turn)
        elif kind in self._carriers:
            self._carriers[kind].carry(letter, turn)
        elif kind in _DRILL_KINDS:
            self._drills.receive(letter, turn)
        elif kind in _HELD_KINDS:
            self._rebuilding.receive(letter, turn)
        elif role == "node" and kind in _KEYGEN_KINDS:
            self.keygen.receive(letter, turn)
        elif role == "node":
            self.signing.receive(letter, turn)
        else:
            raise BadLetter("letter-kind", f"the coordinator has no use for a {kind.name}")

    def _hello(self, letter: Letter, hello: Hello, turn: Turn) -> None:
        sender = letter.header.sender
        mismatch = self._presence.greeted(sender, hello)
        self.signing.heard(sender)
        turn.tell(Kind.HELLO, sender, self._own_hello(turn))
        self.keygen.hear_stages(sender, hello.wallets, turn)
        if mismatch:
            raise BadLetter("version-mismatch", mismatch)
        if hello.roster_digest != self._roster_digest:
            raise BadLetter("roster-mismatch", "it goes by another roster")

    def _own_hello(self, turn: Turn) -> Hello:
        return Hello(
            protocol=PROTOCOL_VERSION,
            schemes=SCHEMES,
            roster_digest=self._roster_digest,
            chain_height=turn.head.height,
            chain_head=turn.head.hash,
            clock_ms=turn.now.wall_ms,
            wallets=(),
        )

    def _asked(self, letter: Letter, turn: Turn) -> None:
        """A person asks: of changes of policies, or of requests and wallets."""
        if not self.policies.query(letter, turn):
            self.people.query(letter, turn)

    def _query(self, letter: Letter, turn: Turn) -> None:
        if letter.header.request_id != NO_ID:
            if not self.keygen.query(letter, turn):
                self.signing.query(letter, turn)
            return
        nodes = tuple(
            NodeStatus(
                entry.identity,
                self.reach(entry.identity, turn.now),
                None,
                beat=self.heads.newest(entry.identity),
            )
            for entry in self.roster.nodes
        )
        turn.tell(Kind.STATUS, letter.header.sender, Status("running", (), nodes))

    def reach(self, node: bytes, now: Now) -> str:
        """How a node stands, in one word: `online`, `unreachable` or `version-mismatch`."""
        if self._presence.mismatched(node):
            return "version-mismatch"
        return "online" if self._presence.online(node, now.monotonic_ms) else "unreachable"
