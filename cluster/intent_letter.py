"""The body of an intent: what a client device signs that it is about to ask."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import Bytes32, Millis

MAX_PAYMENTS = 250
"""The most payments of one intent."""

Sats = Annotated[int, Meta(ge=0, le=2**53)]


class Outpoint(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A coin: its transaction's id in internal order, and the output's index."""

    txid: Bytes32
    vout: Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Payment(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What one output to others is to be."""

    script: Annotated[bytes, Meta(min_length=1, max_length=10_000)]
    amount_sats: Sats


class Intent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A client device says what it is about to ask: exactly these payments, at most this fee, with this coin.

    It travels inside a Request and is addressed to nobody (32 zero bytes); alone no machine takes it. The header's
    expiry is its own. The request's id covers it.
    """

    made_at_ms: Millis
    nonce: Bytes32
    outpoint: Outpoint
    payments: Annotated[tuple[Payment, ...], Meta(max_length=MAX_PAYMENTS)]
    max_fee_sats: Sats
