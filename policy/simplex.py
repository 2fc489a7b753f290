"""The simplex method over exact fractions, for the few variables that a wallet's quorums give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Row:
    """One constraint: the sum of `factors` times the variables is no more than `limit`, which is not negative."""

    factors: tuple[Fraction, ...]
    limit: Fraction


def maximise(goal: Sequence[Fraction], rows: Sequence[Row]) -> tuple[Fraction, tuple[Fraction, ...]]:
    """The largest value of `goal` over variables that are not negative, and where it is reached.

    Zero is always allowed, since no limit is negative, so there is no search for a start. Bland's rule: no cycle.
    ValueError when nothing bounds it.
    """
    size, height = len(goal), len(rows)
    table = [
        [*row.factors, *(Fraction(place == line) for place in range(height)), row.limit]
        for line, row in enumerate(rows)
    ]
    costs = [*(-factor for factor in goal), *(Fraction(0),) * height, Fraction(0)]
    basis = list(range(size, size + height))
    while True:
        enters = next((column for column in range(size + height) if costs[column] < 0), None)
        if enters is None:
            break
        candidates = [
            (line[-1] / line[enters], basis[number], number)
            for number, line in enumerate(table)
            if line[enters] > 0
        ]
        if not candidates:
            raise ValueError("nothing bounds it")
        leaves = min(candidates)[2]
        _pivot(table, costs, leaves, enters)
        basis[leaves] = enters
    found = [Fraction(0)] * size
    for number, variable in enumerate(basis):
        if variable < size:
            found[variable] = table[number][-1]
    return costs[-1], tuple(found)


def _pivot(table: list[list[Fraction]], costs: list[Fraction], leaves: int, enters: int) -> None:
    row = table[leaves]
    pivot = row[enters]
    row = table[leaves] = [value / pivot for value in row]
    for other in (*table[:leaves], *table[leaves + 1 :], costs):
        factor = other[enters]
        if factor:
            for column, value in enumerate(row):
                if value:
                    other[column] -= factor * value
