"""A profile and its bases as layers to compare, without lines, so that what is equal means the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from policy.implying import Ground, ground_of
from policy.profile import ChangeRule, Clause, Deny, IntentRule, Profile, RescueRule, Tier
from policy.rescuing import rescue_tier
from policy.setting import FEE_MAX, SETTINGS
from policy.values import CoinSet
from policy.windows import Velocity
from taproot import Network


@dataclass(frozen=True, slots=True)
class Layer:
    """One profile without its base, and without lines, so that what is equal means the same.

    `tiers` is None where an overlay leaves them to its base. `settings` are in the order of SETTINGS.
    """

    name: str
    network: Network
    ground: Ground
    settings: tuple[int | None, ...]
    velocity: tuple[Velocity, ...]
    deny: tuple[Deny, ...]
    tiers: tuple[Tier, ...] | None
    receive_only: bool
    leaves: frozenset[str] | None
    frozen: CoinSet
    intents: IntentRule | None
    change: ChangeRule
    rescue: RescueRule | None
    freeze_ms: int | None
    drills: int | None


Layers = tuple[Layer, ...]
"""A profile and its bases, top first."""


def layers_of(profile: Profile) -> Layers:
    """The layers that judge together."""
    found: list[Layer] = []
    listed, each = profile.listed_scripts, profile
    while True:
        found.append(_layer(each, listed))
        if each.base is None:
            return tuple(found)
        each = each.base


def _layer(profile: Profile, listed: frozenset[bytes]) -> Layer:
    left_to_base = not profile.tiers and profile.base is not None
    intents = profile.intents
    return Layer(
        profile.name,
        profile.network,
        ground_of(profile, listed),
        tuple(profile.value(setting) for setting in SETTINGS),
        profile.velocity or (),
        tuple(
            replace(rule, line=0, clauses=_bare(rule.clauses), unless=_bare(rule.unless))
            for rule in profile.deny
        ),
        None if left_to_base else tuple(_bare_tier(tier) for tier in profile.tiers),
        profile.receive_only.value,
        profile.allowed_leaves,
        profile.frozen_coins,
        None if intents is None else replace(intents, line=0),
        replace(profile.change, line=0),
        None if profile.rescue is None else replace(profile.rescue, line=0),
        profile.freeze_ms.value if profile.base is not None else profile.others_freeze_ms,
        profile.drills.value if profile.base is not None else profile.drills_a_day,
    )


def _bare(clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
    return tuple(sorted((replace(clause, line=0) for clause in clauses), key=lambda clause: clause.key))


def _bare_tier(tier: Tier) -> Tier:
    return replace(
        tier, line=0, clauses=_bare(tier.clauses), limits=_bare(tier.limits), unless=_bare(tier.unless)
    )


def rescue_ways(layers: Layers) -> Layers | None:
    """The layers by which a rescue is judged (`policy.rescuing`); None where there is none."""
    if layers[-1].rescue is None:
        return None
    return tuple(
        replace(
            layer,
            settings=tuple(
                (None if layer.rescue is None else layer.rescue.fee_sats)
                if setting is FEE_MAX
                else None
                if setting.key.startswith("limits.")
                else layer.settings[place]
                for place, setting in enumerate(SETTINGS)
            ),
            velocity=(),
            tiers=None if layer.rescue is None else (rescue_tier(layer.rescue),),
            intents=None,
            rescue=None,
        )
        for layer in layers
    )
