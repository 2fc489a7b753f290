"""What can be wrong between a node's disk and its state store, each by its own name, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from cluster.records import Head
from cluster.state_store.mark import Mark

__all__ = ["Code", "Empty", "Finding", "Seen", "StoreFault", "judge"]


class Code(Enum):
    """The names of findings; they are stable, for programs."""

    STALE = "store-stale"
    AHEAD = "store-ahead"
    MIXED = "store-mixed"
    FORKED = "store-forked"
    SWAPPED = "store-swapped"
    EMPTY = "store-empty"
    DAMAGED = "store-damaged"


_TO_DO = {
    Code.STALE: "it was put back to an earlier state; `assent store renew` writes it anew from this disk",
    Code.AHEAD: "this disk is an older copy, and must not sign; `assent recover --from-store` brings the newest back",
    Code.MIXED: "what it holds does not belong together; `assent store renew` writes it anew from this disk",
    Code.FORKED: "another copy of this node wrote there; stop that one for good, and see which of the two is right",
    Code.SWAPPED: "it is not this node's; see that url, path and store_id are right",
    Code.EMPTY: "what was written is gone; is it the right one? `assent store renew` writes it anew from this disk",
    Code.DAMAGED: "what it holds cannot be used; `assent store renew` writes it anew from this disk",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: its name, and what was seen."""

    code: Code
    text: str

    @property
    def fatal(self) -> bool:
        """Whether it says that this node must not sign, and not only that its store is bad."""
        return self.code in {Code.AHEAD, Code.FORKED}

    def line(self, where: str) -> str:
        """The finding in one line, with what to do."""
        return f"{self.code.value}: state store {where}: {self.text}; {_TO_DO[self.code]}"


class StoreFault(Exception):
    """A state store shows something that is wrong in itself."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(code, text)


@dataclass(frozen=True, slots=True)
class Empty:
    """The store holds nothing of anybody."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a store shows of a node: its newest head, under which version, and whether the node's head lies on it.

    `through` is the hash that the store's chain has at the height from which the node was looking, as far as the
    store goes; the node's own where it does not go so far.
    """

    cluster_id: bytes
    head: Head
    head_version: int
    through: bytes


def judge(
    seen: Seen | Empty, start: Head, hash_at: Callable[[int], bytes], mark: Mark, cluster_id: bytes
) -> Finding | None:
    """Compare what a store shows with the disk; None when they fit.

    Args:
        seen: the store.
        start: the chain on the disk when the store was looked at.
        hash_at: the hash that the chain on the disk has at a height up to that.
        mark: how far the store had confirmed before.
        cluster_id: the cluster's, by the roster.
    """
    if isinstance(seen, Empty):
        return Finding(Code.EMPTY, f"it held {mark.head.height} records and is empty") if mark.known else None
    if seen.cluster_id != cluster_id:
        return Finding(Code.SWAPPED, "it holds the records of another cluster")
    if max(seen.head.height, mark.head.height) > start.height:
        return _beyond(seen, start, mark)
    if hash_at(seen.head.height) != seen.head.hash:
        return Finding(Code.FORKED, f"its first {seen.head.height} records are not those of this disk")
    if (seen.head.height, seen.head_version) < (mark.head.height, mark.head_version):
        had, has = mark.head.height, seen.head.height
        return Finding(Code.STALE, f"it had {had} records and now has {has}")
    return None


def _beyond(seen: Seen, start: Head, mark: Mark) -> Finding:
    if seen.head.height > start.height and seen.through != start.hash:
        return Finding(Code.FORKED, f"its chain parts from that of this disk before record {start.height}")
    most = max(seen.head.height, mark.head.height)
    return Finding(Code.AHEAD, f"it confirmed {most} records and this disk has {start.height}")
