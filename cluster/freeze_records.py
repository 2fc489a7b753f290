"""The records of freezes by others: what this node said, what it heard, and what a clock that was set cost nobody."""

from __future__ import annotations

from cluster.messages import Bytes32, Millis, SignedLetter
from cluster.record_body import Body


class FreezeIssued(Body, frozen=True):
    """This node's owner froze the wallet at every node: for how long, since when by the policy clock."""

    freeze_id: Bytes32
    wanted_ms: Millis
    policy_ms: Millis


class FreezeHeard(Body, frozen=True):
    """Another node or a person froze the wallet here: their letter, from when until when by the policy clock.

    `sure` says that the clock was in no doubt then.
    """

    word: SignedLetter
    freeze_id: Bytes32
    issuer: Bytes32
    heard_ms: Millis
    until_ms: Millis
    sure: bool


class FreezeDelayed(Body, frozen=True):
    """The clock was set anew while a freeze held: it counts anew from and until, so that it got no shorter."""

    freeze_id: Bytes32
    issuer: Bytes32
    heard_ms: Millis
    until_ms: Millis
