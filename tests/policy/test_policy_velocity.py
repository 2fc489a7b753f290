"""The rules of velocity: what each counts, for whom, what it says, and that it refuses what it cannot know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from policy_history import BERLIN, DAY, HOUR, NOW_MS, UTC, coin, facts, profile, script

from policy.book import Book
from policy.bookings import Booking
from policy.clock import ClockReading
from policy.facts import ChainFacts, Facts
from policy.profile import Profile
from policy.rules import Finding, Findings
from policy.velocity import (
    blocks_between,
    kept,
    velocity_count,
    velocity_fees,
    velocity_recipients,
    velocity_sum,
)
from policy.windows import Calendar, Lifetime, Per, Period, Rolling, Velocity

Check = Callable[[Profile, Facts], Findings]
DAILY = Rolling(DAY)
DOUBT = ClockReading(NOW_MS, in_doubt=True)


def past(
    number: int,
    ago_ms: int,
    *paid: tuple[int, int],
    fee: int = 1_000,
    who: str = "desk",
    height: int | None = None,
) -> Booking:
    payments = tuple((script(to), sats) for to, sats in paid)
    leaving = sum(sats for _, sats in paid) + fee
    return Booking(
        bytes([number]) * 32, NOW_MS - ago_ms, leaving, (coin(1_000 + number),), fee, payments, who, height
    )


def said(check: Check, rule: Velocity, made: Facts) -> list[str]:
    found = list(check(profile(rule), made))
    assert all(finding.line == rule.line for finding in found)
    assert (kept(rule, profile(rule), made) is None) == (not found)
    return [finding.text for finding in found]


CASES: list[tuple[Check, Velocity, Velocity, str]] = [
    (velocity_sum, Velocity(DAILY, sum_sats=902_000), Velocity(DAILY, sum_sats=901_999), "902_000sat"),
    (velocity_count, Velocity(DAILY, count=2), Velocity(DAILY, count=1), "2 spends"),
    (velocity_fees, Velocity(DAILY, fees_sats=2_000), Velocity(DAILY, fees_sats=1_999), "2_000sat of fees"),
    (velocity_recipients, Velocity(DAILY, recipients=2), Velocity(DAILY, recipients=1), "2 recipients"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "enough", "short", "amount"), CASES)
def test_each_limit_to_the_last(check: Check, enough: Velocity, short: Velocity, amount: str) -> None:
    made = facts(1, book=Book.of([past(9, HOUR, (2, 400_000))]))
    assert said(check, enough, made) == []
    (text,) = said(check, short, made)
    assert text.startswith(f"the last 24h would come to {amount}; this node's part is ")
    assert text.endswith("; room again in about 23 hours")
    for other, rule, *_ in CASES:
        assert rule is enough or said(other, enough, made) == []


@pytest.mark.parametrize(("check", "enough", "short", "amount"), CASES)
def test_each_limit_counts_only_the_nodes_part(
    check: Check, enough: Velocity, short: Velocity, amount: str
) -> None:
    """Of three nodes one may be evil: each enforces half."""

    def doubled(limit: int | None) -> int | None:
        return None if limit is None else 2 * limit

    twice = Velocity(
        DAILY,
        doubled(enough.sum_sats),
        doubled(enough.count),
        doubled(enough.fees_sats),
        doubled(enough.recipients),
    )
    made = facts(1, book=Book.of([past(9, HOUR, (2, 400_000))]), n=3)
    assert said(check, twice, made) == []
    (text,) = said(check, enough, made)
    assert "(2-of-3, 1 assumed evil)" in text


@pytest.mark.parametrize(("check", "enough", "short", "amount"), CASES)
def test_without_a_clock_or_a_book_nothing_passes(
    check: Check, enough: Velocity, short: Velocity, amount: str
) -> None:
    for made in (facts(1), facts(1, clock=None, book=Book())):
        assert said(check, enough, made) == [
            "the limit per 24h cannot be checked: no clock or no record of earlier spends"
        ]


@pytest.mark.parametrize(("check", "enough", "short", "amount"), CASES)
def test_what_is_booked_already_counts_once(
    check: Check, enough: Velocity, short: Velocity, amount: str
) -> None:
    made = facts(1, book=Book.of([past(9, HOUR, (2, 400_000))]))
    assert made.book is not None
    again = replace(made, book=made.book.with_booking(made.booking(NOW_MS)))
    assert said(check, enough, again) == []


def test_waiting_does_not_help_where_the_spend_alone_is_too_large() -> None:
    rules = (
        Velocity(DAILY, sum_sats=500_999),
        Velocity(DAILY, fees_sats=999),
        Velocity(DAILY, recipients=1),
    )
    made = facts(1, [(1, 400_000), (2, 100_000)], book=Book())
    texts = [text for rule in rules if (text := kept(rule, profile(rule), made))]
    assert [text.split(";")[0] for text in texts] == [
        "this spend alone takes 501_000sat",
        "this spend alone takes 1_000sat of fees",
        "this spend alone takes 2 recipients",
    ]
    assert all(text.endswith("; waiting does not help") for text in texts)


def test_a_round_trip_still_costs_its_fee() -> None:
    made = facts(1, [], fee_sats=700, book=Book.of([past(9, HOUR, (2, 400))]))
    assert said(velocity_sum, Velocity(DAILY, sum_sats=2_099), made)
    assert said(velocity_sum, Velocity(DAILY, sum_sats=2_100), made) == []
    assert said(velocity_fees, Velocity(DAILY, fees_sats=1_699), made)
    assert said(velocity_recipients, Velocity(DAILY, recipients=1), made) == []


def test_per_recipient() -> None:
    book = Book.of([past(8, HOUR, (1, 400_000)), past(9, HOUR, (2, 700_000))])
    made = facts(1, [(1, 200_000), (1, 300_000), (3, 5)], book=book)
    assert said(velocity_sum, Velocity(DAILY, sum_sats=900_000, per=Per.RECIPIENT), made) == []
    (text,) = said(velocity_sum, Velocity(DAILY, sum_sats=899_999, per=Per.RECIPIENT), made)
    assert text.startswith("the last 24h to to1 would come to 900_000sat; ")
    (text,) = said(velocity_count, Velocity(DAILY, count=1, per=Per.RECIPIENT), made)
    assert text.startswith("the last 24h to to1 would come to 2 spends; ")
    (text,) = said(velocity_fees, Velocity(DAILY, fees_sats=1_999, per=Per.RECIPIENT), made)
    assert text.startswith("the last 24h to to1 would come to 2_000sat of fees; ")


def test_per_initiator() -> None:
    book = Book.of([past(8, HOUR, (1, 400_000)), past(9, HOUR, (2, 700_000), who="phone")])
    made = facts(1, book=book)
    assert said(velocity_sum, Velocity(DAILY, sum_sats=902_000, per=Per.INITIATOR), made) == []
    (text,) = said(velocity_sum, Velocity(DAILY, sum_sats=901_999, per=Per.INITIATOR), made)
    assert text.startswith("the last 24h asked for by `desk` would come to 902_000sat; ")
    assert said(velocity_recipients, Velocity(DAILY, recipients=1, per=Per.INITIATOR), made) == []
    assert said(
        velocity_recipients,
        Velocity(DAILY, recipients=1, per=Per.INITIATOR),
        replace(made, initiator="phone"),
    )


def test_those_of_nobody_known_share_one_budget() -> None:
    book = Book.of([past(8, HOUR, (1, 400_000), who="")])
    (text,) = said(
        velocity_count, Velocity(DAILY, count=1, per=Per.INITIATOR), facts(1, initiator="", book=book)
    )
    assert text.startswith("the last 24h asked for by nobody known would come to 2 spends; ")


def test_by_the_calendar() -> None:
    """NOW_MS is 2030-03-17 18:46:40 in Berlin, a Sunday."""
    book = Book.of([past(8, 20 * HOUR, (1, 400_000)), past(9, 18 * HOUR, (1, 400_000))])
    made = facts(1, book=book)
    day = Velocity(Calendar(Period.DAY, BERLIN), count=1)
    (text,) = said(velocity_count, day, made)
    assert text.startswith("this day (Europe/Berlin) would come to 2 spends; ")
    assert text.endswith("; room again in about 6 hours")
    assert said(velocity_count, replace(day, count=2), made) == []
    assert said(velocity_count, replace(day, window=Calendar(Period.DAY, UTC)), made) == []
    (text,) = said(velocity_count, replace(day, window=Calendar(Period.WEEK, BERLIN), count=2), made)
    assert text.startswith("this week (Europe/Berlin) would come to 3 spends; ")


def test_a_calendar_does_not_roll_while_the_clock_is_in_doubt() -> None:
    """A boundary may only seem to have come: then what was spent before it still counts, for a whole day."""
    made = facts(1, book=Book.of([past(8, 20 * HOUR, (1, 400_000))]))
    day = Velocity(Calendar(Period.DAY, BERLIN), count=1)
    assert said(velocity_count, day, made) == []
    (text,) = said(velocity_count, day, replace(made, clock=DOUBT))
    assert text.endswith("; the clock jumped and nobody has confirmed it, so no window moves on")
    older = facts(1, book=Book.of([past(8, 26 * HOUR, (1, 400_000))]), clock=DOUBT)
    assert said(velocity_count, day, older) == []


def test_a_lifetime() -> None:
    rule = Velocity(Lifetime(), sum_sats=902_000)
    made = facts(1, book=Book.of([past(8, 4_000 * DAY, (1, 400_000))]))
    assert said(velocity_sum, rule, made) == []
    for clock in (made.clock, DOUBT):
        (text,) = said(velocity_sum, replace(rule, sum_sats=901_999), replace(made, clock=clock))
        assert text.startswith(
            "all that was ever signed would come to 902_000sat; this node's part is 901_999sat"
        )
        assert text.endswith(
            "per lifetime (2-of-2, 0 assumed evil); nothing ever leaves it, so waiting does not help"
        )


@pytest.mark.parametrize(
    ("window", "until_ms", "ending"),
    [
        (DAILY, NOW_MS - HOUR + DAY, "the last 24h: the budget counts as used up for about 23 hours more"),
        (
            Calendar(Period.DAY, BERLIN), NOW_MS + 5 * HOUR + 14 * 60_000,
            "this day (Europe/Berlin): the budget counts as used up for about 6 hours more",
        ),
        (Lifetime(), None, "all that was ever signed: the budget counts as used up for good; "
         "limit a window that passes instead"),
    ],
)  # fmt: skip
def test_a_recovered_node(window: Rolling | Calendar | Lifetime, until_ms: int | None, ending: str) -> None:
    recovered = facts(1, book=Book().exhausted(NOW_MS - HOUR))
    rule = Velocity(window, sum_sats=10**9, count=10, fees_sats=10**9, recipients=9)
    for check, *_ in CASES:
        assert said(check, rule, recovered) == [
            f"this node was recovered and cannot know what it signed in {ending}"
        ]
    later = NOW_MS + 9_000 * DAY if until_ms is None else until_ms
    assert (kept(rule, profile(rule), replace(recovered, clock=ClockReading(later, False))) is None) == bool(
        until_ms
    )
    if until_ms is not None:
        before = ClockReading(until_ms - 20 * 60_000, False)
        assert kept(rule, profile(rule), replace(recovered, clock=before))


def test_a_recovered_node_in_doubt_waits_for_the_calendar() -> None:
    made = facts(1, book=Book().exhausted(NOW_MS - 20 * HOUR))
    rule = Velocity(Calendar(Period.DAY, BERLIN), count=9)
    assert said(velocity_count, rule, made) == []
    (text,) = said(velocity_count, rule, replace(made, clock=DOUBT))
    assert text.endswith("counts as used up until the clock is confirmed")


def test_every_rule_of_the_list_is_kept() -> None:
    book = Book.of([past(9, HOUR, (2, 400_000))])
    both = profile(Velocity(DAILY, count=1, line=4), Velocity(DAILY, sum_sats=1, count=1, line=5))
    assert [finding.line for finding in velocity_count(both, facts(1, book=book))] == [4, 5]
    assert [finding.line for finding in velocity_sum(both, facts(1, book=book))] == [5]
    assert list(velocity_count(replace(both, velocity=None), facts(1))) == []


# Blocks between spends.


def chain(height: int) -> ChainFacts:
    return ChainFacts(height, NOW_MS, 10**8)


def pace(made: Facts, least: int | None = 6) -> list[Finding]:
    return list(blocks_between(profile(min_blocks=least), made))


def test_blocks_between_spends() -> None:
    book = Book.of([past(8, HOUR, (1, 1), height=900), past(9, HOUR, (1, 1), height=1_000)])
    assert pace(facts(1, book=book, chain=chain(1_006))) == []
    assert pace(facts(1, book=book, chain=chain(1_005))) == [
        Finding(9, "5 blocks passed since the last spend; 6 must lie between two spends")
    ]
    assert pace(facts(1, book=book, chain=chain(990)))[0].text.startswith("0 blocks passed")
    assert pace(facts(1, book=Book(), chain=chain(5))) == []
    assert pace(facts(1), None) == []


def test_a_spend_that_is_booked_is_measured_from_the_one_before_it() -> None:
    made = facts(1, book=Book.of([past(8, HOUR, (1, 1), height=994)]), chain=chain(1_000))
    assert made.book is not None
    again = replace(
        made, book=made.book.with_booking(made.booking(NOW_MS)).with_booking(past(9, 0, (1, 1), height=1_000))
    )
    assert pace(again) == []
    assert pace(replace(again, spend_id=bytes(32)))


def test_blocks_need_sources() -> None:
    assert pace(facts(1, book=Book()))[0].text == (
        "this node has no source for the chain, so it cannot count blocks; 6 must lie between two spends"
    )
    for made in (facts(1, chain=chain(9)), facts(1, chain=chain(9), clock=None, book=Book())):
        assert "no clock or no record of earlier spends" in pace(made)[0].text


def test_a_height_that_is_not_known() -> None:
    """Six blocks take an hour; after two hours each and two more nobody needs to ask."""
    said = "the last spend was signed without knowing the height of the chain, so blocks count as passed in about "
    unknown = facts(1, book=Book.of([past(9, HOUR, (1, 1))]), chain=chain(1_000))
    assert pace(unknown)[0].text.startswith(said + "3 hours")
    assert pace(replace(unknown, clock=ClockReading(NOW_MS + 3 * HOUR - 1, False)))
    assert pace(replace(unknown, clock=ClockReading(NOW_MS + 3 * HOUR, False))) == []


def test_a_recovered_node_does_not_know_its_last_spend() -> None:
    old = Book.of([past(9, HOUR, (1, 1), height=10)])
    for book in (Book().exhausted(NOW_MS), old.exhausted(NOW_MS)):
        recovered = facts(1, book=book, chain=chain(1_000))
        assert pace(recovered)[0].text.startswith(
            "this node was recovered without knowing the height of the chain"
        )
        assert pace(replace(recovered, clock=ClockReading(NOW_MS + 4 * HOUR, False))) == []
    since = old.exhausted(NOW_MS - 1).with_booking(past(7, 0, (1, 1), height=999))
    assert pace(facts(1, book=since, chain=chain(1_004)))[0].text.startswith("5 blocks passed")
    assert pace(facts(1, book=since, chain=chain(1_005))) == []
