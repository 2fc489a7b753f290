"""The tree of script leaves under an output key (BIP 341): its root, and the proof for each leaf.

The shape follows from the order of the leaves alone: a list is halved, the first half taking the odd one, until
single leaves are left. The quorum leaves of a wallet make one tree, its recovery leaves another; where there are
both, they are the two halves of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from curve import tagged_hash

T = TypeVar("T")

MAX_DEPTH = 128
"""The deepest leaf that BIP 341 allows."""


def folded(first: Sequence[T], second: Sequence[T], join: Callable[[T, T], T]) -> T:
    """Fold two groups of leaves (not both empty) into one, by the shape that every wallet's tree has."""
    if not first or not second:
        return _halved(first or second, join)
    return join(_halved(first, join), _halved(second, join))


def _halved(leaves: Sequence[T], join: Callable[[T, T], T]) -> T:
    if len(leaves) == 1:
        return leaves[0]
    middle = (len(leaves) + 1) // 2
    return join(_halved(leaves[:middle], join), _halved(leaves[middle:], join))


def branch_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (BIP 341): its children in the order of their bytes."""
    return tagged_hash("TapBranch", min(left, right), max(left, right))


_Node = tuple[bytes, tuple[bytes, ...]]  # a hash, and the leaves below it


def _nodes(leaves: Sequence[bytes]) -> list[_Node]:
    return [(leaf, (leaf,)) for leaf in leaves]


class ScriptTree:
    """One tree: the merkle root (32 bytes), and for each leaf the hashes that lead to it."""

    __slots__ = ("_paths", "root")

    def __init__(self, first: Sequence[bytes], second: Sequence[bytes] = ()) -> None:
        """Build it over leaf hashes: those of the quorum leaves, then those of the recovery leaves."""
        self._paths: dict[bytes, list[bytes]] = {leaf: [] for leaf in (*first, *second)}
        self.root = folded(_nodes(first), _nodes(second), self._join)[0]

    def _join(self, left: _Node, right: _Node) -> _Node:
        for leaf in left[1]:
            self._paths[leaf].append(right[0])
        for leaf in right[1]:
            self._paths[leaf].append(left[0])
        return branch_hash(left[0], right[0]), left[1] + right[1]

    def path(self, leaf: bytes) -> bytes:
        """The hashes from a leaf up to the root, one after another (32 bytes each)."""
        return b"".join(self._paths[leaf])


def root_of(leaf: bytes, path: bytes) -> bytes:
    """The root to which a path leads from a leaf hash: what a verifier computes."""
    for start in range(0, len(path), 32):
        leaf = branch_hash(leaf, path[start : start + 32])
    return leaf
