"""What a second reader tried against the policy: cost of a judgement, clocks that were set, spends signed before."""

from __future__ import annotations

from policy import Book, Booking
from policy.bookings import Scope
from policy.ledger import Ledger
from taproot import OutPoint

SCRIPTS = tuple(b"\x00\x14" + number.to_bytes(20, "big") for number in range(1000))
WIDE = Booking(
    b"\x01" * 32, 1_000, 1_000_000, (OutPoint(b"\x02" * 32, 0),), payments=tuple((script, 5) for script in SCRIPTS)
)  # fmt: skip


class TestCost:
    def test_a_limit_per_recipient_looks_at_no_other_recipient(self) -> None:
        """With a thousand outputs it would look at a million, for each limit and at each judgement."""
        book = Book.of([WIDE])
        assert Ledger().paid_before(Scope.recipient(SCRIPTS[0]), WIDE) == []
        assert book.usage(0, Scope.recipient(SCRIPTS[0])).sum_sats == 5
        assert WIDE.paid_sats is WIDE.paid_sats, "made once"
