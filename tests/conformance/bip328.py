"""Reads BIP 328's vectors.json: the synthetic extended key of an aggregate key."""

import json
from collections.abc import Callable
from functools import partial
from hashlib import sha256

from taproot import Network, PublicWallet

CHAIN_CODE = sha256(b"MuSig2MuSig2MuSig2").digest()


def cases(path: str, text: str) -> list[tuple[str, Callable[[], None]]] | None:
    """One case per aggregate key. (How the keys aggregate is BIP 327's.)"""
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(data, list) or not data or not all(isinstance(one, dict) for one in data):
        return None
    if not all({"aggregate_pubkey", "xpub"} <= one.keys() for one in data):
        return None
    return [(f"xpub {i}", partial(_check, one)) for i, one in enumerate(data)]


def _check(case: dict[str, str]) -> None:
    wallet = PublicWallet.of_key(Network.MAINNET, bytes.fromhex(case["aggregate_pubkey"]), CHAIN_CODE)
    assert wallet.xpub == case["xpub"], "xpub differs"
