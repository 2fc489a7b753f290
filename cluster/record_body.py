"""What the bodies of all records have in common."""

from __future__ import annotations

from msgspec import Struct

from cluster.messages import Millis


class Body(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What all records hold: when they were written."""

    at_ms: Millis
