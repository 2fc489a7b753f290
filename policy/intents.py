"""An intent: what a client device signed that it is about to ask, before anything asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from taproot import OutPoint


@dataclass(frozen=True, slots=True)
class Intent:
    """A signed intent: these payments, at most this fee, with this coin, until then.

    `id` is 32 bytes, the hash of all of it. `device` is the client that signed it, "" when the roster has no such
    client. `outpoint` is the coin that the spend must use, so that two spends under one intent can never both
    confirm. `made_at_ms` is when the device made it: a node that was rebuilt later cannot know whether it was used.
    """

    id: bytes
    device: str
    outpoint: OutPoint
    payments: tuple[tuple[bytes, int], ...]
    max_fee_sats: int
    expires_at_ms: int
    made_at_ms: int = 0
