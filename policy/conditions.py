"""The conditions a tier or a deny rule can state, and when they hold.

A condition of a tier must hold for the tier to fit; each of a deny rule must hold for the rule to refuse. A check
returns why the tier does *not* fit, or why the deny rule *does*, and None otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policy.facts import Facts
from policy.profile import Clause, Destinations
from policy.units import SATS, Unit
from policy.wording import place, sats


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of a `when:` or of a tier's `limits:`. A `unit` of None means that it takes destinations."""

    key: str
    tag: str
    meaning: str
    unit: Unit[int] | None
    check: Callable[[int | Destinations, Facts], str | None]


def _pays_only(wanted: int | Destinations, facts: Facts) -> str | None:
    assert isinstance(wanted, Destinations)
    listed = ", ".join(wanted.words)
    others = facts.spend.outputs_to_others
    if not others:
        return None if wanted.own or wanted.anyone else f"it pays nobody, and `own` is not in: {listed}"
    strangers = [output for output in others if not wanted.holds(output)]
    if not strangers:
        return None
    more = f" (and {len(strangers) - 1} more)" if len(strangers) > 1 else ""
    return f"{place(strangers[0])}{more} is not in: {listed}"


def _pays_any(wanted: int | Destinations, facts: Facts) -> str | None:
    assert isinstance(wanted, Destinations)
    others = facts.spend.outputs_to_others
    looked_at = others if others or not (wanted.own or wanted.anyone) else facts.spend.change_outputs
    # To a deny rule anyone is anyone: whoever is paid without an address is no exception.
    hit = next((output for output in looked_at if wanted.anyone or wanted.holds(output)), None)
    return None if hit is None else f"it pays {place(hit)}"


def _sent(facts: Facts) -> int:
    return facts.spend.sent_sats


def _total(facts: Facts) -> int:
    return facts.leaving_sats


def _up_to(measure: Callable[[Facts], int], what: str) -> Callable[[int | Destinations, Facts], str | None]:
    def check(limit: int | Destinations, facts: Facts) -> str | None:
        assert isinstance(limit, int)
        amount = measure(facts)
        return f"{what} {sats(amount)}; the most is {sats(limit)}" if amount > limit else None

    return check


def _more_than(
    measure: Callable[[Facts], int], what: str
) -> Callable[[int | Destinations, Facts], str | None]:
    def check(limit: int | Destinations, facts: Facts) -> str | None:
        assert isinstance(limit, int)
        amount = measure(facts)
        return f"{what} {sats(amount)}, more than {sats(limit)}" if amount > limit else None

    return check


_SENT, _TOTAL = "others receive", "with the fee there leaves"

TIER_CONDITIONS = (
    Condition(
        "pays_only",
        "policy-destination",
        "every output to others goes to one of these; a spend that pays nobody needs `own`",
        None,
        _pays_only,
    ),
    Condition(
        "sent_up_to", "policy-tier-sent", "others receive no more than this", SATS, _up_to(_sent, _SENT)
    ),
    Condition(
        "total_up_to",
        "policy-tier-total",
        "no more than this leaves, fee included",
        SATS,
        _up_to(_total, _TOTAL),
    ),
)
"""What a tier's `when:` can say: the tier fits where all hold."""

TIER_LIMITS = (
    Condition(
        "sent", "policy-tier-limit-sent", "others receive no more than this", SATS, _up_to(_sent, _SENT)
    ),
    Condition(
        "total",
        "policy-tier-limit-total",
        "no more than this leaves, fee included",
        SATS,
        _up_to(_total, _TOTAL),
    ),
)
"""What a tier's `limits:` can say: a spend that fits the tier is refused where one does not hold."""

DENY_CONDITIONS = (
    Condition("pays_any", "policy-deny", "at least one output goes to one of these", None, _pays_any),
    Condition("sent_above", "policy-deny", "others receive more than this", SATS, _more_than(_sent, _SENT)),
    Condition(
        "total_above", "policy-deny", "more than this leaves, fee included", SATS, _more_than(_total, _TOTAL)
    ),
)
"""What a deny rule's `when:` can say: it refuses where all hold."""

_BY_KEY = {condition.key: condition for condition in (*TIER_CONDITIONS, *TIER_LIMITS, *DENY_CONDITIONS)}


def condition_of(clause: Clause) -> Condition:
    """The condition a clause states."""
    return _BY_KEY[clause.key]
