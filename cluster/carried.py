"""What a coordinator only carries: the letter of another node or a person, whole, as its writer signed it."""

from __future__ import annotations

from collections.abc import Set

from cluster.codec import BadLetter, Letter, open_inner
from cluster.messages import Body, ClockRelay, FreezeRelay, HeadRelay, Kind, PolicyRelay
from cluster.roster import Roster


def open_carried(relay: Body, kinds: Set[Kind], what: str) -> Letter:
    """The letter inside, its signature verified; BadLetter where it is of none of these kinds."""
    if isinstance(relay, ClockRelay | FreezeRelay | HeadRelay | PolicyRelay) and relay.kind in kinds:
        return open_inner(relay.letter, Kind(relay.kind))
    raise BadLetter("letter-kind", f"it carries nothing {what}")


def check_peer(inner: Letter, me: bytes, roster: Roster, code: str) -> None:
    """BadLetter, with this code, unless another node of the roster than `me` wrote it, and for this cluster."""
    sender = inner.header.sender
    if sender == me or roster.node(sender) is None:
        raise BadLetter(code, "it is not from another node of the roster")
    check_cluster(inner, roster)


def check_cluster(inner: Letter, roster: Roster) -> None:
    """BadLetter for a letter that was written for another cluster."""
    if inner.header.cluster_id != roster.cluster_id:
        raise BadLetter("letter-cluster", "it is about another cluster")
