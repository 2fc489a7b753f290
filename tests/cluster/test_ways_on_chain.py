"""Every way of every kind of wallet, judged by Bitcoin Core's own code: the key path, each leaf, each lock time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import Outsiderly
from world import World

from cluster.charter import LeafPlan
from cluster.client_views import SigningView
from cluster.errors import ChainError
from cluster.messages import Cosigned
from cluster.regtest import RegtestChain
from cluster.schemes import Wallet
from taproot import OLDER_IS_TIME, Coin, OutPoint, Payment, WalletPath, build_psbt

SPACING_S = 600
"""The chain's blocks are ten minutes apart."""

BURIED = 101
"""A coin that `fund` made could be in a block this far above its own, at the earliest."""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[RegtestChain]:
    with RegtestChain(tmp_path / "chain") as opened:
        yield opened


def spend_of(
    chain: RegtestChain, wallet: Wallet, index: int, *, sequence: int = 0xFFFFFFFD, locktime: int = 0
) -> tuple[bytes, int]:
    """A PSBT that spends a coin of its own, and the height of the block that made the coin."""
    path, height = WalletPath(index % 2, index), chain.height + 1
    txid, vout, amount_sats = chain.fund(wallet.public.script(path))
    coin = Coin(OutPoint(txid, vout), amount_sats, path, previous_tx=chain.transactions(height)[0])
    payment = Payment(b"\x51\x20" + bytes(range(32)), amount_sats // 3)
    psbt = build_psbt(
        wallet.public,
        coins=[coin],
        payments=[payment],
        fee_sats=2_000,
        change=WalletPath(1, index),
        sequence=sequence,
        locktime=locktime,
    )
    return psbt, height


def signed(world: World, view: SigningView, heir: Outsiderly | None = None) -> bytes:
    """The finished transaction; whoever is no node signs last."""
    assert world.run(lambda: view.final is not None or bool(view.parts)), (view.state, view.codes)
    if view.final is None:
        assert heir is not None
        part = heir.sign(view.subject, view.parts)
        step = world.client.cosign(view.subject.request_id, Cosigned((part,)), world.now, world.entropy())
        world.perform("client", step)
        assert world.run(lambda: view.final is not None)
    assert view.final is not None
    return view.final.tx


def refused(chain: RegtestChain, transaction: bytes) -> None:
    with pytest.raises(ChainError):
        chain.mine([transaction])


def tampered(transaction: bytes) -> bytes:
    """One bit of the control block, which ends the one witness: its last item before the lock time."""
    altered = bytearray(transaction)
    altered[-6] ^= 1
    return bytes(altered)


def mined(chain: RegtestChain, transaction: bytes) -> None:
    chain.mine([transaction])
    assert transaction in chain.transactions(chain.height)


OLDER, AFTER = BURIED + 3, 1_000
UNITS = (BURIED + 3) * SPACING_S // 512 + 1
LEAVES = (
    LeafPlan("solo", "pk", (1,), 1, older=OLDER),
    LeafPlan("pair", "musig", (0, 2), 2, older=OLDER_IS_TIME | UNITS),
    LeafPlan("some", "multi", (0, 1, 2), 2),
    LeafPlan("old-pair", "musig", (1, 2), 2, after=AFTER),
)


@pytest.mark.parametrize(("scheme", "t", "n"), [("frost", 2, 3), ("musig2", 3, 3), ("musig2", 2, 3)])
def test_each_way_at_its_time_and_not_before(
    chain: RegtestChain, monkeypatch: pytest.MonkeyPatch, scheme: str, t: int, n: int
) -> None:
    monkeypatch.setattr(World, "scheme", scheme)
    world = World(t, n)
    world.leaves = LEAVES
    wallet = world.make_wallet()
    # The key path.
    psbt, _ = spend_of(chain, wallet, 0)
    transaction = signed(world, world.request(wallet, psbt))
    refused(chain, tampered(transaction))
    mined(chain, transaction)
    # So many blocks after the coin.
    psbt, height = spend_of(chain, wallet, 1, sequence=OLDER)
    transaction = signed(world, world.request(wallet, psbt, leaf="solo"))
    chain.mine_empty(height + OLDER - 2 - chain.height)
    refused(chain, transaction)
    chain.mine()
    refused(chain, tampered(transaction))
    mined(chain, transaction)
    # So much time after the coin.
    psbt, height = spend_of(chain, wallet, 2, sequence=OLDER_IS_TIME | UNITS)
    transaction = signed(world, world.request(wallet, psbt, leaf="pair"))
    due = height + -(-UNITS * 512 // SPACING_S)
    chain.mine_empty(due - 2 - chain.height)
    refused(chain, transaction)
    chain.mine()
    refused(chain, tampered(transaction))
    mined(chain, transaction)
    # At any time, by two of three plain keys.
    psbt, _ = spend_of(chain, wallet, 3)
    transaction = signed(world, world.request(wallet, psbt, leaf="some"))
    refused(chain, tampered(transaction))
    mined(chain, transaction)
    # From a block on.
    psbt, _ = spend_of(chain, wallet, 4, locktime=AFTER)
    transaction = signed(world, world.request(wallet, psbt, leaf="old-pair"))
    chain.mine_empty(AFTER - 1 - chain.height)
    refused(chain, transaction)
    chain.mine()
    refused(chain, tampered(transaction))
    mined(chain, transaction)


def test_the_quorum_of_another_frost_wallet_in_a_leaf_from_a_time_on(
    chain: RegtestChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "scheme", "frost")
    world = World(1, 3)
    other = world.make_wallet(0, "spare")
    world.t = 3
    moment = chain_time(chain.height + 2 * BURIED)
    key = other.public.key.key.public_key
    world.leaves = (LeafPlan("spare", "frost", (), 0, after=moment, wallet=other.wallet_id, thresh_pk=key),)
    for index, scheme in ((1, "frost"), (2, "musig2")):
        world.scheme = scheme
        wallet = world.make_wallet(index, f"main-{scheme}")
        psbt, _ = spend_of(chain, wallet, 0, locktime=moment)
        world.stop("node0")
        world.stop("node2")
        transaction = signed(world, world.request(wallet, psbt, leaf="spare"))
        if chain_time(chain.height - 5) <= moment:
            chain.mine_empty((moment - chain_time(chain.height - 5)) // SPACING_S)
            refused(chain, transaction)
            chain.mine()
        refused(chain, tampered(transaction))
        mined(chain, transaction)
        world.restart("node0")
        world.restart("node2")


def chain_time(height: int) -> int:
    """The time of a block; that of its median is five blocks earlier."""
    return GENESIS_TIME + height * SPACING_S


GENESIS_TIME = 1_296_688_602


def test_with_an_outsider_by_the_key_path_and_by_leaves(
    chain: RegtestChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "scheme", "musig2")
    heir = Outsiderly("heir")
    world = World(3, 2)
    world.outsiders = (heir.entry(),)
    world.leaves = (
        LeafPlan("with-heir", "musig", (0, 2), 2, older=OLDER),
        LeafPlan("some", "multi", (0, 2), 2, older=OLDER),
    )
    wallet = world.make_wallet()
    for index, (leaf, quorum, sequence) in enumerate(
        [("", (0, 1, 2), 0xFFFFFFFD), ("with-heir", (0, 2), OLDER), ("some", (0, 2), OLDER)]
    ):
        psbt, height = spend_of(chain, wallet, index, sequence=sequence)
        if leaf != "some":
            psbt = heir.commit(wallet, psbt, quorum, leaf)
        transaction = signed(world, world.request(wallet, psbt, leaf=leaf), heir)
        if leaf:
            chain.mine_empty(height + OLDER - 2 - chain.height)
            refused(chain, transaction)
            chain.mine()
        refused(chain, tampered(transaction))
        mined(chain, transaction)
