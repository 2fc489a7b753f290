"""The book of budgets: never below the truth, never refilled, and no double count of a replacement."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.book import Book
from policy.bookings import EVER_MS, WALLET, Booking, Scope, Usage
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


def test_a_booking_needs_coins_and_an_amount() -> None:
    with pytest.raises(ValueError):
        Booking(bytes(32), 0, 1, ())
    with pytest.raises(ValueError):
        Booking(bytes(32), 0, -1, (coin(1),))


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
