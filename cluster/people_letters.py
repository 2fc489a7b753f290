"""The letters of people: what a person says of a request, how it is carried, and what a person's device is shown."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import Ack, Bytes32, Code, Count, Millis, SignedLetter

MAX_ACKS = 128
"""One for each member that a wallet may have."""


class PersonSays(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A person says yes or no to the request in the header, and so to its spend; the one said last counts.

    Said at the person's own wall time, which rises with each word of theirs about a spend.
    """

    spend_id: Bytes32
    yes: bool
    said_at_ms: Millis


class PersonRelay(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The person's PersonSays, passed on."""

    word: SignedLetter


class PersonReceipt(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node has written down what a person said of a spend: this is the newest word it has of them."""

    spend_id: Bytes32
    person: Bytes32
    yes: bool
    said_at_ms: Millis


class OpenRequest(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One request that a person may look at."""

    request_id: Bytes32
    wallet_id: Bytes32
    state: Code


class OpenList(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Which wallets there are, and which requests are open, or ended lately; the letters themselves are asked for."""

    wallets: Annotated[tuple[Bytes32, ...], Meta(max_length=64)]
    requests: Annotated[tuple[OpenRequest, ...], Meta(max_length=512)]


class WalletShown(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Everything public of a wallet: its charter, and what proves that all members acknowledged it.

    The indexes, the first unused of either branch, are the coordinator's word.
    """

    charter: Annotated[bytes, Meta(max_length=32 * 1024)]
    recovery_data: Annotated[bytes, Meta(max_length=64 * 1024)]
    acks: Annotated[tuple[Ack, ...], Meta(min_length=1, max_length=MAX_ACKS)]
    next_receive: Count
    next_change: Count
