"""Spends, facts and profiles for the tests of policy: one that is approved, and ways to change a single thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster.settings import parse_settings
from policy import Book, ClockReading, Facts, Profile, WalletFacts, read_profile
from taproot import Network, OutPoint, Spend, SpendInput, SpendOutput, WalletPath

NOW_MS = 1_900_000_000_000
FRIEND = b"\x51\x20" + b"\x11" * 32
STRANGER = b"\x51\x20" + b"\x22" * 32
OURS = b"\x51\x20" + b"\x33" * 32
SPEND_ID = b"\x07" * 32

PROFILE = """\
schema: 1
name: home
network: regtest
lists:
  friends: [FRIEND]
limits:
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - name: everyday
    when: {pays_only: [friends, own]}
    then: approve
"""


def decode(text: str, network: Network) -> bytes:
    """Addresses of these tests: two words, and hex for others."""
    known = {"FRIEND": FRIEND, "STRANGER": STRANGER}
    if network is not Network.REGTEST or text not in known:
        raise ValueError("that is not an address")
    return known[text]


def profile(text: str = PROFILE) -> Profile:
    return read_profile(parse_settings(text, "test.yaml"), decode)


def coin(number: int = 0, **changes: Any) -> SpendInput:
    made = SpendInput(
        OutPoint(bytes([number]) * 32, 0), 1_000_000, OURS, 0xFFFFFFFD, 0, WalletPath(0, number)
    )
    return replace(made, **changes)


def output(index: int = 0, amount: int = 500_000, script: bytes = FRIEND, **changes: Any) -> SpendOutput:
    made = SpendOutput(index, amount, script, f"bcrt1p{script[2:6].hex()}", "p2tr", None)
    return replace(made, **changes)


def change(index: int = 1, amount: int = 499_000, **changes: Any) -> SpendOutput:
    return output(index, amount, OURS, path=WalletPath(1, 0), claims_wallet=True, **changes)


def spend(**changes: Any) -> Spend:
    made = Spend(
        network=Network.REGTEST,
        version=2,
        locktime=0,
        inputs=(coin(),),
        outputs=(output(), change()),
        fee_sats=1_000,
        signed_vsize=154,
        unsigned_tx=b"",
        txid=bytes(32),
        psbt_version=2,
    )
    return replace(made, **changes)


def wallet(**changes: Any) -> WalletFacts:
    return replace(WalletFacts(True, "savings", Network.REGTEST, 3, 2, 20, (1, 1)), **changes)


def facts(made: Spend | None = None, **changes: Any) -> Facts:
    base = Facts(
        spend=made if made is not None else spend(),
        spend_id=SPEND_ID,
        wallet=wallet(),
        initiator="desk",
        clock=ClockReading(NOW_MS, in_doubt=False),
        book=Book(),
    )
    return replace(base, **changes)
