"""What each shipped profile says of twelve amounts, to a listed payee and to a stranger, fresh and after some spending.

The tables are written by hand: an outcome, and the tag of the first reason, without `policy-`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from policy_house import STRANGER, booked, change, coin, facts, output, spend, wallet
from shipped import ENTERPRISE, PERSONAL, file_of, shipped

from policy import Book, Booking, ClockReading, Facts, Intent, Outcome, judge
from taproot import Network, address_to_script

BTC = 100_000_000
HOUR_MS = 3_600_000
NOON_MS = int(datetime(2027, 1, 4, 11, tzinfo=UTC).timestamp()) * 1000
"""A Monday in Berlin."""
FRIEND = address_to_script(
    "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d", Network.REGTEST
)
SUPPLIER = address_to_script(
    "bcrt1py60twtec6rgntsg608qphvzec9tqj0ch40m5vm62khnafhfusj2sczetqv", Network.REGTEST
)
PAYROLL = address_to_script(
    "bcrt1p02nxjxphhqt07yq49y96uvmjfq9gvxvxwruf543tc7vnx7dynffqua2qeq", Network.REGTEST
)
BLOCKED = address_to_script("bcrt1q44erg00w93c2rd78gue87fyhuntmpwff5cm26a", Network.REGTEST)
VAULT = address_to_script("bcrt1qgqsglpcamtvqtjt932gh3f5pggyg2vugjfdd26", Network.REGTEST)
RESCUE = address_to_script("bcrt1qsf800p6p285u338hc0yzr589mftr5s9m9wknx2", Network.REGTEST)
FEE_SATS = 500
NOT_LISTED = "refuse destination"


def paying(role: str, sats: int, script: bytes, spent: tuple[Booking, ...]) -> Facts:
    """A node of the wallet is asked to pay so much; what a device must have meant, it meant."""
    roles = ENTERPRISE if role in ENTERPRISE else PERSONAL
    inputs = (coin(0, amount_sats=sats + BTC + FEE_SATS),)
    made = spend(inputs=inputs, outputs=(output(0, sats, script), change(1, BTC)), fee_sats=FEE_SATS)
    meant = Intent(
        b"\x05" * 32, "desk", inputs[0].outpoint, ((script, sats),), FEE_SATS, NOON_MS + 1, NOON_MS
    )
    return replace(
        facts(made, initiator="desk", intent=meant),
        wallet=wallet(n=len(roles), t=len(roles) // 2 + 1, roles=roles, me=role),
        clock=ClockReading(NOON_MS, in_doubt=False),
        book=Book.of(sorted(spent, key=lambda one: one.at_ms)),
        listed_since_ms=dict.fromkeys(shipped(file_of(role)).listed_scripts, NOON_MS - 30 * 24 * HOUR_MS),
    )


def said(role: str, sats: int, script: bytes, spent: tuple[Booking, ...]) -> str:
    """The outcome and the first tag."""
    found = judge(shipped(file_of(role)), paying(role, sats, script, spent))
    return f"{found.outcome.name.lower()} {found.codes[0].removeprefix('policy-')}"


def earlier(*spends: tuple[int, int], by: str = "desk", first: int = 64) -> tuple[Booking, ...]:
    """Spends that the node signed: how many minutes ago, and how much left."""
    return tuple(
        replace(booked(number, leaving_sats=sats, initiator=by), at_ms=NOON_MS - minutes * 60_000)
        for number, (minutes, sats) in enumerate(spends, first)
    )


PERSONAL_SPENT = earlier(*[(60, BTC // 100)] * 10, (2 * 1440, 30_000_000), (10 * 1440, 130_000_000))
"""Ten small ones an hour ago, 0.3 BTC two days ago, 1.3 BTC ten days ago."""
ENTERPRISE_SPENT = (
    *earlier(*[(30, 75_000_000)] * 6),
    *earlier((5 * 60, 450_000_000), by="desk-2", first=128),
)
"""Six of 0.75 BTC within the hour by this desk, 4.5 BTC this morning by another."""

# What the three nodes of the personal set say: home, phone, offline.

PERSONAL_LISTED_FRESH = """
            999  refuse fee-share     refuse fee-share     refuse dust
         10_000  approve tier         approve tier         refuse fee-share
        100_000  approve tier         approve tier         ask ask
      1_000_000  approve tier         approve tier         ask ask
      1_000_001  approve tier         ask ask              ask ask
      5_000_000  approve tier         ask ask              ask ask
     10_000_000  approve tier         ask ask              ask ask
     10_000_001  wait wait            refuse deny          ask ask
     50_000_000  wait wait            refuse deny          ask ask
    100_000_000  wait wait            refuse deny          ask ask
    100_000_001  refuse tier-sent     refuse deny          refuse tier-sent
 30_000_000_000  refuse tier-sent     refuse deny          refuse tier-sent
"""

PERSONAL_LISTED_SPENT = """
            999  refuse fee-share     refuse fee-share     refuse dust
         10_000  approve tier         ask ask              refuse fee-share
        100_000  approve tier         ask ask              refuse velocity-count
      1_000_000  approve tier         ask ask              refuse velocity-count
      1_000_001  approve tier         ask ask              refuse velocity-count
      5_000_000  approve tier         ask ask              refuse velocity-count
     10_000_000  wait wait            ask ask              refuse velocity-count
     10_000_001  wait wait            refuse deny          refuse velocity-count
     50_000_000  refuse tier-velocity refuse deny          refuse velocity-count
    100_000_000  refuse tier-velocity refuse deny          refuse velocity-count
    100_000_001  refuse tier-sent     refuse deny          refuse velocity-count
 30_000_000_000  refuse tier-sent     refuse deny          refuse velocity-count
"""

PERSONAL_STRANGER_FRESH = """
            999  refuse fee-share     refuse fee-share     refuse dust
         10_000  refuse destination   refuse destination   refuse fee-share
        100_000  refuse destination   refuse destination   refuse destination
      1_000_000  refuse destination   refuse destination   refuse destination
      1_000_001  refuse destination   refuse destination   refuse destination
      5_000_000  refuse destination   refuse destination   refuse destination
     10_000_000  refuse destination   refuse destination   refuse destination
     10_000_001  refuse destination   refuse deny          refuse destination
     50_000_000  refuse destination   refuse deny          refuse destination
    100_000_000  refuse destination   refuse deny          refuse destination
    100_000_001  refuse destination   refuse deny          refuse destination
 30_000_000_000  refuse destination   refuse deny          refuse destination
"""

PERSONAL_STRANGER_SPENT = """
            999  refuse fee-share     refuse fee-share     refuse dust
         10_000  refuse destination   refuse destination   refuse fee-share
        100_000  refuse destination   refuse destination   refuse velocity-count
      1_000_000  refuse destination   refuse destination   refuse velocity-count
      1_000_001  refuse destination   refuse destination   refuse velocity-count
      5_000_000  refuse destination   refuse destination   refuse velocity-count
     10_000_000  refuse destination   refuse destination   refuse velocity-count
     10_000_001  refuse destination   refuse deny          refuse velocity-count
     50_000_000  refuse destination   refuse deny          refuse velocity-count
    100_000_000  refuse destination   refuse deny          refuse velocity-count
    100_000_001  refuse destination   refuse deny          refuse velocity-count
 30_000_000_000  refuse destination   refuse deny          refuse velocity-count
"""

# What the five of the enterprise say: treasury, operations, security, audit, cold.

ENTERPRISE_LISTED_FRESH = """
         49_999  refuse fee-share     refuse fee-share     refuse fee-share     refuse fee-share     refuse fee-share
        100_000  approve tier         approve tier         approve tier         approve tier         ask ask
     10_000_000  approve tier         approve tier         approve tier         approve tier         ask ask
     50_000_000  approve tier         approve tier         approve tier         approve tier         ask ask
     50_000_001  approve tier         approve tier         ask ask              approve tier         ask ask
    200_000_000  approve tier         approve tier         ask ask              approve tier         ask ask
    200_000_001  wait wait            wait wait            wait wait            wait wait            wait wait
    500_000_000  wait wait            wait wait            wait wait            wait wait            wait wait
    500_000_001  wait wait            refuse tier-sent     wait wait            wait wait            wait wait
  1_000_000_000  wait wait            refuse tier-sent     wait wait            wait wait            wait wait
  1_000_000_001  refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent
300_000_000_000  refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent
"""

ENTERPRISE_LISTED_SPENT = """
         49_999  refuse fee-share     refuse fee-share     refuse fee-share     refuse fee-share     refuse fee-share
        100_000  approve tier         approve tier         ask ask              approve tier         ask ask
     10_000_000  approve tier         approve tier         ask ask              approve tier         ask ask
     50_000_000  approve tier         refuse tier-velocity ask ask              approve tier         ask ask
     50_000_001  approve tier         refuse tier-velocity ask ask              approve tier         ask ask
    200_000_000  wait wait            refuse tier-velocity wait wait            wait wait            wait wait
    200_000_001  wait wait            wait wait            wait wait            wait wait            wait wait
    500_000_000  wait wait            wait wait            wait wait            wait wait            wait wait
    500_000_001  wait wait            refuse tier-sent     wait wait            wait wait            wait wait
  1_000_000_000  wait wait            refuse tier-sent     wait wait            wait wait            wait wait
  1_000_000_001  refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent
300_000_000_000  refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent     refuse tier-sent
"""

ENTERPRISE_STRANGER = """
         49_999  refuse destination   refuse destination   refuse fee-share     refuse destination   refuse destination
        100_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
     10_000_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
     50_000_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
     50_000_001  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
    200_000_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
    200_000_001  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
    500_000_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
    500_000_001  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
  1_000_000_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
  1_000_000_001  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
300_000_000_000  refuse destination   refuse destination   refuse destination   refuse destination   refuse destination
"""
"""Fresh or not: a stranger is a stranger."""


Row = tuple[int, tuple[str, ...]]


def rows(table: str) -> list[Row]:
    """The amount and each node's word of every line."""
    found = []
    for line in table.strip().splitlines():
        amount, *words = line.split()
        found.append((int(amount), tuple(f"{a} {b}" for a, b in zip(words[::2], words[1::2], strict=True))))
    return found


@pytest.mark.parametrize(
    ("roles", "table", "script", "spent"),
    [
        (PERSONAL, PERSONAL_LISTED_FRESH, FRIEND, ()),
        (PERSONAL, PERSONAL_LISTED_SPENT, FRIEND, PERSONAL_SPENT),
        (PERSONAL, PERSONAL_STRANGER_FRESH, STRANGER, ()),
        (PERSONAL, PERSONAL_STRANGER_SPENT, STRANGER, PERSONAL_SPENT),
        (ENTERPRISE, ENTERPRISE_LISTED_FRESH, SUPPLIER, ()),
        (ENTERPRISE, ENTERPRISE_LISTED_SPENT, SUPPLIER, ENTERPRISE_SPENT),
        (ENTERPRISE, ENTERPRISE_STRANGER, STRANGER, ()),
        (ENTERPRISE, ENTERPRISE_STRANGER, STRANGER, ENTERPRISE_SPENT),
    ],
)
def test_matrix(roles: tuple[str, ...], table: str, script: bytes, spent: tuple[Booking, ...]) -> None:
    expected = rows(table)
    assert len(expected) == 12
    found = [(sats, tuple(said(role, sats, script, spent) for role in roles)) for sats, _ in expected]
    assert found == expected


@pytest.mark.parametrize(
    ("roles", "script", "sats", "expected"),
    [
        (PERSONAL, RESCUE, 300 * BTC, "ask ask | ask ask | ask ask"),
        (ENTERPRISE, PAYROLL, BTC, "approve tier | ask ask | ask ask | approve tier | ask ask"),
        (ENTERPRISE, PAYROLL, 6 * BTC, f"wait wait | {NOT_LISTED} | wait wait | refuse tier-velocity | wait wait"),
        (ENTERPRISE, BLOCKED, BTC, f"{NOT_LISTED} | {NOT_LISTED} | refuse deny | {NOT_LISTED} | {NOT_LISTED}"),
        (ENTERPRISE, VAULT, 3_000 * BTC, "wait wait | wait wait | wait wait | wait wait | wait wait"),
    ],
)  # fmt: skip
def test_other_places(roles: tuple[str, ...], script: bytes, sats: int, expected: str) -> None:
    assert " | ".join(said(role, sats, script, ()) for role in roles) == expected


def test_three_nodes_refuse_a_large_payment_to_a_stranger_each_in_its_own_words() -> None:
    found = [judge(shipped(role), paying(role, 60_000_000, STRANGER, ())) for role in PERSONAL]
    assert {one.outcome for one in found} == {Outcome.REFUSE}
    assert len({tuple(reason.text for reason in one.reasons) for one in found}) == 3
    assert all("policy-destination" in one.codes for one in found)
