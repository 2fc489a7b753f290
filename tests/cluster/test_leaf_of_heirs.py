"""A leaf in which no node stands: the heir signs a PSBT alone, and `assent psbt import` makes the transaction of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from btclib_wallet.psbt import Psbt
from outside import Outsiderly
from world import World

from cluster.charter import LeafPlan
from cluster.cli.clients import ClientCall
from cluster.cli.psbt import _finished, _spend
from cluster.cosigning import prepared
from cluster.errors import ChainError, NoQuorum, UsageError
from cluster.regtest import RegtestChain
from cluster.schemes import Wallet
from cluster.subjects import BadRequest
from cluster.wallet_book import WalletBook
from curve import schnorr_sign, tweaked_secret
from taproot import (
    Coin,
    FinalTransaction,
    OutPoint,
    Payment,
    WalletKey,
    WalletPath,
    build_psbt,
    signing_tasks,
    strip,
)

OLDER = 105
NOBODY = cast("ClientCall", None)
"""Neither the coordinator nor a request is needed."""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[RegtestChain]:
    with RegtestChain(tmp_path / "chain") as opened:
        yield opened


@pytest.fixture(params=["frost", "musig2"])
def wallet(request: pytest.FixtureRequest) -> Wallet:
    world = World(2, 3)
    world.scheme = request.param
    world.outsiders = tuple(Outsiderly(name).entry(cosigns=False) for name in ("ann", "bob"))
    world.leaves = (
        LeafPlan("ann", "pk", (3,), 1, older=OLDER),
        LeafPlan("both", "multi", (3, 4), 2, older=OLDER),
        LeafPlan("node", "multi", (0, 3), 1, older=OLDER),
    )
    return world.make_wallet()


def signed(wallet: Wallet, psbt: bytes, leaf: str, *heirs: str) -> bytes:
    """What comes back: the exported file with the signatures of these, by their own keys alone."""
    route = wallet.routes[leaf]
    spend = _spend(psbt, wallet, route)
    document = Psbt.parse(prepared(psbt, wallet, spend, route, frozenset(route.quorums[0])))  # type: ignore[index]
    [task] = signing_tasks(psbt, spend, wallet.public, route.leaf)
    for heir in map(Outsiderly, heirs):
        child, tweaks = WalletKey(heir.key).child(task.path)
        signature = schnorr_sign(tweaked_secret(heir.secret, tweaks), task.sighash, bytes(32))
        document.inputs[0].taproot_script_spend_signatures[child.xonly() + task.leaf_hash] = signature
    return document.serialize()


def imported(wallet: Wallet, psbt: bytes, leaf: str) -> FinalTransaction:
    """As `assent psbt import --leaf` does it."""
    route = wallet.routes[leaf]
    return _finished(NOBODY, WalletBook(), wallet, route, _spend(strip(psbt), wallet, route), psbt)


def spend_of(wallet: Wallet, out: OutPoint, amount_sats: int, previous_tx: bytes | None = None) -> bytes:
    coin = Coin(out, amount_sats, WalletPath(0, 0), previous_tx=previous_tx)
    payment = Payment(b"\x51\x20" + bytes(range(32)), amount_sats // 3)
    return build_psbt(
        wallet.public,
        coins=[coin],
        payments=[payment],
        fee_sats=2_000,
        change=WalletPath(1, 0),
        sequence=OLDER,
    )


@pytest.mark.parametrize(("leaf", "heirs"), [("ann", ("ann",)), ("both", ("bob", "ann"))])
def test_heirs_alone_spend_at_their_time_and_not_before(
    chain: RegtestChain, wallet: Wallet, leaf: str, heirs: tuple[str, ...]
) -> None:
    height = chain.height + 1
    txid, vout, amount_sats = chain.fund(wallet.public.script(WalletPath(0, 0)))
    psbt = spend_of(wallet, OutPoint(txid, vout), amount_sats, chain.transactions(height)[0])
    transaction = imported(wallet, signed(wallet, psbt, leaf, *heirs), leaf).tx
    chain.mine_empty(height + OLDER - 2 - chain.height)
    with pytest.raises(ChainError):
        chain.mine([transaction])
    chain.mine()
    chain.mine([transaction])
    assert transaction in chain.transactions(chain.height)


def test_what_is_not_signed_by_all_or_by_others_is_not_finished(wallet: Wallet) -> None:
    psbt = spend_of(wallet, OutPoint(b"\x07" * 32, 0), 100_000)
    with pytest.raises(NoQuorum, match="1 of 2 signatures"):
        imported(wallet, signed(wallet, psbt, "both", "ann"), "both")
    with pytest.raises(NoQuorum, match="0 of 1 signatures"):
        imported(wallet, signed(wallet, psbt, "ann", "bob"), "ann")
    with pytest.raises(NoQuorum, match="0 of 1 signatures"):
        imported(wallet, psbt, "ann")
    document = Psbt.parse(signed(wallet, psbt, "ann", "ann"))
    [(key, signature)] = document.inputs[0].taproot_script_spend_signatures.items()
    document.inputs[0].taproot_script_spend_signatures[key] = signature[:-1] + bytes([signature[-1] ^ 1])
    with pytest.raises((NoQuorum, BadRequest)):
        imported(wallet, document.serialize(), "ann")
    with pytest.raises(UsageError, match="no node has signed this yet"):
        imported(wallet, psbt, "")
