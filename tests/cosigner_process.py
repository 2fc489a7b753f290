"""A co-signer who is no node, in a process of its own: it speaks PSBT files, and btclib does its cryptography.

It takes one file to commit to and one to sign, and stays alive between the two: its secret nonces are in no file.
Orders come as lines on its standard input (`commit IN OUT`, `sign IN OUT`, or `join IN OUT`, which signs and joins all
parts into the signature as Bitcoin Core does), answers as lines on its output.
"""

from __future__ import annotations

import sys
from pathlib import Path

from btclib_wallet.psbt.musig2 import nonce_gen, partial_sign, partial_sigs_agg
from btclib_wallet.psbt.psbt import Psbt

from curve import SecretScalar, tagged_hash
from taproot import ExtendedKey, Network

SECRET = tagged_hash("test/e2e/cosigner")


def expression() -> str:
    """Its extended public key."""
    chain_code = tagged_hash("test/e2e/cosigner/chain-code")
    return ExtendedKey(SecretScalar.from_bytes(SECRET).point().to_bytes(), chain_code).expression(
        Network.REGTEST
    )


def main() -> None:
    """Obey until there are no more orders."""
    mine = SecretScalar.from_bytes(SECRET).point().to_bytes()
    nonces: dict[tuple[int, bytes], bytearray] = {}
    for line in sys.stdin:
        act, source, target = line.split()
        psbt = Psbt.parse(Path(source).read_bytes())
        for place, one in enumerate(psbt.inputs):
            for aggregate, participants in list(one.musig2_participant_pub_keys.items()):
                if mine not in participants:
                    continue
                if act == "commit":
                    nonces[place, aggregate] = nonce_gen(psbt, place, SECRET, aggregate)
                else:
                    partial_sign(psbt, place, nonces.pop((place, aggregate)), SECRET, aggregate)
                if act == "join":
                    partial_sigs_agg(psbt, place, aggregate)
        Path(target).write_bytes(psbt.serialize())
        print("done", flush=True)


if __name__ == "__main__":
    main()
