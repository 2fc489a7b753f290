"""A state store written anew from a good disk: over whatever of this node lies there, never over another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cluster.records import Record
from cluster.state_store.batches import Position, record_size
from cluster.state_store.checking import Inventory
from cluster.state_store.feed import Chain
from cluster.state_store.mark import Mark
from cluster.state_store.protocol import MAX_ITEMS, StateStore
from cluster.state_store.sealing import HEAD_ROLE
from cluster.state_store.writing import Writer

__all__ = ["renew"]

WRITE_BYTES = 512 * 1024


def renew(
    store: StateStore,
    writer: Writer,
    inventory: Inventory,
    chain: Chain,
    at_ms: int,
    told: Callable[[int], None],
) -> Mark:
    """Write all records of `chain`; the note of what the store then holds. `told` hears how far it has come.

    The head object comes first and says that there is nothing, and keeps its version: what an interrupted renewal
    leaves is a store that lags.
    """
    name = writer.sealer.name(HEAD_ROLE)
    reset = writer.reset(Position(inventory.version(name)), at_ms)
    batches = [item for item in inventory.own if item.key != name]
    most = MAX_ITEMS - 1
    store.put_objects(reset.items, batches[:most])
    for at in range(most, len(batches), most):
        store.put_objects([], batches[at : at + most])
    position = reset.position
    for records in _pieces(chain):
        attempt = writer.attempt(position, records, at_ms)
        store.put_objects(attempt.items)
        position = attempt.position
        told(position.end.height)
    return Mark(position.head_version, position.end)


def _pieces(chain: Chain) -> Iterator[list[Record]]:
    piece: list[Record] = []
    size = 0
    for record in chain.read():
        if piece and size + record_size(record) > WRITE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += record_size(record)
    if piece:
        yield piece
