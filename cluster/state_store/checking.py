"""A whole state store read and verified: that the chain holds, what else lies there, and how it fits a disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.records import Head
from cluster.state_store.batches import Batch, Position
from cluster.state_store.feed import Chain
from cluster.state_store.findings import Code, Empty, Finding, Seen, StoreFault, judge
from cluster.state_store.mark import Mark
from cluster.state_store.protocol import KeyVersion, NoSuchKey, StateStore, list_all
from cluster.state_store.reading import look, own_names, read_chain
from cluster.state_store.sealing import Sealer

__all__ = ["Checked", "Inventory", "check_by_note", "check_store", "take_inventory"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What lies in a store by its keys alone: this node's objects, and how many are not its own."""

    own: tuple[KeyVersion, ...]
    foreign: int

    def version(self, name: str) -> int:
        """The version of one of its objects; 0 where there is none."""
        return next((item.version for item in self.own if item.key == name), 0)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: how far the store's chain holds, and what is wrong, if anything."""

    inventory: Inventory
    position: Position
    finding: Finding | None


def take_inventory(store: StateStore, sealer: Sealer) -> Inventory:
    """List a store."""
    listed = list_all(store)
    names = own_names(sealer, len(listed))
    own = tuple(item for item in listed if item.key in names)
    return Inventory(own, len(listed) - len(own))


def check_store(store: StateStore, sealer: Sealer, chain: Chain, mark: Mark, cluster_id: bytes) -> Checked:
    """Read everything, and compare it with a disk."""
    return _checked(
        store,
        sealer,
        chain.head,
        lambda seen: judge(seen, chain.head, chain.hash_at, mark, cluster_id),
        _Compared(chain),
    )


def check_by_note(store: StateStore, sealer: Sealer, mark: Mark) -> Checked:
    """Read everything while the node runs: compared with the note, which may lag a little, of what was confirmed."""
    return _checked(store, sealer, mark.head, lambda seen: _judged_by_note(seen, mark), lambda batch: None)


def _checked(
    store: StateStore,
    sealer: Sealer,
    here: Head,
    judged: Callable[[Seen | Empty], Finding | None],
    take: Callable[[Batch], None],
) -> Checked:
    inventory = take_inventory(store, sealer)
    try:
        seen, position = look(store, sealer, here)
        finding = judged(seen)
        if finding is None and isinstance(seen, Seen):
            position = read_chain(store, sealer, take).position
    except StoreFault as fault:
        return Checked(inventory, Position(), fault.finding)
    except NoSuchKey:
        return Checked(inventory, Position(), Finding(Code.DAMAGED, "its head object went away meanwhile"))
    return Checked(inventory, position, finding)


def _judged_by_note(seen: Seen | Empty, mark: Mark) -> Finding | None:
    if not mark.known:
        return None
    if isinstance(seen, Empty):
        return Finding(Code.EMPTY, f"it held {mark.head.height} records and is empty")
    if (seen.head.height, seen.head_version) < (mark.head.height, mark.head_version):
        return Finding(Code.STALE, f"it had {mark.head.height} records and now has {seen.head.height}")
    through = seen.through if seen.head.height > mark.head.height else seen.head.hash
    if through != mark.head.hash:
        return Finding(Code.FORKED, f"its first {mark.head.height} records are not those it confirmed")
    return None


class _Compared:
    """Takes the batches of a store and compares each end with a disk, which names the first that differs."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __call__(self, batch: Batch) -> None:
        end = batch.begin.after(batch.records)
        known = end.height <= self._chain.head.height
        if known and self._chain.hash_at(end.height) != end.hash:
            text = f"its records {batch.first} to {end.height} are not those of this disk"
            raise StoreFault(Code.FORKED, text)
