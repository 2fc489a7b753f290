"""What the derivation fields of a PSBT say of a wallet's keys: a hint where to look, refused where it lies."""

from __future__ import annotations

from collections.abc import Mapping

from btclib_wallet.bip32 import BIP32KeyOrigin

from taproot.keys import HARDENED, ExtendedKey, WalletKey
from taproot.refusals import PsbtRefused
from taproot.spend import WalletPath
from taproot.wallet import BRANCHES, PublicWallet

Origins = Mapping[bytes, tuple[list[bytes], BIP32KeyOrigin]]
"""TAP_BIP32_DERIVATION as it was read: by x-only key, leaf hashes and key origin."""


def claimed_path(wallet: PublicWallet, origins: Origins, where: str) -> WalletPath | None:
    """Where the PSBT says that the wallet derives its keys, having checked that it derives these keys there.

    Raises:
        PsbtRefused: an entry names a key of this wallet and is wrong, or two of them disagree.
    """
    paths: set[tuple[WalletPath, tuple[bytes, ...]]] = set()
    for key, (leaves, origin) in origins.items():
        entry = (origin.master_fingerprint, tuple(origin.der_path))
        meanings = _meanings(wallet, *entry)
        if not meanings:
            continue
        right = [path for known, path in meanings if _is(known, path, key)]
        if not right:
            raise PsbtRefused("wrong-derivation", where, "a key of this wallet is said to be another there")
        paths.update((path, tuple(leaves)) for path in right if path is not None)
    if len({path for path, _ in paths}) > 1:
        raise PsbtRefused("wrong-derivation", where, "its derivations name different addresses")
    for path, hashes in paths:
        if not set(hashes) <= {leaf.hash for leaf in wallet.leaves_at(path)}:
            raise PsbtRefused("wrong-derivation", where, "a derivation names a leaf that this wallet has not")
    return next((path for path, _ in paths), None)


def claims_wallet(wallet: PublicWallet, origins: list[BIP32KeyOrigin]) -> bool:
    """Whether any of these says that the wallet derives it."""
    return any(
        path is not None or isinstance(known, WalletKey)
        for origin in origins
        for known, path in _meanings(wallet, origin.master_fingerprint, tuple(origin.der_path))
    )


_Meaning = tuple[WalletKey | ExtendedKey, WalletPath | None]


def _meanings(wallet: PublicWallet, fingerprint: bytes, path: tuple[int, ...]) -> list[_Meaning]:
    """Every way to read an origin as one of this wallet's: a derived key, or a participant itself."""
    found: list[_Meaning] = []
    for prefix, known in wallet.origins.get(fingerprint, ()):
        rest = path[len(prefix) :]
        if path[: len(prefix)] != prefix:
            continue
        if isinstance(known, ExtendedKey):
            if not rest:
                found.append((known, None))
        elif len(rest) == 2 and rest[0] in known.branches and rest[1] < HARDENED:
            found.append((known, WalletPath(BRANCHES[known.branches.index(rest[0])], rest[1])))
        else:
            found.append((known, None))
    return found


def _is(known: WalletKey | ExtendedKey, path: WalletPath | None, key: bytes) -> bool:
    if isinstance(known, ExtendedKey):
        return known.public_key[1:] == key
    return path is not None and known.child(path)[0].xonly() == key
