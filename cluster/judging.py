"""What a node's judge answers: the shape of a judgement, and what the signing desk asks of whoever judges.

The desk does not know how a judgement is made; `cluster.judge` makes it with the policy package, and a test may
make it otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cluster.effects import Now
from cluster.grants import Grants
from cluster.holds import Holds
from cluster.journal import ClockKept, RecoveredKept, SignedKept
from cluster.messages import NO_ID, Decision
from cluster.profiles import Profiles
from cluster.record_body import Body
from cluster.schemes import Wallet
from cluster.shadow import ShadowWord
from cluster.subjects import Subject
from policy import Seat
from policy.granting import GrantLeft
from policy.grants import Grant
from policy.quorum import NO_DEMANDS, Conditions


@dataclass(frozen=True, slots=True)
class Judgement:
    """What this node thinks of one request, now.

    `codes` are policy tags and may leave the node; `reasons` are in words and stay. `conditions` are those on the
    quorum; `question` is what the owner would be asked, `asks_owner` that the owner's yes is missing, and `number`
    that it must come with the number the asking device shows. `wait_until_ms` is when, on the policy clock, a
    waiting spend is to be judged again. `notices` are what the owner is to be told; `freezes` that the wallet is to
    be frozen here. `grant` and `intent` (32 bytes or none) are what a signature would use up; `height` is
    the height of the chain as this judgement knew it; `shadow` is what a draft would have said, where that is news.
    """

    decision: Decision
    codes: tuple[str, ...]
    policy_digest: bytes
    reasons: tuple[str, ...] = ()
    conditions: Conditions = NO_DEMANDS
    question: tuple[str, ...] = ()
    asks_owner: bool = False
    number: bool = False
    wait_until_ms: int | None = None
    notices: tuple[str, ...] = ()
    freezes: bool = False
    grant: bytes = b""
    intent: bytes = b""
    height: int | None = None
    shadow: ShadowWord | None = None

    @classmethod
    def nothing_yet(cls) -> Judgement:
        """Stands before the first judgement; nothing is ever approved by it."""
        return cls(Decision.REFUSE, ("not-judged",), NO_ID)

    @classmethod
    def refusal(cls, codes: tuple[str, ...], policy_digest: bytes) -> Judgement:
        """A refusal with these codes, as it was remembered."""
        return cls(Decision.REFUSE, codes, policy_digest)

    @property
    def approves(self) -> bool:
        """Whether it lets this node sign, its conditions granted."""
        return self.decision is Decision.APPROVE

    def same_as(self, other: Judgement) -> bool:
        """Whether two judgements say the same to the others."""
        return (self.decision, self.codes, self.policy_digest) == (
            other.decision,
            other.codes,
            other.policy_digest,
        )

    def lacks(self, quorum: tuple[Seat, ...]) -> tuple[str, ...]:
        """What a quorum lacks for this judgement's conditions: policy tags; none when nothing."""
        return tuple(tag for tag, _ in self.conditions.faults(quorum))


@dataclass(frozen=True, slots=True)
class OwnerWord:
    """The owner's answer to a spend: when by the policy clock, and whether with the asking device's number."""

    yes: bool
    at_ms: int
    matched: bool = False


@dataclass(frozen=True, slots=True)
class PersonWord:
    """What a person (identity key, 32 bytes) signed about a spend, and when that came by the policy clock."""

    identity: bytes
    yes: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Words:
    """All that was said of one spend at this node, and since when (on the policy clock) it waits, if it does."""

    owner: OwnerWord | None = None
    people: tuple[PersonWord, ...] = ()
    waiting_since_ms: int | None = None


NOTHING_SAID = Words()
"""Nobody has said anything yet."""


class Judge(Protocol):
    """Judges requests for one node, and keeps the books that its judgements depend on."""

    @property
    def profiles(self) -> Profiles:
        """The profiles in force."""

    def judge(self, subject: Subject, words: Words, now: Now) -> Judgement:
        """Judge with the policy, budget and clock of this moment; total, and fails closed."""

    def book(self, kept: SignedKept, wallet_id: bytes) -> None:
        """Count what may now be signed against the budgets; the same spend counts once."""

    def budget_time(self, now: Now) -> int:
        """The time, in ms, at which a spend signed now is booked."""

    def see_clock(self, now: Now) -> None:
        """Take a reading of the clocks into account."""

    @property
    def clock_in_doubt(self) -> bool:
        """Whether the wall clock claims a jump, or a gap across a restart, that nobody has confirmed."""

    def frozen(self, wallet_id: bytes) -> str:
        """Why a wallet is frozen at this node; "" where it is not."""

    @property
    def holds(self) -> Holds:
        """Who froze what, and until when."""

    @property
    def grants(self) -> Grants:
        """The grants that its judgements go by."""

    def left_of(self, grant: Grant, wallet: Wallet) -> GrantLeft | None:
        """What is left of a grant at this node; None where there is no policy, so that nothing is signed under it."""

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; they come in the order in which they were written."""

    def digest_for(self, wallet_id: bytes) -> bytes:
        """The digest (32 bytes) of the policy in force for a wallet."""

    def clock_entry(self, now: Now) -> ClockKept | None:
        """The policy's time, when it is time to write it down again."""

    def recovery_entry(self, now: Now) -> RecoveredKept | None:
        """What to remember when the time is confirmed for the first time after a recovery."""

    def confirm_clock(self, now: Now) -> None:
        """The owner looked at the wall clock and says that it is right."""
