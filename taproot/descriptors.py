"""Output descriptors as others write them (BIP 380, 386, 389, 390): the scripts of a range, and whose they are."""

from __future__ import annotations

import re

from btclib_wallet.descriptors import multipath_descriptors, parse, strip_checksum

from taproot.spend import Network, WalletPath
from taproot.wallet import BRANCHES, PublicWallet

MAX_DESCRIPTOR_CHARS = 256 * 1024
"""No descriptor is longer than this: the largest tree, 64 quorums of ten keys, has about 100,000 characters."""

MAX_LIST_DESCRIPTOR_CHARS = 1_500
"""Where a descriptor only names places to pay to, it is no longer than this."""

_PRIVATE_KEY = re.compile(
    r"(?<![0-9A-Za-z])(?:[a-zA-Z]prv|[59KLc][1-9A-HJ-NP-Za-km-z]{50,51}(?![0-9A-Za-z]))"
)
"""An extended private key (BIP 32) or one in wallet import format: where a key begins, not anywhere in it."""
_MAX_DEPTH = 64
_MAX_STEPS = 2


def descriptor_scripts(text: str, first: int, last: int, network: Network) -> tuple[bytes, ...]:
    """The output scripts of a descriptor's indexes from `first` to `last`, both included.

    Args:
        text: a descriptor with its checksum, public keys only, ranged (`/*`).
        first: the first index, from 0.
        last: the last index.
        network: of which its keys must be.

    Raises:
        ValueError: it has no checksum or a wrong one, holds private keys, has no range, or cannot be read.
    """
    if len(text) > MAX_LIST_DESCRIPTOR_CHARS:
        raise ValueError("it is too long, or not plain text")
    branches = branch_scripts(text, range(first, last + 1), network)
    if len(branches) != 1:
        raise ValueError("it has two branches (`<0;1>`): name one of them")
    return branches[0]


def branch_scripts(text: str, indexes: range, network: Network) -> tuple[tuple[bytes, ...], ...]:
    """The output scripts of a descriptor at these indexes, for each of its branches (BIP 389).

    It is expanded by the library alone, so that this program's own derivation can be compared with it.

    Raises:
        ValueError: as `descriptor_scripts`.
    """
    if len(text) > MAX_DESCRIPTOR_CHARS or not text.isascii():
        raise ValueError("it is too long, or not plain text")
    if _PRIVATE_KEY.search(text):
        raise ValueError("it holds a private key")
    if "#" not in text:
        raise ValueError("it has no checksum (`#...` at its end)")
    if max(text.count("{"), text.count("(") // 8) > _MAX_DEPTH * 8 or text.count(";") > 4096:
        raise ValueError("it is nested too deeply")
    try:
        strip_checksum(text)
        found = multipath_descriptors(text) if "<" in text else [text]
        if len(found) > _MAX_STEPS:
            raise ValueError("it has more than two branches")
        return tuple(_expanded(one, indexes, network) for one in found)
    except ValueError:
        raise
    except Exception as fault:
        raise ValueError(f"it cannot be read ({type(fault).__name__})") from None


def _expanded(text: str, indexes: range, network: Network) -> tuple[bytes, ...]:
    descriptor = parse(text, network.value)
    if not descriptor.is_ranged:
        raise ValueError("it has no range (`/*`)")
    return tuple(bytes(descriptor.script_pub_key(i).script) for i in indexes)


def same_wallet(wallet: PublicWallet, text: str, count: int = 3) -> str | None:
    """In what a descriptor differs from a wallet, in one sentence; None when both give the same first addresses.

    Args:
        text: one descriptor with both branches, or one for each branch, one a line, receiving first.
        count: how many addresses of each branch are compared.

    Raises:
        ValueError: as `branch_scripts`.
    """
    lines = text.split()
    if not 1 <= len(lines) <= len(BRANCHES):
        raise ValueError("give one descriptor, or one for each branch")
    found = [scripts for line in lines for scripts in branch_scripts(line, range(count), wallet.network)]
    if len(found) > len(BRANCHES):
        raise ValueError("give one descriptor, or one for each branch")
    for branch, scripts in zip(BRANCHES, found, strict=False):
        for index, script in enumerate(scripts):
            if script != wallet.script(WalletPath(branch, index)):
                return f"at {WalletPath(branch, index)} it has another address"
    return None if len(found) == len(BRANCHES) else "it says nothing of the change addresses"


def check_own_descriptor(wallet: PublicWallet, count: int = 3) -> None:
    """Raises ValueError unless the library expands the wallet's descriptor to the addresses derived here."""
    difference = same_wallet(wallet, wallet.descriptor(), count)
    if difference is not None:
        raise ValueError(f"two derivations of the wallet differ: {difference}")
