"""The book of budgets: never below the truth, never refilled, and no double count of a replacement."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.book import Book
from policy.bookings import EVER_MS, WALLET, Booking, Scope, Usage
from policy.ledger import FEW
from taproot import OutPoint

HOUR = 3_600_000
DAY = 24 * HOUR


def day(now: int) -> int:
    """Where the day that ends now begins."""
    return now - DAY + 1


def coin(number: int) -> OutPoint:
    return OutPoint(bytes([number]) * 32, 0)


def booking(number: int, at_ms: int, amount: int, *coins: int) -> Booking:
    return Booking(bytes([number]) * 32, at_ms, amount, tuple(coin(c) for c in coins))


def book_of(*bookings: Booking) -> Book:
    book = Book()
    for entry in bookings:
        book = book.with_booking(entry)
    return book


@st.composite
def histories(draw: st.DrawFn) -> list[Booking]:
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(0, 12 * HOUR),
                st.integers(0, 1000),
                st.sets(st.integers(0, 5), min_size=1, max_size=3),
            ),
            max_size=8,
        )
    )
    now, made = 0, []
    for number, (wait, amount, coins) in enumerate(steps):
        now += wait
        made.append(booking(number, now, amount, *sorted(coins)))
    return made


def truth(bookings: list[Booking]) -> tuple[int, int]:
    """The largest sum, and the largest number, of spends that can all confirm: tried one by one."""
    sums, counts = [0], [0]
    for size in range(1, len(bookings) + 1):
        for chosen in combinations(bookings, size):
            coins = [c for entry in chosen for c in entry.outpoints]
            if len(set(coins)) == len(coins):
                sums.append(sum(entry.leaving_sats for entry in chosen))
                counts.append(size)
    return max(sums), max(counts)


@given(histories(), st.integers(0, 5 * DAY))
def test_never_below_what_can_confirm(history: list[Booking], now: int) -> None:
    book = book_of(*history)
    inside = [entry for entry in history if entry.at_ms > now - DAY]
    usage = book.usage(day(now))
    most, count = truth(inside)
    assert usage.sum_sats >= most
    assert usage.count >= count
    assert usage.sum_sats <= sum(entry.leaving_sats for entry in inside)


@given(histories(), st.integers(0, 5 * DAY), st.integers(0, 8))
def test_usage_is_what_a_walk_over_the_window_finds(history: list[Booking], now: int, fork: int) -> None:
    """Also in an older book, whose line has gone on without it."""
    books = [Book()]
    for entry in history:
        books.append(books[-1].with_booking(entry))
    for book, more in zip(books, history, strict=False):
        inside = [booked for booked in book.entries if booked.booking.at_ms > now - DAY]
        largest: dict[OutPoint, int] = {}
        for booked in inside:
            largest[booked.under] = max(largest.get(booked.under, 0), booked.booking.leaving_sats)
        usage = book.usage(day(now))
        assert (usage.sum_sats, usage.count) == (sum(largest.values()), len(largest))
        assert book.usage_with(more, day(now)) == book.with_booking(more).usage(day(now))
    older = books[min(fork, len(history))]
    other = booking(99, 6 * DAY, 7, 0)
    assert older.usage_with(other, day(6 * DAY)) == older.with_booking(other).usage(day(6 * DAY))


@given(histories())
def test_each_booking_stands_under_one_of_its_own_coins(history: list[Booking]) -> None:
    for entry in book_of(*history).entries:
        assert entry.under in entry.booking.outpoints


@given(histories())
def test_booking_never_lowers_a_total_and_counts_once(history: list[Booking]) -> None:
    book = Book()
    for entry in history:
        before = book.usage(day(entry.at_ms))
        book = book.with_booking(entry)
        after = book.usage(day(entry.at_ms))
        assert before.sum_sats <= after.sum_sats <= before.sum_sats + entry.leaving_sats
        assert book.with_booking(entry) is book


@given(histories(), st.data())
def test_order_of_spends_without_conflict_does_not_matter(
    history: list[Booking], data: st.DataObject
) -> None:
    used: set[OutPoint] = set()
    apart = []
    for entry in history:
        if used.isdisjoint(entry.outpoints):
            used |= set(entry.outpoints)
            apart.append(Booking(entry.spend_id, 0, entry.leaving_sats, entry.outpoints))
    shuffled = data.draw(st.permutations(apart))
    assert book_of(*apart).usage(day(1)) == book_of(*shuffled).usage(day(1))
    assert book_of(*apart).usage(day(1)).sum_sats == truth(apart)[0]


def test_a_replacement_costs_only_what_it_adds() -> None:
    book = book_of(booking(1, 0, 500, 1), booking(2, HOUR, 520, 1, 2), booking(3, HOUR, 510, 1))
    assert book.usage(day(HOUR)).sum_sats == 520
    assert book.usage(day(HOUR)).count == 1


def test_sharing_a_coin_with_two_pays_for_both() -> None:
    """A spend of coins 1 and 2 conflicts with both earlier ones, which can both confirm without it."""
    book = book_of(booking(1, 0, 500, 1), booking(2, 0, 500, 2), booking(3, 0, 700, 1, 2))
    assert book.usage(day(1)).sum_sats == 1200


def test_leaves_a_window_exactly_when_it_has_passed() -> None:
    book = book_of(booking(1, 1000, 500, 1))
    assert book.usage(day(1000 + DAY - 1)).sum_sats == 500
    assert book.usage(day(1000 + DAY)).sum_sats == 0


def test_nothing_but_a_confirmed_conflict_ends_a_booking() -> None:
    book = book_of(booking(1, 0, 500, 1), booking(2, 0, 300, 1), booking(3, 0, 200, 3))
    assert book.with_confirmed(b"\x09" * 32, [coin(7)]) == book
    after = book.with_confirmed(b"\x02" * 32, [coin(1)])
    assert [entry.booking.spend_id[0] for entry in after.entries] == [2, 3]
    assert after.usage(day(1)).sum_sats == 500
    assert book.with_confirmed(bytes(32), [coin(1)]).usage(day(1)).sum_sats == 200


def test_a_recovered_node_counts_every_window_as_full() -> None:
    book = Book().exhausted(1000)
    assert book.is_exhausted(day(1000 + DAY - 1))
    assert not book.is_exhausted(day(1000 + DAY))
    assert book.is_exhausted(1000 - 6 * DAY + 1)
    assert book.exhausted(10) == book


def test_what_must_leave_before_there_is_room() -> None:
    book = book_of(booking(1, 0, 500, 1), booking(2, HOUR, 300, 2), booking(3, 2 * HOUR, 100, 3))

    def leaves(limit: int, mine: Booking) -> int | None:
        return book.must_leave_until(lambda usage: usage.sum_sats <= limit, mine, EVER_MS)

    fresh = booking(9, 3 * HOUR, 50, 9)
    assert leaves(950, fresh) is None
    assert leaves(450, fresh) == 0
    assert leaves(449, fresh) == HOUR
    assert leaves(50, fresh) == 2 * HOUR
    assert leaves(49, fresh) is None
    replaces = booking(9, 3 * HOUR, 350, 2)
    assert leaves(950, replaces) is None
    assert leaves(450, replaces) == 0
    assert leaves(350, replaces) == 2 * HOUR
    assert leaves(400, booking(2, HOUR, 300, 2)) == 0
    assert leaves(100, booking(2, HOUR, 300, 2)) == HOUR


def test_a_booking_needs_coins_and_an_amount() -> None:
    with pytest.raises(ValueError):
        Booking(bytes(32), 0, 1, ())
    with pytest.raises(ValueError):
        Booking(bytes(32), 0, -1, (coin(1),))


def test_a_window_that_begins_later_does_not_hold_it() -> None:
    book = book_of(booking(1, 5, 500, 1))
    assert book.usage_with(booking(2, 6, 300, 2), 6) == Usage(300, 1)
    assert book.usage_with(booking(2, 6, 300, 2), 7) == Usage()


def test_a_time_before_the_last_counts_as_the_last() -> None:
    book = book_of(booking(1, DAY, 500, 1), booking(2, 0, 300, 2))
    assert book.usage(day(2 * DAY - 1)).sum_sats == 800


def test_a_replacement_stands_under_the_newest_it_conflicts_with() -> None:
    """The old one leaves the window first; under its coin the replacement would be counted beside the newer one."""
    book = book_of(booking(1, 0, 500, 1), booking(2, DAY, 500, 2), booking(3, DAY, 500, 1, 2))
    assert book.usage(day(DAY + 1)).sum_sats == 500


@given(histories(), st.integers(0, 5 * DAY))
def test_usage_with_is_the_usage_of_the_book_with_it(history: list[Booking], now: int) -> None:
    book = Book()
    for entry in history:
        assert book.usage_with(entry, day(now)) == book.with_booking(entry).usage(day(now))
        book = book.with_booking(entry)


@given(histories(), st.data())
def test_an_older_book_knows_nothing_of_younger_ones(history: list[Booking], data: st.DataObject) -> None:
    """Books share an index; whichever is asked, and however they branch, each is as if it were alone."""
    books = [Book()]
    made: list[list[Booking]] = [[]]
    for entry in history:
        at = data.draw(st.integers(0, len(books) - 1))
        books.append(books[at].with_booking(entry))
        made.append([*made[at], entry])
    for book, bookings in zip(books, made, strict=True):
        assert book == book_of(*bookings)
        assert all(book.holds(entry.spend_id) == (entry in bookings) for entry in history)
        for entry in history:
            assert book.usage_with(entry, day(5 * DAY)) == book_of(*bookings).usage_with(entry, day(5 * DAY))


# Scopes, and what else is looked up.


def paying(number: int, at_ms: int, coin_number: int, *paid: tuple[int, int], grant: int = 0) -> Booking:
    """A spend with a fee of 10, asked for by `desk`; the grant under its number, 0 for none."""
    payments = tuple((script(to), sats) for to, sats in paid)
    leaving = sum(sats for _, sats in paid) + 10
    under = bytes([grant]) * 32 if grant else b""
    return Booking(
        bytes([number]) * 32, at_ms, leaving, (coin(coin_number),), 10, payments, "desk", None, under
    )


def script(number: int) -> bytes:
    return b"\x51\x20" + bytes([number]) * 32


def test_what_a_spend_costs_each_scope() -> None:
    book = book_of(paying(1, 0, 1, (1, 500), (1, 20), (2, 30), grant=7))
    assert book.usage(EVER_MS) == Usage(560, 1, 10, 2)
    assert book.usage(EVER_MS, Scope.initiator("desk")) == Usage(560, 1, 10, 2)
    assert book.usage(EVER_MS, Scope.initiator("phone")) == Usage()
    assert book.usage(EVER_MS, Scope.recipient(script(1))) == Usage(520, 1, 10)
    assert book.usage(EVER_MS, Scope.recipient(script(3))) == Usage()
    assert book.usage(EVER_MS, Scope.grant(b"\x07" * 32)) == Usage(550, 1, 10)
    assert book.usage(EVER_MS, Scope.grant(b"")) == Usage()


def test_a_replacement_uses_a_grant_once() -> None:
    book = book_of(
        paying(1, 0, 1, (1, 500), grant=7),
        paying(2, 1, 1, (1, 480), grant=7),
        paying(3, 2, 2, (1, 100), grant=7),
    )
    granted = Scope.grant(b"\x07" * 32)
    assert book.usage(EVER_MS, granted) == Usage(600, 2, 20)
    higher = paying(4, 3, 1, (1, 510), grant=7)
    assert book.usage_with(higher, EVER_MS, granted) == Usage(610, 2, 20)
    # One that was not signed under the grant and replaces the first takes nothing from it.
    other = book.with_booking(paying(5, 3, 1, (1, 900)))
    assert other.usage(EVER_MS, granted) == Usage(600, 2, 20)


@pytest.mark.parametrize("times", [1, 2, FEW, FEW + 1, 2 * FEW, 70])
def test_a_recipient_paid_a_few_times_and_often(times: int) -> None:
    book = Book()
    for number in range(times):
        more = replace(paying(number, number, number, (1, 5)), initiator=("desk", "phone")[number % 2])
        assert book.usage_with(more, 0) == book.with_booking(more).usage(0)
        book = book.with_booking(more)
        assert book.usage(EVER_MS, Scope.recipient(script(1))) == Usage(
            5 * number + 5, number + 1, 10 * number + 10
        )
        assert book.usage(number, Scope.initiator(more.initiator)) == Usage(15, 1, 10, 1)
        assert book.usage(number).recipients == 1
    desk = replace(paying(200, times, 200, (1, 5)), initiator="desk")
    assert book.usage_with(desk, times - 1, Scope.initiator("desk")).recipients == 1
    assert book.usage_with(desk, 0, Scope.initiator("desk")).recipients == 1


def test_first_of_an_intent() -> None:
    intent = b"\x05" * 32
    book = Book()
    assert book.intent_spent_by(intent) is None
    spent = book.with_booking(replace(paying(1, 0, 1, (1, 5)), intent=intent))
    again = spent.with_booking(replace(paying(2, 0, 1, (1, 5)), intent=intent))
    assert again.intent_spent_by(intent) == b"\x01" * 32
    assert (book.intent_spent_by(intent), again.intent_spent_by(b"")) == (None, None)


def test_who_was_paid_before() -> None:
    book = book_of(paying(1, 0, 1, (1, 5)), paying(2, 0, 2, (1, 5), (2, 5)))
    assert book.paid_before(script(1), b"\x09" * 32)
    assert book.paid_before(script(1), b"\x02" * 32)
    assert not book.paid_before(script(1), b"\x01" * 32)
    assert not book.paid_before(script(2), b"\x02" * 32)
    assert not book.paid_before(script(3), b"\x09" * 32)


def test_spends_with_a_coin_in_common() -> None:
    first, second, third = booking(1, 0, 5, 1, 2), booking(2, 0, 5, 2, 3), booking(3, 0, 5, 4)
    book = book_of(first, second, third)
    assert book.conflicting([coin(2)]) == (first, second)
    assert book.conflicting([coin(1), coin(3), coin(4)]) == (first, second, third)
    assert book.conflicting([coin(9)]) == ()
    assert book_of(first).conflicting([coin(2), coin(3)]) == (first,)


def test_the_last_but_this_one() -> None:
    book = book_of(replace(booking(1, 0, 5, 1), height=800), booking(2, 0, 5, 2))
    assert book.last_but(b"\x09" * 32) == booking(2, 0, 5, 2)
    assert book.last_but(b"\x02" * 32) == replace(booking(1, 0, 5, 1), height=800)
    assert book.last_but(b"\x01" * 32) is None
    assert Book().last_but(b"\x01" * 32) is None


def test_every_part_of_a_booking_is_kept() -> None:
    full = Booking(
        b"\x01" * 32, 7, 100, (coin(2), coin(1)), 10, ((script(2), 40), (script(1), 0), (script(2), 50)), "desk", 0,
        b"\x03" * 32, b"\x04" * 32,
    )  # fmt: skip
    book = Book.of([full, booking(2, 8, 3, 1)], 5)
    assert [entry.booking for entry in book.entries] == [full, booking(2, 8, 3, 1)]
    assert [entry.under for entry in book.entries] == [coin(1), coin(1)]
    assert (book.exhausted_since_ms, book.size) == (5, 2)
    assert book == Book.of([full, booking(2, 8, 3, 1)]).exhausted(5)
    assert book != Book.of([full, booking(2, 8, 3, 1)])
    assert book != Book.of([full, booking(2, 8, 4, 1)], 5)
    assert hash(book) == hash(Book.of([full, booking(2, 8, 3, 1)], 5))
    assert book != "a book"


def test_no_sum_is_too_large() -> None:
    """Whatever amounts a hostile request claims: the sums are right, and the book goes on."""
    huge = [Booking(bytes([n]) * 32, n, 2**62, (coin(n % 5),), 2**62) for n in range(1, 9)]
    huge.append(Booking(b"\x63" * 32, 9, 2**80, (coin(3),), 0, ((script(1), 2**79),), "", 2**70))
    book = book_of(*huge)
    assert book.usage(EVER_MS) == Usage(4 * 2**62 + 2**80, 5, 5 * 2**62, 1)
    assert book.usage(4) == Usage(4 * 2**62 + 2**80, 5, 5 * 2**62, 1)
    assert book.usage_with(booking(98, 9, 2**81, 3), EVER_MS).sum_sats == 4 * 2**62 + 2**81
    assert [entry.booking for entry in book.entries] == huge


def test_a_booking_that_cannot_be_kept_leaves_no_trace() -> None:
    book = book_of(booking(1, 0, 5, 1))
    for bad in (booking(2, 2**63, 5, 2), replace(booking(2, 1, 5, 2), outpoints=(OutPoint(bytes(32), -1),))):
        with pytest.raises(OverflowError):
            book.with_booking(bad)
        assert book == book_of(booking(1, 0, 5, 1))
    assert book.with_booking(booking(2, 1, 5, 2)).usage(EVER_MS) == Usage(10, 2)


def test_a_booking_makes_sense() -> None:
    fine = paying(1, 0, 1, (1, 5))
    for wrong in (
        {"fee_sats": -1},
        {"fee_sats": 11},
        {"payments": ((b"", -1),)},
        {"grant": b"1"},
        {"intent": b"1"},
    ):
        with pytest.raises(ValueError):
            replace(fine, **wrong)


# Independence of size: not the time is taken, but how often a column is read.

if TYPE_CHECKING:
    _Column = array[Any]
else:
    _Column = array


class Counted(_Column):
    """A column that counts how many of its numbers are read."""

    reads = 0

    def __getitem__(self, at: Any) -> Any:
        Counted.reads += len(range(*at.indices(len(self)))) if isinstance(at, slice) else 1
        return super().__getitem__(at)

    def __iter__(self) -> Any:
        raise AssertionError("a walk through a whole column")


def counting(thing: object, seen: dict[int, tuple[object, Any]]) -> Any:
    """A thing of a book with every column counting, however deep it lies; what is shared stays shared."""
    if id(thing) in seen:
        return seen[id(thing)][1]
    made = Counted(thing.typecode, thing) if isinstance(thing, array) else thing
    seen[id(thing)] = thing, made
    if isinstance(thing, dict):
        for key, value in thing.items():
            thing[key] = counting(value, seen)
    elif isinstance(thing, list) and thing and isinstance(thing[0], array):
        thing[:] = [counting(row, seen) for row in thing]
    else:
        for name in getattr(type(thing), "__slots__", ()):
            object.__setattr__(thing, name, counting(getattr(thing, name), seen))
    return made


def reads(size: int) -> list[int]:
    """How many numbers each question reads, in a history of which a tenth are replacements."""
    made = []
    for number in range(size):
        spent = number - 1 if number % 10 == 9 else number
        outpoint = OutPoint(spent.to_bytes(32, "big"), 0)
        payments = ((script(number % 20), 100),)
        made.append(
            Booking(
                number.to_bytes(32, "big"), number * HOUR, 110, (outpoint,), 10, payments, "desk", number,
                b"\x07" * 32 if number % 3 else b"",
            )
        )  # fmt: skip
    book, now = Book.of(made), size * HOUR
    counting(book, {})
    mine = Booking(b"\xff" * 32, now, 110, (coin(1),), 10, ((script(1), 100),), "desk")
    scopes = (WALLET, Scope.initiator("desk"), Scope.recipient(script(1)), Scope.grant(b"\x07" * 32))
    counts = []
    for start in (now - 20 * HOUR, now - size // 3 * HOUR, EVER_MS):
        for scope in scopes:
            Counted.reads = 0
            assert book.usage_with(mine, start, scope).count > 0
            counts.append(Counted.reads)
    for question in (
        lambda: book.must_leave_until(lambda usage: usage.count <= 4, mine, EVER_MS),
        lambda: book.last_but(mine.spend_id),
        lambda: book.paid_before(script(1), mine.spend_id),
        lambda: book.conflicting([coin(1)]),
        lambda: book.with_booking(mine).size,
    ):
        Counted.reads = 0
        question()
        counts.append(Counted.reads)
    return counts


def test_no_question_reads_more_in_a_longer_history() -> None:
    few, many = reads(1_000), reads(64_000)
    assert all(some > 0 for some in few[:12])
    assert all(more <= 4 * some for some, more in zip(few, many, strict=True)), (few, many)
    assert max(many) < 4_000, many
