"""What the owner of a node can say to it, once the control socket or the terminal has understood it.

Each is a value; `Node.answer` takes any of them, and what cannot be answered changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.records import NO_WALLET
from cluster.shadow import Drafting

__all__ = [
    "Answer",
    "ClockConfirmed",
    "CopyShown",
    "Freeze",
    "GrantEnded",
    "GrantGiven",
    "NothingToAnswer",
    "OwnerSays",
    "PolicyProposed",
    "QuarantineEnded",
    "Thaw",
]


class NothingToAnswer(ValueError):
    """The owner answered something that does not wait for an answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The owner's yes or no to a request or a proposed wallet, by its full 32-byte id.

    `number` is what the asking device shows, where the owner was asked for it.
    """

    subject: bytes
    yes: bool
    number: str = ""


@dataclass(frozen=True, slots=True)
class CopyShown:
    """The owner shows a copy of a wallet's recovery data."""

    wallet_id: bytes
    recovery_data: bytes


@dataclass(frozen=True, slots=True)
class PolicyProposed:
    """The owner proposes a profile, for one wallet or (32 zero bytes) for all that have none of their own.

    `base` is the text of the profile that it extends. What only tightens holds at once; a looser one waits.
    """

    text: str
    wallet_id: bytes = NO_WALLET
    base: str = ""


@dataclass(frozen=True, slots=True)
class ClockConfirmed:
    """The owner looked at the wall clock and says that it is right."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """The owner freezes a wallet at this node: it refuses every spend of it until it is thawed.

    `everywhere_ms` is how long the other nodes are asked to; 0 asks none of them.
    """

    wallet_id: bytes
    everywhere_ms: int = 0


@dataclass(frozen=True, slots=True)
class Thaw:
    """The owner lets a frozen wallet spend again at this node."""

    wallet_id: bytes


@dataclass(frozen=True, slots=True)
class GrantGiven:
    """The owner grants something: the exact bytes of it, and the signature of the node's identity key."""

    grant: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class GrantEnded:
    """The owner ends a grant, at once."""

    grant_id: bytes


@dataclass(frozen=True, slots=True)
class QuarantineEnded:
    """The owner accepts that this node's disk may be an older copy; or, with `peer`, that a peer's doubt is settled."""

    peer: bytes = NO_WALLET


OwnerSays = (
    Answer
    | CopyShown
    | PolicyProposed
    | ClockConfirmed
    | QuarantineEnded
    | Freeze
    | Thaw
    | GrantGiven
    | GrantEnded
    | Drafting
)
"""Everything an owner can say to a node."""
