"""Wallet policies (BIP 388): a descriptor as hardware wallets register it, a template and a list of keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from taproot.keys import ExtendedKey, WalletKey
from taproot.leaves import Leaf
from taproot.tree import folded
from taproot.wallet import PublicWallet

MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class WalletPolicy:
    """A wallet policy: `template` with `@0`, `@1`, ... for the key information in `keys`."""

    name: str
    template: str
    keys: tuple[str, ...]


def wallet_policy(wallet: PublicWallet, name: str) -> WalletPolicy:
    """The policy of a wallet. An aggregate is `musig(@0,@1)`; `/**` stands for `/<0;1>/*`.

    Args:
        name: what the device shows, at most 64 characters.

    Raises:
        ValueError: one key stands in two places with the same branches, which no wallet policy may have.
    """
    keys: list[ExtendedKey] = []
    if any(count > 1 for count in Counter(map(_place, wallet.keys)).values()):
        raise ValueError("a key stands in two leaves, which BIP 388 has no form for: use the descriptor")

    def placeholder(key: ExtendedKey) -> str:
        if key not in keys:
            keys.append(key)
        return f"@{keys.index(key)}"

    def expression(key: WalletKey) -> str:
        step = "/**" if key.branches == (0, 1) else f"/<{key.branches[0]};{key.branches[1]}>/*"
        if key.participants:
            return f"musig({','.join(map(placeholder, key.participants))}){step}"
        return placeholder(key.key) + step

    def script(leaf: Leaf) -> str:
        return leaf.written([expression(key) for key in leaf.keys])

    main = expression(wallet.key)
    groups = [[script(leaf) for leaf in leaves] for leaves in (wallet.quorum_leaves, wallet.recovery_leaves)]
    tree = (
        "," + folded(groups[0], groups[1], lambda left, right: f"{{{left},{right}}}") if wallet.leaves else ""
    )
    shown = tuple(key.expression(wallet.network) for key in keys)
    return WalletPolicy(name[:MAX_NAME], f"tr({main}{tree})", shown)


def _place(key: WalletKey) -> tuple[frozenset[bytes], tuple[int, int]]:
    """What may stand only once: a key, or an aggregate of the same keys in any order, and its branches."""
    several = key.participants or (key.key,)
    return frozenset(one.public_key for one in several), key.branches
