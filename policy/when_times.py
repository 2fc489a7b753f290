"""Conditions about time, the chain, and how the transaction is locked."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from policy.condition import LIMITS, WHEN, Condition, Said, at_least, flag, ordered, typed
from policy.facts import ChainFacts, CoinFacts, Facts
from policy.profile import Profile
from policy.reading_values import Context, need_zone, read_hours, read_unit, read_words
from policy.tree import Node, ProfileError, need_text
from policy.units import COUNT, DURATION
from policy.values import Hours, Value, Words
from policy.when_amounts import NO_CHAIN
from policy.wording import duration, remaining, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = "the policy clock, in the profile's time zone"
_SPEND = "the transaction"
_CHAIN = "the chain (this program has no source of it yet)"
NO_CLOCK = "this node has no clock"
IN_DOUBT = "the clock jumped, or the node restarted, and nobody has confirmed the time"
"""While that is so the policy clock may lie behind, and what is old would seem fresh."""
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")


def _local(profile: Profile, facts: Facts) -> datetime | str:
    """The policy's time in the profile's zone, or why it is not known."""
    if profile.zone is None:
        return "the profile names no time zone"
    if facts.clock is None:
        return NO_CLOCK
    if facts.clock.in_doubt:
        return IN_DOUBT
    return datetime.fromtimestamp(facts.clock.now_ms // 1000, UTC).astimezone(profile.zone.tz)


def _days(wanted: Words, profile: Profile, facts: Facts) -> Said:
    now = _local(profile, facts)
    if isinstance(now, str):
        return Said(None, now)
    today = DAYS[now.weekday()]
    return Said(
        today in wanted.words,
        f"it is {today}; the days are {', '.join(d for d in DAYS if d in wanted.words)}",
    )


def _hours(wanted: Hours, profile: Profile, facts: Facts) -> Said:
    now = _local(profile, facts)
    if isinstance(now, str):
        return Said(None, now)
    return Said(wanted.holds(now.hour * 60 + now.minute), f"it is {now:%H:%M}; the hours are {wanted}")


def _read_days(node: Node, context: Context) -> Value:
    need_zone(node, context)
    return read_words(DAYS, "day")(node, context)


def _read_date(node: Node, context: Context) -> Value:
    """Midnight at which a day begins in the profile's zone, in ms."""
    hint = "write a date such as `2027-01-31`"
    text = need_text(node, hint)
    found, zone = _DATE.fullmatch(text), need_zone(node, context)
    try:
        if found is None:
            raise ValueError(text)
        moment = datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=zone.tz)
        return int(moment.timestamp()) * 1000
    except (ValueError, OverflowError):
        raise ProfileError(node.line, node.path, f"`{shown(text, 40)}` is not a date; {hint}") from None


def _before(date_ms: int, profile: Profile, facts: Facts) -> Said:
    now = _local(profile, facts)
    if isinstance(now, str):
        return Said(None, now)
    return Said(int(now.timestamp()) * 1000 < date_ms, f"it is {now:%Y-%m-%d}")


def _from(date_ms: int, profile: Profile, facts: Facts) -> Said:
    said = _before(date_ms, profile, facts)
    return said if said.holds is None else Said(not said.holds, said.text)


def _locked(_profile: Profile, facts: Facts) -> Said:
    locktime = facts.spend.locktime
    active = locktime > 0 and any(coin.sequence != 0xFFFFFFFF for coin in facts.spend.inputs)
    return Said(active, f"its locktime is {locktime}" if active else "it is not locked")


def _replaceable(_profile: Profile, facts: Facts) -> Said:
    signals = any(coin.sequence < 0xFFFFFFFE for coin in facts.spend.inputs)
    return Said(
        signals, "it can be replaced (BIP 125)" if signals else "it does not signal that it can be replaced"
    )


def _coins(facts: Facts) -> tuple[ChainFacts, list[CoinFacts]] | str:
    """The chain and where each coin stands in it."""
    if facts.chain is None:
        return NO_CHAIN
    found = [facts.chain.coins.get(coin.outpoint) for coin in facts.spend.inputs]
    if any(coin is None for coin in found):
        return "the chain does not know every coin"
    return facts.chain, [coin for coin in found if coin is not None]


def _confirmations(_profile: Profile, facts: Facts) -> int | str:
    known = _coins(facts)
    if isinstance(known, str):
        return known
    chain, coins = known
    return min((0 if c.height is None else chain.tip_height - c.height + 1 for c in coins), default=0)


def _coin_age(_profile: Profile, facts: Facts) -> int | str:
    known = _coins(facts)
    if isinstance(known, str):
        return known
    if facts.clock is None or facts.clock.in_doubt:
        return NO_CLOCK if facts.clock is None else IN_DOUBT
    now_ms = facts.clock.now_ms
    return min((0 if c.at_ms is None else max(0, now_ms - c.at_ms) for c in known[1]), default=0)


def _tip(most_ms: int, _profile: Profile, facts: Facts) -> Said:
    if facts.chain is None:
        return Said(None, NO_CHAIN)
    if facts.clock is None or facts.clock.in_doubt:
        return Said(None, NO_CLOCK if facts.clock is None else IN_DOUBT)
    age_ms = max(0, facts.clock.now_ms - facts.chain.tip_at_ms)
    return Said(
        age_ms <= most_ms, f"the newest block is {remaining(age_ms)} old; the most is {duration(most_ms)}"
    )


TIMES = (
    Condition(
        "days", "policy-days", f"today is one of these ({', '.join(DAYS)})", "[mon, tue]", _CLOCK, _read_days,
        typed(Words, _days), ordered(Words, lambda a, b: a.words <= b.words),
    ),
    Condition(
        "hours", "policy-hours", "the time of day lies within", "09:00-17:00", _CLOCK, read_hours,
        typed(Hours, _hours), ordered(Hours, Hours.within),
    ),
    Condition(
        "before", "policy-before", "the day has not come yet", "2027-01-31", _CLOCK, _read_date,
        typed(int, _before), ordered(int, lambda a, b: a <= b),
    ),
    Condition(
        "since", "policy-since", "the day has come", "2027-01-31", _CLOCK, _read_date, typed(int, _from),
        ordered(int, lambda a, b: a >= b),
    ),
    flag("locked", "policy-locked", "a locktime keeps it out of the chain until a block or a time", _SPEND, _locked),
    flag("replaceable", "policy-replaceable", "it signals that it can be replaced (BIP 125)", _SPEND, _replaceable),
    at_least(
        "confirmations", COUNT, _confirmations, "the newest coin's confirmations are",
        "the confirmations of every coin are", _CHAIN, tag="policy-confirmations",
    ),
    at_least(
        "coin_age", DURATION, _coin_age, "the newest coin's age is", "every coin has been in the chain for",
        _CHAIN, tag="policy-coin-age",
    ),
    Condition(
        "tip_within", "policy-tip-fresh", "the newest block that this node knows is no older than this", "2h",
        _CHAIN, read_unit(DURATION), typed(int, _tip), ordered(int, lambda a, b: a <= b), frozenset({WHEN, LIMITS}),
    ),
)  # fmt: skip
"""In the order of the reference page."""
