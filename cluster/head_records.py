"""The records about heads of record chains: what peers said of theirs, whom a node doubts, and its own quarantine."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.messages import MAX_NODES, Bytes32, Code, Count, Millis, SignedLetter
from cluster.record_body import Body


class PeerHead(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The furthest that a peer was known to have come, and the letter in which it said so."""

    node: Bytes32
    lineage: Count
    height: Millis
    deeds: Millis
    letter: SignedLetter


class PeerHeads(Body, frozen=True):
    """Where other nodes' chains stood, so that each can be told after a restart of either."""

    heads: Annotated[tuple[PeerHead, ...], Meta(min_length=1, max_length=MAX_NODES)]


class PeerDoubted(Body, frozen=True):
    """A peer's own letters prove that two of it live, or that its chain lost records: nothing is signed with it."""

    node: Bytes32
    code: Code
    lineage: Count
    newer: SignedLetter
    older: SignedLetter


class PeerTrusted(Body, frozen=True):
    """The owner dealt with what was doubted of a peer, or the peer's own owner did, as its new lineage says."""

    node: Bytes32


class QuarantineKept(Body, frozen=True):
    """This chain lost records: it ends at `height`, and was at `seen_height`, as `by` knows (zeros: the anchor).

    `letter` is this node's own statement of that, where a peer had it.
    """

    lineage: Count
    height: Millis
    seen_lineage: Count
    seen_height: Millis
    by: Bytes32
    letter: SignedLetter | None


class LineageKept(Body, frozen=True):
    """From here on the chain is another lineage: what was lost is accepted, by the owner or by a recovery."""

    lineage: Count
