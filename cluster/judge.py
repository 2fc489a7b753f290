"""The judge of a real node: its policy profile, its books, its clock, over the pure `policy` package.

Which profile is in force is a record, never a file; a wallet without one of its own goes by the profile for all,
and a node without any refuses everything.
"""

from __future__ import annotations

from dataclasses import replace

from cluster.effects import Now
from cluster.grants import Grants
from cluster.holds import Holds
from cluster.intents import intended
from cluster.journal import (
    BootKept,
    ClockKept,
    GrantKept,
    GrantRevoked,
    PolicyKept,
    RecoveredKept,
    SignedKept,
)
from cluster.judging import Judgement, Words
from cluster.messages import NO_ID, Decision
from cluster.profiles import Profiles, ReadTexts
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.schemes import Route, Wallet
from cluster.shadow import Shadow
from cluster.subjects import Subject
from policy import (
    Book,
    Booking,
    ClockReading,
    Facts,
    OwnerSaid,
    PersonSaid,
    PolicyClock,
    WalletFacts,
    WayFacts,
    judge,
)
from policy.granting import GrantLeft, left_of
from policy.grants import Grant
from policy.rescuing import is_rescue
from taproot import Network, OutPoint

CLOCK_EVERY_MS = 3_600_000
"""How often the policy's time is written down, so that a restart loses little of it."""

NO_RESCUE = "request-no-rescue"
"""What a node asked for is not, or no longer, a rescue by the policy in force."""


class PolicyJudge:
    """Judges by the profile in force, with the budgets, the clock and the freezes of one node."""

    def __init__(self, roster: Roster, me: bytes, read: ReadTexts) -> None:
        """`me` is this node's identity key (32 bytes); `read` types the texts of a profile."""
        self._roster = roster
        self._me = me
        self.profiles = Profiles(read, roster.network)
        self._books: dict[bytes, Book] = {}
        self.grants = Grants(me)
        self.shadow = Shadow(read)
        self.holds = Holds(roster)
        self._exhausted_ms: int | None = None
        self._recovery_open = False
        self._clock: PolicyClock | None = None
        self._last_ms: int | None = None
        self._written_ms = 0

    # Records.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; they come in the order in which they were written."""
        self.shadow.restore(entry, wallet_id)
        self.holds.restore(entry, wallet_id)
        match entry:
            case PolicyKept():
                self.profiles.restore(entry, wallet_id)
            case RecoveredKept(at_ms=at_ms, confirmed=confirmed):
                self._exhausted_ms = max(self._exhausted_ms or 0, at_ms)
                self._recovery_open = not confirmed
                # Unconfirmed it is the wall clock's, which must end no freeze and no cooldown.
                if confirmed or self._last_ms is None:
                    self._last_ms = max(self._last_ms or 0, at_ms)
            case ClockKept(policy_ms=policy_ms):
                self._last_ms = max(self._last_ms or 0, policy_ms)
            case SignedKept(budget_ms=budget_ms):
                self._last_ms = max(self._last_ms or 0, budget_ms)
            case GrantKept() | GrantRevoked():
                self.grants.restore(entry, wallet_id)
            case BootKept(at_ms=at_ms):
                self._last_ms = self._last_ms if self._last_ms is not None else at_ms
            case _:
                pass

    # Time.

    def see_clock(self, now: Now) -> None:
        """Take a reading of the clocks into account."""
        if self._clock is not None:
            self._clock = self._clock.read(wall_ms=now.wall_ms, monotonic_ms=now.monotonic_ms)
        elif self._last_ms is None:
            self._clock = PolicyClock.first(wall_ms=now.wall_ms, monotonic_ms=now.monotonic_ms)
        else:
            self._clock = PolicyClock.restarted(last_ms=self._last_ms, monotonic_ms=now.monotonic_ms)

    def confirm_clock(self, now: Now) -> None:
        """The owner looked at the wall clock and says that it is right."""
        self.see_clock(now)
        assert self._clock is not None  # see_clock made it
        self._clock = self._clock.confirm(wall_ms=now.wall_ms, monotonic_ms=now.monotonic_ms)
        self._written_ms = 0  # so that the confirmed time is written down at once

    def recovery_entry(self, now: Now) -> RecoveredKept | None:
        """The end of a recovery whose time was never confirmed before: from here on its windows begin to pass."""
        if not self._recovery_open or self.clock_in_doubt:
            return None
        entry = RecoveredKept(self.budget_time(now), confirmed=True)
        self.restore(entry, NO_ID)
        return entry

    def reading(self, now: Now) -> ClockReading:
        """The policy's time at this moment."""
        self.see_clock(now)
        assert self._clock is not None  # see_clock made it
        return self._clock.reading

    @property
    def clock_in_doubt(self) -> bool:
        """Whether the wall clock claims a jump, or a gap across a restart, that nobody has confirmed."""
        return self._clock is None or self._clock.in_doubt

    def clock_entry(self, now: Now) -> ClockKept | None:
        """The policy's time, when it is time to write it down again."""
        policy_ms = self.budget_time(now)
        if policy_ms - self._written_ms < CLOCK_EVERY_MS:
            return None
        self._written_ms = policy_ms
        return ClockKept(now.wall_ms, policy_ms)

    def budget_time(self, now: Now) -> int:
        """The time, in ms, at which a spend signed now is booked."""
        self.see_clock(now)
        assert self._clock is not None  # see_clock made it
        return self._clock.now_ms

    # Judging.

    def digest_for(self, wallet_id: bytes) -> bytes:
        """The digest (32 bytes) of the policy in force for a wallet; zeros when there is none."""
        return self.profiles.digest_for(wallet_id)

    def frozen(self, wallet_id: bytes) -> str:
        """Why a wallet is frozen at this node; "" where it is not."""
        return self.holds.why(wallet_id, None if self._clock is None else self._clock.now_ms)

    def judge(self, subject: Subject, words: Words, now: Now) -> Judgement:
        """Judge with the policy, budget and clock of this moment; a node without a profile refuses."""
        profile = self.profiles.profile_for(subject.wallet.wallet_id)
        if profile is None:
            return Judgement(
                Decision.REFUSE,
                ("policy-none",),
                NO_ID,
                ("this node has no policy: `assent policy set FILE`",),
            )
        if self._roster.client(subject.client) is None and not is_rescue(profile, subject.spend):
            # A node may ask for a rescue alone, and what was one when it asked need not be one now.
            text = f"{NO_RESCUE}: a node may ask for nothing but what the policy in force lets a rescue be"
            return Judgement(Decision.REFUSE, (NO_RESCUE,), profile.digest, (text,))
        facts = self.facts(subject, words, now)
        found = judge(profile, facts)
        booking, decision = found.booking, Decision(int(found.outcome))
        return Judgement(
            decision,
            found.codes,
            found.policy_digest,
            tuple(f"{reason.tag}: {reason.text}" for reason in found.reasons),
            found.conditions,
            found.question,
            asks_owner=found.asks_owner,
            number=found.number,
            wait_until_ms=found.wait_until_ms,
            notices=found.notices,
            freezes=found.freezes,
            grant=b"" if booking is None else booking.grant,
            intent=b"" if booking is None else booking.intent,
            height=None if booking is None else booking.height,
            shadow=self.shadow.look(subject.request_id, subject.wallet.wallet_id, decision, facts),
        )

    def facts(self, subject: Subject, words: Words, now: Now) -> Facts:
        """All that a judgement of this moment rests on."""
        wallet = subject.wallet
        self.see_clock(now)
        owner = words.owner
        initiator = self._roster.person_of(subject.client)
        return Facts(
            spend=subject.spend,
            spend_id=subject.spend_id,
            wallet=replace(self.wallet_facts(wallet), way=self._way(wallet, subject.route)),
            # A node may ask too, for a rescue, and is nobody's device.
            initiator=self._roster.name_of(subject.client) if self._roster.role_of(subject.client) else "",
            initiator_person=initiator.name if initiator is not None else "",
            initiator_roles=initiator.roles if initiator is not None else (),
            clock=self._clock.reading if self._clock is not None else None,
            book=self.book_of(wallet.wallet_id),
            owner_said=None if owner is None else OwnerSaid(owner.yes, owner.at_ms, owner.matched),
            people=self._people(words),
            waiting_since_ms=words.waiting_since_ms,
            frozen=self.frozen(wallet.wallet_id),
            grants=self.grants.of(wallet.wallet_id),
            intent=None if subject.intent is None else intended(subject.intent, self._roster),
            listed_since_ms=self.profiles.listed_since(wallet.wallet_id),
        )

    def _people(self, words: Words) -> tuple[PersonSaid, ...]:
        """What people said, in the roster's terms; whoever is in it no more does not count."""
        known = [(self._roster.person(word.identity), word) for word in words.people]
        return tuple(
            PersonSaid(person.name, person.roles, word.yes, word.at_ms)
            for person, word in known
            if person is not None
        )

    def wallet_facts(self, wallet: Wallet) -> WalletFacts:
        """A wallet as a judgement sees it."""
        charter = wallet.charter
        return WalletFacts(
            known=wallet.complete,
            name=charter.name,
            network=Network(charter.network),
            n=charter.n,
            t=wallet.routes[""].approvals,
            gap_limit=wallet.public.gap_limit,
            next_index=(wallet.next_receive, wallet.next_change),
            roles=tuple(self._role(member.identity) for member in charter.members),
            me=self._role(self._me),
            leaves=tuple((name, route.approvals) for name, route in wallet.routes.items() if name),
        )

    def _way(self, wallet: Wallet, route: Route) -> WayFacts:
        """The way of a spend: how many nodes it takes, and who has a part in it."""
        charter = wallet.charter
        names = [outsider.name for outsider in charter.outsiders]
        return WayFacts(
            leaf=route.name,
            approvals=route.approvals,
            most=route.most,
            roles=tuple(self._role(charter.members[i].identity) for i in sorted(route.nodes)),
            outsiders=tuple(names[i - charter.n] for i in sorted(route.outsiders)),
        )

    def left_of(self, grant: Grant, wallet: Wallet) -> GrantLeft | None:
        """What is left of a grant at this node; None where there is no policy, so that nothing is signed under it."""
        profile = self.profiles.profile_for(wallet.wallet_id)
        if profile is None:
            return None
        return left_of(grant, profile, self.wallet_facts(wallet), self.book_of(wallet.wallet_id))

    def _role(self, identity: bytes) -> str:
        node = self._roster.node(identity)
        return node.role if node is not None else ""

    # Books.

    def book_of(self, wallet_id: bytes) -> Book:
        """What has been signed away from a wallet."""
        book = self._books.get(wallet_id, Book())
        return book if self._exhausted_ms is None else book.exhausted(self._exhausted_ms)

    def book(self, kept: SignedKept, wallet_id: bytes) -> None:
        """Count what may now be signed; the same spend counts once, whatever it is asked under."""
        outpoints = tuple(OutPoint(txid, vout) for txid, vout in kept.outpoints)
        booking = Booking(
            kept.spend_id,
            kept.budget_ms,
            kept.leaving_sats,
            outpoints,
            kept.fee_sats,
            kept.payments,
            kept.initiator,
            kept.height,
            kept.grant,
            kept.intent,
        )
        self._books[wallet_id] = self._books.get(wallet_id, Book()).with_booking(booking)
