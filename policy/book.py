"""The book of budgets: what this node has signed away, never refilled by a timeout, an edit or a restart.

A spend once signed may confirm at any time, so its booking stays. Two spends that share a coin can never both
confirm; so that a replacement (a higher fee) is not paid for twice, each booking stands under exactly one of its
outpoints, and a total counts the largest booking under each. No total is below the truth: spends that can all
confirm share no coin, so they stand under different outpoints and each is counted in full. That holds for the whole
wallet as for any part of it (a recipient, who asked, a grant), since a part is only fewer spends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from policy.bookings import WALLET, Booked, Booking, Scope, Usage
from policy.ledger import Ledger
from policy.series import Series
from taproot import OutPoint


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """All bookings in the order of the policy clock.

    `exhausted_since_ms` is set on a recovered node, which cannot know what it signed before: every window counts as
    full until it begins after that. Books are values: one with a booking more is another book. They share one ledger,
    of which each knows its own length.
    """

    exhausted_since_ms: int | None = None
    _ledger: Ledger = field(default_factory=Ledger, repr=False)
    size: int = 0

    @classmethod
    def of(cls, bookings: Iterable[Booking], exhausted_since_ms: int | None = None) -> Book:
        """The book of these bookings, in this order."""
        ledger = Ledger()
        for booking in bookings:
            ledger.add(booking)
        return cls(exhausted_since_ms, ledger, ledger.length)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Book):
            return NotImplemented
        alike = (self.size, self.exhausted_since_ms) == (other.size, other.exhausted_since_ms)
        return alike and (self._ledger is other._ledger or self.entries == other.entries)

    def __hash__(self) -> int:
        return hash((self.size, self.exhausted_since_ms))

    @property
    def entries(self) -> tuple[Booked, ...]:
        """Every booking with the outpoint it stands under."""
        return tuple(self._ledger.booked(position) for position in range(self.size))

    def with_booking(self, booking: Booking) -> Book:
        """The book with one more spend; the same book when the spend id is booked already.

        A spend that conflicts with earlier ones stands under the outpoint of the newest of those. A time before
        the last booking counts as that time: the policy clock never runs backwards.
        """
        if self.holds(booking.spend_id):
            return self
        ledger = self._youngest()
        ledger.add(booking)
        return Book(self.exhausted_since_ms, ledger, ledger.length)

    def _youngest(self) -> Ledger:
        """The ledger, ending where this book ends; one of its own when others have gone on in the shared one."""
        if self._ledger.length != self.size:
            object.__setattr__(self, "_ledger", Ledger.of(self.entries))
        return self._ledger

    def with_confirmed(self, spend_id: bytes, outpoints: Iterable[OutPoint]) -> Book:
        """The book once a transaction that spends these coins is buried in the chain: conflicting spends are over.

        This is the only way a booking ends. `spend_id` is the confirmed spend's own (its booking stays), or 32
        zero bytes for a transaction that was never booked here. The caller vouches that the chain will not undo it.
        """
        over = {entry.spend_id for entry in self.conflicting(outpoints)} - {spend_id}
        if not over:
            return self
        kept = Ledger.of(entry for entry in self.entries if entry.booking.spend_id not in over)
        return Book(self.exhausted_since_ms, kept, kept.length)

    def exhausted(self, since_ms: int) -> Book:
        """The book of a node rebuilt at this time: every window counts as full until it has passed."""
        return replace(self, exhausted_since_ms=max(since_ms, self.exhausted_since_ms or 0))

    def is_exhausted(self, start_ms: int) -> bool:
        """Whether a window that begins then still counts as full after a recovery."""
        return self.exhausted_since_ms is not None and start_ms <= self.exhausted_since_ms

    # What is in it.

    def holds(self, spend_id: bytes) -> bool:
        """Whether this spend is booked already."""
        return self._ledger.position_of(spend_id, self.size) is not None

    def booked(self, spend_id: bytes) -> Booking | None:
        """What was booked for this spend; None where nothing was."""
        position = self._ledger.position_of(spend_id, self.size)
        return None if position is None else self._ledger.booking(position)

    def last_but(self, spend_id: bytes) -> Booking | None:
        """The newest booking made before this spend was booked, or of all when it is not; None when there is none."""
        position = self._ledger.position_of(spend_id, self.size)
        before = self.size if position is None else position
        return self._ledger.booking(before - 1) if before else None

    def conflicting(self, outpoints: Iterable[OutPoint]) -> tuple[Booking, ...]:
        """Every booking that uses one of these coins, in the order of the book."""
        found = {position for coin in outpoints for position in self._ledger.users(coin)}
        return tuple(self._ledger.booking(position) for position in sorted(found) if position < self.size)

    def paid_before(self, script_pubkey: bytes, spend_id: bytes) -> bool:
        """Whether another spend than this one, booked before it, pays the script."""
        series = self._ledger.series(Scope.recipient(script_pubkey))
        position = self._ledger.position_of(spend_id, self.size)
        return series is not None and series.place(self.size if position is None else position) > 0

    def intent_spent_by(self, intent: bytes) -> bytes | None:
        """The first spend that was signed under this intent; None while there is none."""
        position = self._ledger.intents.get(intent)
        return None if position is None or position >= self.size else self._ledger.spend_ids[position]

    # Totals.

    def usage(self, start_ms: int, scope: Scope = WALLET) -> Usage:
        """What counts of all that was booked from this time on."""
        series = self._ledger.series(scope)
        if series is None:
            return Usage()
        return series.usage(self._first(series, start_ms), self._end(series))

    def usage_with(self, booking: Booking, start_ms: int, scope: Scope = WALLET) -> Usage:
        """The usage there would be with one more booking; without it when the spend id is booked already."""
        at_ms = max(booking.at_ms, self._ledger.time_before(self.size))
        if self.holds(booking.spend_id) or at_ms < start_ms or not scope.holds(booking):
            return self.usage(start_ms, scope)
        ledger = self._youngest()
        series = ledger.series(scope) or ledger.empty(scope)
        return series.usage_with(
            self._first(series, start_ms),
            ledger.founder_of(booking),
            scope.cost_sats(booking),
            booking.fee_sats,
            ledger.paid_before(scope, booking),
        )

    def must_leave_until(
        self, fits: Callable[[Usage], bool], booking: Booking, start_ms: int, scope: Scope = WALLET
    ) -> int | None:
        """The time of the last booking that must leave the window, so that with one more spend its usage fits.

        None when it fits as it is, and when it never will. Less in the window never makes `fits` false.
        """
        ledger = self._youngest()
        series = ledger.series(scope) or ledger.empty(scope)
        founder, cost = ledger.founder_of(booking), scope.cost_sats(booking)
        paid = ledger.paid_before(scope, booking)
        held = self.holds(booking.spend_id)

        def fits_from(place: int) -> bool:
            if held:
                return fits(series.usage(place, len(series.positions)))
            return fits(series.usage_with(place, founder, cost, booking.fee_sats, paid))

        low, high = self._first(series, start_ms), len(series.positions)
        if fits_from(low) or not fits_from(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fits_from(middle) else (middle, high)
        return ledger.times[series.positions[high - 1]]

    def _first(self, series: Series, start_ms: int) -> int:
        return series.place(self._ledger.first_from(start_ms, self.size))

    def _end(self, series: Series) -> int:
        whole = self._ledger.length == self.size
        return len(series.positions) if whole else series.place(self.size)
