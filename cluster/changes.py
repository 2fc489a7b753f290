"""The changes of a node's own policy: what tightens holds at once, what loosens anything waits.

A looser profile is a pending change: a record, announced to every node, in force only once everybody whom the
profile in force names has agreed and its cooldown is over by the policy clock, and only over that very profile. The
coordinator can carry it, or keep it from being heard of, but never make one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cluster.change_records import ChangeDelayed, ChangeEnded, ChangeProposed, ConsentKept
from cluster.change_rules import Consent, Terms, consent_in, lacking, may_say, rule_of
from cluster.codec import BadLetter, Letter
from cluster.journal import BootKept, PolicyKept
from cluster.judging import Judge
from cluster.messages import NO_ID, Kind, PolicyChange, PolicyEnded, PolicyReceipt
from cluster.policy_letters import MAX_CHANGE_BYTES, MAX_TEXT_BYTES
from cluster.profiles import Texts, texts_of
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.turn import Turn
from policy.clock import SLACK_MS
from policy.diff import Diff
from policy.profile import ChangeRule

ANNOUNCE_EVERY_MS = 5 * 60_000
"""How often a pending change is announced again, so that whoever was away hears of it."""

GREET_EVERY_MS = 30_000
"""How often at most one coordinator that says it has just started is told of everything again."""

ANNOUNCED_MS = 15 * 60_000
"""How long an announcement is good for."""

MAX_A_DAY = 8
"""How many changes one node may propose in 24 hours: others keep every one of them."""

MAX_ENDED = 64
"""Of how many ended changes a node remembers how they ended."""

DAY_MS = 24 * 3_600_000


@dataclass(slots=True)
class Pending:
    """A change that waits: its terms, its texts, since when its cooldown counts, and who has agreed.

    `sure` says that `since_ms` is not the owner's word alone: only then does time that peers vouch for count.
    """

    terms: Terms
    texts: Texts
    since_ms: int
    sure: bool
    agreed: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a pending change stands now: by which rule, whose consent is missing, how long it still waits."""

    rule: ChangeRule
    missing: tuple[str, ...]
    wait_ms: int
    in_doubt: bool

    @property
    def ripe(self) -> bool:
        """Whether it may be put in force."""
        return not self.missing and self.wait_ms == 0 and not self.in_doubt


class Changes:
    """The pending changes of one node, at most one for each wallet id."""

    def __init__(self, roster: Roster, me: bytes, judge: Judge) -> None:
        self._roster = roster
        self._me = me
        self._judge = judge
        self.pending: dict[bytes, Pending] = {}
        self.ended: dict[bytes, PolicyEnded] = {}
        self._proposed_ms: list[int] = []
        self._announced_at_ms: int | None = None
        self._boots: dict[bytes, tuple[bytes, int | None]] = {}
        # In the first life of a node, and after that from when peers vouch until the owner says otherwise.
        self._clock_is_sure = True

    # Records.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; they come in the order in which they were written."""
        match entry:
            case BootKept():
                self._clock_is_sure = False
            case ChangeProposed():
                self._take(entry, wallet_id)
            case ChangeDelayed(change_id=change_id, since_ms=since_ms, sure=sure):
                pending = self.find(change_id)
                if pending is not None:
                    pending.since_ms, pending.sure = since_ms, sure
            case ConsentKept(change_id=change_id, yes=True):
                pending = self.find(change_id)
                if pending is not None:
                    pending.agreed.add(entry.who)
            case ChangeEnded(change_id=change_id):
                self._forget(change_id, PolicyEnded(change_id, entry.code, entry.by))
            case _:
                pass

    def _take(self, entry: ChangeProposed, wallet_id: bytes) -> Pending:
        terms = Terms(
            wallet_id, self._me, entry.base_digest, entry.digest, entry.version, entry.since_ms, entry.nonce
        )
        self._proposed_ms = [*self._proposed_ms[1 - MAX_A_DAY :], entry.since_ms]
        pending = Pending(terms, Texts(entry.text, entry.base), entry.since_ms, entry.sure, {self._me})
        self.pending[wallet_id] = pending
        return pending

    def _forget(self, change_id: bytes, how: PolicyEnded) -> None:
        pending = self.find(change_id)
        if pending is None:
            return
        del self.pending[pending.terms.wallet_id]
        self.ended[change_id] = how
        while len(self.ended) > MAX_ENDED:
            self.ended.pop(next(iter(self.ended)))

    # What there is.

    def find(self, change_id: bytes) -> Pending | None:
        """The pending change of this id."""
        return next((one for one in self.pending.values() if one.terms.id == change_id), None)

    def standing(self, pending: Pending, now_ms: int) -> Standing:
        """How a change stands at a time of the policy clock."""
        old = self._judge.profiles.profile_for(pending.terms.wallet_id)
        assert old is not None  # a change loosens something that is in force
        rule = rule_of(old)
        return Standing(
            rule,
            tuple(lacking(rule, self._roster, pending.agreed)),
            max(0, pending.since_ms + rule.cooldown_ms - now_ms),
            self._judge.clock_in_doubt,
        )

    def diff(self, pending: Pending) -> Diff:
        """What a change would change; ValueError when its text no longer loads."""
        return self._judge.profiles.weigh(pending.texts, pending.terms.wallet_id).diff

    # What the owner says.

    def propose(self, texts: Texts, wallet_id: bytes, coordinators: Iterable[bytes], turn: Turn) -> bool:
        """Put a profile in force, or let it wait; whether it holds. ValueError, with nothing changed, if neither."""
        if len(texts.text.encode()) > MAX_TEXT_BYTES or len(texts.base.encode()) > MAX_TEXT_BYTES:
            raise ValueError(f"the profile is larger than {MAX_TEXT_BYTES // 1024} KiB")
        profiles = self._judge.profiles
        weighing = profiles.weigh(texts, wallet_id)
        if not weighing.loosens:
            own = profiles.kept.get(wallet_id)
            if own is None or texts_of(own) != texts:
                self._adopt(texts, wallet_id, turn)
                self._end_overtaken(coordinators, turn)
            return True
        now_ms = self._judge.budget_time(turn.now)
        self._check_proposal(texts, wallet_id, now_ms)
        if wallet_id in self.pending:
            self._end(self.pending[wallet_id], "replaced", self._me, coordinators, turn)
        entry = ChangeProposed(
            at_ms=turn.now.wall_ms,
            version=profiles.next_version(wallet_id),
            base_digest=weighing.base_digest,
            digest=weighing.digest,
            since_ms=now_ms,
            nonce=turn.random(),
            text=texts.text,
            base=texts.base,
            sure=self._clock_is_sure,
        )
        turn.note(entry, wallet_id)
        self._announce(self._take(entry, wallet_id), coordinators, turn)
        if self._announced_at_ms is None:
            self._announced_at_ms = turn.now.monotonic_ms
        return False

    def _check_proposal(self, texts: Texts, wallet_id: bytes, now_ms: int) -> None:
        if self._judge.clock_in_doubt:
            raise ValueError(
                "this profile is looser, and its cooldown needs a clock that is sure: `assent clock confirm` first"
            )
        old = self._judge.profiles.in_force(wallet_id)
        if old is not None and len(texts) + len(texts_of(old)) > MAX_CHANGE_BYTES:
            raise ValueError(
                f"this profile is looser, and with the one in force it is over {MAX_CHANGE_BYTES // 1024} KiB, "
                "the most that can be announced to the other nodes; shorten it"
            )
        if len(self._proposed_ms) >= MAX_A_DAY and self._proposed_ms[0] > now_ms - DAY_MS:
            raise ValueError(f"{MAX_A_DAY} changes were proposed here within a day; wait until one is older")

    def cancel(self, change_id: bytes, coordinators: Iterable[bytes], turn: Turn) -> None:
        """This node's owner takes a change back; ValueError when there is none of this id."""
        pending = self.find(change_id)
        if pending is None:
            raise ValueError("no change of that id is pending here")
        self._end(pending, "cancelled", self._me, coordinators, turn)

    def clock_set(self, gained_ms: int, turn: Turn) -> None:
        """The owner confirmed the clock, which gained so much by it: no cooldown gets shorter by that."""
        self._clock_is_sure = False
        for pending in self.pending.values():
            self._delay(pending, gained_ms, turn)

    def clock_vouched(self, gained_ms: int, turn: Turn) -> None:
        """Peers vouch for the clock, which gained so much: that counts, but where a change began by no sure clock.

        A machine whose clock came back as it was when it was switched off would else have waited while it was off.
        """
        self._clock_is_sure = True
        for pending in self.pending.values():
            if not pending.sure:
                pending.sure = True
                self._delay(pending, gained_ms, turn)

    def _delay(self, pending: Pending, gained_ms: int, turn: Turn) -> None:
        # The slack too: each confirmation grants it anew, and a hundred of them must not add up.
        pending.since_ms += max(0, gained_ms) + SLACK_MS
        delayed = ChangeDelayed(turn.now.wall_ms, pending.terms.id, pending.since_ms, pending.sure)
        turn.note(delayed, pending.terms.wallet_id)

    # What others say.

    def hear(self, letter: Letter, coordinators: Iterable[bytes], turn: Turn) -> None:
        """Somebody agrees to a change of this node's, or cancels it."""
        consent = consent_in(letter, self._roster, self._me)
        pending = self.find(consent.change_id)
        if pending is None:
            ended = self.ended.get(consent.change_id)
            if ended is None:
                raise BadLetter("change-unknown", "no such change was proposed here")
            for coordinator in coordinators:
                turn.tell(Kind.POLICY_ENDED, coordinator, ended, wallet_id=letter.header.wallet_id)
            return
        if letter.header.wallet_id != pending.terms.wallet_id:
            raise BadLetter("change-wallet", "the change is about another wallet")
        rule = self.standing(pending, 0).rule
        if not may_say(rule, self._roster, consent.who, consent.yes):
            raise BadLetter("change-role", "the policy in force gives the sender no say in this")
        self._count(consent, pending, letter, coordinators, turn)

    def _count(
        self, consent: Consent, pending: Pending, letter: Letter, coordinators: Iterable[bytes], turn: Turn
    ) -> None:
        if not consent.yes or consent.who not in pending.agreed:
            turn.note(
                ConsentKept(turn.now.wall_ms, consent.change_id, consent.who, consent.yes, letter.signed),
                pending.terms.wallet_id,
            )
        if not consent.yes:
            self._end(pending, "cancelled", consent.who, coordinators, turn)
            return
        pending.agreed.add(consent.who)
        if (
            self._roster.person(consent.who) is not None
        ):  # their device waits for it; a node says its yes again
            receipt = PolicyReceipt(consent.change_id, consent.who)
            for coordinator in coordinators:
                turn.tell(Kind.POLICY_RECEIPT, coordinator, receipt, wallet_id=pending.terms.wallet_id)

    def greeted(self, coordinator: bytes, boot_id: bytes, turn: Turn) -> None:
        """A coordinator spoke: one that has just started is told again of what is pending, but not without end."""
        boot, at_ms = self._boots.get(coordinator, (b"", None))
        now_ms = turn.now.monotonic_ms
        if boot != boot_id and (at_ms is None or now_ms - at_ms >= GREET_EVERY_MS):
            self._boots[coordinator] = boot_id, now_ms if self.pending else at_ms
            for pending in self.pending.values():
                self._announce(pending, (coordinator,), turn)

    # What time brings.

    def tick(self, coordinators: Iterable[bytes], turn: Turn) -> bool:
        """Put in force what is ripe, and announce again what waits; whether the policy changed."""
        if not self.pending:
            return False
        self._end_overtaken(coordinators, turn)
        now_ms = self._judge.budget_time(turn.now)
        ripe = [one for one in self.pending.values() if self.standing(one, now_ms).ripe]
        for pending in ripe:
            self._put_in_force(pending, coordinators, turn)
        last = self._announced_at_ms
        if self.pending and (last is None or turn.now.monotonic_ms - last >= ANNOUNCE_EVERY_MS):
            self._announced_at_ms = turn.now.monotonic_ms
            for pending in self.pending.values():
                self._announce(pending, coordinators, turn)
        return bool(ripe)

    def due(self, turn: Turn) -> int | None:
        """When, on the monotonic clock, time may bring something; None when nothing waits."""
        if not self.pending:
            return None
        now_ms = self._judge.budget_time(turn.now)
        standings = [self.standing(one, now_ms) for one in self.pending.values()]
        waits = [one.wait_ms for one in standings if not one.missing and not one.in_doubt]
        last = self._announced_at_ms if self._announced_at_ms is not None else turn.now.monotonic_ms
        return min([last + ANNOUNCE_EVERY_MS, *(turn.now.monotonic_ms + max(1, wait) for wait in waits)])

    # Inside.

    def _put_in_force(self, pending: Pending, coordinators: Iterable[bytes], turn: Turn) -> None:
        if pending.terms.id in self.ended:
            return  # another that was ripe has just taken its ground away
        try:
            means = self._judge.profiles.read(pending.texts).digest
        except ValueError:
            means = NO_ID
        if means != pending.terms.digest:  # another version of this program reads it otherwise
            self._end(pending, "unreadable", self._me, coordinators, turn)
            return
        self._end(pending, "in-force", NO_ID, coordinators, turn)
        self._adopt(pending.texts, pending.terms.wallet_id, turn)
        self._end_overtaken(coordinators, turn)

    def _adopt(self, texts: Texts, wallet_id: bytes, turn: Turn) -> PolicyKept:
        kept = self._judge.profiles.adopt(
            texts, wallet_id, at_ms=turn.now.wall_ms, policy_ms=self._judge.budget_time(turn.now)
        )
        turn.note(kept, wallet_id)
        return kept

    def _end_overtaken(self, coordinators: Iterable[bytes], turn: Turn) -> None:
        """A change was compared with one profile; over any other it means something else, so it ends."""
        profiles = self._judge.profiles
        for wallet_id, pending in list(self.pending.items()):
            now = (profiles.digest_for(wallet_id), profiles.next_version(wallet_id))
            if (pending.terms.base_digest, pending.terms.version) != now:
                self._end(pending, "overtaken", self._me, coordinators, turn)

    def _end(self, pending: Pending, code: str, by: bytes, coordinators: Iterable[bytes], turn: Turn) -> None:
        terms = pending.terms
        turn.note(ChangeEnded(turn.now.wall_ms, terms.id, code, by), terms.wallet_id)
        how = PolicyEnded(terms.id, code, by)
        self._forget(terms.id, how)
        for coordinator in coordinators:
            turn.tell(Kind.POLICY_ENDED, coordinator, how, wallet_id=terms.wallet_id)

    def _announce(self, pending: Pending, coordinators: Iterable[bytes], turn: Turn) -> None:
        terms = pending.terms
        old = self._judge.profiles.in_force(terms.wallet_id)
        assert old is not None  # a change loosens something that is in force
        body = PolicyChange(
            version=terms.version,
            base_digest=terms.base_digest,
            digest=terms.digest,
            since_ms=terms.since_ms,
            nonce=terms.nonce,
            text=pending.texts.text,
            base=pending.texts.base,
            old_text=old.text,
            old_base=old.base,
            counts_from_ms=pending.since_ms,
            in_doubt=self._judge.clock_in_doubt,
        )
        for coordinator in coordinators:
            turn.tell(Kind.POLICY_CHANGE, coordinator, body, wallet_id=terms.wallet_id, life_ms=ANNOUNCED_MS)
