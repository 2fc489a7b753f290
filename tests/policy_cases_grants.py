"""Of each tag of grants and intents: what passes it, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

from policy_cases_actions import then
from policy_cases_base import Case, head
from policy_house import FRIEND, HOUR_MS, NOW_MS, ROLES, STRANGER, book, booked, coin, facts, wallet

from policy import Book, Facts, Grant
from policy.intents import Intent

GRANT = Grant(
    b"\x5a" * 32, FRIEND, 1_000_000, NOW_MS + HOUR_MS, 2, must_sign="home", made_at_ms=NOW_MS - HOUR_MS
)
INTENT = Intent(
    b"\x1d" * 32, "app", coin().outpoint, ((FRIEND, 500_000),), 1_000, NOW_MS + HOUR_MS, NOW_MS - HOUR_MS
)
UNDER_GRANT = facts(wallet=wallet(roles=ROLES, me="home"), grants=(GRANT,))
INTENDED = facts(intent=INTENT)


def used(*amounts: int) -> Book:
    """Spends that were signed under the grant."""
    return book(
        *(
            booked(0x50 + i, payments=((FRIEND, sats),), leaving_sats=sats, grant=GRANT.id)
            for i, sats in enumerate(amounts)
        )
    )


def grant(bad: Facts) -> Case:
    return Case(UNDER_GRANT, bad, text=then("grant"))


def intent(bad: Facts, rule: str = "required") -> Case:
    return Case(INTENDED, bad, text=head(f"intents: {rule}"))


CASES: dict[str, Case] = {
    "policy-grant": grant(replace(UNDER_GRANT, grants=(replace(GRANT, script=STRANGER),))),
    "policy-grant-sum": grant(replace(UNDER_GRANT, book=used(500_001))),
    "policy-grant-count": grant(replace(UNDER_GRANT, book=used(1_000, 1_000))),
    "policy-grant-expired": grant(replace(UNDER_GRANT, grants=(replace(GRANT, until_ms=NOW_MS),))),
    "policy-intent": intent(facts()),
    "policy-intent-device": intent(facts(intent=replace(INTENT, device="desk")), "{from: [app]}"),
    "policy-intent-match": intent(facts(intent=replace(INTENT, payments=((FRIEND, 499_999),)))),
    "policy-intent-fee": intent(facts(intent=replace(INTENT, max_fee_sats=999))),
    "policy-intent-coin": intent(facts(intent=replace(INTENT, outpoint=coin(1).outpoint))),
    "policy-intent-expired": intent(facts(intent=replace(INTENT, expires_at_ms=NOW_MS))),
    "policy-intent-spent": intent(replace(INTENDED, book=book(booked(intent=INTENT.id)))),
}
