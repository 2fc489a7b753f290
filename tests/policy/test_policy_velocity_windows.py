"""Windows: where they begin, also on days without 24 hours; what implies what; and how they are read."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_history import BERLIN, DAY, HOUR, NOW_MS, UTC, facts, inside, profile, script

from policy.book import Book
from policy.bookings import EVER_MS, Booking
from policy.clock import ClockReading
from policy.tree import Entry, Mapping, Node, ProfileError, Scalar
from policy.velocity import kept
from policy.windows import (
    Calendar,
    Lifetime,
    Per,
    Period,
    Rolling,
    Velocity,
    Window,
    Zone,
    only_utc,
    read_velocity,
)
from taproot import OutPoint

HAVANA = Zone("America/Havana", ZoneInfo("America/Havana"))
TROLL = Zone("Antarctica/Troll", ZoneInfo("Antarctica/Troll"))


def moment(zone: Zone, *parts: int, fold: int = 0) -> int:
    year, month, day, *rest = parts
    hour, minute = (*rest, 0, 0)[:2]
    return int(datetime(year, month, day, hour, minute, tzinfo=zone.tz, fold=fold).timestamp()) * 1000


# Where a window begins.


def test_rolling_and_lifetime() -> None:
    assert Rolling(DAY).start_ms(NOW_MS) == NOW_MS - DAY + 1
    assert Rolling(DAY).start_ms(NOW_MS, in_doubt=True) == NOW_MS - DAY + 1
    assert Lifetime().start_ms(NOW_MS) == EVER_MS


@pytest.mark.parametrize(
    ("day", "hours"), [((2030, 3, 31), 23), ((2030, 10, 27), 25), ((2030, 3, 30), 24), ((2030, 10, 28), 24)]
)
def test_days_on_which_the_clocks_change(day: tuple[int, int, int], hours: int) -> None:
    start = moment(BERLIN, *day)
    window = Calendar(Period.DAY, BERLIN)
    for now in (start, start + HOUR, start + 3 * HOUR, start + hours * HOUR - 1):
        assert window.start_ms(now) == start
        assert window.end_ms(now) == start + hours * HOUR
    assert window.start_ms(start - 1) < start
    assert window.start_ms(start + hours * HOUR) == start + hours * HOUR


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (Period.WEEK, (2030, 3, 25), (2030, 4, 1)),
        (Period.MONTH, (2030, 3, 1), (2030, 4, 1)),
        (Period.YEAR, (2030, 1, 1), (2031, 1, 1)),
    ],
)
def test_longer_periods_across_a_change(
    period: Period, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    window = Calendar(period, BERLIN)
    for now in (moment(BERLIN, 2030, 3, 31, 1), moment(BERLIN, 2030, 3, 31, 12)):
        assert window.start_ms(now) == moment(BERLIN, *start)
        assert window.end_ms(now) == moment(BERLIN, *end)
    december = moment(BERLIN, 2030, 12, 31, 23)
    assert Calendar(Period.MONTH, BERLIN).end_ms(december) == moment(BERLIN, 2031, 1, 1)
    assert Calendar(Period.WEEK, BERLIN).start_ms(moment(BERLIN, 2031, 1, 1)) == moment(BERLIN, 2030, 12, 30)


def test_a_midnight_that_is_skipped_or_comes_twice() -> None:
    """In Havana the clocks change at midnight: the day begins at the first moment that bears its date."""
    window = Calendar(Period.DAY, HAVANA)
    skipped = moment(HAVANA, 2026, 3, 8, 1)
    assert window.start_ms(skipped + HOUR) == skipped
    assert window.end_ms(skipped - 1) == skipped
    first = moment(HAVANA, 2026, 11, 1)
    second = moment(HAVANA, 2026, 11, 1, fold=1)
    assert second == first + HOUR
    assert window.start_ms(second + HOUR) == window.start_ms(first) == first


ZONES = st.sampled_from([BERLIN, UTC, HAVANA, TROLL])
CALENDARS = st.builds(Calendar, st.sampled_from(Period), ZONES)
TIMES = st.integers(1_700_000_000_000, 2_100_000_000_000)


@given(CALENDARS, TIMES, st.integers(0, 400 * DAY))
def test_a_calendar_window_is_what_bears_the_same_date(window: Calendar, now: int, ago: int) -> None:
    clock = ClockReading(now, in_doubt=False)
    assert (now - ago >= window.start_ms(now)) == inside(window, now - ago, clock)
    assert window.start_ms(now) <= now < window.end_ms(now)
    assert window.start_ms(window.end_ms(now)) == window.end_ms(now)
    assert window.start_ms(now, in_doubt=True) <= window.start_ms(now)


# What implies what.

WINDOWS = st.one_of(
    st.sampled_from([HOUR, DAY, 25 * HOUR, 26 * HOUR, 8 * DAY, 32 * DAY, 367 * DAY]).map(Rolling),
    CALENDARS,
    st.just(Lifetime()),
)
LIMIT = st.one_of(st.none(), st.integers(1, 12))
RULES = st.builds(Velocity, WINDOWS, LIMIT, LIMIT, LIMIT, LIMIT, st.one_of(st.none(), st.sampled_from(Per)))


@given(WINDOWS, WINDOWS, TIMES, st.booleans())
def test_a_window_that_covers_another_begins_no_later(
    one: Window, other: Window, now: int, in_doubt: bool
) -> None:
    if one.covers(other):
        assert one.start_ms(now, in_doubt=in_doubt) <= other.start_ms(now, in_doubt=in_doubt)


@st.composite
def histories(draw: st.DrawFn, now: int) -> Book:
    made = []
    for number in range(draw(st.integers(0, 6))):
        fee, paid = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        ago = draw(st.sampled_from([1, HOUR, 20 * HOUR, 25 * HOUR, 6 * DAY, 20 * DAY, 300 * DAY]))
        coins = (OutPoint(bytes([draw(st.integers(0, 6))]) * 32, 0),)
        to, who = script(draw(st.integers(1, 3))), draw(st.sampled_from(["desk", "phone", ""]))
        made.append(Booking(bytes([number]) * 32, now - ago, paid + fee, coins, fee, ((to, paid),), who))
    exhausted = draw(st.sampled_from([None, None, None, now - 2 * HOUR, now - 30 * DAY]))
    return Book.of(sorted(made, key=lambda booking: booking.at_ms), exhausted)


@given(RULES, RULES, TIMES, st.booleans(), st.data())
def test_whoever_keeps_a_rule_keeps_what_it_implies(
    one: Velocity, other: Velocity, now: int, in_doubt: bool, data: st.DataObject
) -> None:
    if data.draw(st.booleans()):  # most pairs have nothing to do with one another

        def no_stricter(limit: int | None) -> int | None:
            return None if limit is None else data.draw(st.sampled_from([None, limit, limit + 1]))

        other = Velocity(
            other.window,
            no_stricter(one.sum_sats),
            no_stricter(one.count),
            no_stricter(one.fees_sats),
            no_stricter(one.recipients),
            one.per or other.per,
        )
    if not one.implies(other):
        return
    book = data.draw(histories(now))
    pays = data.draw(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), max_size=2))
    who = data.draw(st.sampled_from(["desk", ""]))
    made = facts(9, pays, fee_sats=1, initiator=who, clock=ClockReading(now, in_doubt), book=book)
    if kept(one, profile(one), made) is None:
        assert kept(other, profile(other), made) is None


def test_implied() -> None:
    day = Velocity(Rolling(DAY), 100, 5)
    assert day.implies(day)
    assert day.implies(Velocity(Rolling(HOUR), 100))
    assert day.implies(Velocity(Rolling(DAY), 101, 6, per=Per.RECIPIENT))
    assert day.implies(Velocity(Rolling(DAY), 100, per=Per.INITIATOR))
    assert not day.implies(Velocity(Rolling(DAY + 1), 100))
    assert not day.implies(Velocity(Rolling(DAY), 99))
    assert not day.implies(Velocity(Rolling(DAY), 100, fees_sats=10**9))
    assert not Velocity(Rolling(DAY), 100, per=Per.RECIPIENT).implies(day)
    assert not Velocity(Rolling(DAY), 9, per=Per.RECIPIENT).implies(
        Velocity(Rolling(DAY), 9, per=Per.INITIATOR)
    )
    for period, least in (("day", 26 * HOUR), ("week", 8 * DAY), ("month", 32 * DAY), ("year", 367 * DAY)):
        calendar = Velocity(Calendar(Period(period), BERLIN), 100)
        assert Velocity(Rolling(least), 100).implies(calendar)
        assert not Velocity(Rolling(least - 1), 100).implies(calendar)
        assert Velocity(Lifetime(), 100).implies(calendar)
        assert calendar.implies(calendar)
        assert not calendar.implies(Velocity(Calendar(Period(period), UTC), 100))
        assert not calendar.implies(Velocity(Rolling(HOUR), 100))
        assert not calendar.implies(Velocity(Lifetime(), 100))


def test_what_counts_for_the_digest() -> None:
    rule = Velocity(Calendar(Period.DAY, BERLIN), 1, 2, 3, 4, Per.INITIATOR, line=9)
    assert rule.plain() == (("calendar", "day", "Europe/Berlin"), 1, 2, 3, 4, "initiator")
    assert Velocity(Rolling(7), 1).plain() == (("rolling", 7), 1, None, None, None, None)
    assert Velocity(Lifetime(), 1).plain() == (("lifetime",), 1, None, None, None, None)
    assert rule == Velocity(
        Calendar(Period.DAY, Zone("Europe/Berlin", UTC.tz)), 1, 2, 3, 4, Per.INITIATOR, line=1
    )


# Reading.


def zones(name: str) -> Zone:
    if name == "Europe/Berlin":
        return BERLIN
    return only_utc(name)


def tree(**fields: str | int | bool | None) -> Node:
    entries = tuple(
        Entry(key, line, Scalar(line, f"limits.velocity[0].{key}", value))
        for line, (key, value) in enumerate(fields.items(), 3)
    )
    return Mapping(2, "limits.velocity[0]", entries)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"window": "24h", "sum": "0.1btc"}, Velocity(Rolling(DAY), 10_000_000)),
        (
            {"window": "7d", "sum": "5sat", "count": 5, "fees": "20_000sat", "recipients": 3},
            Velocity(Rolling(7 * DAY), 5, 5, 20_000, 3),
        ),
        ({"window": "day", "zone": "Europe/Berlin", "count": 5}, Velocity(Calendar(Period.DAY, BERLIN), None, 5)),
        ({"window": "year", "zone": "UTC", "fees": "9sat"}, Velocity(Calendar(Period.YEAR, UTC), fees_sats=9)),
        ({"window": "lifetime", "sum": "9sat", "per": "recipient"}, Velocity(Lifetime(), 9, per=Per.RECIPIENT)),
        ({"window": "1h", "recipients": 2, "per": "initiator"},
         Velocity(Rolling(HOUR), recipients=2, per=Per.INITIATOR)),
    ],
)  # fmt: skip
def test_reads(fields: dict[str, str | int | bool | None], rule: Velocity) -> None:
    found = read_velocity(tree(**fields), zones)
    assert (found, found.line) == (rule, 2)


def test_the_profiles_own_zone_holds_unless_another_is_named() -> None:
    assert read_velocity(tree(window="week", count=1), zones, BERLIN).window == Calendar(Period.WEEK, BERLIN)
    named = read_velocity(tree(window="week", zone="UTC", count=1), zones, BERLIN)
    assert named.window == Calendar(Period.WEEK, UTC)
    assert read_velocity(tree(window="24h", count=1), zones, BERLIN).window == Rolling(DAY)


@pytest.mark.parametrize(
    ("fields", "line", "path", "text"),
    [
        ({"count": 5}, 2, ".window", "is missing; write the length of the rolling window, such as `window: 24h`, or"),
        ({"window": "24h"}, 2, "", "limits nothing; write `sum:`, `count:`, `fees:` or `recipients:`"),
        ({"window": "fortnight", "count": 1}, 3, ".window",
         "`fortnight` is not a length of time; write a length of time such as `48h` (also s, min, d, w), "
         "or one of day, week, month, year, lifetime"),
        ({"window": 24, "count": 1}, 3, ".window", "24 has no unit"),
        ({"window": "day", "count": 1}, 2, ".zone", "is missing; write where the calendar is kept, such as"),
        ({"window": "day", "count": 1, "zone": "Berlin"}, 5, ".zone",
         "`Berlin` is not a time zone known here; write where the calendar is kept, such as `zone: Europe/Berlin`"),
        ({"window": "day", "count": 1, "zone": 5}, 5, ".zone", "is a number without a unit; write where"),
        ({"window": "24h", "count": 1, "zone": "UTC"}, 5, ".zone", "decides nothing here; only a day, week"),
        ({"window": "lifetime", "count": 1, "zone": "UTC"}, 5, ".zone", "decides nothing here; only a day, week"),
        ({"window": "24h", "recipients": 3, "per": "recipient"}, 4, ".recipients",
         "one recipient is always one; leave out `per: recipient`, or write"),
        ({"window": "24h", "count": 3, "per": "person"}, 5, ".per",
         "`person` is nothing to count for; write recipient or initiator, or leave it out"),
        ({"window": "24h", "fees": "1h"}, 4, ".fees", "`h` is not a unit here"),
        ({"window": "24h", "recipients": 0}, 4, ".recipients", "zero is not a limit"),
        ({"window": "24h", "fee": "1sat"}, 4, ".fee", "unknown key; did you mean `fees`?"),
    ],
)  # fmt: skip
def test_what_is_not_understood_does_not_load(
    fields: dict[str, str | int | bool | None], line: int, path: str, text: str
) -> None:
    with pytest.raises(ProfileError) as refused:
        read_velocity(tree(**fields), zones)
    assert (refused.value.line, refused.value.path) == (line, "limits.velocity[0]" + path)
    assert refused.value.text.startswith(text)


def test_without_a_table_there_is_utc() -> None:
    assert only_utc("UTC") == UTC
    with pytest.raises(ValueError):
        only_utc("Europe/Berlin")
