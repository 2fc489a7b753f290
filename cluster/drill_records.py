"""The records of drills at a node: what it signed, and the last one that went well."""

from __future__ import annotations

from cluster.messages import Bytes32, Bytes66, Count, Millis
from cluster.record_body import Body


class DrillSigned(Body, frozen=True):
    """A partial signature of a drill that may leave: its session, the nonce it used up, and when it counts."""

    drill_id: Bytes32
    round: Count
    session_id: Bytes32
    pubnonces: tuple[Bytes66, ...]
    psigs: tuple[Bytes32, ...]
    policy_ms: Millis


class DrillPassed(Body, frozen=True):
    """A drill in which this node signed went well: the signature of its round was whole, and the copy fits."""

    drill_id: Bytes32
    participants: tuple[Count, ...]
