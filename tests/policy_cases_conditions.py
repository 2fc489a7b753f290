"""Of each condition: a value, facts for which it holds, facts for which it does not, and facts that leave it open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from policy_cases_base import BY_LEAF, LEAF, TWO_COINS, Case, data, paying
from policy_house import (
    FRIEND,
    HOUR_MS,
    NOW_MS,
    PROFILE,
    STRANGER,
    book,
    booked,
    chain,
    change,
    coin,
    facts,
    output,
    person,
    spend,
)

from policy import ClockReading, Facts, WayFacts
from policy.conditions import CONDITIONS

ZONED = PROFILE.replace("limits:", "zone: Europe/Berlin\nlimits:")


WITH_HEIR = facts(wallet=replace(facts().wallet, way=WayFacts("", 2, 2, outsiders=("heir",))))


@dataclass(frozen=True)
class Told:
    """One condition with a value; `undecided` is None where its fact is always known."""

    value: str
    holds: Facts
    fails: Facts
    undecided: Facts | None = None


def tier(line: str) -> str:
    """The usual profile with another tier."""
    return ZONED.replace("when: {pays_only: [friends, own]}\n    then: approve", line)


def at(hours: int = 0, *, in_doubt: bool = False) -> Facts:
    """The usual facts so many hours later. It is Sunday, 18:46:40 in Berlin, on 2030-03-17."""
    return facts(clock=ClockReading(NOW_MS + hours * HOUR_MS, in_doubt))


def listed(ago_ms: int) -> Facts:
    return facts(listed_since_ms={FRIEND: NOW_MS - ago_ms})


UNSURE = facts(clock=ClockReading(NOW_MS, in_doubt=True), chain=chain())
TO_STRANGER = facts(spend(outputs=(output(script=STRANGER), change())))
TO_TWO = facts(spend(outputs=(output(0, 250_000), output(2, 250_000, STRANGER), change())))
BACK = facts(spend(outputs=(change(0, 999_000),)))
FREE = facts(spend(outputs=(change(0, 0),), fee_sats=1_000_000))
SIGNED = booked(
    fee_sats=500, payments=((FRIEND, 500_000),), leaving_sats=500_500, outpoints=(coin().outpoint,)
)
GATHERED = facts(spend(inputs=(coin(0), coin(1)), outputs=(change(0, 1_999_000),)))
LOCKED = facts(spend(locktime=100))
FINAL = facts(spend(inputs=(coin(sequence=0xFFFFFFFF),)))
ASKED = facts(initiator_person="ann", initiator_roles=("treasurer",))
NOBODY_KNOWN = facts(initiator="")

TOLD: dict[str, Told] = {
    "pays_only": Told("friends", facts(), TO_STRANGER),
    "pays_any": Told("friends", TO_TWO, TO_STRANGER),
    "paid_before": Told(
        "true", facts(book=book(booked(payments=((FRIEND, 1),)))), facts(), facts(book=book().exhausted(NOW_MS))
    ),
    "listed_for": Told("24h", listed(24 * HOUR_MS), listed(24 * HOUR_MS - 1), facts(clock=None)),
    "script_types": Told("[p2tr]", facts(), facts(spend(outputs=data(0)))),
    "carries_data": Told("true", facts(spend(outputs=data(0))), facts()),
    "round_trip": Told("true", BACK, facts()),
    "recipients_up_to": Told("1", facts(), TO_TWO),
    "recipients_above": Told("1", TO_TWO, facts()),
    "sent_up_to": Told("500_000sat", facts(), paying(500_001)),
    "sent_above": Told("500_000sat", paying(500_001), facts()),
    "total_up_to": Told("501_000sat", facts(), paying(500_000, 1_001)),
    "total_above": Told("501_000sat", paying(500_000, 1_001), facts()),
    "each_up_to": Told("500_000sat", facts(), paying(500_001)),
    "each_above": Told("250_000sat", facts(), TO_TWO),
    "balance_share_up_to": Told("10%", facts(chain=chain(5_010_000)), facts(chain=chain(5_009_999)), facts()),
    "balance_share_above": Told("10%", facts(chain=chain(5_009_999)), facts(chain=chain(5_010_000)), facts()),
    "keeps": Told("5_000_000sat", facts(chain=chain(5_501_000)), facts(chain=chain(5_500_999)), facts()),
    "fee_up_to": Told("1_000sat", facts(), paying(500_000, 1_001)),
    "fee_above": Told("1_000sat", paying(500_000, 1_001), facts()),
    "fee_rate_up_to": Told(
        "2sat/vB", facts(spend(signed_vsize=500)), facts(spend(signed_vsize=499)), facts(spend(signed_vsize=0))
    ),
    "fee_rate_above": Told(
        "2sat/vB", facts(spend(signed_vsize=499)), facts(spend(signed_vsize=500)), facts(spend(signed_vsize=0))
    ),
    "fee_share_up_to": Told("0.2%", facts(), paying(499_999), FREE),
    "fee_share_above": Told("0.2%", paying(499_999), facts(), FREE),
    "bump": Told("true", facts(book=book(SIGNED)), facts(), facts(book=None)),
    "velocity": Told(
        "{window: 24h, sum: 2_000_000sat}", facts(), facts(book=book(booked())), facts(book=None)
    ),
    "days": Told("[sat, sun]", at(), at(6), at(in_doubt=True)),
    "hours": Told("18:46-18:47", at(), at(1), at(in_doubt=True)),
    "before": Told("2030-03-18", at(5), at(6), at(in_doubt=True)),
    "since": Told("2030-03-18", at(6), at(5), at(in_doubt=True)),
    "locked": Told("true", LOCKED, facts()),
    "replaceable": Told("true", facts(), FINAL),
    "confirmations": Told("6", facts(chain=chain()), facts(chain=chain(confirmed=5)), facts()),
    "coin_age": Told("6h", facts(chain=chain()), facts(chain=chain(confirmed=5)), UNSURE),
    "tip_within": Told("1h", facts(chain=chain()), facts(chain=chain(tip_age_ms=HOUR_MS + 1)), UNSURE),
    "coins_only": Told("['" + "00" * 32 + ":0']", facts(), TWO_COINS),
    "coins_any": Told("own/0/1", TWO_COINS, facts()),
    "inputs_up_to": Told("1", facts(), TWO_COINS),
    "inputs_above": Told("1", TWO_COINS, facts()),
    "consolidation": Told("true", GATHERED, BACK),
    "asked_by": Told("[desk]", facts(), facts(initiator="app"), NOBODY_KNOWN),
    "asked_by_role": Told("treasurer", ASKED, replace(ASKED, initiator_roles=()), facts()),
    "approved_by": Told(
        "{treasurer: 1}", facts(people=(person("bob", "treasurer"),)),
        facts(people=(person("bob", "treasurer", yes=False),)), NOBODY_KNOWN,
    ),
    "recovery": Told("false", facts(), BY_LEAF),
    "by_leaf": Told("[inheritance]", BY_LEAF, replace(BY_LEAF, spend=spend(leaf=replace(LEAF, name="other")))),
    "leaf_timed": Told("true", BY_LEAF, replace(BY_LEAF, spend=spend(leaf=replace(LEAF, after=0)))),
    "outsiders": Told("true", WITH_HEIR, facts()),
}  # fmt: skip

CASES: dict[str, Case] = {
    CONDITIONS[key].tag: Case(
        told.holds, told.fails, text=tier(f"when: {{{key}: {told.value}}}\n    then: approve")
    )
    for key, told in TOLD.items()
}
