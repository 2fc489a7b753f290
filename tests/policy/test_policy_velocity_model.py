"""The book and the rules of velocity against a slow book, over histories with conflicts, jumps, restarts and edits."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from policy_history import BERLIN, DAY, HOUR, NOW_MS, UTC, SlowBook, coin, facts, profile, script

from policy import velocity
from policy.book import Book
from policy.bookings import WALLET, Scope, Usage
from policy.clock import PolicyClock
from policy.facts import Facts
from policy.windows import Calendar, Lifetime, Per, Period, Rolling, Velocity, Window

WINDOWS = st.one_of(
    st.integers(1, 40 * 24).map(lambda hours: Rolling(hours * HOUR)),
    st.builds(Calendar, st.sampled_from(Period), st.sampled_from([BERLIN, UTC])),
    st.just(Lifetime()),
)
LIMITS = st.one_of(st.none(), st.integers(1, 6_000))
FEW = st.one_of(st.none(), st.integers(1, 6))
RULES = st.builds(
    Velocity, WINDOWS, LIMITS, FEW, st.one_of(st.none(), st.integers(1, 60)), FEW, st.none()
) | st.builds(Velocity, WINDOWS, LIMITS, FEW, LIMITS, st.none(), st.sampled_from(Per))
PAYMENTS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 900)), max_size=3)
COINS = st.sets(st.integers(0, 12), min_size=1, max_size=3)
PEOPLE = st.sampled_from(["desk", "phone", ""])
GRANTS = st.sampled_from([b"", b"", b"\x01" * 32, b"\x02" * 32])


class Budgets(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.wall_ms = NOW_MS
        self.monotonic_ms = 5_000
        self.clock = PolicyClock.first(wall_ms=self.wall_ms, monotonic_ms=self.monotonic_ms)
        self.book = Book()
        self.slow = SlowBook()
        self.limits: tuple[Velocity, ...] = (Velocity(Rolling(DAY), 3_000, 4, 40, 3),)
        self.older: list[tuple[Book, int]] = []
        self.number = 0

    # Time, restarts and edits.

    @rule(elapsed=st.integers(0, 3 * DAY))
    def time_passes(self, elapsed: int) -> None:
        self.wall_ms += elapsed
        self.monotonic_ms += elapsed
        self.read()

    @rule(offset=st.integers(-40 * DAY, 40 * DAY))
    def wall_clock_jumps(self, offset: int) -> None:
        self.wall_ms += offset
        before = self.clock.now_ms
        # Time that passed while the wall clock lay behind is not lost: it counts once that is right again.
        known_ms = self.clock.anchor_ms + self.monotonic_ms - self.clock.anchor_monotonic_ms
        self.read()
        assert before <= self.clock.now_ms <= max(before, known_ms + 2 * 60_000)

    @rule()
    def clock_is_confirmed(self) -> None:
        self.clock = self.clock.confirm(wall_ms=self.wall_ms, monotonic_ms=self.monotonic_ms)

    @rule(gap=st.integers(0, 3 * DAY))
    def restart(self, gap: int) -> None:
        """Everything but the records is forgotten; the book is made anew from those."""
        self.wall_ms += gap
        self.monotonic_ms = 0
        self.clock = PolicyClock.restarted(last_ms=self.clock.now_ms, monotonic_ms=0)
        made = Book.of(booking for booking, _ in self.slow.entries)
        assert made == self.book
        self.book = made

    @rule(rules=st.lists(RULES, max_size=4))
    def edit(self, rules: list[Velocity]) -> None:
        self.limits = tuple(rules)

    def read(self) -> None:
        self.clock = self.clock.read(wall_ms=self.wall_ms, monotonic_ms=self.monotonic_ms)

    # Spends.

    @rule(
        payments=PAYMENTS, coins=COINS, fee=st.integers(0, 30), who=PEOPLE, grant=GRANTS, book=st.booleans()
    )
    def spend(
        self, payments: list[tuple[int, int]], coins: set[int], fee: int, who: str, grant: bytes, book: bool
    ) -> None:
        self.number += 1
        made = facts(
            self.number, payments, coins=sorted(coins), fee_sats=fee, initiator=who,
            clock=self.clock.reading, book=self.book,
        )  # fmt: skip
        if self.judged(made) or book:
            booking = replace(made.booking(self.clock.now_ms), grant=grant)
            self.older.append((self.book, len(self.slow.entries)))
            self.book = self.book.with_booking(booking)
            self.slow.add(booking)

    @precondition(lambda self: self.slow.entries)
    @rule(data=st.data())
    def the_same_again(self, data: st.DataObject) -> None:
        """A spend that is booked costs nothing more: it is let pass exactly where what is booked is within limits."""
        booking, _ = data.draw(st.sampled_from(self.slow.entries))
        pays = [(to[2], sats) for to, sats in booking.payments]
        number = int.from_bytes(booking.spend_id, "little")
        coins = [int.from_bytes(c.txid, "big") for c in booking.outpoints]
        again = facts(
            number, pays, coins=coins, fee_sats=booking.fee_sats, initiator=booking.initiator,
            clock=self.clock.reading, book=self.book,
        )  # fmt: skip
        self.judged(again)
        assert self.book.with_booking(again.booking(self.clock.now_ms)) is self.book

    def judged(self, made: Facts) -> bool:
        """What the rules say of a spend, the same as the slow book says."""
        fine = True
        mine = made.booking(self.clock.now_ms)
        slow = self.slow.with_one(mine)
        for one in self.limits:
            expected = self.fits(one, slow, made)
            assert (velocity.kept(one, profile(one), made) is None) == all(expected)
            checks = (
                velocity.velocity_sum, velocity.velocity_count, velocity.velocity_fees, velocity.velocity_recipients
            )  # fmt: skip
            assert [not list(check(profile(one), made)) for check in checks] == expected
            fine = fine and all(expected)
        event("let pass" if fine else "refused")
        return fine

    def fits(self, one: Velocity, slow: SlowBook, made: Facts) -> list[bool]:
        scopes = {
            None: [WALLET],
            Per.INITIATOR: [Scope.initiator(made.initiator)],
            Per.RECIPIENT: [Scope.recipient(output.script_pubkey) for output in made.spend.outputs],
        }[one.per]
        used = [slow.usage(scope, one.window, self.clock.reading) for scope in scopes]
        return [
            limit is None or all(amount <= limit for amount in amounts)
            for limit, amounts in (
                (one.sum_sats, [usage.sum_sats for usage in used]),
                (one.count, [usage.count for usage in used]),
                (one.fees_sats, [usage.fees_sats for usage in used]),
                (one.recipients, [usage.recipients for usage in used]),
            )
        ]

    # What holds at all times.

    @invariant()
    def every_total_is_the_slow_books(self) -> None:
        reading = self.clock.reading
        windows: list[Window] = [Rolling(HOUR), Rolling(7 * DAY), Calendar(Period.WEEK, BERLIN), Lifetime()]
        scopes = [
            WALLET,
            *map(Scope.initiator, ("desk", "phone", "")),
            *(Scope.recipient(script(s)) for s in (1, 2)),
        ]
        for window in windows:
            start_ms = window.start_ms(reading.now_ms, in_doubt=reading.in_doubt)
            for scope in [*scopes, Scope.grant(b"\x01" * 32), Scope.grant(b"\x09" * 32)]:
                assert self.book.usage(start_ms, scope) == self.slow.usage(scope, window, reading)

    @precondition(lambda self: self.older)
    @invariant()
    def older_books_are_as_they_were(self) -> None:
        book, size = self.older[len(self.older) // 2]
        slow = SlowBook(self.slow.entries[:size])
        window, reading = Rolling(7 * DAY), self.clock.reading
        for scope in (WALLET, Scope.initiator("desk"), Scope.recipient(script(1))):
            assert book.usage(window.start_ms(reading.now_ms), scope) == slow.usage(scope, window, reading)

    @precondition(lambda self: self.slow.entries)
    @invariant()
    def room_comes_when_the_last_that_must_leave_has_left(self) -> None:
        mine = facts(99_999, [(1, 100)], coins=[1], fee_sats=7).booking(self.clock.now_ms)
        times = sorted({entry.at_ms for entry, _ in self.slow.entries})
        for limit in (107, 500, 2_000):
            found = self.book.must_leave_until(lambda usage: usage.sum_sats <= limit, mine, -(2**63))  # noqa: B023
            assert found == _slow_room(self.slow.with_one(mine), times, limit)

    @invariant()
    def look_ups(self) -> None:
        entries = [entry for entry, _ in self.slow.entries]
        assert [booked.booking for booked in self.book.entries] == entries
        assert self.book.conflicting([coin(3)]) == tuple(e for e in entries if coin(3) in e.outpoints)
        for at, entry in enumerate(entries[-2:], max(0, len(entries) - 2)):
            assert self.book.last_but(entry.spend_id) == (entries[at - 1] if at else None)
            for to in (script(1), script(2)):
                before = any(to == paid for e in entries[:at] for paid, _ in e.payments)
                assert self.book.paid_before(to, entry.spend_id) == before


def _slow_room(slow: SlowBook, times: list[int], limit: int) -> int | None:
    def total(after_ms: int) -> int:
        kept = SlowBook(
            [(e, under) for e, under in slow.entries if e.at_ms > after_ms or e is slow.entries[-1][0]]
        )
        usage: Usage = kept.usage(WALLET, Lifetime(), PolicyClock.first(wall_ms=0, monotonic_ms=0).reading)
        return usage.sum_sats

    if total(-1) <= limit:
        return None
    return next((at_ms for at_ms in times if total(at_ms) <= limit), None)


TestBudgets = Budgets.TestCase
