"""The letters by which nodes vouch for each other's clocks after a restart or a jump."""

from __future__ import annotations

from msgspec import Struct

from cluster.wire_types import Bytes16, Bytes32, Count, Millis, SignedLetter


class ClockAsk(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A node asks the others what time it is; the answers must name the boot id of this letter, and its attempt."""

    attempt: Count


class ClockSaid(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a node's wall clock says, to one asker (identity key) in one of its lives (boot id), at one attempt."""

    asker: Bytes32
    asker_boot_id: Bytes16
    attempt: Count
    clock_ms: Millis


class ClockRelay(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One of the letters above, passed on as it was signed; `kind` says which."""

    kind: Count
    letter: SignedLetter
