"""Spends of any size and profiles of velocity alone, for the tests of budgets; and a slow book to compare with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC as UTC_CLOCK
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from policy.book import Book
from policy.bookings import Booking, Party, Scope, Usage
from policy.clock import ClockReading
from policy.facts import ChainFacts, Facts, WalletFacts
from policy.profile import Profile, Written
from policy.setting import MIN_BLOCKS
from policy.windows import Calendar, Period, Rolling, Velocity, Window, Zone
from taproot import Network, OutPoint, Spend, SpendInput, SpendOutput, WalletPath

HOUR = 3_600_000
DAY = 24 * HOUR
NOW_MS = 1_900_000_000_000
BERLIN = Zone("Europe/Berlin", ZoneInfo("Europe/Berlin"))
UTC = Zone("UTC", UTC_CLOCK)


def script(number: int) -> bytes:
    return b"\x51\x20" + bytes([number]) * 32


def coin(number: int) -> OutPoint:
    return OutPoint(number.to_bytes(32, "big"), 0)


def facts(
    number: int,
    payments: Iterable[tuple[int, int]] = ((1, 500_000),),
    *,
    coins: Iterable[int] = (),
    fee_sats: int = 1_000,
    initiator: str = "desk",
    clock: ClockReading | None = ClockReading(NOW_MS, in_doubt=False),  # noqa: B008
    book: Book | None = None,
    chain: ChainFacts | None = None,
    n: int = 2,
) -> Facts:
    """A spend of this number that pays these recipients, in a wallet of which each node's part is the whole."""
    paid = tuple(payments)
    outputs = tuple(
        SpendOutput(i, sats, script(to), f"to{to}", "p2tr", None) for i, (to, sats) in enumerate(paid)
    )
    used = tuple(coins) or (number,)
    total = sum(sats for _, sats in paid) + fee_sats
    inputs = tuple(SpendInput(coin(c), total, script(0), 0xFFFFFFFD, 0, WalletPath(0, 0)) for c in used)
    spend = Spend(Network.REGTEST, 2, 0, inputs, outputs, fee_sats, 200, b"", bytes(32), 2, 200)
    wallet = WalletFacts(True, "savings", Network.REGTEST, n, 2, 20)
    return Facts(
        spend, number.to_bytes(32, "little"), wallet, initiator=initiator, clock=clock, book=book, chain=chain
    )


def profile(*rules: Velocity, min_blocks: int | None = None) -> Profile:
    written: dict[str, Written[int | None]] = {}
    if min_blocks is not None:
        written[MIN_BLOCKS.key] = Written(min_blocks, 9)
    return Profile("p", Network.REGTEST, None, written, rules, (), ())


# The slow book: every question is a walk over everything.


def _period(window: Calendar, at_ms: int) -> tuple[int, ...]:
    local = (datetime(1970, 1, 1, tzinfo=UTC_CLOCK) + timedelta(milliseconds=at_ms)).astimezone(
        window.zone.tz
    )
    match window.period:
        case Period.DAY:
            return (local.year, local.month, local.day)
        case Period.WEEK:
            return local.isocalendar()[:2]
        case Period.MONTH:
            return (local.year, local.month)
        case Period.YEAR:
            return (local.year,)


LONGEST = {Period.DAY: 26 * HOUR, Period.WEEK: 8 * DAY, Period.MONTH: 32 * DAY, Period.YEAR: 367 * DAY}


def inside(window: Window, at_ms: int, clock: ClockReading) -> bool:
    """Whether a time that is not after now lies in the window."""
    match window:
        case Rolling():
            return at_ms > clock.now_ms - window.length_ms
        case Calendar() if clock.in_doubt:
            return at_ms > clock.now_ms - LONGEST[window.period]
        case Calendar():
            return _period(window, at_ms) == _period(window, clock.now_ms)
        case _:
            return True


def _cost(scope: Scope, booking: Booking) -> int | None:
    match scope.party:
        case Party.WALLET:
            return booking.leaving_sats
        case Party.INITIATOR:
            return booking.leaving_sats if booking.initiator == scope.key else None
        case Party.GRANT:
            return booking.leaving_sats - booking.fee_sats if booking.grant == scope.key else None
        case Party.RECIPIENT:
            paid = [sats for to, sats in booking.payments if to == scope.key]
            return sum(paid) if paid else None


@dataclass
class SlowBook:
    """The rule of conflicts as DESIGN 7 has it, and nothing else."""

    entries: list[tuple[Booking, OutPoint]] = field(default_factory=list)

    def place(self, booking: Booking) -> OutPoint:
        for _, under in reversed(self.entries):
            if under in booking.outpoints:
                return under
        return min(booking.outpoints)

    def add(self, booking: Booking) -> None:
        if booking.spend_id not in {entry.spend_id for entry, _ in self.entries}:
            self.entries.append((booking, self.place(booking)))

    def with_one(self, booking: Booking) -> SlowBook:
        more = SlowBook(list(self.entries))
        more.add(booking)
        return more

    def usage(self, scope: Scope, window: Window, clock: ClockReading) -> Usage:
        costs: dict[OutPoint, int] = {}
        fees: dict[OutPoint, int] = {}
        paid: set[bytes] = set()
        for booking, under in self.entries:
            cost = _cost(scope, booking)
            if cost is None or not inside(window, booking.at_ms, clock):
                continue
            costs[under] = max(costs.get(under, 0), cost)
            fees[under] = max(fees.get(under, 0), booking.fee_sats)
            paid |= {to for to, _ in booking.payments}
        recipients = len(paid) if scope.party in {Party.WALLET, Party.INITIATOR} else 0
        return Usage(sum(costs.values()), len(costs), sum(fees.values()), recipients)
