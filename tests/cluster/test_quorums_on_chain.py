"""Every quorum's signature, judged by Bitcoin Core's own code as part of a block; t-1 nodes never get one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from btclib.tx import Tx
from world import World

from cluster.errors import ChainError
from cluster.regtest import RegtestChain
from cluster.schemes import Wallet
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[RegtestChain]:
    with RegtestChain(tmp_path / "chain") as opened:
        yield opened


def funded_psbt(chain: RegtestChain, wallet: Wallet, index: int) -> bytes:
    """A PSBT that spends a coin of its own, mined and buried, at the wallet's address of this index."""
    path = WalletPath(0, index)
    height = chain.height + 1
    txid, vout, amount_sats = chain.fund(wallet.public.script(path))
    coin = Coin(OutPoint(txid, vout), amount_sats, path, previous_tx=chain.transactions(height)[0])
    payment = Payment(b"\x51\x20" + bytes(range(32)), amount_sats // 3)
    return build_psbt(
        wallet.public, coins=[coin], payments=[payment], fee_sats=1_000, change=WalletPath(1, index)
    )


def signed_by(world: World, wallet: Wallet, psbt: bytes, present: tuple[str, ...], ms: int) -> bytes | None:
    """The transaction that exactly these nodes finish, or None."""
    absent = set(world.node_names) - set(present)
    world.hook = lambda envelope: () if {envelope.sender, envelope.addressee} & absent else (envelope,)
    view = world.request(wallet, psbt)
    world.run(lambda: view.final is not None, ms=ms)
    return view.final.tx if view.final is not None else None


def quorums(t: int, n: int) -> list[tuple[int, ...]]:
    """All sets of t for small n, a seeded dozen of them for 7-of-10."""
    every = list(combinations(range(n), t))
    return every if n <= 5 else [every[0], *Random(710).sample(every[1:], 11)]


def sized(t: int, n: int, scheme: str) -> tuple[int, int]:
    """Seven of ten has 120 quorums, more than a tree may have: there it is three of seven."""
    return (t, n) if scheme == "frost" or n <= 5 else (3, 7)


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5), (7, 10)])
def test_every_quorum_signs_what_a_block_accepts(chain: RegtestChain, t: int, n: int, scheme: str) -> None:
    t, n = sized(t, n, scheme)
    world = World(t, n)
    wallet = world.make_wallet()
    for index, quorum in enumerate(quorums(t, n)):
        psbt = funded_psbt(chain, wallet, index)
        names = tuple(world.node_names[i] for i in quorum)
        transaction = signed_by(world, wallet, psbt, names, ms=60_000)
        assert transaction is not None, f"{names} did not sign"
        altered = bytearray(transaction)
        altered[-10] ^= 1  # in the signature, the one witness item; by a leaf, in its control block
        with pytest.raises(ChainError):
            chain.mine([bytes(altered)])
        chain.mine([transaction])
        assert transaction in chain.transactions(chain.height)
        witness = Tx.parse(transaction).vin[0].script_witness.stack
        by_key_path = scheme == "frost" or quorum == tuple(range(t))  # the favourite quorum of a tree
        assert [len(item) for item in witness[:1]] == [64]
        assert len(witness) == (1 if by_key_path else 3)


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5), (7, 10)])
def test_one_node_too_few_never_signs(t: int, n: int, scheme: str) -> None:
    t, n = sized(t, n, scheme)
    world = World(t, n)
    wallet = world.make_wallet()
    psbt = build_psbt(
        wallet.public,
        coins=[Coin(OutPoint(b"\x07" * 32, 0), 900_000, WalletPath(0, 0))],
        payments=[Payment(b"\x51\x20" + bytes(range(32)), 300_000)],
        fee_sats=1_000,
        change=WalletPath(1, 0),
    )
    few = [tuple(world.node_names[i] for i in chosen) for chosen in combinations(range(n), t - 1)]
    for names in few if n <= 5 else Random(711).sample(few, 4):
        assert signed_by(world, wallet, psbt, names, ms=12_000) is None
