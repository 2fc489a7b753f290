"""Totals of a growing row of spends, of which some replace others: asked of any stretch, without walking through it.

Spends that stand under the same outpoint (`policy.book`) make a group; of a group only the largest counts. Each
spend is written down with what it *adds* to the largest of its group before it, so the total from the beginning to
any place is a running sum. A stretch that begins later is that sum's difference, but for the groups that reach into
it from before: those alone are looked at one by one, and `Earlier` finds them without a walk.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableSequence

from policy.bookings import Usage

_SPAN = 8
"""How many blocks of one row make a block of the next."""


def push(column: MutableSequence[int], value: int) -> MutableSequence[int]:
    """The column with one number more. One that eight bytes cannot hold makes it a list, which holds any."""
    try:
        column.append(value)
    except OverflowError:
        column = [*column, value]
    return column


class Earlier:
    """Numbers in a row, and which of a stretch lie below a bound, found without looking at each of them.

    Row k holds the numbers in sorted blocks of 8^k; a block is made when the last of its numbers comes.
    """

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows = [array("I")]

    def add(self, number: int) -> None:
        """One number more."""
        self.rows[0].append(number)
        size, length = _SPAN, len(self.rows[0])
        for level in range(1, len(self.rows) + 1):
            if length % size:
                return
            if level == len(self.rows):
                self.rows.append(array("I"))
            self.rows[level].extend(sorted(self.rows[level - 1][-size:]))
            size *= _SPAN

    def below(self, bound: int, start: int, stop: int) -> Iterator[array[int]]:
        """Those in the stretch that lie below the bound, some at a time."""
        while start < stop:
            level, size = 0, 1
            while start % (size * _SPAN) == 0 and start + size * _SPAN <= stop:
                level, size = level + 1, size * _SPAN
            row = self.rows[level]
            end = bisect_left(row, bound, start, start + size)
            if end > start:
                yield row[start:end]
            start += size

    def count_below(self, bound: int, start: int, stop: int) -> int:
        """How many in the stretch lie below the bound."""
        return sum(len(some) for some in self.below(bound, start, stop))


class _Group:
    """The spends of one series that stand under one outpoint: places, costs, fees, and the largest so far of each."""

    __slots__ = ("costs", "fees", "places", "tops")

    def __init__(self) -> None:
        self.places: list[int] = []
        self.costs: list[int] = []
        self.fees: list[int] = []
        self.tops: list[tuple[int, int]] = []

    def add(self, place: int, cost: int, fee: int) -> tuple[int, int]:
        """One spend more; by how much the largest cost and the largest fee grew."""
        most, most_fee = self.tops[-1] if self.tops else (0, 0)
        self.places.append(place)
        self.costs.append(cost)
        self.fees.append(fee)
        self.tops.append((max(most, cost), max(most_fee, fee)))
        return max(0, cost - most), max(0, fee - most_fee)

    def within(self, first: int, end: int) -> tuple[int, int] | None:
        """The largest cost and fee of those in a stretch; None when there are none."""
        low, high = bisect_left(self.places, first), bisect_left(self.places, end)
        return (max(self.costs[low:high]), max(self.fees[low:high])) if low < high else None

    def added(self, first: int, end: int) -> tuple[int, int]:
        """What those in a stretch added to those before it; of the latter there are some."""
        before, after = (self.tops[bisect_left(self.places, at) - 1] for at in (first, end))
        return after[0] - before[0], after[1] - before[1]


class Payees:
    """How many different scripts the spends of a stretch pay."""

    __slots__ = ("first_seen", "latest", "paid_again", "paid_before")

    def __init__(self) -> None:
        self.latest: dict[bytes, int] = {}
        self.first_seen = array("I", [0])
        self.paid_again = array("I")
        self.paid_before = Earlier()

    def add(self, place: int, scripts: Iterable[bytes]) -> None:
        """One spend more; no script twice."""
        new = 0
        for script in scripts:
            before = self.latest.get(script)
            self.latest[script] = place
            if before is None:
                new += 1
            else:
                self.paid_again.append(place)
                self.paid_before.add(before)
        self.first_seen.append(self.first_seen[-1] + new)

    def count(self, first: int, end: int) -> int:
        """How many scripts are paid in the stretch: those never paid before, and those paid before but not in it."""
        new = self.first_seen[end] - self.first_seen[first]
        if first == 0 or not self.paid_again:
            return new
        low, high = bisect_left(self.paid_again, first), bisect_left(self.paid_again, end)
        return new + self.paid_before.count_below(first, low, high)

    def missing(self, scripts: Iterable[bytes], first: int) -> int:
        """How many of these scripts are not paid from that place on."""
        return sum(self.latest.get(script, -1) < first for script in scripts)


class Series:
    """The spends of one scope in the order of the book, by their positions in it.

    A `founder` is the position in the whole book of the first spend that stands under the same outpoint: it names
    the group. `again` holds the places of spends whose group had one in this series before, `before` where that was.
    """

    __slots__ = ("again", "before", "costs", "fees", "fresh", "groups", "member_of", "payees", "positions")

    def __init__(self, *, payees: bool) -> None:
        self.positions = array("I")
        self.costs: MutableSequence[int] = array("q", [0])
        self.fees: MutableSequence[int] = array("q", [0])
        self.fresh = array("I", [0])
        self.again = array("I")
        self.before = Earlier()
        self.groups: dict[int, _Group] = {}
        self.member_of: dict[int, _Group] = {}
        self.payees = Payees() if payees else None

    def add(self, position: int, founder: int, cost: int, fee: int, scripts: Iterable[bytes]) -> None:
        """One spend more, later in the book than all others here."""
        place = len(self.positions)
        fresh = 1
        if founder != position:
            group = self._group(founder)
            if group.places:
                fresh = 0
                self.again.append(place)
                self.before.add(group.places[-1])
            self.member_of[place] = group
            cost, fee = group.add(place, cost, fee)
        self.positions.append(position)
        self.costs = push(self.costs, self.costs[-1] + cost)
        self.fees = push(self.fees, self.fees[-1] + fee)
        self.fresh.append(self.fresh[-1] + fresh)
        if self.payees is not None:
            self.payees.add(place, scripts)

    def _group(self, founder: int) -> _Group:
        """The group of a spend that is not its first: made when the second comes, with the first if that is here."""
        group = self.groups.get(founder)
        if group is None:
            group = self.groups[founder] = _Group()
            at = self.place(founder)
            if at < len(self.positions) and self.positions[at] == founder:
                group.add(at, self.costs[at + 1] - self.costs[at], self.fees[at + 1] - self.fees[at])
                self.member_of[at] = group
        return group

    def place(self, position: int) -> int:
        """How many spends here stand before a position of the book."""
        return bisect_left(self.positions, position)

    def usage(self, first: int, end: int) -> Usage:
        """What counts of the places from `first` up to, not including, `end`."""
        total, fees = self.costs[end] - self.costs[first], self.fees[end] - self.fees[first]
        count = self.fresh[end] - self.fresh[first]
        if first and self.again:
            low, high = bisect_left(self.again, first), bisect_left(self.again, end)
            for some in self.before.below(first, low, high):
                for before in some:
                    group = self.member_of[before]
                    most, added = group.within(first, end), group.added(first, end)
                    assert most is not None  # a group that reaches into the stretch
                    total, fees, count = total + most[0] - added[0], fees + most[1] - added[1], count + 1
        return Usage(total, count, fees, 0 if self.payees is None else self.payees.count(first, end))

    def usage_with(
        self, first: int, founder: int | None, cost: int, fee: int, scripts: Iterable[bytes]
    ) -> Usage:
        """What would count from `first` on with one spend more at the end; `founder` None founds its own group."""
        end = len(self.positions)
        now = self.usage(first, end)
        beside = None if founder is None else self._largest(founder, first, end)
        most, most_fee = (0, 0) if beside is None else beside
        return Usage(
            now.sum_sats + max(0, cost - most),
            now.count + (beside is None),
            now.fees_sats + max(0, fee - most_fee),
            now.recipients + (0 if self.payees is None else self.payees.missing(scripts, first)),
        )

    def _largest(self, founder: int, first: int, end: int) -> tuple[int, int] | None:
        """The largest cost and fee of a group in a stretch."""
        group = self.groups.get(founder)
        if group is not None:
            return group.within(first, end)
        at = self.place(founder)
        if first <= at < end and self.positions[at] == founder:
            return self.costs[at + 1] - self.costs[at], self.fees[at + 1] - self.fees[at]
        return None
