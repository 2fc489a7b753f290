"""Reading a state store: every object opened, and the chain followed from its first record to the head object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from cluster.codec import decode
from cluster.records import GENESIS, Head
from cluster.state_store.batches import Batch, Position, StoreHead
from cluster.state_store.findings import Code, Empty, Seen, StoreFault
from cluster.state_store.protocol import MAX_PAGE, KeyValue, NoSuchKey, StateStore, StoreDamaged, list_all
from cluster.state_store.sealing import HEAD_ROLE, Sealer, batch_role

__all__ = ["Found", "look", "own_names", "read_chain"]

TRIES = 5
"""How often a head and a last batch are read that do not fit because somebody writes meanwhile."""

S = TypeVar("S", bound=Struct)


@dataclass(frozen=True, slots=True)
class Found:
    """The head object of a store, and the position from which it can be written on."""

    head: StoreHead
    position: Position


def look(store: StateStore, sealer: Sealer, start: Head) -> tuple[Seen | Empty, Position]:
    """What a store shows to a node whose chain stands at `start`; StoreFault for what is wrong in itself."""
    try:
        found = _head_and_last(store, sealer)
    except NoSuchKey:
        return _without_head(store, sealer), Position()
    through = start.hash
    if found.head.height > start.height:
        through = _hash_at(store, sealer, found, start.height)
    end = found.position.end
    return Seen(found.head.cluster_id, end, found.position.head_version, through), found.position


def read_chain(store: StateStore, sealer: Sealer, take: Callable[[Batch], None]) -> Found:
    """Give all batches in order to `take`, each checked to follow the one before; NoSuchKey when there is no head.

    A node may write on meanwhile: what is read is the state that the head object named.
    """
    found = _head_and_last(store, sealer)
    end = Head()
    for at in range(found.head.batches):
        last = found.position.last
        batch = last if at == last.index else _batch(store, sealer, at)[0]
        if batch.begin != end:
            raise StoreFault(Code.MIXED, f"its batch {at} does not follow the one before it")
        take(batch)
        end = end.after(batch.records)
    return found


def own_names(sealer: Sealer, listed: int) -> frozenset[str]:
    """The names that objects of this node can have in a store that lists so many."""
    return frozenset(sealer.name(role) for role in (HEAD_ROLE, *map(batch_role, range(listed + MAX_PAGE))))


def _without_head(store: StateStore, sealer: Sealer) -> Empty:
    """Nothing at all, or something that says why there is no head."""
    keys = {item.key for item in list_all(store)}
    if not keys:
        return Empty()
    if keys & own_names(sealer, len(keys)):
        raise StoreFault(Code.DAMAGED, "its head object is gone")
    raise StoreFault(Code.SWAPPED, "it holds the objects of another")


def _head_and_last(store: StateStore, sealer: Sealer) -> Found:
    for _ in range(TRIES):
        kept = _get(store, HEAD_ROLE, sealer)
        head = _decoded(sealer.open(HEAD_ROLE, kept), StoreHead)
        if head.batches == 0:
            if (head.height, head.hash) != (0, GENESIS):
                raise StoreFault(Code.DAMAGED, "its head object makes no sense")
            return Found(head, Position(kept.version))
        try:
            last, version = _batch(store, sealer, head.batches - 1)
        except StoreFault:
            if _get(store, HEAD_ROLE, sealer).version != kept.version:
                continue
            raise
        end = last.begin.after(last.records)
        if version == head.last_version and end == Head(head.height, head.hash):
            return Found(head, Position(kept.version, version, last, end))
        if _get(store, HEAD_ROLE, sealer).version == kept.version:
            break
    raise StoreFault(Code.MIXED, "its newest batch is not the one that its head object names")


def _hash_at(store: StateStore, sealer: Sealer, found: Found, height: int) -> bytes:
    """The hash that the store's chain has at a height below its own: the batch is found by halving."""
    low, high, batch = 0, found.head.batches - 1, found.position.last
    while low < high or batch.index != low:
        middle = (low + high + 1) // 2
        batch = _batch(store, sealer, middle)[0]
        if batch.first > height:
            high = middle - 1
        else:
            low = middle
    return batch.begin.after(batch.records[: height - batch.first]).hash


def _batch(store: StateStore, sealer: Sealer, index: int) -> tuple[Batch, int]:
    """A batch and its version."""
    try:
        kept = _get(store, batch_role(index), sealer)
    except NoSuchKey:
        raise StoreFault(Code.DAMAGED, f"its batch {index} is gone") from None
    batch = _decoded(sealer.open(batch_role(index), kept), Batch)
    if batch.index != index:
        raise StoreFault(Code.MIXED, f"its batch {index} says that it is another")
    return batch, kept.version


def _get(store: StateStore, role: bytes, sealer: Sealer) -> KeyValue:
    try:
        return store.get_object(sealer.name(role))
    except StoreDamaged as error:
        raise StoreFault(Code.DAMAGED, str(error)) from None


def _decoded(data: bytes, kind: type[S]) -> S:
    """What the node itself once wrote, so that damage here means another program."""
    try:
        return decode(data, kind)
    except ValueError as error:
        raise StoreFault(Code.DAMAGED, f"an object in it makes no sense ({error})") from None
