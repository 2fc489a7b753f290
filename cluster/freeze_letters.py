"""The letters of a freeze: a node or a person stops a wallet at every node, and each node says whether it took it."""

from __future__ import annotations

from msgspec import Struct

from cluster.wire_types import Bytes32, Code, Count, Millis, SignedLetter

FREEZE_LIFE_MS = 3_600_000
"""How long a freeze letter is good for: so long a coordinator can choose when it is heard."""


class FreezeSaid(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Whoever signs this freezes the wallet in the header, for so long from when a node hears of it.

    `freeze_id` stays the same when it is said again to nodes that were away.
    """

    freeze_id: Bytes32
    wanted_ms: Millis


class FreezeReceipt(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What became of a freeze at this node: `frozen`, or why not, and how long its issuer's freeze still holds here."""

    freeze_id: Bytes32
    issuer: Bytes32
    code: Code
    left_ms: Millis


class FreezeRelay(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One of the letters above, passed on as it was signed; `kind` says which."""

    kind: Count
    letter: SignedLetter
