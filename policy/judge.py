"""The judgement itself: every rule is run, the strictest outcome wins, and every reason is kept.

Whatever fails, fails closed: a rule that raises refuses, a deny rule that cannot be decided holds, a tier that
cannot be decided lets nothing pass, and what it would demand is demanded beside what the tier after it says: so less
knowledge never makes a judgement milder. Where nothing says yes the answer is no. A profile with a base is judged
with it: both give their reasons, and the stricter wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice

from policy import tags
from policy.condition import Said
from policy.conditions import CONDITIONS, said_of
from policy.deciding import Decided, decide
from policy.facts import Facts, WalletFacts
from policy.profile import Clause, Deny, Profile, Tier
from policy.quorum import NO_DEMANDS, Conditions
from policy.registry import RULES
from policy.rescuing import with_rescue
from policy.verdict import Judgement, Outcome, Reason, strictest
from policy.wording import describe

MAX_FINDINGS = 16
"""How many faults a rule names at most: a spend may have one in each of a thousand outputs, and reasons are kept."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one profile, without its base, says; `decided` holds what each tier that counts leads to."""

    reasons: tuple[Reason, ...]
    decided: tuple[Decided, ...] = ()
    notices: tuple[str, ...] = ()
    freezes: bool = False


def judge(profile: Profile, facts: Facts) -> Judgement:
    """What this profile says of these facts. Never raises, and the same arguments give the same judgement.

    A yes, whoever's, answers the question a tier asks, about destination and amount, and nothing else: every other
    rule runs with it.
    """
    return with_rescue(profile, facts, _judged)


def _judged(profile: Profile, facts: Facts) -> Judgement:
    layers = [_layer(profile, facts), *(_told(_layer(base, facts), base) for base in _bases(profile))]
    decided = [one for layer in layers for one in layer.decided]
    conditions, hopeless = _conditions(decided, profile, facts)
    reasons = [*(reason for layer in layers for reason in layer.reasons), *hopeless]
    reasons += [reason for one in decided for reason in one.reasons]
    reasons += [*_owner(facts), *_one_grant(decided)]
    outcome = strictest(reason.outcome for reason in reasons)
    asks = outcome is not Outcome.REFUSE and any(one.asks_owner for one in decided)
    question: tuple[str, ...] = ()
    booking = None
    try:
        if outcome is Outcome.APPROVE and facts.clock is not None:
            booking = facts.booking(
                facts.clock.now_ms, next((one.grant for one in decided if one.grant), b"")
            )
        question = describe(facts.spend) if asks else ()
    except Exception as fault:
        outcome, asks = Outcome.REFUSE, False
        reasons.append(_fault(tags.ASK, fault))
    refused = outcome is Outcome.REFUSE
    waits = [one.wait_until_ms for one in decided if one.wait_until_ms is not None]
    return Judgement(
        outcome,
        tuple(sorted(reasons, key=lambda reason: -reason.outcome)),
        conditions,
        profile.digest,
        booking,
        question,
        asks_owner=asks,
        asks_people=() if refused else tuple(who for one in decided for who in one.asks_people),
        number=asks and any(one.number for one in decided),
        wait_until_ms=None if refused else max(waits, default=None),
        notices=tuple(notice for layer in layers for notice in layer.notices),
        freezes=any(layer.freezes for layer in layers),
    )


def _bases(profile: Profile) -> Iterator[Profile]:
    while profile.base is not None:
        profile = profile.base
        yield profile


def _told(layer: _Layer, base: Profile) -> _Layer:
    """What a base says, each reason with its name: the lines are of another file."""

    def named(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
        return tuple(replace(reason, text=f"{base.name}: {reason.text}") for reason in reasons)

    decided = tuple(replace(one, reasons=named(one.reasons)) for one in layer.decided)
    return replace(layer, reasons=named(layer.reasons), decided=decided)


def _fault(tag: str, fault: Exception, line: int = 0) -> Reason:
    """A rule that raised: a refusal that names the kind of fault but nothing of its text, which may be hostile."""
    return Reason(tag, line, f"cannot be decided ({type(fault).__name__})", Outcome.REFUSE)


def _layer(profile: Profile, facts: Facts) -> _Layer:
    denied = [(rule, hit) for rule in profile.deny if (hit := _hit(rule, profile, facts)) is not None]
    tiers = _tiers(profile, facts)
    fitting = tiers.fitting
    noted = [rule.name for rule, _ in denied if rule.notify]
    noted += [fitting.name] if fitting is not None and fitting.notify else []
    decided = () if fitting is None else (_decided(fitting, profile, facts),)
    perhaps = tuple(_perhaps(tier, profile, facts) for tier in tiers.undecided)
    return _Layer(
        (
            *_rules(profile, facts),
            *(Reason(tags.DENY, rule.line, hit.text, Outcome.REFUSE) for rule, hit in denied),
            *tiers.missed,
        ),
        (*decided, *perhaps),
        tuple(f"rule `{name}` of {profile.name} holds for a spend" for name in noted),
        # What cannot be decided refuses, but is no ground to freeze a wallet.
        any(one.freezes for one in decided) or any(rule.freeze and hit.surely for rule, hit in denied),
    )


def _rules(profile: Profile, facts: Facts) -> list[Reason]:
    reasons: list[Reason] = []
    for tag in RULES:
        assert tag.check is not None
        try:
            findings = islice(tag.check(profile, facts), MAX_FINDINGS)
            found = [Reason(tag.name, f.line, f.text, Outcome.REFUSE) for f in findings]
        except Exception as fault:
            found = [_fault(tag.name, fault)]
        reasons += found
    return reasons


@dataclass(frozen=True, slots=True)
class _Hit:
    """A deny rule that holds: why, and whether surely, or only because it cannot be decided."""

    text: str
    surely: bool


def _all(said: tuple[Said, ...]) -> bool | None:
    """Whether all hold; None where that cannot be decided."""
    if any(one.holds is False for one in said):
        return False
    return None if any(one.holds is None for one in said) else True


def _hit(rule: Deny, profile: Profile, facts: Facts) -> _Hit | None:
    """What a deny rule that holds says; nothing when it surely does not, or when all of its `unless` surely hold."""
    said = tuple(said_of(clause, profile, facts) for clause in rule.clauses)
    holds = _all(said)
    if holds is False:
        return None
    excuse = tuple(said_of(clause, profile, facts) for clause in rule.unless)
    excused = _all(excuse) if excuse else False
    if excused is True:
        return None
    text = f"rule `{rule.name}`: {' and '.join(one.text for one in said)}"
    lacking = [one.text for one in excuse if one.holds is not True]
    return _Hit(f"{text}; and {', '.join(lacking)}" if lacking else text, holds is True and excused is False)


@dataclass(frozen=True, slots=True)
class _Tiers:
    """The first tier that surely fits; without one, why each does not; and those before it that might fit."""

    fitting: Tier | None
    missed: tuple[Reason, ...] = ()
    undecided: tuple[Tier, ...] = ()


def _tiers(profile: Profile, facts: Facts) -> _Tiers:
    """Which tiers count. An overlay without tiers leaves them to its base."""
    if not profile.tiers and profile.base is not None:
        return _Tiers(None)
    if not profile.tiers:
        text = "the profile has no tiers, so nothing says yes"
        return _Tiers(None, (Reason(tags.NO_TIER, profile.tiers_line, text, Outcome.REFUSE),))
    missed: list[Reason] = []
    undecided: list[Tier] = []
    for tier in profile.tiers:
        fits = _all(tuple(said_of(clause, profile, facts) for clause in tier.clauses))
        excuse = tuple(said_of(clause, profile, facts) for clause in tier.unless)
        excused = _all(excuse) if excuse else False
        if fits is True and excused is False:
            return _Tiers(tier, (), tuple(undecided))
        if fits is not False and excused is not True:
            undecided.append(tier)
        missed += _misses(tier, tier.clauses, "does not fit", profile, facts)
        if fits is True:
            text = f"tier `{tier.name}` does not fit: {' and '.join(one.text for one in excuse)}"
            missed.append(Reason(tags.UNLESS, tier.unless[0].line, text, Outcome.REFUSE))
    return _Tiers(None, tuple(missed), tuple(undecided))


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


def _perhaps(tier: Tier, profile: Profile, facts: Facts) -> Decided:
    """What a tier demands that might fit: it lets nothing pass, but a milder tier after it must not be had instead."""
    decided = _decided(tier, profile, facts)
    demands = tuple(
        replace(reason, text=f"{reason.text}; whether that tier fits cannot be decided")
        for reason in decided.reasons
        if reason.outcome is not Outcome.APPROVE
    )
    return replace(decided, reasons=demands, freezes=False)


# What holds for all of it.


def _owner(facts: Facts) -> list[Reason]:
    try:
        if facts.owner_said is not None and not facts.owner_said.yes:
            return [Reason(tags.OWNER_NO, 0, "the owner said no to this spend", Outcome.REFUSE)]
    except Exception as fault:
        return [_fault(tags.OWNER_NO, fault)]
    return []


def _one_grant(decided: list[Decided]) -> list[Reason]:
    """A spend is booked under one grant; a second one that it needs as well would never be used up."""
    if len({one.grant for one in decided if one.grant}) < 2:
        return []
    return [Reason(tags.GRANT, 0, "it would need two different grants at once", Outcome.REFUSE)]


def _conditions(decided: list[Decided], profile: Profile, facts: Facts) -> tuple[Conditions, list[Reason]]:
    """What is demanded of the quorum, and which of it no quorum of this wallet can meet."""
    try:
        demands = (one.conditions for one in decided)
        conditions = reduce(Conditions.with_these, demands, Conditions(facts.wallet.approvals))
        if conditions.too_many:
            text = "more is demanded of the quorum than a verdict can tell"
            return NO_DEMANDS, [Reason(tags.QUORUM_NODES, 0, text, Outcome.REFUSE)]
        return conditions, list(_hopeless(conditions, profile, facts.wallet))
    except Exception as fault:
        return NO_DEMANDS, [_fault(tags.QUORUM_NODES, fault)]


def _hopeless(conditions: Conditions, profile: Profile, wallet: WalletFacts) -> Iterator[Reason]:
    """Demands that not even all nodes of the wallet together could meet, or that this node's own signature breaks."""
    if conditions.need_nodes > wallet.most:
        text = f"{conditions.need_nodes} nodes are needed, and {wallet.most} can sign this together"
        yield Reason(tags.QUORUM_NODES, 0, text, Outcome.REFUSE)
    if wallet.signing_roles:
        for role in sorted(set(conditions.roles) - set(wallet.signing_roles)):
            yield Reason(tags.QUORUM_ROLES, 0, f"no node has role {role}", Outcome.REFUSE)
        if any(set(wallet.signing_roles) <= {"", *never} for never in conditions.never_only):
            text = "only roles that must not sign alone can sign this"
            yield Reason(tags.QUORUM_NEVER, 0, text, Outcome.REFUSE)
    for role, digests in conditions.policies:
        if role == wallet.me and profile.digest not in digests:
            text = f"this node has role {role} itself, and its policy is not one of those named for it"
            yield Reason(tags.QUORUM_POLICY, 0, text, Outcome.REFUSE)
