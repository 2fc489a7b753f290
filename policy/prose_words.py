"""The words for every condition and setting of the language, as a careful owner would say them.

Each condition's words complete a sentence that begins with "if": "if it pays only `friends`". A condition or a
setting without words fails a test.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from policy.reading_values import NAME
from policy.units import COUNT, DURATION, RATE, SATS, SHARE, Unit
from policy.values import CoinSet, Destinations, Hours, People, Value, Words
from policy.when_times import DAYS
from policy.windows import Velocity, Zone
from policy.wording import sats

Say = Callable[[Value, Zone | None], str]
"""What a condition of this value says, after "if"."""


def listed(words: list[str] | tuple[str, ...], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " ".join([", ".join(words[:-1]), last, words[-1]]) if len(words) > 1 else "".join(words)


def counted(number: int, one: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number:_} {one if number == 1 else 'people' if one == 'person' else f'{one}s'}"


def places_words(places: Destinations) -> str:
    """Where a spend may pay to: lists in backticks, addresses as they are."""
    return listed([_place(word) for word in places.words], "or")


def _place(word: str) -> str:
    if word in {"own", "anyone"}:
        return "this wallet" if word == "own" else "anyone with an address"
    return f"`{word}`" if NAME.fullmatch(word) else word


def people_words(people: People) -> str:
    """`2 people of role treasurer and 1 person of role security`."""
    return listed([f"{counted(count, 'person')} of role {role}" for role, count in people.groups])


def velocity_words(rule: Velocity) -> str:
    """What may leave in a window, for the whole wallet."""
    parts = [] if rule.sum_sats is None else [sats(rule.sum_sats)]
    parts += [] if rule.count is None else [counted(rule.count, "spend")]
    parts += [] if rule.fees_sats is None else [f"{sats(rule.fees_sats)} of fees"]
    parts += [] if rule.recipients is None else [counted(rule.recipients, "recipient")]
    whose = "" if rule.per is None else f" for each {rule.per.value}"
    window = "in all its life" if str(rule.window) == "lifetime" else f"per {rule.window}"
    return f"at most {listed(parts)} {window}{whose}"


# Builders, one for each kind of value.


def _number(before: str, unit: Unit[int], after: str = "") -> Say:
    def say(value: Value, _zone: Zone | None) -> str:
        assert isinstance(value, int)
        return f"{before} {unit.show(value)}{after}"

    return say


def _flag(yes: str, no: str) -> Say:
    return lambda value, _zone: yes if value else no


def _names(before: str) -> Say:
    def say(value: Value, _zone: Zone | None) -> str:
        assert isinstance(value, Words)
        return f"{before} {listed(sorted(value.words), 'or')}"

    return say


def _pays(before: str) -> Say:
    def say(value: Value, _zone: Zone | None) -> str:
        assert isinstance(value, Destinations)
        return f"{before} {places_words(value)}"

    return say


def _coins(before: str) -> Say:
    def say(value: Value, _zone: Zone | None) -> str:
        assert isinstance(value, CoinSet)
        return f"{before} {listed([_place(word) for word in value.words], 'or')}"

    return say


def _days(value: Value, _zone: Zone | None) -> str:
    assert isinstance(value, Words)
    return f"today is {listed([day for day in DAYS if day in value.words], 'or')}"


def _hours(value: Value, _zone: Zone | None) -> str:
    assert isinstance(value, Hours)
    return f"the time of day is within {value}"


def _date(before: str) -> Say:
    def say(value: Value, zone: Zone | None) -> str:
        assert isinstance(value, int)
        tz = UTC if zone is None else zone.tz
        return f"{before} {datetime.fromtimestamp(value // 1000, UTC).astimezone(tz):%Y-%m-%d}"

    return say


def _velocity(value: Value, _zone: Zone | None) -> str:
    assert isinstance(value, Velocity)
    return f"with it there are {velocity_words(value)} (this node counts its part)"


def _approved(value: Value, _zone: Zone | None) -> str:
    assert isinstance(value, People)
    verb = "has" if sum(count for _, count in value.groups) == 1 else "have"
    return f"{people_words(value)} {verb} said yes (whoever asks does not count)"


_SENT, _LEAVES = "others receive", "with the fee there leaves"
CONDITION_WORDS: dict[str, Say] = {
    "pays_only": _pays("it pays only"),
    "pays_any": _pays("it pays"),
    "paid_before": _flag("every recipient was paid before", "some recipient was never paid before"),
    "listed_for": _number("every recipient has stood in a list for", DURATION),
    "script_types": _names("every output to others is of type"),
    "carries_data": _flag("it carries data (OP_RETURN)", "it carries no data (OP_RETURN)"),
    "round_trip": _flag("all of it comes back to this wallet", "it pays somebody else"),
    "recipients_up_to": _number("it has no more recipients than", COUNT),
    "recipients_above": _number("it has more recipients than", COUNT),
    "sent_up_to": _number(f"{_SENT} at most", SATS),
    "sent_above": _number(f"{_SENT} more than", SATS),
    "total_up_to": _number(f"{_LEAVES} at most", SATS),
    "total_above": _number(f"{_LEAVES} more than", SATS),
    "each_up_to": _number("no output to others carries more than", SATS),
    "each_above": _number("some output to others carries more than", SATS),
    "balance_share_up_to": _number("there leaves at most", SHARE, " of the balance"),
    "balance_share_above": _number("there leaves more than", SHARE, " of the balance"),
    "keeps": _number("there stays at least", SATS, " in the wallet"),
    "fee_up_to": _number("the fee is at most", SATS),
    "fee_above": _number("the fee is more than", SATS),
    "fee_rate_up_to": _number("the fee rate is at most", RATE),
    "fee_rate_above": _number("the fee rate is more than", RATE),
    "fee_share_up_to": _number("the fee is at most", SHARE, " of what is sent"),
    "fee_share_above": _number("the fee is more than", SHARE, " of what is sent"),
    "bump": _flag(
        "it only raises the fee of a spend that this node signed",
        "it is more than a higher fee for a spend that this node signed",
    ),
    "velocity": _velocity,
    "days": _days,
    "hours": _hours,
    "before": _date("it is before"),
    "since": _date("it is no earlier than"),
    "locked": _flag("a locktime keeps it out of the chain for now", "no locktime keeps it out of the chain"),
    "replaceable": _flag("it can be replaced (BIP 125)", "it does not signal that it can be replaced"),
    "confirmations": _number("each coin's confirmations are at least", COUNT),
    "coin_age": _number("every coin has been in the chain for", DURATION),
    "tip_within": _number("the newest known block is no older than", DURATION),
    "coins_only": _coins("it uses only coins of"),
    "coins_any": _coins("it uses a coin of"),
    "inputs_up_to": _number("it uses no more coins than", COUNT),
    "inputs_above": _number("it uses more coins than", COUNT),
    "consolidation": _flag(
        "it gathers several coins into one of this wallet's", "it does not only gather coins of this wallet"
    ),
    "asked_by": _names("the client that asks is"),
    "asked_by_role": _names("whoever asks has role"),
    "approved_by": _approved,
    "recovery": _flag("it is spent by a recovery leaf", "it is spent the ordinary way"),
    "by_leaf": _names("it is spent by the recovery leaf"),
    "leaf_timed": _flag("its leaf has a lock time", "no leaf with a lock time is used"),
    "outsiders": _flag("participants that are no nodes may sign too", "only nodes sign"),
}
"""The words of each condition, by its key."""

SETTING_WORDS: dict[str, str] = {
    "baseline.max_inputs": "A spend uses at most {} coins.",
    "baseline.max_outputs": "A spend has at most {} outputs.",
    "baseline.max_vsize": "A signed transaction is no larger than {}.",
    "baseline.max_version": "The transaction version is at most {}.",
    "baseline.max_locktime_height": "No spend is locked beyond block {}.",
    "baseline.min_output": "No output is smaller than {} (nor than the dust limit).",
    "limits.fee.max": "The fee is at most {}.",
    "limits.fee.min": "The fee is at least {}.",
    "limits.fee.max_rate": "The fee rate is at most {}.",
    "limits.fee.min_rate": "The fee rate is at least {}.",
    "limits.fee.max_share": "The fee is at most {} of what others receive (else of what comes back).",
    "limits.amount.sent": "Others receive at most {} by one spend.",
    "limits.amount.total": "At most {} leaves the wallet by one spend, fee included.",
    "limits.amount.output": "No output to others carries more than {}.",
    "limits.amount.share": "One spend takes at most {} of the wallet's balance.",
    "limits.amount.keep": "At least {} stays in the wallet.",
    "limits.pace.min_blocks": "Between two spends there are at least {} blocks.",
}
"""The sentence of each setting, by its key, with {} for its value."""
