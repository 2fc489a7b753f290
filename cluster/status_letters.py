"""The letters by which clients and people ask how things stand, and are told."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import MAX_NODES, Bytes32, Code, SignedLetter


class StatusQuery(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A client asks how its request, its keygen (header's request id) or the cluster (no id) stands.

    A person asks for what is open (no id), for a request or a wallet (its id), and how a request stands; and for
    the `changes` of policies that were announced, or for one `change` (the request id is the change's).
    """

    want: Code


class NodeStatus(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What the coordinator knows of one node: `reach` and, where there is one, its newest signed verdict.

    `heard`, for a person who asks, is the node's receipt for what this person said; `beat`, where the cluster is
    asked for, is the node's newest heartbeat.
    """

    node: Bytes32
    reach: Code
    verdict: SignedLetter | None
    heard: SignedLetter | None = None
    beat: SignedLetter | None = None


class Status(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """How things stand, as the coordinator says; only the signed letters inside prove anything."""

    state: Code
    codes: Annotated[tuple[Code, ...], Meta(max_length=64)]
    nodes: Annotated[tuple[NodeStatus, ...], Meta(max_length=MAX_NODES)]
