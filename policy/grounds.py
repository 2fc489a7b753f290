"""What a reason rests on: the profile, the tier and the condition that it is from, and whether the node could see."""

from __future__ import annotations

from dataclasses import dataclass

from policy.conditions import CONDITIONS
from policy.facts import Facts
from policy.profile import Clause, Profile, Tier
from policy.setting import Setting, Stricter
from policy.verdict import Reason


@dataclass(frozen=True, slots=True)
class Look:
    """One reason with what it rests on; `profile` is the layer that it is from, as far as its line tells."""

    reason: Reason
    profile: Profile
    facts: Facts

    def setting(self, setting: Setting[int]) -> str:
        """How a setting would have to be changed, and where it stands."""
        verb = "raise" if setting.stricter is Stricter.LOWER else "lower"
        line = self.profile.line(setting)
        default = self.profile.value(setting)
        where = f"line {line}" if line else f"now {setting.show(default)}, by default"
        return f"{verb} {setting.key} ({where})"

    @property
    def tier(self) -> Tier | None:
        """The tier that the reason's line belongs to."""
        line = self.reason.line
        for tier in self.profile.tiers:
            clauses = (*tier.clauses, *tier.limits, *tier.unless)
            if line and (tier.line == line or any(clause.line == line for clause in clauses)):
                return (
                    tier
                    if _named(tier, self.reason)
                    else next((other for other in self.profile.tiers if _named(other, self.reason)), tier)
                )
        return None

    @property
    def clause(self) -> Clause | None:
        """The condition that the reason is about."""
        tier = self.tier
        if tier is None:
            return None
        return next(
            (c for c in (*tier.clauses, *tier.limits) if CONDITIONS[c.key].tag == self.reason.tag), None
        )

    @property
    def blind(self) -> str:
        """What the node must first be able to see, if that is why; "" where it sees."""
        if self.facts.clock is None:
            return "a node that has a clock"
        if self.facts.clock.in_doubt:
            return "confirm the clock (`assent clock confirm`), or wait until the other nodes' clocks do"
        return ""


def layer_of(reason: Reason, profile: Profile) -> Profile | None:
    """Of a profile and those that it extends, the one that a reason is surely from; None where that is not clear."""
    found = []
    layer: Profile | None = profile
    while layer is not None:
        if any(_named(tier, reason) for tier in layer.tiers) or (
            reason.line and reason.line in _lines(layer)
        ):
            found.append(layer)
        layer = layer.base
    return found[0] if len(found) == 1 else None


def _lines(layer: Profile) -> set[int]:
    """The lines of a profile that rules other than tiers speak from."""
    lines = {rule.line for rule in layer.velocity or ()} | {rule.line for rule in layer.deny}
    lines |= {written.line for written in layer.written.values()}
    return lines | {
        layer.receive_only.line,
        layer.leaves.line,
        0 if layer.intents is None else layer.intents.line,
    }


def _named(tier: Tier, reason: Reason) -> bool:
    return f"tier `{tier.name}`" in reason.text
