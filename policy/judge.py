"""The judgement itself: every rule is run, the strictest outcome wins, and every reason is kept.

Whatever fails, fails closed: a rule that raises refuses, a deny rule that cannot be decided holds, a tier that
cannot be decided does not fit, and where nothing says yes the answer is no.
"""

from __future__ import annotations

from policy.book import Booking
from policy.conditions import condition_of
from policy.facts import Facts
from policy.profile import Clause, Deny, Profile, Tier
from policy.registry import ASK, DENY, NO_TIER, OWNER_NO, RULES, TIER, Tag
from policy.verdict import Conditions, Judgement, Outcome, Reason, strictest
from policy.wording import describe


def judge(profile: Profile, facts: Facts) -> Judgement:
    """What this profile says of these facts. Never raises, and the same arguments give the same judgement.

    A yes of the owner answers the question a tier asks, about destination and amount, and nothing else: every
    other rule runs with it.
    """
    reasons = [*_rules(profile, facts), *_denied(profile, facts), *_tiers(profile, facts), *_owner(facts)]
    reasons.sort(key=lambda reason: -reason.outcome)
    outcome = strictest(reason.outcome for reason in reasons)
    booking: Booking | None = None
    question: tuple[str, ...] = ()
    try:
        if outcome is Outcome.APPROVE and facts.clock is not None:
            booking = facts.booking(facts.clock.now_ms)
        elif outcome is Outcome.ASK:
            question = describe(facts.spend)
    except Exception as fault:
        outcome = Outcome.REFUSE
        reasons.insert(0, _fault(ASK, fault))
    conditions = Conditions(need_nodes=facts.wallet.t)
    return Judgement(outcome, tuple(reasons), conditions, profile.digest, booking, question)


def _fault(tag: Tag, fault: Exception, line: int = 0) -> Reason:
    """A rule that raised: a refusal that names the kind of fault but nothing of its text, which may be hostile."""
    return Reason(tag.name, line, f"cannot be decided ({type(fault).__name__})", Outcome.REFUSE)


def _rules(profile: Profile, facts: Facts) -> list[Reason]:
    reasons: list[Reason] = []
    for tag in RULES:
        assert tag.check is not None
        try:
            found = [Reason(tag.name, f.line, f.text, Outcome.REFUSE) for f in tag.check(profile, facts)]
        except Exception as fault:
            found = [_fault(tag, fault)]
        reasons += found
    return reasons


def _check(clause: Clause, facts: Facts) -> str | None:
    """What a condition has to say. One that cannot be decided says so: the deny rule holds, the tier does not fit."""
    try:
        return condition_of(clause).check(clause.value, facts)
    except Exception as fault:
        return f"{clause.key} cannot be decided ({type(fault).__name__})"


def _denied(profile: Profile, facts: Facts) -> list[Reason]:
    return [
        Reason(DENY.name, rule.line, text, Outcome.REFUSE)
        for rule in profile.deny
        if (text := _hit(rule, facts))
    ]


def _hit(rule: Deny, facts: Facts) -> str | None:
    said = [_check(clause, facts) for clause in rule.clauses]
    if any(text is None for text in said):
        return None
    return f"rule `{rule.name}`: {' and '.join(text for text in said if text)}"


def _tiers(profile: Profile, facts: Facts) -> list[Reason]:
    if not profile.tiers:
        return [
            Reason(
                NO_TIER.name,
                profile.tiers_line,
                "the profile has no tiers, so nothing says yes",
                Outcome.REFUSE,
            )
        ]
    missed: list[Reason] = []
    for tier in profile.tiers:
        misses = _misses(tier, tier.clauses, "does not fit", facts)
        if not misses:
            return _decided(tier, facts)
        missed += misses
    return missed


def _misses(tier: Tier, clauses: tuple[Clause, ...], what: str, facts: Facts) -> list[Reason]:
    return [
        Reason(condition_of(clause).tag, clause.line, f"tier `{tier.name}` {what}: {text}", Outcome.REFUSE)
        for clause in clauses
        if (text := _check(clause, facts)) is not None
    ]


def _decided(tier: Tier, facts: Facts) -> list[Reason]:
    """What the first tier that fits says: its limits first, then its word."""
    reasons = _misses(tier, tier.limits, "refuses", facts)
    match tier.then:
        case Outcome.APPROVE:
            return [
                *reasons,
                Reason(TIER.name, tier.line, f"tier `{tier.name}` approves", tier.then),
            ]
        case Outcome.ASK if facts.owner_said is True:
            text = f"tier `{tier.name}` asks, and the owner said yes"
            return [*reasons, Reason(ASK.name, tier.line, text, Outcome.APPROVE)]
        case Outcome.ASK:
            return [*reasons, Reason(ASK.name, tier.line, f"tier `{tier.name}` asks the owner", Outcome.ASK)]
        case _:
            return [
                *reasons,
                Reason(TIER.name, tier.line, f"tier `{tier.name}` refuses", Outcome.REFUSE),
            ]


def _owner(facts: Facts) -> list[Reason]:
    if facts.owner_said is False:
        return [Reason(OWNER_NO.name, 0, "the owner said no to this spend", Outcome.REFUSE)]
    return []
