"""What all rows of the crypto table share: one message, one key path, and numbers that are the same in every run."""

from __future__ import annotations

import hashlib

from curve import Tweak

MSG = hashlib.sha256(b"a sighash").digest()
TWEAKS = tuple(
    Tweak(tweak=hashlib.sha256(f"tweak {i}".encode()).digest(), is_xonly=is_xonly)
    for i, is_xonly in enumerate((False, False, True))
)
"""Branch, index and Taproot, as every address of a wallet has."""


class Draw:
    """Numbers that look random and are the same in every run. For keys that hold nothing."""

    def __init__(self, seed: bytes) -> None:
        self.state = seed

    def __call__(self) -> bytes:
        self.state = hashlib.sha256(self.state).digest()
        return self.state
