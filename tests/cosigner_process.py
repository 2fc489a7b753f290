"""A co-signer who is no node, in a process of its own: it speaks PSBT files, and btclib does its cryptography.

It takes one file to commit to and one to sign, and stays alive between the two: its secret nonces are in no file.
Orders come as lines on its standard input (`commit IN OUT`, `sign IN OUT`, or `join IN OUT`, which signs and joins all
parts into the signature as Bitcoin Core does), answers as lines on its output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from btclib.hashes import hash160
from btclib_wallet.bip32 import BIP328_CHAIN_CODE, pub_key_derivation_tweaks
from btclib_wallet.psbt.musig2 import nonce_gen, partial_sign, partial_sigs_agg
from btclib_wallet.psbt.psbt import Psbt, taproot_sig_hash
from ecc.ecc import musig2

from curve import SecretScalar, tagged_hash
from taproot import ExtendedKey, Network

SECRET = tagged_hash("test/e2e/cosigner")


def public_key() -> bytes:
    """Its public key."""
    return SecretScalar.from_bytes(SECRET).point().to_bytes()


def expression() -> str:
    """Its extended public key."""
    chain_code = tagged_hash("test/e2e/cosigner/chain-code")
    return ExtendedKey(public_key(), chain_code).expression(Network.REGTEST)


@dataclass
class Session:
    """One input and one aggregate key that it stands in, on the key path."""

    psbt: Psbt
    place: int
    aggregate: bytes

    def commit(self) -> bytearray:
        """Its public nonce into the file; the secret one."""
        return nonce_gen(self.psbt, self.place, SECRET, self.aggregate)

    def sign(self, secnonce: bytearray) -> None:
        """Its partial signature into the file."""
        partial_sign(self.psbt, self.place, secnonce, SECRET, self.aggregate)

    def join(self) -> None:
        """All partial signatures into one."""
        partial_sigs_agg(self.psbt, self.place, self.aggregate)


@dataclass
class LeafSession(Session):
    """The same in a leaf, where the key is derived from the aggregate: btclib's PSBT roles know no such keys yet."""

    leaf_hash: bytes
    path: list[int]

    def __post_init__(self) -> None:
        self.one = self.psbt.inputs[self.place]
        self.participants = self.one.musig2_participant_pub_keys[self.aggregate]
        self.tweaks = pub_key_derivation_tweaks(self.aggregate, BIP328_CHAIN_CODE, self.path)
        context = musig2.key_agg_and_tweak_var(self.participants, *self.told)
        self.xonly = context.x_only_pub_key
        self.filed = bytes([2 + context.Q[1] % 2]) + self.xonly + self.leaf_hash
        self.msg = taproot_sig_hash(self.psbt, self.place, leaf_hash=self.leaf_hash)

    @property
    def told(self) -> tuple[list[bytes], list[bool]]:
        """The tweaks, all of them plain."""
        return self.tweaks, [False] * len(self.tweaks)

    def commit(self) -> bytearray:
        """Its public nonce into the file; the secret one."""
        number = int.from_bytes(SECRET)
        secret, public = musig2.nonce_gen_(os.urandom(32), number, public_key(), self.xonly, self.msg, None)
        self.one.musig2_pub_nonces[public_key() + self.filed] = public
        return secret

    def sign(self, secnonce: bytearray) -> None:
        """Its partial signature into the file."""
        nonces = [self.one.musig2_pub_nonces[key + self.filed] for key in self.participants]
        context = musig2.SessionContext(musig2.nonce_agg_var(nonces), self.participants, *self.told, self.msg)
        self.one.musig2_partial_sigs[public_key() + self.filed] = musig2.sign(
            secnonce, int.from_bytes(SECRET), context
        )

    def join(self) -> None:
        """Left to whoever has the other parts."""


def sessions(psbt: Psbt) -> Iterator[Session]:
    """Where it is to sign."""
    for place, one in enumerate(psbt.inputs):
        for aggregate, participants in one.musig2_participant_pub_keys.items():
            if public_key() not in participants:
                continue
            leaves: list[Session] = [
                LeafSession(psbt, place, aggregate, leaf_hash, list(origin.der_path))
                for leaf_hashes, origin in one.taproot_hd_key_paths.values()
                for leaf_hash in leaf_hashes
                if origin.master_fingerprint == hash160(aggregate)[:4]
            ]
            yield from leaves or [Session(psbt, place, aggregate)]


def main() -> None:
    """Obey until there are no more orders."""
    nonces: dict[tuple[int, bytes], bytearray] = {}
    for line in sys.stdin:
        act, source, target = line.split()
        psbt = Psbt.parse(Path(source).read_bytes())
        for session in list(sessions(psbt)):
            if act == "commit":
                nonces[session.place, session.aggregate] = session.commit()
            else:
                session.sign(nonces.pop((session.place, session.aggregate)))
            if act == "join":
                session.join()
        Path(target).write_bytes(psbt.serialize())
        print("done", flush=True)


if __name__ == "__main__":
    main()
