"""The records of looser policies on their way: a node's own, and those it hears of (`cluster.changes`)."""

from __future__ import annotations

from cluster.messages import Bytes32, Code, Count, Millis, SignedLetter
from cluster.policy_letters import ProfileText
from cluster.record_body import Body


class ChangeProposed(Body, frozen=True):
    """The owner wants a looser profile: what binds its id, and the texts that would be in force.

    `sure` says that its time is not the owner's word alone (`cluster.changes`).
    """

    version: Count
    base_digest: Bytes32
    digest: Bytes32
    since_ms: Millis
    nonce: Bytes32
    text: ProfileText
    base: ProfileText
    sure: bool = False


class ChangeDelayed(Body, frozen=True):
    """The clock was set anew while a change waited: its cooldown counts from `since_ms`, so it got no shorter."""

    change_id: Bytes32
    since_ms: Millis
    sure: bool


class ConsentKept(Body, frozen=True):
    """Somebody agreed to a change of this node's, or cancelled it; their letter proves it."""

    change_id: Bytes32
    who: Bytes32
    yes: bool
    letter: SignedLetter


class ChangeEnded(Body, frozen=True):
    """A change ended (this node's own, or one it was told of): how, and by whom if by somebody."""

    change_id: Bytes32
    code: Code
    by: Bytes32


class ChangeHeard(Body, frozen=True):
    """Another node announced a change of its policy, in the letter that it signed."""

    letter: SignedLetter


class ChangeAnswered(Body, frozen=True):
    """This node's owner agreed to another node's change, or cancelled it."""

    change_id: Bytes32
    yes: bool
