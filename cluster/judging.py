"""What a node's judge answers: the shape of a judgement, and what the signing desk asks of whoever judges.

The desk does not know how a judgement is made; `cluster.judge` makes it with the policy package, and a test may
make it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cluster.effects import Now
from cluster.journal import Body, ClockKept, PolicyKept, SignedKept
from cluster.messages import NO_ID, Decision
from cluster.subjects import Subject


@dataclass(frozen=True, slots=True)
class Judgement:
    """What this node thinks of one request, now.

    `codes` are policy tags and may leave the node; `reasons` are in words and stay. `need_nodes` and `roles` are
    the conditions on the quorum; `question` is what the owner would be asked.
    """

    decision: Decision
    codes: tuple[str, ...]
    policy_digest: bytes
    reasons: tuple[str, ...] = ()
    need_nodes: int = 0
    roles: tuple[str, ...] = ()
    question: tuple[str, ...] = ()

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

    def lacks(self, quorum: Mapping[bytes, str]) -> str | None:
        """What a quorum (identity to role) lacks for this judgement's conditions, in words; None when nothing."""
        if len(quorum) < self.need_nodes:
            return f"{len(quorum)} nodes, and {self.need_nodes} are needed"
        missing = sorted(set(self.roles) - set(quorum.values()))
        return f"nobody with role {missing[0]}" if missing else None


class Judge(Protocol):
    """Judges requests for one node, and keeps the books that its judgements depend on."""

    def judge(self, subject: Subject, owner_said: bool | None, now: Now) -> Judgement:
        """Judge with the policy, budget and clock of this moment; total, and fails closed."""

    def book(self, kept: SignedKept, wallet_id: bytes) -> None:
        """Count what may now be signed against the budgets; the same spend counts once."""

    def budget_time(self, now: Now) -> int:
        """The time, in ms, at which a spend signed now is booked."""

    def see_clock(self, now: Now) -> None:
        """Take a reading of the clocks into account."""

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one of the node's records into account; they come in the order in which they were written."""

    def digest_for(self, wallet_id: bytes) -> bytes:
        """The digest (32 bytes) of the policy in force for a wallet."""

    def clock_entry(self, now: Now) -> ClockKept | None:
        """The policy's time, when it is time to write it down again."""

    def confirm_clock(self, now: Now) -> None:
        """The owner looked at the wall clock and says that it is right."""

    def adopt(self, text: str, wallet_id: bytes, now: Now) -> PolicyKept:
        """Put a profile in force; ValueError, with nothing changed, when its text does not load."""
