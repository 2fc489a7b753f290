"""Conditions about where a spend pays to."""

from __future__ import annotations

from policy.condition import LIMITS, WHEN, Condition, Said, flag, measured, ordered, typed
from policy.facts import Facts
from policy.profile import Profile
from policy.reading_values import read_destinations, read_unit, read_words
from policy.units import COUNT, DURATION
from policy.values import Destinations, Words
from policy.wording import duration, place, remaining, shown
from taproot import SpendOutput

_SPEND, _WALLET = "the transaction", "the transaction and this node's own derivation of the wallet's scripts"
SCRIPT_TYPES = (
    "p2pk",
    "p2ms",
    "p2pkh",
    "p2sh",
    "p2wpkh",
    "p2wsh",
    "p2tr",
    "p2a",
    "witness_unknown",
    "nulldata",
)
"""What `script_types` can name."""


def _and_more(outputs: list[SpendOutput]) -> str:
    return place(outputs[0]) + (f" (and {len(outputs) - 1} more)" if len(outputs) > 1 else "")


def _pays_only(wanted: Destinations, _profile: Profile, facts: Facts) -> Said:
    listed = ", ".join(wanted.words)
    others = facts.spend.outputs_to_others
    if not others:
        fits = wanted.own or wanted.anyone
        return Said(fits, f"it pays nobody, and `own` is {'' if fits else 'not '}in: {listed}")
    strangers = [output for output in others if not wanted.holds(output)]
    if strangers:
        return Said(False, f"{_and_more(strangers)} is not in: {listed}")
    return Said(True, f"it pays only {listed}")


def _pays_any(wanted: Destinations, _profile: Profile, facts: Facts) -> Said:
    others = facts.spend.outputs_to_others
    looked_at = others if others or not (wanted.own or wanted.anyone) else facts.spend.change_outputs
    # Anyone is anyone: whoever is paid without an address is no exception.
    hit = next((output for output in looked_at if wanted.anyone or wanted.holds(output)), None)
    if hit is None:
        return Said(False, f"it pays none of: {', '.join(wanted.words)}")
    return Said(True, f"it pays {place(hit)}")


def _paid_before(_profile: Profile, facts: Facts) -> Said:
    if facts.book is None:
        return Said(None, "this node has no record of earlier spends")
    book = facts.book
    new = [
        output
        for output in facts.spend.outputs_to_others
        if output.script_type != "nulldata" and not book.paid_before(output.script_pubkey, facts.spend_id)
    ]
    if new and book.exhausted_since_ms is not None:
        return Said(None, f"this node was recovered and cannot know whether it paid {_and_more(new)} before")
    if new:
        return Said(False, f"{_and_more(new)} was never paid by this node before")
    return Said(True, "every recipient was paid by this node before")


def _listed_for(least_ms: int, _profile: Profile, facts: Facts) -> Said:
    if facts.clock is None:
        return Said(None, "this node has no clock")
    for output in facts.spend.outputs_to_others:
        since_ms = facts.listed_since_ms.get(output.script_pubkey)
        if since_ms is None:
            return Said(False, f"{place(output)} stands in no list")
        left_ms = since_ms + least_ms - facts.clock.now_ms
        if left_ms > 0:
            return Said(
                False,
                f"{place(output)} was listed less than {duration(least_ms)} ago; usable in {remaining(left_ms)}",
            )
    return Said(True, f"every recipient has been listed for {duration(least_ms)}")


def _script_types(wanted: Words, _profile: Profile, facts: Facts) -> Said:
    odd = [output for output in facts.spend.outputs_to_others if output.script_type not in wanted.words]
    if odd:
        return Said(False, f"{place(odd[0])} is {shown(odd[0].script_type, 20)}, and not of: {wanted}")
    return Said(True, f"every output to others is of: {wanted}")


def _carries_data(_profile: Profile, facts: Facts) -> Said:
    carries = any(output.script_type == "nulldata" for output in facts.spend.outputs)
    return Said(carries, "it carries data (OP_RETURN)" if carries else "it carries no data (OP_RETURN)")


def _recipients(_profile: Profile, facts: Facts) -> int:
    return len({output.script_pubkey for output in facts.spend.outputs_to_others})


def _round_trip(_profile: Profile, facts: Facts) -> Said:
    back = not facts.spend.outputs_to_others
    return Said(back, "all of it comes back to this wallet" if back else "it pays others")


PAYING = (
    Condition(
        "pays_only", "policy-destination",
        "every output to others goes to one of these; a spend that pays nobody needs `own`",
        "[friends, own]", _WALLET, read_destinations, typed(Destinations, _pays_only),
        ordered(Destinations, Destinations.within),
    ),
    Condition(
        "pays_any", "policy-destination-any", "at least one output goes to one of these",
        "blocked", _WALLET, read_destinations, typed(Destinations, _pays_any),
        ordered(Destinations, Destinations.within),
    ),
    flag(
        "paid_before", "policy-recipient-new",
        "every recipient was paid by a spend that this node signed before", "this node's record of what it signed",
        _paid_before,
    ),
    Condition(
        "listed_for", "policy-list-age",
        "every recipient has stood in a list of the policy in force for so long, by the policy clock",
        "24h", "this node's record of the policies in force", read_unit(DURATION), typed(int, _listed_for),
        ordered(int, lambda a, b: a >= b), frozenset({WHEN, LIMITS}),
    ),
    Condition(
        "script_types", "policy-script-type",
        f"every output to others is of these types ({', '.join(SCRIPT_TYPES)})",
        "[p2tr, p2wpkh]", _SPEND, read_words(SCRIPT_TYPES, "script type"), typed(Words, _script_types),
        ordered(Words, lambda a, b: a.words <= b.words), frozenset({WHEN, LIMITS}),
    ),
    flag("carries_data", "policy-data", "an output carries data (OP_RETURN)", _SPEND, _carries_data),
    flag(
        "round_trip", "policy-round-trip", "all outputs are this wallet's own", _WALLET, _round_trip
    ),
    *measured(
        "recipients", COUNT, _recipients, "the number of recipients is", "the number of recipients is", _WALLET,
        tags=("policy-recipients", "policy-recipients-above"),
    ),
)  # fmt: skip
"""In the order of the reference page."""
