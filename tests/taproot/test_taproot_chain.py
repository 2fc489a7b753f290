"""Bitcoin Core's validation code accepts what we finish, in a block, and refuses what was tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lone_signer import LoneSigner

from cluster.errors import ChainError
from cluster.regtest import RegtestChain
from taproot import (
    Coin,
    FinalTransaction,
    OutPoint,
    Payment,
    WalletPath,
    build_psbt,
    finalise,
    read_spend,
    signing_tasks,
)

SIGNER = LoneSigner("chain")
WALLET = SIGNER.wallet


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegtestChain]:
    with RegtestChain(tmp_path_factory.mktemp("chain")) as chain:
        yield chain


def fund(chain: RegtestChain, path: WalletPath) -> Coin:
    txid, vout, amount_sats = chain.fund(WALLET.script(path))
    return Coin(OutPoint(txid, vout), amount_sats, path)


def spend(coins: list[Coin], version: int, sighash_type: int | None) -> FinalTransaction:
    psbt = build_psbt(
        WALLET,
        coins=coins,
        payments=[Payment(bytes.fromhex("0014" + "33" * 20), 1_000_000)],
        fee_sats=3_000,
        change=WalletPath(1, 2),
        psbt_version=version,
        sighash_type=sighash_type,  # type: ignore[arg-type]
    )
    tasks = signing_tasks(psbt, read_spend(psbt, WALLET), WALLET)
    return finalise(psbt, WALLET, SIGNER.sign(tasks))


@pytest.mark.parametrize(("version", "sighash_type"), [(0, None), (2, None), (0, 1), (2, 0)])
def test_a_key_path_spend_is_mined(chain: RegtestChain, version: int, sighash_type: int | None) -> None:
    coins = [fund(chain, WalletPath(branch, version)) for branch in (0, 1)]
    final = spend(coins, version, sighash_type)
    height, tip = chain.height, chain.tip
    for at in (-70, -10):  # into a signature of the last input
        bad = bytearray(final.tx)
        bad[at] ^= 1
        with pytest.raises(ChainError, match="refuse"):
            chain.mine([bytes(bad)])
        assert (chain.height, chain.tip) == (height, tip)
    block_hash = chain.mine([final.tx])
    assert (chain.height, chain.tip) == (height + 1, block_hash)
    assert chain.tip_hex == block_hash[::-1].hex()
    assert chain.transactions(chain.height)[1] == final.tx
    assert chain.txid(final.tx) == final.txid
    with pytest.raises(ChainError):
        chain.mine([final.tx])  # the coins are gone


def test_change_can_be_spent_again(chain: RegtestChain) -> None:
    coin = fund(chain, WalletPath(0, 7))
    first = spend([coin], 2, None)
    change = Coin(
        OutPoint(first.txid, 1), coin.amount_sats - 1_003_000, WalletPath(1, 2), previous_tx=first.tx
    )
    second = spend([change], 0, None)
    chain.mine([first.tx, second.tx])
    assert chain.transactions(chain.height)[1:] == (first.tx, second.tx)


def test_a_coin_with_another_amount_is_refused(chain: RegtestChain) -> None:
    coin = fund(chain, WalletPath(0, 8))
    lie = replace(coin, amount_sats=coin.amount_sats + 1)
    with pytest.raises(ChainError):
        chain.mine([spend([lie], 0, None).tx])
    chain.mine([spend([coin], 0, None).tx])


def test_a_chain_survives_its_process_and_garbage(tmp_path: Path) -> None:
    with RegtestChain(tmp_path / "a" / "b") as chain:
        chain.mine_empty(3)
        tip = chain.tip
        with pytest.raises(ChainError, match="not a transaction"):
            chain.mine([b"\x00\x01"])
        assert chain.height == 3
    with RegtestChain(tmp_path / "a" / "b") as again:
        assert (again.height, again.tip) == (3, tip)
