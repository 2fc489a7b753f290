"""The chain of records as a state store keeps it: batches in a row, and a head object that ties them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from cluster.records import GENESIS, Head, Record
from cluster.wire_types import Bytes32, Count, Millis

__all__ = ["BATCH_BYTES", "Batch", "Position", "StoreHead", "record_size"]

BATCH_BYTES = 63 * 1024
"""A batch takes no further record once it holds so much; a larger record is a batch of its own."""

RECORD_OVERHEAD = 128
"""What a record takes in a batch beside its body, at most."""

Height = Annotated[int, Meta(ge=0, le=2**53)]


class _Kept(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A record in a batch."""

    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    wallet_id: Bytes32
    body: bytes


class Batch(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Records in a row: which batch it is, the height of its first record, and the hash of the record before."""

    index: Count
    first: Height
    prev: Bytes32
    kept: tuple[_Kept, ...]

    @property
    def begin(self) -> Head:
        """Where the chain stands before it."""
        return Head(self.first, self.prev)

    @property
    def records(self) -> tuple[Record, ...]:
        """Its records, in order."""
        return tuple(Record(one.kind, one.wallet_id, one.body) for one in self.kept)


class StoreHead(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What the store holds: for which cluster, how many batches, the version of the last, where the chain stands."""

    cluster_id: Bytes32
    epoch: Count
    batches: Count
    last_version: Height
    height: Height
    hash: Bytes32
    at_ms: Millis


def record_size(record: Record) -> int:
    """About how much a record takes in a batch; never less than it does."""
    return len(record.body) + RECORD_OVERHEAD


_NO_BATCH = Batch(0, 0, GENESIS, ())
_START = Head()


@dataclass(frozen=True, slots=True)
class Position:
    """What a store holds, as far as the next write needs it: versions, the last batch, and the end of the chain."""

    head_version: int = 0
    last_version: int = 0
    last: Batch = _NO_BATCH
    end: Head = _START

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return self.last.index + (self.last_version > 0)

    def after(self, records: Iterable[Record]) -> tuple[tuple[tuple[Batch, int], ...], Position]:
        """The batches to be written once these records (one at least) follow, each with the version it replaces.

        Returns:
            them, and what the store holds once they and a head object are written.
        """
        full: list[tuple[Batch, int]] = []
        last, version, end = self.last, self.last_version, self.end
        kept, size = list(last.kept), sum(len(one.body) + RECORD_OVERHEAD for one in last.kept)
        for record in records:
            if kept and size + record_size(record) > BATCH_BYTES:
                full.append((_holding(last, kept), version))
                last, version, kept, size = Batch(last.index + 1, end.height, end.hash, ()), 0, [], 0
            kept.append(_Kept(record.kind, record.wallet_id, record.body))
            size += record_size(record)
            end = end.after([record])
        last = _holding(last, kept)
        # A batch that was full already is not written again.
        changed = tuple((batch, at) for batch, at in (*full, (last, version)) if batch != self.last)
        return changed, Position(self.head_version + 1, version + 1, last, end)


def _holding(batch: Batch, kept: Sequence[_Kept]) -> Batch:
    return Batch(batch.index, batch.first, batch.prev, tuple(kept))
