"""The profiles in configs/, and the reference page: what is shipped loads and says what it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from policy_house import STRANGER, change, coin, facts, output, spend, wallet

from cluster.settings import load_profile
from policy import Facts, Outcome, judge
from policy.reference import reference
from taproot import Network, address_to_script

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
POLICIES = sorted(path for path in CONFIGS.rglob("*.yaml") if "\ntiers:" in path.read_text(encoding="utf-8"))
FRIEND = address_to_script(
    "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d", Network.REGTEST
)
PAYROLL = address_to_script(
    "bcrt1p02nxjxphhqt07yq49y96uvmjfq9gvxvxwruf543tc7vnx7dynffqua2qeq", Network.REGTEST
)
SUPPLIER = address_to_script(
    "bcrt1py60twtec6rgntsg608qphvzec9tqj0ch40m5vm62khnafhfusj2sczetqv", Network.REGTEST
)
BLOCKED = address_to_script("bcrt1q44erg00w93c2rd78gue87fyhuntmpwff5cm26a", Network.REGTEST)
VAULT = address_to_script("bcrt1qgqsglpcamtvqtjt932gh3f5pggyg2vugjfdd26", Network.REGTEST)

A, K, R = Outcome.APPROVE, Outcome.ASK, Outcome.REFUSE
BTC = 100_000_000
THREE = ("home", "phone", "offline")
FIVE = ("treasury", "operations", "security", "audit", "cold")


def paying(sent: int, script: bytes, n: int, t: int, fee: int = 500) -> Facts:
    inputs = (coin(0, amount_sats=sent + 1_000_000 + fee),)
    made = spend(inputs=inputs, outputs=(output(0, sent, script), change(1, 1_000_000)), fee_sats=fee)
    return replace(facts(made), wallet=wallet(n=n, t=t))


def test_all_policies_are_here() -> None:
    names = {path.relative_to(CONFIGS).as_posix() for path in POLICIES}
    assert names == {*(f"{name}.yaml" for name in THREE), *(f"enterprise/{name}.yaml" for name in FIVE)}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_shipped_policy_loads(path: Path) -> None:
    made = load_profile(path)
    assert made.name == path.stem
    assert made.network is Network.REGTEST


@pytest.mark.parametrize(
    ("sent", "script", "expected"),
    [
        (100_000, FRIEND, (A, A, K)),
        (1_000_000, FRIEND, (A, A, K)),
        (1_000_001, FRIEND, (K, K, K)),
        (10_000_000, FRIEND, (K, K, K)),
        (10_000_001, FRIEND, (R, K, K)),
        (15_000_001, FRIEND, (R, R, K)),
        (200_000_001, FRIEND, (R, R, R)),
        (100_000, STRANGER, (R, R, R)),
    ],
)
def test_home_phone_offline(sent: int, script: bytes, expected: tuple[Outcome, ...]) -> None:
    given = paying(sent, script, n=3, t=2)
    found = [judge(load_profile(CONFIGS / f"{name}.yaml"), given) for name in THREE]
    assert tuple(f.outcome for f in found) == expected, [f.reasons for f in found]


def test_three_nodes_refuse_a_large_payment_to_a_stranger_each_in_its_own_words() -> None:
    given = paying(60_000_000, STRANGER, n=3, t=2)
    found = [judge(load_profile(CONFIGS / f"{name}.yaml"), given) for name in THREE]
    assert {f.outcome for f in found} == {R}
    assert len({f.codes for f in found}) == 3
    assert all("policy-destination" in f.codes for f in found)
    assert "policy-amount-sent" in found[0].codes
    assert "policy-deny" in found[1].codes


@pytest.mark.parametrize(
    ("sent", "script", "expected"),
    [
        (BTC // 10, SUPPLIER, (A, A, A, A, K)),
        (2 * BTC, SUPPLIER, (A, A, K, A, K)),
        (2 * BTC + 1, SUPPLIER, (A, K, K, A, K)),
        (BTC, PAYROLL, (A, K, K, A, K)),
        (5 * BTC + 1, SUPPLIER, (K, R, K, A, K)),
        (15 * BTC, SUPPLIER, (K, R, R, R, K)),
        (21 * BTC, SUPPLIER, (R, R, R, R, K)),
        (BTC // 10, STRANGER, (R, R, A, R, R)),
        (BTC // 10, BLOCKED, (R, R, R, R, R)),
        (50 * BTC, VAULT, (R, R, R, R, K)),
    ],
)
def test_enterprise(sent: int, script: bytes, expected: tuple[Outcome, ...]) -> None:
    given = paying(sent, script, n=5, t=3)
    found = [judge(load_profile(CONFIGS / "enterprise" / f"{name}.yaml"), given) for name in FIVE]
    assert tuple(f.outcome for f in found) == expected, [f.reasons for f in found]


def test_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    assert page == reference(), "run `make docs`"
