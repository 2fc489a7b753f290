"""How much can leave when signers take turns: the exact optimum of a small packing problem.

A way to sign names the budgets that every payment by it uses up (those of its honest signers) and how much one
payment may carry. Signers that take turns pack as many payments as their budgets hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import comb

from policy.simplex import Row, maximise

MAX_BRANCHES = 40
"""How many cases the search for whole payments looks at before it settles for an upper bound."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign: the names of the budgets it uses, and the least and the most of one payment."""

    budgets: frozenset[str]
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Part:
    """So many payments by one way, of so much together."""

    way: Way
    payments: int
    sats: int

    def amounts(self) -> tuple[int, ...]:
        """The payments one by one, as even as they can be."""
        each, rest = divmod(self.sats, self.payments)
        return tuple(each + (place < rest) for place in range(self.payments))


@dataclass(frozen=True, slots=True)
class Packed:
    """The most that can leave, and one way to make it so. `exact`: the plan reaches it; else it is an upper bound."""

    sats: int
    exact: bool
    plan: tuple[Part, ...]


def rotate(capacities: Sequence[int], needed: int) -> tuple[int, tuple[tuple[frozenset[int], int], ...]]:
    """The most that leaves when each satoshi takes any `needed` of these signers, and who signs how much of it.

    It is the largest T with sum(min(c_i, T)) >= needed * T. No signer is in more than c_i of the T satoshis, nor
    twice in one, so it carries at most min(c_i, T), and `needed * T` must be carried: more is impossible. And T is
    reached (McNaughton's wrap-around rule): lay the satoshis on a circle of length T and give each signer in turn
    the next min(c_i, T) places, until the circle is covered `needed` times. No arc is longer than the circle, so no
    signer covers a place twice, and each place is covered by `needed` different signers. Every satoshi between two
    neighbouring ends of arcs has the same signers: at most len(capacities) payments do it.

    With n-f honest signers of capacity floor(G * (t-f) / (n-f)) each and t-f needed, T <= G: DESIGN 7.
    """
    if needed <= 0:
        raise ValueError("somebody must sign")
    low, high = 0, sum(capacities) // needed
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(c, middle) for c in capacities) >= needed * middle:
            low = middle
        else:
            high = middle - 1
    return low, _arcs(capacities, needed, low) if low else ()


def _arcs(capacities: Sequence[int], needed: int, total: int) -> tuple[tuple[frozenset[int], int], ...]:
    arcs: list[tuple[int, int, int]] = []
    at = 0
    for signer, capacity in enumerate(capacities):
        length = min(capacity, total, needed * total - at)
        arcs.append((signer, at, at + length))
        at += length
    cuts = sorted({0, total, *(edge % total for _, *ends in arcs for edge in ends)})
    found: dict[frozenset[int], int] = {}
    for left, right in pairwise(cuts):
        who = frozenset(
            signer
            for signer, begin, end in arcs
            for lap in range(needed)
            if begin <= left + lap * total < end
        )
        found[who] = found.get(who, 0) + right - left
    return tuple(found.items())


def pack(ways: Iterable[Way], sums: Mapping[str, int], counts: Mapping[str, int]) -> Packed | None:
    """The most that can leave by these ways, within budgets of satoshis and of payments; None when nothing bounds it.

    The linear relaxation (parts of payments allowed) is an upper bound. Where a plan of whole payments reaches it,
    it is exact; else the number of payments of each way is branched on, up to a limit.
    """
    usable = [way for way in ways if _usable(way, sums, counts)]
    if any(not way.budgets & (sums.keys() | counts.keys()) for way in usable):
        return None
    distinct = _best(usable)
    return _in_turns(distinct, sums, counts) or _Problem(distinct, sums, counts).solve()


def _usable(way: Way, sums: Mapping[str, int], counts: Mapping[str, int]) -> bool:
    room = min((sums[name] for name in way.budgets if name in sums), default=way.high)
    return way.low <= min(way.high, room) and all(counts.get(name, 1) > 0 for name in way.budgets)


def _best(ways: Iterable[Way]) -> tuple[Way, ...]:
    """Without the ways that another one can stand in for, using no more budgets."""
    kept: list[Way] = []
    for way in sorted(set(ways), key=lambda way: (len(way.budgets), way.low, -way.high, sorted(way.budgets))):
        if not any(
            other.budgets <= way.budgets and other.low <= way.low and way.high <= other.high for other in kept
        ):
            kept.append(way)
    return tuple(kept)


def _in_turns(ways: tuple[Way, ...], sums: Mapping[str, int], counts: Mapping[str, int]) -> Packed | None:
    """The answer by `rotate`, where any so many of the same budgets do, alike, and no number of payments counts."""
    names = sorted(frozenset().union(*(way.budgets for way in ways)))
    needed = {len(way.budgets) for way in ways}
    alike = len(needed) == len({(way.low, way.high) for way in ways}) == 1
    if not alike or not all(name in sums and name not in counts for name in names):
        return None
    (size,) = needed
    if len({way.budgets for way in ways}) != comb(len(names), size):
        return None
    total, arcs = rotate([sums[name] for name in names], size)
    plan = []
    for who, amount in arcs:
        way = Way(frozenset(names[signer] for signer in who), ways[0].low, ways[0].high)
        payments = -(-amount // way.high)
        if amount < way.low * payments:
            return None
        plan.append(Part(way, payments, amount))
    return Packed(total, True, tuple(plan))


@dataclass(frozen=True, slots=True)
class _Problem:
    """Payments z_k of way k carry low_k * z_k + w_k, with 0 <= w_k <= (high_k - low_k) * z_k."""

    ways: tuple[Way, ...]
    sums: Mapping[str, int]
    counts: Mapping[str, int]

    def solve(self) -> Packed:
        bound, plan = self._relaxed()
        best = self._sats(plan)
        if best == bound:
            return Packed(best, True, plan)
        # Where the relaxation is not reached, whole numbers of payments are searched for.
        open_: list[tuple[tuple[int, ...], tuple[int | None, ...]]] = [
            ((0,) * len(self.ways), (None,) * len(self.ways))
        ]
        upper, branches = best, 0
        while open_ and branches < MAX_BRANCHES:
            least, most = open_.pop()
            branches += 1
            found = self._branch(least, most)
            if found is None or found[0] <= best:
                continue
            value, times, extra = found
            odd = next((k for k, z in enumerate(times) if z.denominator != 1), None)
            candidate = self._whole(times, extra)
            if self._sats(candidate) > best:
                best, plan = self._sats(candidate), candidate
            if odd is None:
                upper = max(upper, value)
                continue
            whole = int(times[odd])
            open_.append((least, (*most[:odd], whole, *most[odd + 1 :])))
            open_.append(((*least[:odd], whole + 1, *least[odd + 1 :]), most))
        upper = bound if open_ else max(upper, best)
        return Packed(upper, upper == best, plan)

    def _sats(self, plan: tuple[Part, ...]) -> int:
        return sum(part.sats for part in plan)

    def _relaxed(self) -> tuple[int, tuple[Part, ...]]:
        rows = [
            Row(tuple(Fraction(name in way.budgets) for way in self.ways), Fraction(cap))
            for name, cap in self.sums.items()
        ]
        rows += [
            Row(
                tuple(Fraction(1, way.high) if name in way.budgets else Fraction(0) for way in self.ways),
                Fraction(cap),
            )
            for name, cap in self.counts.items()
        ]
        value, amounts = maximise((Fraction(1),) * len(self.ways), rows)
        times = tuple(-(-amount // way.high) for amount, way in zip(amounts, self.ways, strict=True))
        extra = tuple(a - z * way.low for a, z, way in zip(amounts, times, self.ways, strict=True))
        return int(value), self._whole(tuple(Fraction(z) for z in times), extra)

    def _branch(
        self, least: tuple[int, ...], most: tuple[int | None, ...]
    ) -> tuple[int, tuple[Fraction, ...], tuple[Fraction, ...]] | None:
        """The relaxation with bounds on the numbers of payments; None where they cannot be kept."""
        size, rows = len(self.ways), []
        zero = (Fraction(0),) * size
        for budgets, by_sum in ((self.sums, True), (self.counts, False)):
            for name, cap in budgets.items():
                use = [Fraction(name in way.budgets) for way in self.ways]
                cost = [u * (way.low if by_sum else 1) for u, way in zip(use, self.ways, strict=True)]
                left = cap - sum(c * z for c, z in zip(cost, least, strict=True))
                if left < 0:
                    return None
                rows.append(Row((*cost, *(use if by_sum else zero)), Fraction(left)))
        for k, way in enumerate(self.ways):
            unit = tuple(Fraction(place == k) for place in range(size))
            span = way.high - way.low
            rows.append(Row((*(-u * span for u in unit), *unit), Fraction(span * least[k])))
            limit = most[k]
            if limit is not None:
                if limit < least[k]:
                    return None
                rows.append(Row((*unit, *zero), Fraction(limit - least[k])))
        goal = (*(Fraction(way.low) for way in self.ways), *(Fraction(1),) * size)
        value, found = maximise(goal, rows)
        fixed = sum(way.low * z for way, z in zip(self.ways, least, strict=True))
        times = tuple(z + more for z, more in zip(least, found[:size], strict=True))
        return int(value + fixed), times, tuple(found[size:])

    def _whole(self, times: tuple[Fraction, ...], extra: tuple[Fraction, ...]) -> tuple[Part, ...]:
        """A plan of whole payments and satoshis near a fractional one: rounded down, then filled up in order."""
        sums, counts = dict(self.sums), dict(self.counts)
        plan: dict[int, list[int]] = {}
        wanted = [
            (int(z), int(z) * way.low + int(w)) for z, w, way in zip(times, extra, self.ways, strict=True)
        ]
        for top_up in (False, True):
            for k, way in enumerate(self.ways):
                payments, sats = plan.setdefault(k, [0, 0])
                room = min((sums[name] for name in way.budgets if name in sums), default=way.high * 10**6)
                spare = min((counts[name] for name in way.budgets if name in counts), default=room)
                if not top_up:
                    room, spare = min(room, wanted[k][1]), min(spare, wanted[k][0])
                more = min(spare, max(0, -(-(sats + room) // way.high) - payments))
                room = min(room, way.high * (payments + more) - sats)
                if sats + room < way.low * (payments + more):
                    # The last payment would be too small: leave it out.
                    more = (sats + room) // way.low - payments if way.low else more
                    room = min(room, max(0, way.high * (payments + more) - sats))
                if more < 0 or room <= 0:
                    continue
                plan[k] = [payments + more, sats + room]
                for name in way.budgets:
                    if name in sums:
                        sums[name] -= room
                    if name in counts:
                        counts[name] -= more
        return tuple(Part(self.ways[k], z, sats) for k, (z, sats) in plan.items() if z)
