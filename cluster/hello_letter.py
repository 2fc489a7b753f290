"""The greeting that opens every line: who is there, at which versions, and how far its wallets are."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import Bytes32, Code, Count, Millis, Note


class WalletState(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a node says of one wallet: how far its keygen is, and the policy in force with its version."""

    wallet_id: Bytes32
    stage: Code
    policy_digest: Bytes32
    policy_version: Count


class Hello(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I am here: my protocol and scheme versions, my roster, my record chain, my clock."""

    protocol: Count
    schemes: Annotated[tuple[Note, ...], Meta(max_length=8)]
    roster_digest: Bytes32
    chain_height: Millis
    chain_head: Bytes32
    clock_ms: Millis
    wallets: Annotated[tuple[WalletState, ...], Meta(max_length=64)]
