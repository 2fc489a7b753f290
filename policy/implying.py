"""What follows from what: whether one clause of a profile surely makes a clause of another hold, or surely fail.

Everything here answers "surely" or "not proved", never "surely not". Two profiles may read a clause differently (by
their time zone, by how many nodes they assume evil, by what stands in their lists), so a clause is always looked at
with the ground it stands on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policy.condition import read_flag
from policy.conditions import CONDITIONS
from policy.effort import Effort
from policy.profile import Clause, Deny, Profile, Tier
from policy.values import CoinSet, Destinations, Hours, Words


@dataclass(frozen=True, slots=True)
class Ground:
    """What the clauses of a profile are read by, besides the facts.

    `evil` rises with how many nodes are assumed evil: 0 for none, 1 for the rule (1 of three nodes or more), then one
    more for each node written. `listed` are all scripts in the lists of the profile and its base.
    """

    zone: str | None
    evil: int
    listed: frozenset[bytes]


def ground_of(profile: Profile, listed: frozenset[bytes]) -> Ground:
    """The ground of one profile without its base; `listed` is that of the whole."""
    evil = 1 if profile.evil_nodes is None else profile.evil_nodes + (profile.evil_nodes > 0)
    return Ground(None if profile.zone is None else profile.zone.name, evil, listed)


@dataclass(frozen=True, slots=True)
class Held:
    """A clause and the ground it stands on."""

    clause: Clause
    ground: Ground


@dataclass(frozen=True, slots=True)
class Fit:
    """A tier, and the ground it stands on, that a spend is taken to fit."""

    tier: Tier
    ground: Ground

    @property
    def clauses(self) -> list[Held]:
        """What then holds."""
        return [Held(clause, self.ground) for clause in self.tier.clauses]

    @property
    def unless(self) -> list[Held]:
        """What then does not hold altogether."""
        return [Held(clause, self.ground) for clause in self.tier.unless]


def _same_zone(a: Ground, b: Ground) -> bool:
    return a.zone == b.zone


GROUNDED: dict[str, Callable[[Ground, Ground], bool]] = {
    "days": _same_zone,
    "hours": _same_zone,
    "before": _same_zone,
    "since": _same_zone,
    # The more nodes are assumed evil, the smaller this node's part.
    "velocity": lambda a, b: a.evil >= b.evil,
    # What is newly listed has been listed for a day, a day later.
    "listed_for": lambda a, b: a.listed <= b.listed,
}
"""The conditions that look at more than the facts, and when one that holds on a ground surely holds on another."""


def implies(a: Held, b: Held) -> bool:
    """Whether b surely holds wherever a holds."""
    key = a.clause.key
    if key != b.clause.key or not CONDITIONS[key].narrower(a.clause.value, b.clause.value):
        return False
    grounded = GROUNDED.get(key)
    return grounded is None or grounded(a.ground, b.ground)


def implies_undecided(a: Held, b: Held) -> bool:
    """Whether b surely does not fail wherever a does not: what cannot be decided stays so.

    Of two windows one may be beyond what the clock can tell while the other is not.
    """
    return implies(a, b) and (a.clause.key != "velocity" or a.clause.value == b.clause.value)


# Contradictions.


def refutes(a: Held, b: Held) -> bool:
    """Whether b surely fails wherever a holds."""
    if a.clause.key == b.clause.key:
        return _excludes(a, b)
    (first, how), (second, other) = _bound(a.clause.key), _bound(b.clause.key)
    if first != second or not first:
        return False
    if first == "day" and not _same_zone(a.ground, b.ground):
        return False
    low, high = (a.clause.value, b.clause.value) if how == "above" else (b.clause.value, a.clause.value)
    return how != other and isinstance(low, int) and isinstance(high, int) and high <= low


def _bound(key: str) -> tuple[str, str]:
    """What a condition measures and from which side it bounds it; empty where it does neither."""
    if key in {"before", "since"}:
        return "day", "up_to" if key == "before" else "above"
    for how in ("up_to", "above"):
        if key.endswith(f"_{how}"):
            return key.removesuffix(f"_{how}"), how
    return "", ""


def _excludes(a: Held, b: Held) -> bool:
    """Of two clauses of one key."""
    key, one, two = a.clause.key, a.clause.value, b.clause.value
    if CONDITIONS[key].read is read_flag:
        return one != two
    match one, two:
        case Words(), Words() if key == "asked_by" or (key == "days" and _same_zone(a.ground, b.ground)):
            return one.words.isdisjoint(two.words)
        case Hours(), Hours():
            return _same_zone(a.ground, b.ground) and not any(
                one.holds(minute) and two.holds(minute) for minute in range(24 * 60)
            )
        case Destinations(), Destinations() if key == "pays_only":
            apart = one.scripts.isdisjoint(two.scripts) and not (one.own and two.own)
            return apart and not one.anyone and not two.anyone
        case _:
            return False


# Rules. A tier surely fits when all of its clauses hold and one of its `unless` fails (or it has none). It may fit when
# none of its clauses fails and not all of its `unless` hold.


@dataclass(frozen=True, slots=True)
class Known:
    """What is taken to be so of a spend: tiers that surely fit it, and tiers that may; every look costs `effort`."""

    effort: Effort
    sure: tuple[Fit, ...]
    maybe: tuple[Fit, ...] = ()

    @property
    def holding(self) -> list[Held]:
        """The clauses that hold."""
        return [held for fit in self.sure for held in fit.clauses]

    @property
    def not_failing(self) -> list[Held]:
        """The clauses that hold or cannot be decided."""
        return [held for fit in self.maybe for held in fit.clauses]

    def look(self, *groups: tuple[Clause, ...]) -> None:
        """Spend what it takes to hold these clauses against all that is known; TooHard when it is too much."""
        known = 1
        for fit in (*self.sure, *self.maybe):
            known += len(fit.tier.clauses) + len(fit.tier.unless)
        self.effort.spend(1 + known * sum([_weight(clause) for group in groups for clause in group]))


def _weight(clause: Clause) -> int:
    """About how many steps one look at a clause takes: long lists take longer."""
    match clause.value:
        case Destinations(scripts=held) | Words(words=held):
            return 1 + len(held) // 16
        case CoinSet() as coins:
            return 1 + (len(coins.outpoints) + len(coins.paths)) // 16
        case Hours():
            return 100
        case _:
            return 1


def _all_hold(goals: Iterable[Held], holding: list[Held]) -> bool:
    return all(any(implies(held, goal) for held in holding) for goal in goals)


def _none_fails(goals: Iterable[Held], known: Known) -> bool:
    holding, maybe = known.holding, known.not_failing
    return all(
        any(implies(held, goal) for held in holding) or any(implies_undecided(held, goal) for held in maybe)
        for goal in goals
    )


def fits(goal: Fit, known: Known) -> bool:
    """Whether a tier surely fits."""
    known.look(goal.tier.clauses, goal.tier.unless)
    holding = known.holding
    if not _all_hold(goal.clauses, holding):
        return False
    if not goal.unless or any(refutes(held, clause) for clause in goal.unless for held in holding):
        return True
    # Of what surely fits and has an `unless`, one clause of it fails: whichever it is, one of ours must fail with it.
    return any(
        fit.unless
        and all(any(implies_undecided(clause, theirs) for clause in goal.unless) for theirs in fit.unless)
        for fit in known.sure
    )


def may_fit(goal: Fit, known: Known) -> bool:
    """Whether a tier surely fits, or cannot be decided to."""
    known.look(goal.tier.clauses, goal.tier.unless)
    if not _none_fails(goal.clauses, known):
        return False
    if not goal.unless or any(refutes(held, clause) for clause in goal.unless for held in known.holding):
        return True
    # Of what fits or may fit not all of its `unless` hold, so neither do all of ours if ours would make them hold.
    return any(fit.unless and _all_hold(fit.unless, goal.unless) for fit in (*known.sure, *known.maybe))


def clash(known: Known) -> bool:
    """Whether there is no such spend."""
    for fit in (*known.sure, *known.maybe):
        known.look(fit.tier.clauses, fit.tier.unless)
    holding = known.holding
    if any(refutes(a, b) for a in holding for b in (*holding, *known.not_failing)):
        return True
    return any(fit.unless and _all_hold(fit.unless, holding) for fit in (*known.sure, *known.maybe))


def denied(rules: Iterable[tuple[Deny, Ground]], known: Known) -> bool:
    """Whether one of these deny rules holds; surely so, where all that is known is sure."""
    for rule, ground in rules:
        known.look(rule.clauses)
        if not rule.unless and _none_fails((Held(clause, ground) for clause in rule.clauses), known):
            return True
    return False


def covers(new: Deny, new_ground: Ground, old: Deny, old_ground: Ground, effort: Effort) -> bool:
    """Whether the new deny rule holds wherever the old one does, and surely wherever the old one surely does."""
    looks = sum([_weight(clause) for clause in (*new.clauses, *new.unless)])
    effort.spend(1 + looks * (len(old.clauses) + len(old.unless)))
    theirs = [Held(clause, old_ground) for clause in old.clauses]
    if not _each(theirs, [Held(clause, new_ground) for clause in new.clauses]):
        return False
    if not new.unless:
        return True
    excuses = [Held(clause, new_ground) for clause in new.unless]
    return bool(old.unless) and _each(excuses, [Held(clause, old_ground) for clause in old.unless])


def _each(some: list[Held], goals: list[Held]) -> bool:
    return all(any(implies_undecided(held, goal) for held in some) for goal in goals)
