"""The coins of a wallet, as somebody who sees the chain lists them, and the sweep that moves them all to one place.

This program watches no chain. A list comes from Bitcoin Core (`scantxoutset start '["DESCRIPTOR"]'`), whose JSON is
read as it is, or coin by coin from a block explorer. A wrong list cannot steal: a signature commits to each amount
and script, so a lie only makes a transaction that the network refuses; what a list leaves out stays behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cluster.errors import UsageError
from cluster.schemes import Wallet
from taproot import Coin, OutPoint, Payment, WalletPath, address_to_script, build_psbt, read_spend
from taproot.spend import MAX_MONEY_SATS, Network

MAX_INDEX = 20_000
"""How far each branch of the wallet is searched for a coin's address."""

MAX_COINS = 100_000
"""More than this many coins are not one person's list."""

_COIN = re.compile(r"([0-9a-f]{64}):([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class Listed:
    """One coin as a list has it: nothing of it is checked but its form."""

    outpoint: OutPoint
    script: bytes
    amount_sats: int


def read_scan(data: bytes) -> tuple[Listed, ...]:
    """The coins in the JSON that `scantxoutset` prints; UsageError says what is wrong with any other."""
    try:
        found = json.loads(data, parse_float=Decimal)
        unspents = found["unspents"]
        if not isinstance(unspents, list) or len(unspents) > MAX_COINS:
            raise ValueError
        return tuple(_unspent(one) for one in unspents)
    except (ValueError, KeyError, TypeError, RecursionError, UnicodeDecodeError):
        raise UsageError(
            "the list of coins is not what Bitcoin Core's `scantxoutset` prints (a JSON object with `unspents`)"
        ) from None


def _unspent(one: dict[str, object]) -> Listed:
    txid, vout, script = one["txid"], one["vout"], one["scriptPubKey"]
    if not isinstance(txid, str) or not isinstance(vout, int) or not isinstance(script, str):
        raise TypeError
    if isinstance(vout, bool) or not 0 <= vout < 2**32 or len(txid) != 64:
        raise ValueError
    return Listed(OutPoint(bytes.fromhex(txid)[::-1], vout), bytes.fromhex(script), _sats(one["amount"]))


def _sats(amount: object) -> int:
    """An amount in bitcoin, as Bitcoin Core writes it, in satoshis; never through a float."""
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise TypeError
    bitcoin = Decimal(amount)
    if not bitcoin.is_finite() or not 0 < bitcoin <= MAX_MONEY_SATS // 100_000_000:
        raise ValueError
    sats = bitcoin * 100_000_000
    if sats != int(sats):
        raise ValueError
    return int(sats)


def read_coin(text: str, network: Network) -> Listed:
    """`TXID:INDEX,ADDRESS,SATS`: one coin from a person's hand; UsageError."""
    parts = text.split(",")
    outpoint = _COIN.fullmatch(parts[0])
    try:
        if outpoint is None or int(outpoint[2]) >= 2**32:
            raise ValueError
        _, address, amount = parts
        sats = int(amount.removesuffix("sat").replace("_", ""))
        if not amount.endswith("sat") or not 0 < sats <= MAX_MONEY_SATS:
            raise ValueError
        script = address_to_script(address, network)
    except ValueError:
        raise UsageError(
            f"--coin {text[:80]}: write TXID:INDEX,ADDRESS,AMOUNT such as ab...:0,bcrt1p...,50_000sat"
        ) from None
    return Listed(OutPoint(bytes.fromhex(outpoint[1])[::-1], int(outpoint[2])), script, sats)


def own_coins(wallet: Wallet, listed: Iterable[Listed]) -> tuple[tuple[Coin, ...], tuple[Listed, ...]]:
    """Which of these are the wallet's, by deriving its scripts, and which are not; each outpoint once."""
    wanted = {one.outpoint: one for one in listed}
    missing, paths = {one.script for one in wanted.values()}, dict[bytes, WalletPath]()
    for index in range(MAX_INDEX):
        for branch in (0, 1):
            script = wallet.public.script(WalletPath(branch, index))
            if script in missing:
                missing.discard(script)
                paths[script] = WalletPath(branch, index)
        if not missing or (index >= 1_000 and not paths):
            break
    coins = tuple(
        Coin(one.outpoint, one.amount_sats, paths[one.script])
        for one in sorted(wanted.values(), key=lambda one: (-one.amount_sats, one.outpoint.txid))
        if one.script in paths
    )
    return coins, tuple(one for one in wanted.values() if one.script not in paths)


def sweep(wallet: Wallet, coins: Sequence[Coin], script: bytes, rate: int) -> bytes:
    """A PSBT that gives all of these coins to one script, at a fee rate in sat per 1,000 vB; UsageError."""
    total_sats = sum(coin.amount_sats for coin in coins)
    if not coins:
        raise UsageError("there is no coin of this wallet to move")
    draft = _psbt(wallet, coins, script, total_sats, 0)
    next_receive = 1 + max((c.path.index for c in coins if c.path.branch == 0), default=-1)
    next_change = 1 + max((c.path.index for c in coins if c.path.branch == 1), default=-1)
    spend = read_spend(draft, wallet.public, next_receive=next_receive, next_change=next_change)
    fee_sats = -(-spend.most_vsize * rate // 1_000)
    if fee_sats >= total_sats:
        raise UsageError(f"the fee of {fee_sats} sat is more than the coins are worth ({total_sats} sat)")
    return _psbt(wallet, coins, script, total_sats - fee_sats, fee_sats)


def _psbt(wallet: Wallet, coins: Sequence[Coin], script: bytes, amount_sats: int, fee_sats: int) -> bytes:
    return build_psbt(wallet.public, coins=coins, payments=[Payment(script, amount_sats)], fee_sats=fee_sats)
