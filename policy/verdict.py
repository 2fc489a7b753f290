"""A node's judgement: four outcomes in a lattice, each with its reasons in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from policy.bookings import Booking
from policy.quorum import Conditions


class Outcome(IntEnum):
    """From mildest to strictest; the strictest of several wins, which is what `max` says."""

    APPROVE = 0
    ASK = 1
    WAIT = 2
    REFUSE = 3


def strictest(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of several; of none at all it is a refusal, because nothing said yes."""
    return max(outcomes, default=Outcome.REFUSE)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: the registered tag, the line of the profile (0 when a default speaks), the words, and what it leads to."""

    tag: str
    line: int
    text: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Judgement:
    """One node's judgement of one spend under one profile.

    `reasons` holds all of them, strictest first. `booking` is what a partial signature must book, in the same step;
    None when it is not approved. `question` is what the owner is asked, in words; empty unless the owner's answer
    is wanted. `asks_owner` and `asks_people` say whose yes is missing, `number` whether the owner's must come with
    the number the asking device shows. `wait_until_ms`, on the policy clock, is when to judge again. `notices` are
    what the owner is to be told, and `freezes` says that this wallet is to be frozen here, in the same step.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: Conditions
    policy_digest: bytes
    booking: Booking | None
    question: tuple[str, ...]
    asks_owner: bool = False
    asks_people: tuple[str, ...] = ()
    number: bool = False
    wait_until_ms: int | None = None
    notices: tuple[str, ...] = ()
    freezes: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """The tags that led to the outcome, each once; these may be told to others, the words may not."""
        return tuple(dict.fromkeys(r.tag for r in self.reasons if r.outcome is self.outcome))
