"""Whether one profile is surely at least as strict as another: for all facts, and in all that protects.

"At least as strict" means: never a milder outcome, never weaker conditions on the quorum, no freeze and no notice
lost, no easier way to change the profile. What cannot be proved is denied; so this may call a stricter profile not
stricter, and must never do the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from policy.demands import at_least_the_action, at_least_the_quorum
from policy.effort import Effort
from policy.implying import Fit, Ground, Held, Known, clash, covers, denied, fits, implies, may_fit
from policy.layers import Layer, Layers, rescue_ways
from policy.profile import ChangeRule, Deny, IntentRule
from policy.quorum import MAX_TOLD_SETS
from policy.setting import SETTINGS, Stricter
from policy.values import CoinSet, People
from policy.windows import Velocity


def at_least_as_strict(new: Layers, old: Layers, effort: Effort) -> bool:
    """Whether the new layers together are surely at least as strict as the old ones; TooHard beyond the effort."""
    return all(part(new, old) for part in PARTS) and all(part(new, old, effort) for part in COSTLY)


# What runs on every spend.


def _network(new: Layers, old: Layers) -> bool:
    return {layer.network for layer in new} == {layer.network for layer in old}


def _evil(new: Layers, old: Layers) -> bool:
    return max(layer.ground.evil for layer in new) >= max(layer.ground.evil for layer in old)


def _settings(new: Layers, old: Layers) -> bool:
    """Of all layers the strictest value holds."""
    for place, setting in enumerate(SETTINGS):
        lower = setting.stricter is Stricter.LOWER
        wanted = [value for layer in old if (value := layer.settings[place]) is not None]
        held = [value for layer in new if (value := layer.settings[place]) is not None]
        if wanted and not held:
            return False
        if wanted and not (min(held) <= min(wanted) if lower else max(held) >= max(wanted)):
            return False
    return True


def _velocity(new: Layers, old: Layers, effort: Effort) -> bool:
    """Each thing that an old window limits is limited as much by some new one, of at least as small a part."""
    windows = [sum(len(layer.velocity) for layer in layers) for layers in (new, old)]
    effort.spend(4 * windows[0] * windows[1])
    return all(
        any(
            mine.implies(theirs) and layer.ground.evil >= other.ground.evil
            for layer in new
            for mine in layer.velocity
        )
        for other in old
        for rule in other.velocity
        for theirs in _single(rule)
    )


def _single(rule: Velocity) -> Iterator[Velocity]:
    bare = replace(rule, sum_sats=None, count=None, fees_sats=None, recipients=None)
    if rule.sum_sats is not None:
        yield replace(bare, sum_sats=rule.sum_sats)
    if rule.count is not None:
        yield replace(bare, count=rule.count)
    if rule.fees_sats is not None:
        yield replace(bare, fees_sats=rule.fees_sats)
    if rule.recipients is not None:
        yield replace(bare, recipients=rule.recipients)


def _leaves(new: Layers, old: Layers) -> bool:
    """By no recovery leaf may be spent that was not allowed before; of all layers the smallest set holds."""
    mine, theirs = _allowed(new), _allowed(old)
    return theirs is None or (mine is not None and mine <= theirs)


def _allowed(layers: Layers) -> frozenset[str] | None:
    """None where no layer limits them: an overlay whose base has been taken away, halfway through an edit."""
    named = [layer.leaves for layer in layers if layer.leaves is not None]
    return frozenset.intersection(*named) if named else None


def _receive_only(new: Layers, old: Layers) -> bool:
    return any(layer.receive_only for layer in new) or not any(layer.receive_only for layer in old)


def _frozen(new: Layers, old: Layers) -> bool:
    held = CoinSet(
        frozenset().union(*(layer.frozen.outpoints for layer in new)),
        frozenset().union(*(layer.frozen.paths for layer in new)),
    )
    return all(layer.frozen.within(held) for layer in old)


def _intents(new: Layers, old: Layers) -> bool:
    return all(
        any(_intent(layer.intents, other.intents) for layer in new)
        for other in old
        if other.intents is not None
    )


def _intent(new: IntentRule | None, old: IntentRule) -> bool:
    """No device named means any."""
    return new is not None and (not old.devices or (bool(new.devices) and new.devices <= old.devices))


# What is for bad days.


def _alarms(new: Layers, old: Layers) -> bool:
    """Others may freeze for as long as before, of all layers the longest; of the drills the smallest number holds."""
    longest = [max((layer.freeze_ms or 0 for layer in layers), default=0) for layers in (new, old)]
    fewest = [
        min((layer.drills for layer in layers if layer.drills is not None), default=0)
        for layers in (new, old)
    ]
    return longest[0] >= longest[1] and fewest[0] <= fewest[1]


def _rescue(new: Layers, old: Layers, effort: Effort) -> bool:
    """The rescue goes nowhere new, costs no more, and asks no less; its own rules are compared like any others."""
    mine, theirs = rescue_ways(new), rescue_ways(old)
    return mine is None or (theirs is not None and at_least_as_strict(mine, theirs, effort))


# How the profile itself may be changed.


def _change(new: Layers, old: Layers) -> bool:
    """What all layers ask holds together."""
    mine, theirs = _together(new), _together(old)
    return (
        set(mine.nodes) >= set(theirs.nodes)
        and mine.people.within(theirs.people)
        and mine.cooldown_ms >= theirs.cooldown_ms
        and set(mine.cancel) >= set(theirs.cancel)
    )


def _together(layers: Layers) -> ChangeRule:
    people: dict[str, int] = {}
    for layer in layers:
        for role, count in layer.change.people.groups:
            people[role] = max(count, people.get(role, 0))
    return ChangeRule(
        tuple(sorted({name for layer in layers for name in layer.change.nodes})),
        People(tuple(sorted(people.items()))),
        max(layer.change.cooldown_ms for layer in layers),
        tuple(sorted({name for layer in layers for name in layer.change.cancel})),
    )


# Deny rules.


def _denies(layers: Layers) -> list[tuple[Deny, Ground]]:
    return [(rule, layer.ground) for layer in layers for rule in layer.deny]


def _deny(new: Layers, old: Layers, effort: Effort) -> bool:
    """Where an old rule holds, a new one does; and one that freezes where it froze, one that tells where it told."""
    mine = _denies(new)
    for rule, ground in _denies(old):
        effort.spend(1 + len(mine))
        if (rule, ground) in mine:
            continue
        covering = [each for each, other in mine if covers(each, other, rule, ground, effort)]
        if not (
            covering
            and (not rule.freeze or any(each.freeze for each in covering))
            and (not rule.notify or any(each.notify for each in covering))
        ):
            return False
    return True


# The tiers.


def _at_least(new: Fit, old: Fit, holding: list[Held]) -> bool:
    """Whether what the new tier demands is surely enough for the old one, where these clauses hold."""
    action, other = new.tier.then, old.tier.then
    # How much a grant covers depends on how many nodes are assumed evil.
    grants = other.grant or other.ask is not None
    if (action.grant or action.ask is not None) and grants and new.ground.evil < old.ground.evil:
        return False
    kept = [*holding, *(Held(clause, new.ground) for clause in new.tier.limits)]
    return (
        at_least_the_action(action, other)
        and at_least_the_quorum(new.tier.quorum, old.tier.quorum)
        and all(any(implies(held, Held(limit, old.ground)) for held in kept) for limit in old.tier.limits)
    )


def _tiers(new: Layers, old: Layers, effort: Effort) -> bool:
    """The tiers of each old layer are kept by those of some new one.

    Layers that assume different numbers of evil nodes may need two grants at once, which refuses.
    """
    denies, two = _denies(new), len({layer.ground.evil for layer in old}) > 1
    return all(
        any(
            _Pair.of(layer, other, denies, effort).holds()
            for layer in new
            if layer.tiers is not None and not (two and layer.ground.evil != other.ground.evil)
        )
        for other in old
        if other.tiers is not None
    )


def _told(new: Layers, old: Layers) -> bool:
    """Where more is demanded of the quorum than a verdict can tell, all is refused; then only the same will do."""
    found = [tier.quorum for layer in old for tier in layer.tiers or () if tier.quorum is not None]
    never = {roles for conditions in found for roles in conditions.never_only}
    policies = {named for conditions in found for named in conditions.policies}
    return max(len(never), len(policies)) <= MAX_TOLD_SETS or [
        (layer.ground, layer.tiers) for layer in new
    ] == [(layer.ground, layer.tiers) for layer in old]


def _refuses(fit: Fit) -> bool:
    return fit.tier.then.refuse or fit.tier.then.freeze


@dataclass(frozen=True, slots=True)
class _Pair:
    """New tiers and old ones; of each list the first that fits decides.

    As many tiers as `alike` begin both lists, and `places` finds a new one by its name: both only save work.
    """

    new: tuple[Fit, ...]
    old: tuple[Fit, ...]
    denies: list[tuple[Deny, Ground]]
    alike: int
    places: dict[str, int]
    effort: Effort

    @classmethod
    def of(cls, new: Layer, old: Layer, denies: list[tuple[Deny, Ground]], effort: Effort) -> _Pair:
        """Both with their grounds."""
        mine = tuple(Fit(tier, new.ground) for tier in new.tiers or ())
        theirs = tuple(Fit(tier, old.ground) for tier in old.tiers or ())
        alike = next(
            (place for place, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b),
            min(len(mine), len(theirs)),
        )
        places = {fit.tier.name: at for at, fit in enumerate(mine)}
        return cls(mine, theirs, denies, alike, places, effort)

    def holds(self) -> bool:
        """Whether the new list is surely at least as strict: its words, and what it tells and freezes."""
        return all(self._kept(place) for place in range(self.alike, len(self.new))) and all(
            self._noticed(place) for place in range(self.alike, len(self.old))
        )

    def _kept(self, place: int) -> bool:
        """Whether whatever this new tier lets pass, as the first that surely fits, the old ones let pass as mildly.

        The old tiers are gone through in order, until one that surely fits. All before it that fit or may fit have
        their say as well.
        """
        mine = self.new[place]
        if _refuses(mine):
            return True
        known = Known(self.effort, (mine,))
        for other, theirs in enumerate(self.old):
            self.effort.spend(1 + len(mine.tier.clauses) * len(theirs.tier.limits))
            if mine == theirs:
                return True
            if self._stands_before(place, theirs):
                continue
            if not self._answered(place, other):
                return False
            if fits(theirs, known):
                return True
        # No old tier need fit, and then it was refused.
        return self._never_first(self.new, place, known) or denied(self.denies, known)

    def _answered(self, new: int, old: int) -> bool:
        """Whether the old tier's demands are kept where the new one is the first that surely fits."""
        mine, theirs = self.new[new], self.old[old]
        if _at_least(mine, theirs, mine.clauses):
            return True
        both = Known(self.effort, (mine, theirs))
        sure = (
            _at_least(mine, theirs, both.holding)
            or self._never_first_both(new, old)
            or denied(self.denies, both)
        )
        if not sure:
            return False
        # Where the old tier only may fit, an earlier new one that may fit as well demands as much.
        known = Known(self.effort, (mine,), (theirs,))
        return (
            clash(known)
            or denied(self.denies, known)
            or any(_at_least(fit, theirs, mine.clauses) and may_fit(fit, known) for fit in self.new[:new])
        )

    def _stands_before(self, place: int, theirs: Fit) -> bool:
        """Whether an old tier, unchanged, catches its spends before this new one can."""
        at = self.places.get(theirs.tier.name, place)
        return at < place and self.new[at] == theirs

    def _noticed(self, place: int) -> bool:
        """Whether whatever an old tier tells or freezes is told or frozen still.

        One that lets spends pass tells of those; where they are refused now there is nothing to tell.
        """
        theirs = self.old[place]
        notify, freeze = theirs.tier.notify, theirs.tier.then.freeze
        known = Known(self.effort, (theirs,))
        if not (notify or freeze) or denied(self._as_loud(notify, freeze), known):
            return True
        passes = not _refuses(theirs)
        for other, mine in enumerate(self.new):
            loud = (mine.tier.notify or not notify) and (mine.tier.then.freeze or not freeze)
            enough = loud or (passes and _refuses(mine))
            if not enough and not self._never_first_both(other, place):
                return False
            if fits(mine, known):
                return True
        return passes

    def _as_loud(self, notify: bool, freeze: bool) -> list[tuple[Deny, Ground]]:
        return [
            (rule, ground)
            for rule, ground in self.denies
            if (rule.notify or not notify) and (rule.freeze or not freeze)
        ]

    def _never_first_both(self, new: int, old: int) -> bool:
        """Whether no spend has these two as the first tiers that surely fit."""
        both = Known(self.effort, (self.new[new], self.old[old]))
        return clash(both) or self._never_first(self.new, new, both) or self._never_first(self.old, old, both)

    @staticmethod
    def _never_first(tiers: tuple[Fit, ...], place: int, known: Known) -> bool:
        """Whether an earlier tier surely fits."""
        return any(fits(tier, known) for tier in tiers[:place])


PARTS: tuple[Callable[[Layers, Layers], bool], ...] = (
    _network, _evil, _settings, _receive_only, _leaves, _frozen, _intents, _change, _told, _alarms,
)  # fmt: skip
"""What is compared first: is the new at least as strict in this?"""

COSTLY: tuple[Callable[[Layers, Layers, Effort], bool], ...] = (_velocity, _deny, _tiers, _rescue)
"""The same of what grows with the square of a profile's size, or faster."""
