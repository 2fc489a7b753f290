"""What counts against a limit, as plainly as it can be said: every question walks over everything that was signed.

Written apart from `policy.book` and `policy.velocity`, which answer the same questions fast; where they and this
disagree, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from policy import Profile
from policy.windows import Calendar, Per, Period, Rolling, Velocity, Window

Coin = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Spend:
    """One signed spend as a budget sees it; `at_ms` is on the policy clock of whoever signed it."""

    spend_id: bytes
    at_ms: int
    leaving_sats: int
    fee_sats: int
    coins: tuple[Coin, ...]
    payments: tuple[tuple[bytes, int], ...]
    initiator: str


def layers(profile: Profile) -> Iterator[Profile]:
    """A profile, and all that it extends."""
    layer: Profile | None = profile
    while layer is not None:
        yield layer
        layer = layer.base


def part_of(limit: int, profile: Profile, *, t: int, n: int) -> int:
    """A node's part of a wallet's limit: floor(limit * (t-f) / (n-f)), for f evil nodes."""
    f = profile.evil_nodes
    if f is None:
        f = 1 if n >= 3 else 0
    f = min(f, t - 1)
    return limit * (t - f) // (n - f)


def inside(window: Window, at_ms: int, now_ms: int) -> bool:
    """Whether a time that is not after now lies in the window that ends now."""
    match window:
        case Rolling(length_ms=length_ms):
            return at_ms > now_ms - length_ms
        case Calendar():
            return _page(window, at_ms) == _page(window, now_ms)
        case _:
            return True


def _page(window: Calendar, at_ms: int) -> tuple[int, ...]:
    """The page of the calendar that a time stands on."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(window.zone.tz)
    match window.period:
        case Period.DAY:
            return (local.year, local.month, local.day)
        case Period.WEEK:
            return local.isocalendar()[:2]
        case Period.MONTH:
            return (local.year, local.month)
        case Period.YEAR:
            return (local.year,)


def places(spends: Sequence[Spend]) -> list[Coin]:
    """The one coin under which each spend is booked: that of the newest earlier one it conflicts with, or its least."""
    under: list[Coin] = []
    for spend in spends:
        shared = (coin for coin in reversed(under) if coin in spend.coins)
        under.append(next(shared, min(spend.coins)))
    return under


def breaches(rule: Velocity, spends: Sequence[Spend], part: dict[str, int]) -> Iterator[str]:
    """What the newest of these spends made too much of, in words.

    Args:
        spends: all that a node signed of a wallet up to now, each once, in order.
        part: this node's part of each limit of the rule, by its key.
    """
    under, newest = places(spends), spends[-1]
    for mine, whose in _scopes(rule, spends, newest):
        held = [i for i in mine if inside(rule.window, spends[i].at_ms, newest.at_ms)]
        used = _used(spends, under, held, whose)
        for key, most in part.items():
            if used[key] > most:
                yield f"{key} {used[key]:_} of {most:_} per {rule.window}"


def _scopes(
    rule: Velocity, spends: Sequence[Spend], newest: Spend
) -> Iterator[tuple[list[int], bytes | None]]:
    """Which spends count together with the newest: all, those of who asks, or those to each whom it pays."""
    everyone = range(len(spends))
    match rule.per:
        case None:
            yield list(everyone), None
        case Per.INITIATOR:
            yield [i for i in everyone if spends[i].initiator == newest.initiator], None
        case Per.RECIPIENT:
            for script in dict.fromkeys(script for script, _ in newest.payments):
                yield [i for i in everyone if script in dict(spends[i].payments)], script


def _used(
    spends: Sequence[Spend], under: Sequence[Coin], held: Iterable[int], whose: bytes | None
) -> dict[str, int]:
    """Of the spends that are booked under one coin the most expensive counts."""
    costs: dict[Coin, int] = {}
    fees: dict[Coin, int] = {}
    paid: set[bytes] = set()
    for i in held:
        spend, coin = spends[i], under[i]
        cost = spend.leaving_sats
        if whose is not None:
            cost = sum(sats for script, sats in spend.payments if script == whose)
        costs[coin] = max(costs.get(coin, 0), cost)
        fees[coin] = max(fees.get(coin, 0), spend.fee_sats)
        paid |= {script for script, _ in spend.payments}
    return {
        "sum": sum(costs.values()),
        "count": len(costs),
        "fees": sum(fees.values()),
        "recipients": len(paid),
    }


def limits(rule: Velocity) -> dict[str, int]:
    """The limits that a rule states, by their keys."""
    stated = {
        "sum": rule.sum_sats,
        "count": rule.count,
        "fees": rule.fees_sats,
        "recipients": rule.recipients,
    }
    return {key: limit for key, limit in stated.items() if limit is not None}


def start_of(window: Window, now_ms: int) -> int | None:
    """The first millisecond of a window that ends now; None where it has none."""
    if isinstance(window, Rolling):
        return now_ms - window.length_ms + 1
    return window.start_ms(now_ms) if isinstance(window, Calendar) else None


def at_most(spends: Sequence[Spend]) -> tuple[int, int]:
    """What surely left, whichever of these confirm: of those that share coins the most expensive one, and how many."""
    groups: list[tuple[set[Coin], int]] = []
    for spend in spends:
        coins, most = set(spend.coins), spend.leaving_sats
        apart = []
        for group, cost in groups:
            if group & coins:
                coins, most = coins | group, max(most, cost)
            else:
                apart.append((group, cost))
        groups = [*apart, (coins, most)]
    return sum(cost for _, cost in groups), len(groups)
