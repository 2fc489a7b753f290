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
from policy.profile import Clause, Deny, Profile, Tier
from policy.values import Destinations, Hours, Words


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


# Rules.


def _all_hold(goals: Iterable[Held], known: list[Held]) -> bool:
    return all(any(implies(held, goal) for held in known) for goal in goals)


def _known(fitting: tuple[Fit, ...]) -> list[Held]:
    return [held for fit in fitting for held in fit.clauses]


def fits(goal: Fit, fitting: tuple[Fit, ...]) -> bool:
    """Whether a spend that fits all of `fitting` surely fits `goal`."""
    known = _known(fitting)
    return _all_hold(goal.clauses, known) and (not goal.tier.unless or _not_excused(goal, fitting, known))


def _not_excused(goal: Fit, fitting: tuple[Fit, ...], known: list[Held]) -> bool:
    """Whether one of the goal's `unless` surely fails."""
    unless = [Held(clause, goal.ground) for clause in goal.tier.unless]
    if any(refutes(held, clause) for clause in unless for held in known):
        return True
    # Of what fits and has an `unless`, one clause of it fails: whichever it is, one of ours must fail with it.
    return any(
        fit.tier.unless
        and all(
            any(implies_undecided(clause, Held(theirs, fit.ground)) for clause in unless)
            for theirs in fit.tier.unless
        )
        for fit in fitting
    )


def clash(fitting: tuple[Fit, ...]) -> bool:
    """Whether no spend can fit all of these."""
    known = _known(fitting)
    if any(refutes(a, b) for a in known for b in known):
        return True
    return any(
        fit.tier.unless and _all_hold((Held(clause, fit.ground) for clause in fit.tier.unless), known)
        for fit in fitting
    )


def denied(rules: Iterable[tuple[Deny, Ground]], fitting: tuple[Fit, ...]) -> bool:
    """Whether one of these deny rules, and all of its clauses, surely hold for what fits."""
    known = _known(fitting)
    return any(
        not rule.unless and _all_hold((Held(clause, ground) for clause in rule.clauses), known)
        for rule, ground in rules
    )


def covers(new: Deny, new_ground: Ground, old: Deny, old_ground: Ground) -> bool:
    """Whether the new deny rule surely holds wherever the old one does, decided or not."""
    theirs = [Held(clause, old_ground) for clause in old.clauses]
    if not all(
        any(implies_undecided(held, Held(clause, new_ground)) for held in theirs) for clause in new.clauses
    ):
        return False
    if not new.unless:
        return True
    excuses = [Held(clause, new_ground) for clause in new.unless]
    return bool(old.unless) and _all_hold((Held(clause, old_ground) for clause in old.unless), excuses)
