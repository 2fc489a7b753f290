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
    """

    __slots__ = ("ids", "length", "newest_under")

    def __init__(self, entries: Iterable[Booked] = ()) -> None:
        self.length = 0
        self.ids: dict[bytes, int] = {}
        self.newest_under: dict[OutPoint, int] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Booked) -> None:
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
        return _usage(self._since(now_ms - window_ms))

    def usage_with(self, booking: Booking, window_ms: int, now_ms: int) -> Usage:
        """The usage there would be with one more booking; without it when the spend id is booked already."""
        inside = self._since(now_ms - window_ms)
        if self.holds(booking.spend_id):
            return _usage(inside)
        placed = self._placed(booking, self._tip())
        return _usage((*inside, placed) if placed.booking.at_ms > now_ms - window_ms else inside)

    def room_at(self, window_ms: int, now_ms: int, room_sats: int) -> int | None:
        """When, if nothing more is signed, the window's sum will be at most `room_sats`; None when it never will."""
        if room_sats < 0:
            return None
        ends = [entry.booking.at_ms + window_ms for entry in self._since(now_ms - window_ms)]
        if not ends or self.usage(window_ms, now_ms).sum_sats <= room_sats:
            return now_ms
        return ends[bisect_left(ends, True, key=lambda end: self.usage(window_ms, end).sum_sats <= room_sats)]

    def _since(self, time_ms: int) -> tuple[Booked, ...]:
        return self.entries[bisect_right(self.entries, time_ms, key=lambda entry: entry.booking.at_ms) :]


def _usage(entries: Iterable[Booked]) -> Usage:
    largest: dict[OutPoint, int] = {}
    for entry in entries:
        largest[entry.under] = max(largest.get(entry.under, 0), entry.booking.leaving_sats)
    return Usage(sum(largest.values()), len(largest))
