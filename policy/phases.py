"""Budgets that only some tiers look at: in which order they are used up matters.

A tier's own window counts all that its node signed, but only its own spends are held back by it. So the order counts:
the spends of a tier with a small budget come first, and others may go on after it is full. The order in which tiers
are used for the last time cuts the theft into phases; given an order, each budget bounds all that its node signs up
to the end of its phase, which is packing again. Every order that could be best is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

from policy.packing import Packed, Part, Way, pack

MAX_ORDERED = 6
MAX_ORDERS = 100
"""Beyond these, orders are not tried one by one, and the result is an upper bound."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit within the horizon: its name, what it holds, how often it fills up anew, and whose spends count.

    `scope` is the same for budgets that count the same spends. One `of_tier` holds back only the spends of its tier.
    """

    name: str
    sum_sats: int | None
    count: int | None
    times: int = 1
    scope: str = ""
    of_tier: bool = False

    def within(self, other: Budget) -> bool:
        """Whether it is full no later than the other, which counts the same spends."""
        return self.scope == other.scope and all(
            theirs is None or (mine is not None and mine <= theirs)
            for mine, theirs in ((self.sum_sats, other.sum_sats), (self.count, other.count))
        )


def in_phases(ways: tuple[Way, ...], budgets: Mapping[str, Budget]) -> Packed | None:
    """The most that can leave, over every order of phases; None when nothing bounds it."""
    total, exact, plan = 0, True, list[Part]()
    for group in _apart(ways):
        found = _one(group, {name: budgets[name] for way in group for name in way.budgets})
        if found is None:
            return None
        total, exact = total + found.sats, exact and found.exact
        plan += found.plan
    return Packed(total, exact, tuple(plan))


def _apart(ways: tuple[Way, ...]) -> list[tuple[Way, ...]]:
    """Groups of ways that share no budget."""
    groups: list[tuple[set[str], list[Way]]] = []
    for way in ways:
        touching = [group for group in groups if group[0] & way.budgets]
        groups = [group for group in groups if not group[0] & way.budgets]
        names = set(way.budgets).union(*(group[0] for group in touching))
        groups.append((names, [*(w for group in touching for w in group[1]), way]))
    return [tuple(found) for _, found in groups]


def _one(ways: tuple[Way, ...], budgets: Mapping[str, Budget]) -> Packed | None:
    # A budget that all use whose spends it counts holds all of them back, whatever the order.
    ordered = [
        budget
        for budget in budgets.values()
        if budget.of_tier
        and budget.times == 1
        and not all(budget.name in way.budgets for way in ways if budget.scope in _scopes(way, budgets))
    ]
    if not ordered:
        return pack(ways, *_limits(budgets.values()))
    orders = list(_orders(ordered))
    if not orders:
        found = _packed(ways, budgets, {way: frozenset(_nested(way, budgets, ordered)) for way in ways})
        return None if found is None else Packed(found.sats, False, found.plan)
    best: Packed | None = Packed(0, True, ())
    bound = 0
    for order in orders:
        found = _in_order(ways, budgets, order)
        if found is None:
            return None
        bound = max(bound, found.sats)
        if best is None or found.sats > best.sats or (found.sats == best.sats and found.exact):
            best = found
    return best


def _orders(ordered: list[Budget]) -> Iterator[tuple[Budget, ...]]:
    """The orders that could be best: of two budgets the one that is full no later never comes later."""
    if len(ordered) > MAX_ORDERED:
        return
    kept = []
    for order in permutations(ordered):
        if not any(
            later.within(earlier) and not earlier.within(later)
            for place, earlier in enumerate(order)
            for later in order[place + 1 :]
        ):
            kept.append(order)
    if len(kept) <= MAX_ORDERS:
        yield from kept


def _in_order(
    ways: tuple[Way, ...], budgets: Mapping[str, Budget], order: tuple[Budget, ...]
) -> Packed | None:
    """Each way once for each phase in which all of its tiers may still be used."""
    copies: dict[Way, tuple[int, Way]] = {}
    for phase in range(len(order) + 1):
        over = {budget.name for budget in order[:phase]}
        left = order[phase:]
        for way in ways:
            if way.budgets & over:
                continue
            mine = _scopes(way, budgets)
            cumulative = frozenset(budget.name for budget in left if budget.scope in mine)
            names = (
                frozenset(name for name in way.budgets if name not in {b.name for b in order}) | cumulative
            )
            copies.setdefault(Way(names, way.low, way.high), (phase, way))
    found = pack(copies, *_limits(budgets.values()))
    if found is None:
        return None
    parts = sorted(((copies[part.way], part) for part in found.plan), key=lambda pair: pair[0][0])
    return Packed(
        found.sats, found.exact, tuple(Part(way, part.payments, part.sats) for (_, way), part in parts)
    )


def _scopes(way: Way, budgets: Mapping[str, Budget]) -> set[str]:
    return {budgets[name].scope for name in way.budgets}


def _nested(way: Way, budgets: Mapping[str, Budget], ordered: list[Budget]) -> Iterator[str]:
    """Whatever the order: up to the last spend of any tier with a budget no larger, the larger bounds them all."""
    for name in way.budgets:
        mine = budgets[name]
        yield name
        if mine in ordered:
            yield from (other.name for other in ordered if mine.within(other))


def _packed(
    ways: tuple[Way, ...], budgets: Mapping[str, Budget], names: Mapping[Way, frozenset[str]]
) -> Packed | None:
    copies = {Way(names[way], way.low, way.high): way for way in ways}
    found = pack(copies, *_limits(budgets.values()))
    if found is None:
        return None
    plan = tuple(Part(copies[part.way], part.payments, part.sats) for part in found.plan)
    return Packed(found.sats, found.exact, plan)


def _limits(budgets: Iterable[Budget]) -> tuple[dict[str, int], dict[str, int]]:
    every = tuple(budgets)
    sums = {budget.name: budget.sum_sats for budget in every if budget.sum_sats is not None}
    return sums, {budget.name: budget.count for budget in every if budget.count is not None}
