"""The letters of a key generation: the proposal, the owners' consents, ChillDKG's own messages, and how it ended."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import MAX_NODES, Ack, Bytes32, Code, Count, SignedLetter


class KeygenRequest(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A client proposes a wallet: the exact bytes of its charter."""

    charter: Annotated[bytes, Meta(max_length=32 * 1024)]


class KeygenPropose(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The client's KeygenRequest, passed on."""

    request: SignedLetter


class KeygenConsent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The owner of this node compared the charter's words and said yes."""

    charter_digest: Bytes32


class KeygenStart(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Every owner said yes: all consents, in the charter's order. The header's session id names this try."""

    consents: Annotated[tuple[SignedLetter, ...], Meta(min_length=1, max_length=MAX_NODES)]


class KeygenMessage(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One ChillDKG message, as bytes: participant 1 and 2, coordinator 1, or an investigation."""

    message: Annotated[bytes, Meta(max_length=64 * 1024)]


class KeygenCertificate(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """ChillDKG's second coordinator message, and the recovery data for whoever lost its session."""

    message: Annotated[bytes, Meta(max_length=64 * 1024)]
    recovery_data: Annotated[bytes, Meta(max_length=64 * 1024)]


class KeygenFault(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A participant's ChillDKG step failed: why, and whom it suspects (member indices), if anyone.

    A suspicion is the sender's word and convicts nobody; a code that ends in `-or-coordinator` says so itself.
    """

    code: Code
    culprits: Annotated[tuple[Count, ...], Meta(max_length=MAX_NODES)]


class RecoveryAck(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The owner confirmed a copy of the recovery data; this node computed these first addresses."""

    ack: Ack


class KeygenFinal(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The recovery data and every member's acknowledgement: from here on addresses may be shown."""

    recovery_data: Annotated[bytes, Meta(max_length=64 * 1024)]
    acks: Annotated[tuple[Ack, ...], Meta(min_length=1, max_length=MAX_NODES)]
