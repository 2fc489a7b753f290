"""Writing to a state store: the last batch and the head object together, each over the version that is expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.codec import encode
from cluster.records import Record
from cluster.sealed import NONCE_BYTES
from cluster.state_store.batches import Position, StoreHead
from cluster.state_store.protocol import KeyValue
from cluster.state_store.sealing import HEAD_ROLE, Sealer, batch_role

__all__ = ["Attempt", "Entropy", "Writer"]

Entropy = Callable[[int], bytes]
"""So many fresh random bytes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One write: its items, and what the store holds once it happened. Said again, it stays the same."""

    items: tuple[KeyValue, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Writer:
    """Seals what one node of one cluster writes."""

    sealer: Sealer
    cluster_id: bytes
    epoch: int
    entropy: Entropy

    def attempt(self, position: Position, records: Sequence[Record], at_ms: int) -> Attempt:
        """The write by which these records (one at least) follow what the store holds."""
        batches, after = position.after(records)
        items = [self._seal(batch_role(batch.index), at, encode(batch)) for batch, at in batches]
        return Attempt((*items, self._head(after, position.head_version, at_ms)), after)

    def reset(self, position: Position, at_ms: int) -> Attempt:
        """The write by which the store holds nothing, from which on it is written anew."""
        after = Position(position.head_version + 1)
        return Attempt((self._head(after, position.head_version, at_ms),), after)

    def _head(self, after: Position, replaces: int, at_ms: int) -> KeyValue:
        head = StoreHead(
            cluster_id=self.cluster_id,
            epoch=self.epoch,
            batches=after.batches,
            last_version=after.last_version,
            height=after.end.height,
            hash=after.end.hash,
            at_ms=at_ms,
        )
        return self._seal(HEAD_ROLE, replaces, encode(head))

    def _seal(self, role: bytes, replaces: int, data: bytes) -> KeyValue:
        return self.sealer.seal(role, replaces, data, self.entropy(NONCE_BYTES))
