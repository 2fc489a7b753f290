"""What is on its way from the node's loop to the thread of its mirror: bounded, and never waited for by the loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from cluster.records import Head, Record
from cluster.state_store.batches import record_size

__all__ = ["Chain", "Feed"]

QUEUE_BYTES = 2 * 1024 * 1024
"""How much may be on its way; what does not fit stays on the disk until there is room."""

PIECE_BYTES = 256 * 1024
"""How much is read from the disk at a time, on behalf of the mirror; a larger record is read alone."""


class Chain(Protocol):
    """The chain of records on the disk (`cluster.storage.Store`)."""

    @property
    def head(self) -> Head:
        """Where it stands."""

    def hash_at(self, height: int) -> bytes:
        """The hash that it had when it held so many records."""

    def read(self, first: int = 0) -> Iterator[Record]:
        """Its records from a height on."""


class Feed:
    """Records in order, put in by the loop and taken out by the thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._next: int | None = None
        self._finished = False

    def start_at(self, height: int) -> None:
        """From now on records are wanted, from this height on; called once, by the loop."""
        self._next = height

    def offer(self, records: Sequence[Record], height: int) -> None:
        """Put in what was just committed at `height`, if everything before it went in and there is room."""
        if self._next == height and self._has_room:
            self._put(records)

    def fill(self, chain: Chain) -> bool:
        """Put in one piece of what did not go in when it was committed; whether there was any, and room for it."""
        if self._next is None or self._next >= chain.head.height or not self._has_room:
            return False
        piece: list[Record] = []
        size = 0
        for record in chain.read(self._next):
            if piece and size + record_size(record) > PIECE_BYTES:
                break
            piece.append(record)
            size += record_size(record)
        self._put(piece)
        return True

    def take(self, most_bytes: int, wait_s: float) -> tuple[Record, ...]:
        """At least one record and at most so many bytes, if they come in time; none otherwise."""
        with self._changed:
            self._changed.wait_for(lambda: self._records or self._finished, wait_s)
            taken: list[Record] = []
            size = 0
            while self._records and (not taken or size + record_size(self._records[0]) <= most_bytes):
                record = self._records.popleft()
                size += record_size(record)
                taken.append(record)
            self._bytes -= size
            return tuple(taken)

    def finish(self) -> None:
        """Nothing more comes: whoever waits goes on with what there is."""
        with self._changed:
            self._finished = True
            self._changed.notify()

    @property
    def finished(self) -> bool:
        """Whether nothing more comes and everything was taken."""
        with self._changed:
            return self._finished and not self._records

    @property
    def _has_room(self) -> bool:
        return self._bytes < QUEUE_BYTES

    def _put(self, records: Sequence[Record]) -> None:
        assert self._next is not None  # only then is anything put in
        self._next += len(records)
        with self._changed:
            self._records.extend(records)
            self._bytes += sum(map(record_size, records))
            self._changed.notify()
