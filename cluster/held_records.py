"""The records that let nodes give a coordinator its memory back."""

from __future__ import annotations

from cluster.messages import Bytes32, SignedLetter, SignerPart
from cluster.record_body import Body


class SessionKept(Body, frozen=True):
    """A node signed in a session that outsiders end: everybody's nonces, and its own psigs."""

    request_id: Bytes32
    session_id: Bytes32
    signers: tuple[SignerPart, ...]


class WalletHeld(Body, frozen=True):
    """A coordinator was given a wallet that it had not; `request` is who proposed it, where that is known."""

    charter: bytes
    recovery_data: bytes
    request: tuple[SignedLetter, ...]
