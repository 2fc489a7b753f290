"""The letters about a looser policy: nodes announce it to each other and to people, who agree, or cancel it.

Each is signed by the node (or person) that says it and passed on whole: the coordinator can carry a change, or
drop it, but never make one.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from cluster.wire_types import MAX_NODES, Bytes32, Code, Count, Millis, SignedLetter

MAX_TEXT_BYTES = 256 * 1024
"""The largest profile, or base, that a record or a letter holds."""

MAX_CHANGE_BYTES = 500 * 1024
"""The most that the texts of one change may have together: they travel in one letter."""

MAX_ANNOUNCED = 8
"""Of how many changes of one node a coordinator keeps the newest announcement, to show them to people."""

ProfileText = Annotated[str, Meta(max_length=MAX_TEXT_BYTES)]


class PolicyChange(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node's owner wants a looser profile: both texts, so that whoever hears it can compare them itself.

    The id of the change binds the node, the wallet, both digests, the version, `since_ms` and the nonce.
    `counts_from_ms` is when, by the node's policy clock, its cooldown began; `in_doubt` that it stands still.
    """

    version: Count
    base_digest: Bytes32
    digest: Bytes32
    since_ms: Millis
    nonce: Bytes32
    text: ProfileText
    base: ProfileText
    old_text: ProfileText
    old_base: ProfileText
    counts_from_ms: Millis
    in_doubt: bool


class PolicyConsent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Whoever signs this agrees to a change at a node (its identity key), or cancels it."""

    node: Bytes32
    change_id: Bytes32
    yes: bool


class PolicyEnded(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A change of this node ended: it is in force, or was cancelled (by whom), replaced, or overtaken."""

    change_id: Bytes32
    code: Code
    by: Bytes32


class PolicyReceipt(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """This node has a person's consent to a change of its policy."""

    change_id: Bytes32
    person: Bytes32


class PolicyRelay(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One of the letters above, passed on as it was signed; `kind` says which."""

    kind: Count
    letter: SignedLetter


class OpenChange(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One change that a person may look at: its id, as the coordinator computed it, its node and its wallet."""

    change_id: Bytes32
    node: Bytes32
    wallet_id: Bytes32


class ChangeList(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Which changes were announced lately; the announcements themselves are asked for."""

    changes: Annotated[tuple[OpenChange, ...], Meta(max_length=MAX_NODES * MAX_ANNOUNCED)]
