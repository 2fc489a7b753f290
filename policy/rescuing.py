"""The rescue: the one way that a freeze leaves open, to where the profile said beforehand.

A spend all of whose outputs go there is judged twice: as any spend is, and by the rescue alone, which knows the
baseline, the deny rules, a fee cap of its own and what it asks of people, the owner's yes in any case; budgets,
amounts, intents and freezes are nothing to it. The milder of both counts, so a rescue only ever adds one way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from policy.facts import Facts
from policy.profile import Clause, Profile, RescueRule, Tier, Written
from policy.setting import FEE_MAX, SETTINGS
from policy.verdict import Judgement
from taproot import Spend

_LIMITS = "limits."


def is_rescue(profile: Profile, spend: Spend) -> bool:
    """Whether everything that a spend moves goes where this profile lets a rescue go: no change, nobody else."""
    scripts = profile.rescue_scripts
    return (
        bool(scripts) and bool(spend.outputs) and all(out.script_pubkey in scripts for out in spend.outputs)
    )


def with_rescue(profile: Profile, facts: Facts, judge: Callable[[Profile, Facts], Judgement]) -> Judgement:
    """What a profile says, `judge` being how one says it without a rescue. Where both say the same, the rescue's."""
    everyday = judge(profile, facts)
    try:
        way = rescue_way(profile) if is_rescue(profile, facts.spend) else None
    except Exception:
        return everyday
    if way is None:
        return everyday
    rescue = judge(way, replace(facts, frozen="", grants=()))
    if rescue.outcome > everyday.outcome:
        return everyday
    return replace(
        rescue,
        policy_digest=profile.digest,
        notices=tuple(dict.fromkeys((*everyday.notices, *rescue.notices))),
        freezes=everyday.freezes or rescue.freezes,
    )


@lru_cache(maxsize=64)
def rescue_way(profile: Profile) -> Profile | None:
    """The profile that a rescue is judged by; None where there is no rescue."""
    base = None if profile.base is None else rescue_way(profile.base)
    if base is None and (profile.base is not None or profile.rescue is None):
        return None
    return replace(
        profile,
        written=_written(profile),
        velocity=None,
        tiers=() if profile.rescue is None else (rescue_tier(profile.rescue),),
        intents=None,
        rescue=None,
        base=base,
    )


def rescue_tier(rule: RescueRule) -> Tier:
    """A rescue as the one tier that there is."""
    return Tier("rescue", (Clause("pays_only", rule.to, rule.line),), (), rule.then, rule.line)


def _written(profile: Profile) -> dict[str, Written[int | None]]:
    """The baseline as it is; of all limits only the rescue's own fee."""
    kept = {key: value for key, value in profile.written.items() if not key.startswith(_LIMITS)}
    none: dict[str, Written[int | None]] = {
        setting.key: Written(None) for setting in SETTINGS if setting.key.startswith(_LIMITS)
    }
    rule = profile.rescue
    return kept | none | ({} if rule is None else {FEE_MAX.key: Written(rule.fee_sats, rule.line)})
