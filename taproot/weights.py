"""How large a transaction is once it is signed, before it is: every signature has 64 bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taproot.leaves import Leaf
from taproot.spend import SIGHASH_DEFAULT, SpendInput, TapLeaf, WalletPath
from taproot.wallet import PublicWallet

_ANY = WalletPath(0, 0)
"""A leaf costs the same at every address."""


def signed_vsizes(
    unsigned_tx: bytes, inputs: Sequence[SpendInput], wallet: PublicWallet, leaf: Leaf | None
) -> tuple[int, int]:
    """The least and the most virtual bytes (BIP 141) of the signed transaction.

    By a recovery leaf both are the same; else the least is by the key path, the most by the costliest quorum leaf.
    """
    types = [coin.sighash_type for coin in inputs]
    if leaf is not None:
        size = _vsize(unsigned_tx, leaf_witnesses(wallet.leaf_at(_ANY, leaf), types))
        return size, size
    least = _vsize(unsigned_tx, key_witnesses(types))
    if not wallet.quorum_leaves:
        return least, least
    found = [wallet.leaf_at(_ANY, one) for one in wallet.quorum_leaves]
    costliest = max(found, key=lambda one: len(one.script) + len(one.control_block))
    return least, _vsize(unsigned_tx, leaf_witnesses(costliest, types))


def _vsize(unsigned_tx: bytes, witnesses: Iterable[int]) -> int:
    return (4 * len(unsigned_tx) + 2 + sum(witnesses) + 3) // 4  # two bytes for marker and flag


def key_witnesses(sighash_types: Iterable[int]) -> Iterable[int]:
    """The bytes of each key path witness: how many items, their length, the signature."""
    return (2 + 64 + (kind != SIGHASH_DEFAULT) for kind in sighash_types)


def leaf_witnesses(leaf: TapLeaf, sighash_types: Iterable[int]) -> Iterable[int]:
    """The bytes of each witness for a leaf: signatures, an empty item for each other key, script, control block."""
    proof = 1 + (len(leaf.keys) - leaf.needed) + _sized(leaf.script) + _sized(leaf.control_block)
    return (proof + leaf.needed * (1 + 64 + (kind != SIGHASH_DEFAULT)) for kind in sighash_types)


def _sized(data: bytes) -> int:
    return len(data) + (1 if len(data) < 0xFD else 3)
