"""Conditions about the coins that a spend uses."""

from __future__ import annotations

from policy.condition import Condition, Said, flag, measured, ordered, typed
from policy.facts import Facts
from policy.profile import Profile
from policy.reading_values import read_coins
from policy.units import COUNT
from policy.values import CoinSet

_SPEND = "the transaction"
_WALLET = "the transaction and this node's own derivation of the wallet's scripts"


def _coins_only(wanted: CoinSet, _profile: Profile, facts: Facts) -> Said:
    odd = [coin for coin in facts.spend.inputs if not wanted.holds(coin)]
    if odd:
        return Said(False, f"the coin {odd[0].outpoint} is not in: {', '.join(wanted.words)}")
    return Said(True, f"it uses only coins in: {', '.join(wanted.words)}")


def _coins_any(wanted: CoinSet, _profile: Profile, facts: Facts) -> Said:
    hit = next((coin for coin in facts.spend.inputs if wanted.holds(coin)), None)
    if hit is None:
        return Said(False, f"it uses no coin in: {', '.join(wanted.words)}")
    return Said(True, f"it uses the coin {hit.outpoint}")


def _inputs(_profile: Profile, facts: Facts) -> int:
    return len(facts.spend.inputs)


def _consolidation(_profile: Profile, facts: Facts) -> Said:
    spend = facts.spend
    gathers = len(spend.inputs) > 1 and len(spend.outputs) == 1 and not spend.outputs_to_others
    return Said(
        gathers,
        "it gathers several coins into one of this wallet's"
        if gathers
        else "it does not gather several coins into one of this wallet's",
    )


COINS = (
    Condition(
        "coins_only", "policy-coins", "every coin it uses is one of these", "[old-savings]", _WALLET, read_coins,
        typed(CoinSet, _coins_only), ordered(CoinSet, CoinSet.within),
    ),
    Condition(
        "coins_any", "policy-coins-any", "it uses at least one of these coins", "own/0/5", _WALLET, read_coins,
        typed(CoinSet, _coins_any), ordered(CoinSet, CoinSet.within),
    ),
    *measured(
        "inputs", COUNT, _inputs, "the number of coins is", "the number of coins it uses is", _SPEND,
        tags=("policy-inputs-count", "policy-inputs-above"),
    ),
    flag(
        "consolidation", "policy-consolidation",
        "it gathers two coins or more into one output of this wallet", _WALLET, _consolidation,
    ),
)  # fmt: skip
"""In the order of the reference page."""
