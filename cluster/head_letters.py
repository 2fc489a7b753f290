"""The letters by which nodes see each other: heartbeats, and what they know of each other's record chains."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import MAX_NODES, Bytes16, Bytes32, Count, Millis, SignedLetter

MAX_WALLETS = 64
"""How many wallets a heartbeat speaks of."""

BEATS_AT_ONCE = 32
"""How many heartbeats are passed on in one letter."""

MAX_STATEMENTS = 4
"""How many of a node's own letters are handed back to it by one peer: the newest of each life that is known."""

TAG_BYTES = 8

Tag = Annotated[bytes, Meta(max_length=TAG_BYTES)]


class WalletBeat(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a node's heartbeat says of one wallet: the policy in force, and whether it is frozen there."""

    wallet_id: Bytes32
    policy_digest: Bytes32
    frozen: bool


class Heartbeat(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I live, and this is where I stand; carried to every other node, which believes only the signature.

    `lineage` rises whenever an owner lets this chain go on although it had lost records; `deeds` are its records
    without those about peers' heads. `tip_height` and `tip_hash` are of the chain as this node knows it; 0 and
    zeros where it has no source. `echoes` has a place for each node of the roster, in its order: the tag of the
    newest heartbeat heard of it, or nothing.
    """

    lineage: Count
    chain_height: Millis
    chain_head: Bytes32
    deeds: Millis
    clock_ms: Millis
    tip_height: Count
    tip_hash: Bytes32
    wallets: Annotated[tuple[WalletBeat, ...], Meta(max_length=MAX_WALLETS)]
    echoes: Annotated[tuple[Tag, ...], Meta(max_length=MAX_NODES)]


class Beats(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The newest heartbeats of other nodes, each as it was signed."""

    beats: Annotated[tuple[SignedLetter, ...], Meta(min_length=1, max_length=BEATS_AT_ONCE)]


class HeadAsk(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node that started asks what the others hold of it; the answers must name the boot id of this letter."""

    attempt: Count


class HeadSaid(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a node holds of the asker, for one of its lives (boot id): letters that only the asker can sign."""

    asker: Bytes32
    asker_boot_id: Bytes16
    statements: Annotated[tuple[SignedLetter, ...], Meta(max_length=MAX_STATEMENTS)]


class HeadRelay(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One of the two letters above, passed on as it was signed; `kind` says which."""

    kind: Count
    letter: SignedLetter
