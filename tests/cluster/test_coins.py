"""The list of coins that a rescue is told: what is read of it, what is refused, and the sweep that comes of it."""

from __future__ import annotations

import json

import pytest
from bitcoin_rules import prevouts
from spends import RESCUE
from world import World

from cluster.coins import own_coins, read_coin, read_scan, sweep
from cluster.errors import UsageError
from cluster.schemes import Wallet
from taproot import Network, WalletPath, read_spend

ADDRESS = "bcrt1qsf800p6p285u338hc0yzr589mftr5s9m9wknx2"


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return World().make_wallet()


def scan(*coins: tuple[bytes, str]) -> bytes:
    """As Bitcoin Core prints it: amounts in bitcoin, as decimal numbers."""
    found = ", ".join(
        f'{{"txid": "{bytes([i]).hex() * 32}", "vout": {i}, "scriptPubKey": "{script.hex()}", "amount": {amount}}}'
        for i, (script, amount) in enumerate(coins)
    )
    return f'{{"success": true, "unspents": [{found}]}}'.encode()


def test_what_core_prints_is_read_to_the_satoshi(wallet: Wallet) -> None:
    scripts = [wallet.public.script(WalletPath(b, i)) for b, i in ((0, 0), (1, 7), (0, 1_500))]
    listed = read_scan(scan((scripts[0], "0.1"), (scripts[1], "20999999.97690000"), (scripts[2], "1e-8")))
    assert [one.amount_sats for one in listed] == [10_000_000, 2_099_999_997_690_000, 1]
    mine, others = own_coins(wallet, (*listed, *read_scan(scan((RESCUE, "1"))[:-1] + b"}")[:0]))
    assert [coin.path for coin in mine] == [WalletPath(1, 7), WalletPath(0, 0), WalletPath(0, 1_500)]
    assert not others


def test_coins_of_others_are_told_and_a_coin_listed_twice_is_one(wallet: Wallet) -> None:
    own = read_scan(scan((wallet.public.script(WalletPath(0, 0)), "0.5")))
    stranger = read_coin(f"{'07' * 32}:3,{ADDRESS},5_000sat", Network.REGTEST)
    mine, others = own_coins(wallet, (*own, *own, stranger))
    assert len(mine) == 1
    assert others == (stranger,)


def test_the_sweep_has_one_output_and_pays_the_rate_that_was_said(wallet: Wallet) -> None:
    listed = read_scan(scan(*[(wallet.public.script(WalletPath(i % 2, i)), "0.001") for i in range(5)]))
    mine, _ = own_coins(wallet, listed)
    psbt = sweep(wallet, mine, RESCUE, 7_500)
    spend = read_spend(psbt, wallet.public, next_receive=5, next_change=5)
    assert len(prevouts(psbt, wallet.public)) == 5
    assert [output.script_pubkey for output in spend.outputs] == [RESCUE]
    assert spend.fee_sats == -(-spend.most_vsize * 15 // 2)
    assert spend.outputs[0].amount_sats == 500_000 - spend.fee_sats


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b'{"unspents": 3}', b'{"unspents": [3]}', b"\xff", b"[" * 100_000,
        scan((RESCUE, "0")), scan((RESCUE, "-1")), scan((RESCUE, "1e-9")), scan((RESCUE, "22000000")),
        scan((RESCUE, "1e999999999")), scan((RESCUE, "true")), scan((RESCUE, '"1"')), scan((RESCUE, "NaN")),
        json.dumps({"unspents": [{"txid": "00", "vout": 0, "scriptPubKey": "", "amount": 1}]}).encode(),
        json.dumps({"unspents": [{"txid": "00" * 32, "vout": -1, "scriptPubKey": "", "amount": 1}]}).encode(),
    ],
)  # fmt: skip
def test_any_other_list_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(UsageError, match="scantxoutset"):
        read_scan(data)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", f"{'07' * 32}:3", f"{'07' * 32}:3,{ADDRESS}", f"{'07' * 32}:3,{ADDRESS},5000",
        f"{'07' * 32}:3,{ADDRESS},0sat", f"{'07' * 32}:4294967296,{ADDRESS},5sat", f"{'07' * 32}:3,bc1q,5sat",
        f"{'07' * 32}:3,{ADDRESS},5sat,6", f"{'07' * 32}:3,{ADDRESS},xsat",
    ],
)  # fmt: skip
def test_a_coin_that_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--coin"):
        read_coin(text, Network.REGTEST)


def test_there_is_something_to_sweep(wallet: Wallet) -> None:
    with pytest.raises(UsageError, match="no coin"):
        sweep(wallet, (), RESCUE, 1_000)
    small, _ = own_coins(wallet, read_scan(scan((wallet.public.script(WalletPath(0, 0)), "0.000005"))))
    with pytest.raises(UsageError, match="more than the coins are worth"):
        sweep(wallet, small, RESCUE, 100_000)
