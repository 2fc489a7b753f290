"""The letters by which nodes give a coordinator that has lost its memory, or is new, what it needs.

A node says what it holds, the coordinator asks for what it lacks, and believes nothing but what proves itself.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.signing_letters import MAX_INPUTS, SignerPart
from cluster.wire_types import MAX_NODES, Ack, Bytes32, Count, SignedLetter, TaskSignatures

MAX_HELD_WALLETS = 64
"""How many wallets a node names at once."""

MAX_HELD_REQUESTS = 512
"""How many requests a node names at once."""


MAX_HELD_PARTS = 32
"""Of how many sessions of one request, the newest, a node tells a coordinator: some may have ordered very many."""


class HeldWalletId(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A wallet that a node has, and the first addresses that it has not seen used."""

    wallet_id: Bytes32
    next_receive: Count
    next_change: Count


class HeldList(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a node holds: its finished wallets, and the open requests that no coordinator it hears is known to have."""

    wallets: Annotated[tuple[HeldWalletId, ...], Meta(max_length=MAX_HELD_WALLETS)]
    requests: Annotated[tuple[Bytes32, ...], Meta(max_length=MAX_HELD_REQUESTS)]


class HeldAsk(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The coordinator asks for these, which it lacks: wallets and requests, by id."""

    wallets: Annotated[tuple[Bytes32, ...], Meta(max_length=8)]
    requests: Annotated[tuple[Bytes32, ...], Meta(max_length=8)]


class HeldWallet(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A wallet: charter, recovery data, and every member's acknowledgement.

    While not all have acknowledged it there are none, and `request` is the client's own letter that proposed it.
    """

    charter: Annotated[bytes, Meta(max_length=32 * 1024)]
    recovery_data: Annotated[bytes, Meta(max_length=64 * 1024)]
    acks: Annotated[tuple[Ack, ...], Meta(max_length=MAX_NODES)]
    request: Annotated[tuple[SignedLetter, ...], Meta(max_length=1)]


class HeldRequest(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A request that has not ended, as its client signed it."""

    request: SignedLetter


class HeldWord(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a person said of a request, as they signed it."""

    word: SignedLetter


class HeldParts(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The session (header) of a request in which outsiders sign last: all nonces, and this node's own psigs."""

    signers: Annotated[tuple[SignerPart, ...], Meta(max_length=MAX_NODES)]


class HeldFinal(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """How a request ended: whoever has the request can finish and verify the whole transaction."""

    signatures: Annotated[tuple[TaskSignatures, ...], Meta(max_length=MAX_INPUTS)]
    signers: Annotated[tuple[Count, ...], Meta(max_length=MAX_NODES)]
