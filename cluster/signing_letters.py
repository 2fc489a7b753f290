"""The letters of one signature: a request, what nodes think of it, nonces, an order, and what comes of it."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import (
    MAX_NODES,
    Bytes32,
    Bytes66,
    Code,
    Count,
    Millis,
    Note,
    Psig,
    SignedLetter,
    TaskSignatures,
)

MAX_INPUTS = 250
"""The most inputs a request may have."""

MAX_PSBT_BYTES = 512 * 1024
"""The largest PSBT a request may carry, in bytes."""

MAX_CODES = 32
"""The most codes a verdict may give."""

MAX_FINAL_BYTES = MAX_PSBT_BYTES + MAX_INPUTS * 1024
"""The largest finished transaction: never more than its PSBT and a witness for each input."""


class Request(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A client asks for signatures on the inputs of a PSBT; `note` is its own unverified word.

    `intent` is what a device signed that would be asked, where the policies of the nodes demand it. `leaf` is the
    recovery leaf by which to spend, "" for the main way.
    """

    psbt: Annotated[bytes, Meta(max_length=MAX_PSBT_BYTES)]
    note: Note
    client_nonce: Bytes32
    intent: SignedLetter | None = None
    leaf: Annotated[str, Meta(max_length=31)] = ""


class Propose(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The client's Request, passed on."""

    request: SignedLetter


class Decision(IntEnum):
    """What a node thinks of a request, from mildest to strictest."""

    APPROVE = 0
    ASK = 1
    WAIT = 2
    REFUSE = 3


Role = Annotated[str, Meta(min_length=1, max_length=31, pattern=r"^[a-z0-9-]+\Z")]
Roles = Annotated[tuple[Role, ...], Meta(max_length=8)]
Digests = Annotated[tuple[Bytes32, ...], Meta(max_length=4)]


class Verdict(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node's own judgement of one request; the codes are policy tags, the reasons stay at home.

    `chain_head` is the maker's newest record, the `chain_height`-th, in its `lineage` (docs/adr/0072); `need_nodes`,
    `roles`, `never_only` and `policies` are its conditions on the quorum (`policy.Conditions`); an approval counts
    until `expires_at_ms`, at most 15 minutes on.
    """

    decision: Decision
    codes: Annotated[tuple[Code, ...], Meta(max_length=MAX_CODES)]
    spend_id: Bytes32
    policy_digest: Bytes32
    lineage: Count
    chain_height: Millis
    chain_head: Bytes32
    need_nodes: Count
    roles: Annotated[tuple[Role, ...], Meta(max_length=16)]
    never_only: Annotated[tuple[Roles, ...], Meta(max_length=4)]
    policies: Annotated[tuple[tuple[Role, Digests], ...], Meta(max_length=4)]
    expires_at_ms: Millis


class NonceRequest(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The coordinator asks for fresh nonces under a standing approval."""

    attempt: Count


class Nonces(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One public nonce per signing task, good for one session and until `expires_at_ms`; none where none is needed."""

    pubnonces: Annotated[tuple[Bytes66, ...], Meta(max_length=MAX_INPUTS)]
    expires_at_ms: Millis


class OrderEntry(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One signer of a session: its approval and its nonces, both under its own signature."""

    verdict: SignedLetter
    nonces: SignedLetter


class Order(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The coordinator's proposal of one session: these signers, with these nonces.

    `outsiders` are the participants of the quorum that are no nodes; their nonces stand in the request's PSBT.
    """

    entries: Annotated[tuple[OrderEntry, ...], Meta(min_length=1, max_length=MAX_NODES)]
    outsiders: Annotated[tuple[Count, ...], Meta(max_length=16)] = ()


class PartialSignatures(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One partial signature per signing task, for the session named in the header, and under which policy.

    32 bytes each; 64, a whole signature, for a plain key of a script leaf.
    """

    psigs: Annotated[tuple[Psig, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
    policy_digest: Bytes32


class Gone(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What was asked for no longer exists: nonces that were used, expired or lost with a restart.

    Or it is not done with one of the signers, whom `about` names then (zeros: nobody).
    """

    code: Code
    about: Bytes32 = bytes(32)


class Busy(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Not now: ask again after this long."""

    retry_after_ms: Millis


class Withdraw(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node takes its approval back."""

    code: Code


class Final(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signatures of each signing task, who made them, and the whole transaction; whoever gets it verifies it.

    A task has one signature, or for a leaf of several keys one for each key, empty where that key did not sign.
    """

    signatures: Annotated[tuple[TaskSignatures, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
    signers: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=MAX_NODES)]
    transaction: Annotated[bytes, Meta(max_length=MAX_FINAL_BYTES)]


class SignerPart(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What one participant gave to a session; empty is what it has not given."""

    participant: Count
    pubnonces: Annotated[tuple[Bytes66, ...], Meta(max_length=MAX_INPUTS)]
    psigs: Annotated[tuple[Psig, ...], Meta(max_length=MAX_INPUTS)]


class PartlySigned(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """All nodes of the quorum signed, and the participants that are no nodes are to sign last."""

    parts: Annotated[tuple[SignerPart, ...], Meta(min_length=1, max_length=MAX_NODES)]


class Cosigned(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What participants that are no nodes added to a partly signed request; or, if the last of them joined all parts
    itself, the whole signatures of each input.
    """

    parts: Annotated[tuple[SignerPart, ...], Meta(max_length=16)] = ()
    signatures: Annotated[tuple[TaskSignatures, ...], Meta(max_length=MAX_INPUTS)] = ()
