"""Totals of a growing row of spends, of which some replace others: asked of any stretch, without walking through it.

Spends that stand under the same outpoint (`policy.book`) make a group; of a group only the largest counts. Each
spend is written down with what it *adds* to the largest of its group before it, so the total from the beginning to
any place is a running sum. A stretch that begins later is that sum's difference, but for the groups that reach into
it from before: those alone are looked at one by one, and `Earlier` finds them without a walk.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableSequence, Sequence

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


class _Groups:
    """The spends of one series that stand under an outpoint with others of the book, linked group by group.

    A row of each column is one spend: its place, its cost and fee, the largest of both in its group so far, and the
    row before it in the group (its own where there is none). `latest` is the last row of each group.
    """

    __slots__ = ("before", "costs", "fees", "latest", "most", "most_fee", "places")

    def __init__(self) -> None:
        self.places = array("I")
        self.costs: MutableSequence[int] = array("q")
        self.fees: MutableSequence[int] = array("q")
        self.most: MutableSequence[int] = array("q")
        self.most_fee: MutableSequence[int] = array("q")
        self.before = array("I")
        self.latest: dict[int, int] = {}

    def add(self, founder: int, place: int, cost: int, fee: int) -> tuple[int, int]:
        """One spend more; by how much the largest cost and the largest fee of its group grew."""
        row = len(self.places)
        before = self.latest.get(founder, row)
        most, most_fee = (0, 0) if before == row else (self.most[before], self.most_fee[before])
        self.places.append(place)
        self.costs = push(self.costs, cost)
        self.fees = push(self.fees, fee)
        self.most = push(self.most, max(most, cost))
        self.most_fee = push(self.most_fee, max(most_fee, fee))
        self.before.append(before)
        self.latest[founder] = row
        return max(0, cost - most), max(0, fee - most_fee)

    def rows(self, founder: int, first: int) -> Iterator[int]:
        """The rows of a group from a place on, the last of them first."""
        row: int | None = self.latest[founder]
        while row is not None and self.places[row] >= first:
            yield row
            row = self._row_before(row)

    def _row_before(self, row: int) -> int | None:
        return None if self.before[row] == row else self.before[row]

    def correction(self, founder: int, first: int, end: int) -> tuple[int, int]:
        """What to add to the running sums for a group that reaches from before a stretch into it.

        The largest of those in the stretch, less what they added to those before it.
        """
        rows = [row for row in self.rows(founder, first) if self.places[row] < end]
        before, last = self.before[rows[-1]], rows[0]
        most, most_fee = max(self.costs[row] for row in rows), max(self.fees[row] for row in rows)
        added, added_fee = self.most[last] - self.most[before], self.most_fee[last] - self.most_fee[before]
        return most - added, most_fee - added_fee

    def largest(self, founder: int, first: int) -> tuple[int, int] | None:
        """The largest cost and fee of a group from a place on; None when there are none."""
        rows = list(self.rows(founder, first))
        return (max(self.costs[row] for row in rows), max(self.fees[row] for row in rows)) if rows else None


class _Payees:
    """How many different scripts the spends of a stretch pay."""

    __slots__ = ("first_paid", "paid_again", "paid_before")

    def __init__(self) -> None:
        self.first_paid = array("I", [0])
        self.paid_again = array("I")
        self.paid_before = Earlier()

    def add(self, place: int, before: Iterable[int | None]) -> None:
        """One spend more: for each script it pays, the place of the last one here that paid it."""
        new = 0
        for earlier in before:
            if earlier is None:
                new += 1
            else:
                self.paid_again.append(place)
                self.paid_before.add(earlier)
        self.first_paid.append(self.first_paid[-1] + new)

    def count(self, first: int, end: int) -> int:
        """How many scripts are paid in the stretch: those never paid before, and those paid before but not in it."""
        new = self.first_paid[end] - self.first_paid[first]
        if first == 0 or not self.paid_again:
            return new
        low, high = bisect_left(self.paid_again, first), bisect_left(self.paid_again, end)
        return new + self.paid_before.count_below(first, low, high)


class Series:
    """The spends of one scope in the order of the book, by their positions in it.

    `founders` tells for each position of the whole book the first spend that stands under the same outpoint, which
    names the group. `again` holds the places of spends whose group had one in this series before, `before` where
    that was.
    For each script that a spend pays, `paid_before` is the position of the last spend here that paid it.
    """

    __slots__ = ("again", "before", "costs", "fees", "founders", "fresh", "groups", "payees", "positions")

    def __init__(self, founders: Sequence[int], *, payees: bool) -> None:
        self.founders = founders
        self.positions = array("I")
        self.costs: MutableSequence[int] = array("q", [0])
        self.fees: MutableSequence[int] = array("q", [0])
        self.fresh = array("I", [0])
        self.again = array("I")
        self.before = Earlier()
        self.groups: _Groups | None = None
        self.payees = _Payees() if payees else None

    def add(self, position: int, cost: int, fee: int, paid_before: Iterable[int | None] = ()) -> None:
        """One spend more, later in the book than all others here."""
        place, founder = len(self.positions), self.founders[position]
        fresh = 1
        if founder != position:
            groups = self._groups_with(founder)
            if founder in groups.latest:
                fresh = 0
                self.again.append(place)
                self.before.add(groups.places[groups.latest[founder]])
            cost, fee = groups.add(founder, place, cost, fee)
        if self.payees is not None:
            self.payees.add(place, [None if at is None else self.place(at) for at in paid_before])
        self.positions.append(position)
        self.costs = push(self.costs, self.costs[-1] + cost)
        self.fees = push(self.fees, self.fees[-1] + fee)
        self.fresh.append(self.fresh[-1] + fresh)

    def _groups_with(self, founder: int) -> _Groups:
        """The groups; one is made when its second spend comes, with the first if that is in this series."""
        if self.groups is None:
            self.groups = _Groups()
        if founder not in self.groups.latest:
            alone = self._alone(founder)
            if alone is not None:
                self.groups.add(founder, *alone)
        return self.groups

    def _alone(self, founder: int) -> tuple[int, int, int] | None:
        """Place, cost and fee of a spend that no other of its group has followed here."""
        at = self.place(founder)
        if at == len(self.positions) or self.positions[at] != founder:
            return None
        return at, self.costs[at + 1] - self.costs[at], self.fees[at + 1] - self.fees[at]

    def place(self, position: int) -> int:
        """How many spends here stand before a position of the book."""
        return bisect_left(self.positions, position)

    def usage(self, first: int, end: int) -> Usage:
        """What counts of the places from `first` up to, not including, `end`."""
        total, fees = self.costs[end] - self.costs[first], self.fees[end] - self.fees[first]
        count = self.fresh[end] - self.fresh[first]
        if first and self.groups is not None:
            low, high = bisect_left(self.again, first), bisect_left(self.again, end)
            for some in self.before.below(first, low, high):
                count += len(some)
                for before in some:
                    founder = self.founders[self.positions[before]]
                    more, more_fees = self.groups.correction(founder, first, end)
                    total, fees = total + more, fees + more_fees
        return Usage(total, count, fees, 0 if self.payees is None else self.payees.count(first, end))

    def usage_with(
        self, first: int, founder: int | None, cost: int, fee: int, paid_before: Iterable[int | None] = ()
    ) -> Usage:
        """What would count from `first` on with one spend more at the end; `founder` None founds its own group."""
        now = self.usage(first, len(self.positions))
        beside = None if founder is None else self._largest(founder, first)
        most, most_fee = (0, 0) if beside is None else beside
        new = 0
        if self.payees is not None:
            new = sum(at is None or self.place(at) < first for at in paid_before)
        return Usage(
            now.sum_sats + max(0, cost - most),
            now.count + (beside is None),
            now.fees_sats + max(0, fee - most_fee),
            now.recipients + new,
        )

    def _largest(self, founder: int, first: int) -> tuple[int, int] | None:
        """The largest cost and fee of a group from `first` on."""
        if self.groups is not None and founder in self.groups.latest:
            return self.groups.largest(founder, first)
        alone = self._alone(founder)
        return None if alone is None or alone[0] < first else alone[1:]
