"""A verdict in prose: the outcome, each reason with its rule, line and fact, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass

from policy.advice import advice
from policy.facts import Facts
from policy.grounds import layer_of
from policy.profile import Profile
from policy.prose import quorum_words
from policy.quorum import Conditions
from policy.verdict import Judgement, Outcome, Reason

_HEADS = {
    Outcome.REFUSE: "refused",
    Outcome.WAIT: "waits",
    Outcome.ASK: "asks",
    Outcome.APPROVE: "approved",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """One reason: what it speaks for, its tag and line, the fact, and what would change it ("": nothing need).

    `profile` is the name of the file that the line is of, where one extends another and that is clear.
    """

    outcome: Outcome
    tag: str
    line: int
    text: str
    advice: str
    profile: str = ""


def explained(judgement: Judgement, profile: Profile, facts: Facts) -> tuple[Explained, ...]:
    """Every reason of a judgement, strictest first, each once."""
    found = [
        Explained(
            reason.outcome,
            reason.tag,
            reason.line,
            reason.text,
            "" if reason.outcome is Outcome.APPROVE else advice(reason, profile, facts),
            _whose(reason, profile),
        )
        for reason in judgement.reasons
    ]
    return tuple(dict.fromkeys(found))


def _whose(reason: Reason, profile: Profile) -> str:
    layer = None if profile.base is None else layer_of(reason, profile)
    return "" if layer is None else layer.name


def explain(judgement: Judgement, profile: Profile, facts: Facts) -> tuple[str, ...]:
    """The verdict in lines: the outcome first, then each reason and what would change it."""
    reasons = explained(judgement, profile, facts)
    against = [reason for reason in reasons if reason.outcome is not Outcome.APPROVE]
    head = f"{_HEADS[judgement.outcome]}, by policy {profile.name}"
    lines = [f"{head} ({len(against)} {'reason' if len(against) == 1 else 'reasons'})" if against else head]
    for reason in reasons:
        where = f"line {reason.line}" if reason.line else "built in"
        where += f" of {reason.profile}" if reason.line and reason.profile else ""
        lines.append(f"{reason.outcome.name.lower()}: {reason.text} [{reason.tag}, {where}]")
        lines += [f"  what would change it: {reason.advice}"] if reason.advice else []
    if judgement.outcome is not Outcome.REFUSE:
        lines += _quorum(judgement.conditions, facts)
    return tuple(lines)


def _quorum(conditions: Conditions, facts: Facts) -> list[str]:
    """What is demanded of those who sign, where that is more than the key itself does."""
    more = Conditions(
        conditions.need_nodes if conditions.need_nodes > facts.wallet.approvals else 0,
        conditions.roles,
        conditions.never_only,
        conditions.policies,
    )
    words = quorum_words(more)
    return [f"of those who sign: {words}"] if words else []
