"""The judgement itself: every rule is run, the strictest outcome wins, and every reason is kept.

Whatever fails, fails closed: a rule that raises refuses, a deny rule that cannot be decided holds, a tier that
cannot be decided does not fit, and where nothing says yes the answer is no. A profile with a base is judged with
it: both give their reasons, and the stricter wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from policy import tags
from policy.condition import Said
from policy.conditions import CONDITIONS, said_of
from policy.deciding import Decided, decide
from policy.facts import Facts
from policy.profile import Clause, Deny, Profile, Tier
from policy.quorum import Conditions
from policy.registry import RULES
from policy.verdict import Judgement, Outcome, Reason, strictest
from policy.wording import describe


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one profile, without its base, says."""

    reasons: tuple[Reason, ...]
    decided: Decided
    notices: tuple[str, ...]
    freezes: bool


def judge(profile: Profile, facts: Facts) -> Judgement:
    """What this profile says of these facts. Never raises, and the same arguments give the same judgement.

    A yes, whoever's, answers the question a tier asks, about destination and amount, and nothing else: every other
    rule runs with it.
    """
    layers = [_layer(each, facts) for each in _with_bases(profile)]
    reasons = [*(reason for layer in layers for reason in layer.reasons), *_owner(facts)]
    conditions = reduce(
        Conditions.with_these, (layer.decided.conditions for layer in layers), Conditions(facts.wallet.t)
    )
    reasons += _hopeless(conditions, facts)
    reasons.sort(key=lambda reason: -reason.outcome)
    outcome = strictest(reason.outcome for reason in reasons)
    refused = outcome is Outcome.REFUSE
    asks = not refused and any(layer.decided.asks_owner for layer in layers)
    question: tuple[str, ...] = ()
    booking = None
    try:
        if outcome is Outcome.APPROVE and facts.clock is not None:
            grant = next((layer.decided.grant for layer in layers if layer.decided.grant), b"")
            booking = facts.booking(facts.clock.now_ms, grant)
        question = describe(facts.spend) if asks else ()
    except Exception as fault:
        outcome, refused = Outcome.REFUSE, True
        reasons.insert(0, _fault(tags.ASK, fault))
    waits = [layer.decided.wait_until_ms for layer in layers if layer.decided.wait_until_ms is not None]
    return Judgement(
        outcome,
        tuple(reasons),
        conditions,
        profile.digest,
        booking,
        question,
        asks_owner=asks,
        asks_people=() if refused else tuple(who for layer in layers for who in layer.decided.asks_people),
        number=not refused and any(layer.decided.number for layer in layers),
        wait_until_ms=None if refused else max(waits, default=None),
        notices=tuple(notice for layer in layers for notice in layer.notices),
        freezes=any(layer.freezes for layer in layers),
    )


def _with_bases(profile: Profile) -> list[Profile]:
    found = [profile]
    while found[-1].base is not None:
        found.append(found[-1].base)
    return found


def _fault(tag: str, fault: Exception, line: int = 0) -> Reason:
    """A rule that raised: a refusal that names the kind of fault but nothing of its text, which may be hostile."""
    return Reason(tag, line, f"cannot be decided ({type(fault).__name__})", Outcome.REFUSE)


def _layer(profile: Profile, facts: Facts) -> _Layer:
    reasons = _rules(profile, facts)
    denied = [(rule, said) for rule in profile.deny if (said := _hit(rule, profile, facts))]
    reasons += [Reason(tags.DENY, rule.line, _denial(rule, said), Outcome.REFUSE) for rule, said in denied]
    fitting, missed = _fitting(profile, facts)
    decided = Decided(missed) if fitting is None else _decided(fitting, profile, facts)
    noted = [rule.name for rule, _ in denied if rule.notify]
    noted += [fitting.name] if fitting is not None and fitting.notify else []
    return _Layer(
        (*reasons, *decided.reasons),
        decided,
        tuple(f"rule `{name}` of {profile.name} holds for a spend" for name in noted),
        # What cannot be decided refuses, but is no ground to freeze a wallet.
        decided.freezes or any(rule.freeze and all(one.holds for one in said) for rule, said in denied),
    )


def _rules(profile: Profile, facts: Facts) -> list[Reason]:
    reasons: list[Reason] = []
    for tag in RULES:
        assert tag.check is not None
        try:
            found = [Reason(tag.name, f.line, f.text, Outcome.REFUSE) for f in tag.check(profile, facts)]
        except Exception as fault:
            found = [_fault(tag.name, fault)]
        reasons += found
    return reasons


def _hit(rule: Deny, profile: Profile, facts: Facts) -> tuple[Said, ...]:
    """What a deny rule that holds says; nothing when it surely does not, or when all of its `unless` surely hold."""
    said = tuple(said_of(clause, profile, facts) for clause in rule.clauses)
    if any(one.holds is False for one in said):
        return ()
    if rule.unless and all(said_of(clause, profile, facts).holds is True for clause in rule.unless):
        return ()
    return said


def _denial(rule: Deny, said: tuple[Said, ...]) -> str:
    return f"rule `{rule.name}`: {' and '.join(one.text for one in said)}"


def _fitting(profile: Profile, facts: Facts) -> tuple[Tier | None, tuple[Reason, ...]]:
    """The first tier that fits; without one, why each does not. An overlay without tiers leaves them to its base."""
    if not profile.tiers and profile.base is not None:
        return None, ()
    if not profile.tiers:
        text = "the profile has no tiers, so nothing says yes"
        return None, (Reason(tags.NO_TIER, profile.tiers_line, text, Outcome.REFUSE),)
    missed: list[Reason] = []
    for tier in profile.tiers:
        misses = _misses(tier, tier.clauses, "does not fit", profile, facts) or _excused(tier, profile, facts)
        if not misses:
            return tier, ()
        missed += misses
    return None, tuple(missed)


def _misses(
    tier: Tier, clauses: tuple[Clause, ...], what: str, profile: Profile, facts: Facts
) -> list[Reason]:
    return [
        Reason(
            CONDITIONS[clause.key].tag, clause.line, f"tier `{tier.name}` {what}: {said.text}", Outcome.REFUSE
        )
        for clause in clauses
        if (said := said_of(clause, profile, facts)).holds is not True
    ]


def _excused(tier: Tier, profile: Profile, facts: Facts) -> list[Reason]:
    """Why a tier does not fit after all: no clause of its `unless` surely fails."""
    said = [said_of(clause, profile, facts) for clause in tier.unless]
    if not said or any(one.holds is False for one in said):
        return []
    text = f"tier `{tier.name}` does not fit: {' and '.join(one.text for one in said)}"
    return [Reason(tags.UNLESS, tier.unless[0].line, text, Outcome.REFUSE)]


def _decided(tier: Tier, profile: Profile, facts: Facts) -> Decided:
    """What the first tier that fits says: its limits first, then its word."""
    broken = tuple(_misses(tier, tier.limits, "refuses", profile, facts))
    try:
        decided = decide(tier, profile, facts)
    except Exception as fault:
        decided = Decided((_fault(tags.TIER, fault, tier.line),))
    return (
        decided
        if not broken
        else Decided((*broken, *decided.reasons), decided.conditions, freezes=decided.freezes)
    )


def _owner(facts: Facts) -> list[Reason]:
    if facts.owner_said is not None and not facts.owner_said.yes:
        return [Reason(tags.OWNER_NO, 0, "the owner said no to this spend", Outcome.REFUSE)]
    return []


def _hopeless(conditions: Conditions, facts: Facts) -> list[Reason]:
    """Demands that not even all nodes of the wallet together could meet."""
    wallet = facts.wallet
    reasons = []
    if conditions.need_nodes > wallet.n:
        text = f"{conditions.need_nodes} nodes are needed, and the wallet has {wallet.n}"
        reasons.append(Reason(tags.QUORUM_NODES, 0, text, Outcome.REFUSE))
    if wallet.roles:
        lost = sorted(set(conditions.roles) - set(wallet.roles))
        reasons += [Reason(tags.QUORUM_ROLES, 0, f"no node has role {role}", Outcome.REFUSE) for role in lost]
        if any(set(wallet.roles) <= never for never in conditions.never_only):
            text = "the wallet has only roles that must not sign alone"
            reasons.append(Reason(tags.QUORUM_NEVER, 0, text, Outcome.REFUSE))
    return reasons
