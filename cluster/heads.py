"""The head of this node's own record chain: is it the newest, or was an older disk put back?

Each start asks. An intact anchor answers for the chain, and else min(t, n-1) peers of each wallet do, over this boot
id: they hand back what this node itself signed, so that an evil peer can withhold, never forge. Until then the node
approves nothing; a statement of its own beyond or beside its chain puts it into quarantine until its owner ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cluster.answering import Answering
from cluster.approvals import CLOCK_SKEW_MS
from cluster.carried import check_peer, open_carried
from cluster.codec import BadLetter, Letter
from cluster.effects import Notice
from cluster.head_records import LineageKept, QuarantineKept
from cluster.heartbeats import BeatDesk
from cluster.journal import BootKept, RecoveredKept
from cluster.judging import Judge, Judgement
from cluster.messages import NO_ID, Decision, HeadAsk, HeadSaid, Kind, SignedLetter
from cluster.record_body import Body
from cluster.records import GENESIS, Head, Record
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.statements import read_statement
from cluster.turn import Turn

ROLLBACK = "rollback"
"""This node's chain lost records: it refuses everything until its owner ends the quarantine."""

UNPROVEN = "rollback-unproven"
"""Nobody has vouched yet, since this start, that the chain is the newest."""

ANCHOR_SILENT = "anchor-silent"
"""There should be an anchor, and it is missing, damaged or another node's."""

ASK_EVERY_MS = 5_000
"""How often a node asks until enough have answered."""

ANSWER_EVERY_MS = 2_500
"""How often one life of a node is answered at most."""

OBJECTION_MS = 2_000
"""How long peers may object to a chain that its anchor vouches for: the anchor may have been put back with it."""

REBUILT_MS = 10_000
"""How long a recovered node waits to hear of its earlier life: its budgets are exhausted anyway."""

_HASH_BYTES = 8
_MINUTE_MS = 60_000

_CARRIED = frozenset({Kind.HEAD_ASK, Kind.HEAD_SAID})


class Trail:
    """The hash of every record of this chain, shortened: enough to tell whether a head that we signed lies on it."""

    def __init__(self) -> None:
        self._hashes = bytearray(GENESIS[:_HASH_BYTES])

    def add(self, record_hash: bytes) -> None:
        """The next record's hash."""
        self._hashes += record_hash[:_HASH_BYTES]

    def passes(self, head: Head) -> bool:
        """Whether the chain came through this head."""
        start = head.height * _HASH_BYTES
        return self._hashes[start : start + _HASH_BYTES] == head.hash[:_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Anchored:
    """What the anchor beside the database said at the start: the head it vouches for, or why it says nothing."""

    head: Head | None = None
    lineage: int = 0
    fault: str = "none is configured"


NO_ANCHOR = Anchored()
"""A node that nobody gave an anchor: its peers vouch for it."""

PEER_HEAD = "peer-head"
"""The kind of those records that count as no deed: what only notes others must move nobody to note it."""


@dataclass(slots=True)
class _Asking:
    """What this life has heard of its own past."""

    began_ms: int | None = None
    asked_ms: int | None = None
    attempts: int = 0
    answered: set[bytes] = field(default_factory=set)
    seen_lineage: int = 0


class HeadDesk:
    """Proves this node's own head after a start, answers the others, and keeps the quarantine."""

    def __init__(
        self,
        roster: Roster,
        me: bytes,
        boot_id: bytes,
        judge: Judge,
        wallets: Mapping[bytes, Wallet],
        beats: BeatDesk,
        anchored: Anchored,
    ) -> None:
        self._roster = roster
        self._me = me
        self._boot_id = boot_id
        self._judge = judge
        self._wallets = wallets
        self._beats = beats
        self._anchored = anchored
        self._asking = _Asking()
        self._answering = Answering(ANSWER_EVERY_MS)
        self._started = False
        self._rebuilt = False
        self._vouched = False
        self._known: tuple[bool, int, bool, bool] = (False, 0, False, False)
        self.trail = Trail()
        self.deeds = 0
        self.lineage = 0
        self.quarantine: QuarantineKept | None = None

    # Records.

    def restore(self, entry: Body) -> None:
        """Take one of the node's records into account."""
        match entry:
            case QuarantineKept():
                self.quarantine = entry
            case BootKept():
                self._started = True
            case RecoveredKept(confirmed=False) if not self._started:
                # Made anew from words. One that follows a whole chain, of a state store, is about budgets alone.
                self._rebuilt = True
            case LineageKept(lineage=lineage):
                self.lineage, self.quarantine, self._rebuilt = lineage, None, False
            case _:
                pass

    def grow(self, records: Iterable[Record], hashes: Iterable[bytes]) -> None:
        """The chain has grown by these records."""
        self.deeds += sum(record.kind != PEER_HEAD for record in records)
        for record_hash in hashes:
            self.trail.add(record_hash)

    def start(self, turn: Turn) -> None:
        """The first look at the anchor, before anything is said."""
        head, lineage, fault = self._anchored.head, self._anchored.lineage, self._anchored.fault
        if fault and fault != NO_ANCHOR.fault:
            text = f"the anchor vouches for nothing ({fault}): the peers must"
            turn.notify(Notice(self._me, "", text, ANCHOR_SILENT))
        if head is None or lineage < self.lineage:
            self._anchored = replace(self._anchored, head=None)  # of a lineage that its owner has ended
        elif self.quarantine is None and (lineage > self.lineage or not self.trail.passes(head)):
            self._shut(lineage, head.height, NO_ID, None, turn)

    # What it means for signing.

    def held(self, wallet_id: bytes) -> Judgement | None:
        """The judgement on every request of a wallet while this chain may not be the newest; None once it is."""
        if self.quarantine is not None:
            return Judgement.refusal((ROLLBACK,), NO_ID)
        if self._rebuilt or not self._proven([self._wallets[wallet_id]]):
            return Judgement(Decision.WAIT, (UNPROVEN,), NO_ID)
        return None

    @property
    def settled(self) -> bool:
        """Whether the chain may be vouched for: by the anchor that is written from here on, and to others."""
        return self.quarantine is None and not self._rebuilt and self._proven(list(self._wallets.values()))

    @property
    def anchor_fault(self) -> str:
        """Why the anchor vouched for nothing at this start; "" where it did."""
        return self._anchored.fault

    @property
    def speaks(self) -> bool:
        """Whether heartbeats are said: a recovered node first learns which lineage it is."""
        return not self._rebuilt

    def moved(self) -> bool:
        """Whether anything that `held` rests on has changed since this was asked last."""
        known = (self.quarantine is not None, len(self._asking.answered), self._vouched, self._rebuilt)
        moved, self._known = known != self._known, known
        return moved

    def missing(self) -> int:
        """How many more peers must answer before everything may be signed."""
        if not self._wallets:
            return 0 if self._asking.answered or len(self._roster.nodes) == 1 else 1
        return max(self._lacks(wallet) for wallet in self._wallets.values())

    def silent(self) -> tuple[bytes, ...]:
        """Whoever of its wallets' members has not answered since this start."""
        members = {member.identity for wallet in self._wallets.values() for member in wallet.charter.members}
        asked = members or {node.identity for node in self._roster.nodes}
        return tuple(sorted(asked - {self._me} - self._asking.answered))

    def _proven(self, wallets: list[Wallet]) -> bool:
        if self._vouched:
            return True
        if not wallets:
            return self.missing() <= 0
        return all(self._lacks(wallet) <= 0 for wallet in wallets)

    def _lacks(self, wallet: Wallet) -> int:
        members = [member.identity for member in wallet.charter.members]
        needed = min(wallet.charter.t, len(members) - 1)
        return needed - len(self._asking.answered.intersection(members))

    # Letters.

    def receive(self, letter: Letter, coordinators: Iterable[bytes], turn: Turn) -> None:
        """What the coordinator carries: another node's question, or its answer to this one."""
        inner = open_carried(letter.body, _CARRIED, "about a head")
        check_peer(inner, self._me, self._roster, "head-stranger")
        if isinstance(inner.body, HeadSaid):
            self._hear(inner.header.sender, inner.body, turn)
        elif isinstance(inner.body, HeadAsk):
            expired = inner.header.expires_at_ms + CLOCK_SKEW_MS < turn.now.wall_ms
            if not expired and self._answering.due(inner, inner.body.attempt, turn.now.monotonic_ms):
                self._answer(inner.header.sender, inner.header.boot_id, coordinators, turn)

    def _answer(self, asker: bytes, boot_id: bytes, coordinators: Iterable[bytes], turn: Turn) -> None:
        known = self._beats.peers[asker].lives.statements
        said = HeadSaid(asker, boot_id, tuple(statement.letter for statement in known))
        for coordinator in coordinators:
            turn.tell(Kind.HEAD_SAID, coordinator, said)

    def _hear(self, peer: bytes, said: HeadSaid, turn: Turn) -> None:
        """An answer to another node, or to an earlier life of this one, says nothing here."""
        if (said.asker, said.asker_boot_id) != (self._me, self._boot_id):
            return
        for signed in said.statements:
            statement = read_statement(signed, self._roster.cluster_id)
            if statement.node != self._me:
                raise BadLetter("head-stranger", "it hands back a letter that this node did not write")
            self._compare(peer, statement.lineage, Head(statement.height, statement.head), signed, turn)
        self._asking.answered.add(peer)

    def _compare(self, peer: bytes, lineage: int, head: Head, signed: SignedLetter, turn: Turn) -> None:
        """A statement of an earlier lineage is settled; one of this lineage must lie on the chain."""
        self._asking.seen_lineage = max(self._asking.seen_lineage, lineage)
        if self._rebuilt or self.quarantine is not None or lineage < self.lineage:
            return
        if lineage > self.lineage or not self.trail.passes(head):
            self._shut(lineage, head.height, peer, signed, turn)

    def _shut(self, lineage: int, height: int, by: bytes, signed: SignedLetter | None, turn: Turn) -> None:
        """Into quarantine, from this step on."""
        here = self.trail_height(turn)
        self.quarantine = QuarantineKept(turn.now.wall_ms, self.lineage, here, lineage, height, by, signed)
        turn.note(self.quarantine)
        who = "its anchor" if by == NO_ID else self._roster.name_of(by)
        text = f"this node's records end at {here}, and {who} knows of {height}: an older copy, so nothing is signed"
        turn.notify(Notice(self._me, "", text, ROLLBACK))

    @staticmethod
    def trail_height(turn: Turn) -> int:
        """Where the chain ends, the records of this step not counted."""
        return turn.head.height - len(turn.hashes)

    # Time, and the owner.

    def tick(self, coordinators: Iterable[bytes], turn: Turn) -> None:
        """Ask until enough have answered; let an intact anchor count once nobody objected."""
        asking, now_ms = self._asking, turn.now.monotonic_ms
        if asking.began_ms is None:
            asking.began_ms = now_ms
        waited_ms = now_ms - asking.began_ms
        if self._rebuilt and (self._enough() or waited_ms >= REBUILT_MS):
            self._go_on(turn)
        if self._anchored.head is not None and self.quarantine is None and waited_ms >= OBJECTION_MS:
            self._vouched = True
        if self._enough() or (asking.asked_ms is not None and now_ms - asking.asked_ms < ASK_EVERY_MS):
            return
        asking.asked_ms = now_ms
        asking.attempts += 1
        for coordinator in coordinators:
            turn.tell(Kind.HEAD_ASK, coordinator, HeadAsk(asking.attempts))

    def _enough(self) -> bool:
        """Whether so many have answered that no more need be asked, whatever an anchor says."""
        return self.missing() <= 0

    def due(self) -> int | None:
        """When to come again, on the monotonic clock."""
        asking = self._asking
        if asking.began_ms is None or asking.asked_ms is None:
            return None
        waits = [] if self._enough() else [asking.asked_ms + ASK_EVERY_MS]
        if self._anchored.head is not None and not self._vouched and self.quarantine is None:
            waits.append(asking.began_ms + OBJECTION_MS)
        if self._rebuilt:
            waits.append(asking.began_ms + REBUILT_MS)
        return min(waits, default=None)

    def end(self, peer: bytes, turn: Turn) -> None:
        """The owner accepts what may be lost here, so budgets count as exhausted; or settles what is doubted of a peer.

        ValueError where nothing is in question.
        """
        if peer != NO_ID:
            self._beats.trust(peer, turn)
            return
        if self.settled:
            raise ValueError("this node's records are in no question")
        self._go_on(turn)

    def _exhaust(self, turn: Turn) -> None:
        """What was spent until now may be among what was lost."""
        at_ms = max(turn.now.wall_ms, self._judge.budget_time(turn.now))
        entry = RecoveredKept(at_ms, confirmed=not self._judge.clock_in_doubt)
        turn.note(entry)
        self._judge.restore(entry, NO_ID)

    def _go_on(self, turn: Turn) -> None:
        """Another lineage begins, with its budgets exhausted: what was said in earlier ones binds this chain no more.

        Of a recovered node too: its disk may be an old copy of its first seconds, whose budgets had begun to fill.
        """
        self._exhaust(turn)
        seen = 0 if self.quarantine is None else self.quarantine.seen_lineage
        lineage = max(self.lineage, self._asking.seen_lineage, seen) + 1
        # There may have been further ones, hidden from here or from whoever was heard; none of those was this minute.
        lineage = max(lineage, turn.now.wall_ms // _MINUTE_MS)
        entry = LineageKept(turn.now.wall_ms, lineage)
        turn.note(entry)
        self.restore(entry)
        turn.lineage = self.lineage
        self._vouched = True
