"""The book of budgets: what this node has signed away, never refilled by a timeout, an edit or a restart.

A spend once signed may confirm at any time, so its booking stays. Two spends that share a coin can never both
confirm; so that a replacement (a higher fee) is not paid for twice, each booking stands under exactly one of its
outpoints, and a total counts the largest booking under each. No total is below the truth: spends that can all
confirm share no coin, so they stand under different outpoints and each is counted in full.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from taproot import OutPoint


@dataclass(frozen=True, slots=True)
class Booking:
    """One signed spend: what leaves with it (fee included), when by the policy clock, and which coins it uses."""

    spend_id: bytes
    at_ms: int
    leaving_sats: int
    outpoints: tuple[OutPoint, ...]

    def __post_init__(self) -> None:
        if not self.outpoints or self.leaving_sats < 0:
            raise ValueError("a booking has coins and an amount that is not negative")


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking and the one outpoint it stands under."""

    booking: Booking
    under: OutPoint


@dataclass(frozen=True, slots=True)
class Usage:
    """What a window holds: the sum that counts, and how many spends that can all confirm at most."""

    sum_sats: int
    count: int


class _Index:
    """Where things stand in the entries of one line of books, each the one before and a booking more.

    The books of a line share it: a younger book extends it, an older one ignores what lies beyond its own end.
    `sums` and `repeats` hold, for each place, what leaves with all entries before it, and how many of those stand
    under an outpoint that an earlier one stood under.
    """

    __slots__ = ("ids", "length", "newest_under", "repeats", "sums")

    def __init__(self, entries: Iterable[Booked] = ()) -> None:
        self.length = 0
        self.ids: dict[bytes, int] = {}
        self.newest_under: dict[OutPoint, int] = {}
        self.sums = [0]
        self.repeats = [0]
        for entry in entries:
            self.add(entry)

    def add(self, entry: Booked) -> None:
        self.sums.append(self.sums[-1] + entry.booking.leaving_sats)
        self.repeats.append(self.repeats[-1] + (entry.under in self.newest_under))
        self.ids[entry.booking.spend_id] = self.newest_under[entry.under] = self.length
        self.length += 1


@dataclass(frozen=True, slots=True)
class Book:
    """All bookings in the order of the policy clock.

    `exhausted_since_ms` is set on a recovered node, which cannot know what it signed before: every window counts as
    full until its own length has passed since then.
    """

    entries: tuple[Booked, ...] = ()
    exhausted_since_ms: int | None = None
    _index: _Index | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self._index is None:
            object.__setattr__(self, "_index", _Index(self.entries))

    def holds(self, spend_id: bytes) -> bool:
        """Whether this spend is booked already."""
        assert self._index is not None  # __post_init__ made it
        return self._index.ids.get(spend_id, len(self.entries)) < len(self.entries)

    def with_booking(self, booking: Booking) -> Book:
        """The book with one more spend; the same book when the spend id is booked already.

        A spend that conflicts with earlier ones stands under the outpoint of the newest of those. A time before
        the last booking counts as that time: the policy clock never runs backwards.
        """
        if self.holds(booking.spend_id):
            return self
        index = self._tip()
        entry = self._placed(booking, index)
        index.add(entry)
        return Book((*self.entries, entry), self.exhausted_since_ms, index)

    def _tip(self) -> _Index:
        """The index, when it ends where this book ends; else a new one: this book is no longer its line's youngest."""
        assert self._index is not None  # __post_init__ made it
        return self._index if self._index.length == len(self.entries) else _Index(self.entries)

    def _placed(self, booking: Booking, index: _Index) -> Booked:
        conflicts = [
            (at, coin) for coin in booking.outpoints if (at := index.newest_under.get(coin)) is not None
        ]
        under = max(conflicts)[1] if conflicts else min(booking.outpoints)
        if self.entries and booking.at_ms < self.entries[-1].booking.at_ms:
            booking = replace(booking, at_ms=self.entries[-1].booking.at_ms)
        return Booked(booking, under)

    def with_confirmed(self, spend_id: bytes, outpoints: Iterable[OutPoint]) -> Book:
        """The book once a transaction that spends these coins is buried in the chain: conflicting spends are over.

        This is the only way a booking ends. `spend_id` is the confirmed spend's own (its booking stays), or 32
        zero bytes for a transaction that was never booked here. The caller vouches that the chain will not undo it.
        """
        gone = set(outpoints)
        kept = tuple(
            entry
            for entry in self.entries
            if entry.booking.spend_id == spend_id or gone.isdisjoint(entry.booking.outpoints)
        )
        return Book(kept, self.exhausted_since_ms)

    def exhausted(self, since_ms: int) -> Book:
        """The book of a node rebuilt at this time: every window counts as full until it has passed."""
        return replace(self, exhausted_since_ms=max(since_ms, self.exhausted_since_ms or 0))

    def is_exhausted(self, window_ms: int, now_ms: int) -> bool:
        """Whether a window of this length still counts as full after a recovery."""
        return self.exhausted_since_ms is not None and now_ms < self.exhausted_since_ms + window_ms

    def usage(self, window_ms: int, now_ms: int) -> Usage:
        """What counts in the window that ends now; a booking leaves it exactly `window_ms` after it was made."""
        return self._usage_from(self._first_after(now_ms - window_ms))

    def usage_with(self, booking: Booking, window_ms: int, now_ms: int) -> Usage:
        """The usage there would be with one more booking; without it when the spend id is booked already."""
        first = self._first_after(now_ms - window_ms)
        if self.holds(booking.spend_id):
            return self._usage_from(first)
        index = self._tip()
        placed = self._placed(booking, index)
        if placed.booking.at_ms <= now_ms - window_ms:
            return self._usage_from(first)
        if placed.under in index.newest_under:
            return _usage((*self.entries[first:], placed))
        before = self._usage_from(first)
        return Usage(before.sum_sats + placed.booking.leaving_sats, before.count + 1)

    def room_at(self, window_ms: int, now_ms: int, room_sats: int) -> int | None:
        """When, if nothing more is signed, the window's sum will be at most `room_sats`; None when it never will."""
        if room_sats < 0:
            return None
        inside = self.entries[self._first_after(now_ms - window_ms) :]
        ends = [entry.booking.at_ms + window_ms for entry in inside]
        if not ends or self.usage(window_ms, now_ms).sum_sats <= room_sats:
            return now_ms
        return ends[bisect_left(ends, True, key=lambda end: self.usage(window_ms, end).sum_sats <= room_sats)]

    def _first_after(self, time_ms: int) -> int:
        return bisect_right(self.entries, time_ms, key=lambda entry: entry.booking.at_ms)

    def _usage_from(self, first: int) -> Usage:
        """The usage of all entries from this place on; where no outpoint stands twice, no walk is needed."""
        assert self._index is not None  # __post_init__ made it
        end, sums, repeats = len(self.entries), self._index.sums, self._index.repeats
        if repeats[end] > repeats[first]:
            return _usage(self.entries[first:])
        return Usage(sums[end] - sums[first], end - first)


def _usage(entries: Iterable[Booked]) -> Usage:
    largest: dict[OutPoint, int] = {}
    for entry in entries:
        largest[entry.under] = max(largest.get(entry.under, 0), entry.booking.leaving_sats)
    return Usage(sum(largest.values()), len(largest))
