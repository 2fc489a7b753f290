"""The letters of a drill: a client wants to know whether each share still signs, and whether the copy still fits."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import MAX_NODES, Bytes32, Bytes64, Bytes66, Code, Count, Millis, SignedLetter

MAX_ROUNDS = 32
"""In how many rounds a wallet is drilled at most: a tree needs one for each quorum until every node has signed."""


class DrillRequest(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A client asks for a drill of the wallet in the header; `copy` is what its copy of the wallet comes to.

    The drill's id, in the header, binds the wallet, the client, and all of this.
    """

    nonce: Bytes32
    said_at_ms: Millis
    copy: Bytes32


class DrillPropose(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The client's DrillRequest, passed on for one round."""

    request: SignedLetter
    round: Count


class DrillNonces(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node takes part in a round, with this public nonce; or it does not, and the code says why."""

    round: Count
    code: Code
    pubnonces: Annotated[tuple[Bytes66, ...], Meta(max_length=1)]


class DrillOrder(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signers of one round: their DrillNonces, as they signed them, in the order of the charter."""

    round: Count
    signers: Annotated[tuple[SignedLetter, ...], Meta(min_length=1, max_length=MAX_NODES)]


class DrillPsigs(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node's partial signature of one round's challenge; empty when its nonce is gone."""

    round: Count
    psigs: Annotated[tuple[Bytes32, ...], Meta(max_length=1)]


class DrillRound(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Who signed one round's challenge together, and their signature; whoever gets it verifies it."""

    round: Count
    participants: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=MAX_NODES)]
    signature: Bytes64


class DrillFinal(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """How a drill went: its rounds, and of every node that answered its newest letter (the coordinator's choice)."""

    rounds: Annotated[tuple[DrillRound, ...], Meta(max_length=MAX_ROUNDS)]
    answers: Annotated[tuple[SignedLetter, ...], Meta(max_length=MAX_NODES)]
    failed: Annotated[tuple[Bytes32, ...], Meta(max_length=MAX_NODES)]
