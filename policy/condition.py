"""What a condition is: a key of the language, how its value is read, when it holds, and which value is narrower.

A condition holds, does not hold, or cannot be decided. All of a tier's conditions must hold for the tier to fit,
and one that cannot be decided does not; all of a deny rule's must hold for it to refuse, and one that cannot be
decided does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from policy.facts import Facts
from policy.profile import Clause, Profile
from policy.reading_values import Context, read_bool, read_unit
from policy.tree import Node
from policy.units import Unit
from policy.values import Value

V = TypeVar("V", bound=Value)

WHEN = "when"
LIMITS = "limits"


@dataclass(frozen=True, slots=True)
class Said:
    """What a condition says of a spend: whether it holds (None: that cannot be decided), and the fact in words."""

    holds: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of a `when:`, an `unless:` or a tier's `limits:`.

    `narrower(a, b)` says that whatever fits value `a` surely fits value `b`. `places` says where it may stand:
    `when` (of tiers and deny rules, and their `unless`) and a tier's `limits`. `source` is where its fact comes from.
    """

    key: str
    tag: str
    meaning: str
    example: str
    source: str
    read: Callable[[Node, Context], Value]
    check: Callable[[Value, Profile, Facts], Said]
    narrower: Callable[[Value, Value], bool]
    places: frozenset[str] = frozenset({WHEN})


def typed(
    kind: type[V], check: Callable[[V, Profile, Facts], Said]
) -> Callable[[Value, Profile, Facts], Said]:
    """A check of one kind of value as a check of any: the reader has seen to it that no other kind comes."""

    def run(value: Value, profile: Profile, facts: Facts) -> Said:
        assert isinstance(value, kind)
        return check(value, profile, facts)

    return run


def ordered(kind: type[V], narrower: Callable[[V, V], bool]) -> Callable[[Value, Value], bool]:
    """`narrower` of one kind of value; values of two kinds are never compared."""

    def run(a: Value, b: Value) -> bool:
        return isinstance(a, kind) and isinstance(b, kind) and narrower(a, b)

    return run


Measure = Callable[[Profile, Facts], "int | str"]
"""Measures a spend; a text says why it cannot be measured here."""


def _bound(
    measure: Measure, what: str, unit: Unit[int], *, upper: bool
) -> Callable[[int, Profile, Facts], Said]:
    def check(limit: int, profile: Profile, facts: Facts) -> Said:
        amount = measure(profile, facts)
        if isinstance(amount, str):
            return Said(None, amount)
        fact = f"{what} {unit.show(amount)}"
        if amount > limit:
            return Said(not upper, f"{fact}, more than {unit.show(limit)}")
        return Said(
            upper,
            f"{fact}; the most is {unit.show(limit)}" if upper else f"{fact}, not above {unit.show(limit)}",
        )

    return check


def measured(
    name: str,
    unit: Unit[int],
    measure: Measure,
    what: str,
    meaning: str,
    source: str,
    *,
    tags: tuple[str, str],
) -> tuple[Condition, Condition]:
    """Two conditions for one measure: `NAME_up_to`, which may also be a tier's limit, and `NAME_above`.

    `what` begins the fact in words ("others receive"), `meaning` the sentence of the reference ("others receive").
    """
    read = read_unit(unit)
    example = unit.example.split("`")[1]
    return (
        Condition(
            f"{name}_up_to", tags[0], f"{meaning} no more than this", example, source, read,
            typed(int, _bound(measure, what, unit, upper=True)), ordered(int, lambda a, b: a <= b),
            frozenset({WHEN, LIMITS}),
        ),
        Condition(
            f"{name}_above", tags[1], f"{meaning} more than this", example, source, read,
            typed(int, _bound(measure, what, unit, upper=False)), ordered(int, lambda a, b: a >= b),
        ),
    )  # fmt: skip


def at_least(
    key: str, unit: Unit[int], measure: Measure, what: str, meaning: str, source: str, *, tag: str
) -> Condition:
    """A condition that a measure is not below a value; it may also be a tier's limit."""

    def run(least: int, profile: Profile, facts: Facts) -> Said:
        amount = measure(profile, facts)
        if isinstance(amount, str):
            return Said(None, amount)
        return Said(amount >= least, f"{what} {unit.show(amount)}; the least is {unit.show(least)}")

    return Condition(
        key, tag, f"{meaning} at least this", unit.example.split("`")[1], source, read_unit(unit), typed(int, run),
        ordered(int, lambda a, b: a >= b), frozenset({WHEN, LIMITS}),
    )  # fmt: skip


def flag(key: str, tag: str, meaning: str, source: str, check: Callable[[Profile, Facts], Said]) -> Condition:
    """A condition that is either true or false of a spend; written `KEY: true` or `KEY: false`."""

    def run(value: Value, profile: Profile, facts: Facts) -> Said:
        said = check(profile, facts)
        return said if value or said.holds is None else Said(not said.holds, said.text)

    return Condition(key, tag, meaning, "true", source, read_flag, run, lambda a, b: a == b)


def read_flag(node: Node, _context: Context) -> Value:
    """`true` or `false`, as 1 or 0."""
    return int(read_bool(node))


def check(condition: Condition, clause: Clause, profile: Profile, facts: Facts) -> Said:
    """What a clause says of a spend; one that fails cannot be decided. Names the kind of fault, never its text."""
    try:
        return condition.check(clause.value, profile, facts)
    except Exception as fault:
        return Said(None, f"it cannot be decided ({type(fault).__name__})")
