"""A machine's chain of records as it stood on the disk, taken apart for an audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from cluster.journal import BootKept, RecoveredKept, read
from cluster.record_body import Body
from cluster.records import GENESIS, Head, Record, record_hash

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Row:
    """One record with the hashes that stand beside it; nothing of it was checked."""

    height: int
    record: Record
    prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainFile:
    """A database as it was read.

    Attributes:
        rows: in the order of their heights.
        noted: the head in the note beside it; the start of a chain where there is none.
        altered: what is wrong with its tables; "" where nothing is.
        identity: whose it is, by the public part beside it; empty where there is none.
    """

    file: str
    rows: tuple[Row, ...]
    noted: Head = field(default_factory=Head)
    altered: str = ""
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that makes sense."""

    height: int
    wallet_id: bytes
    body: Body


@dataclass(slots=True)
class Chain:
    """A chain whose owner is known."""

    source: ChainFile
    identity: bytes
    name: str
    role: str
    entries: tuple[Entry, ...]
    heads: dict[bytes, int]
    senseless: tuple[tuple[int, str], ...]

    @property
    def file(self) -> str:
        """Where it was read."""
        return self.source.file

    @property
    def last_ms(self) -> int:
        """When its newest record was written, by its own clock."""
        return self.entries[-1].body.at_ms if self.entries else 0

    def of(self, kind: type[B]) -> Iterator[tuple[Entry, B]]:
        """All records of one kind, in order."""
        for entry in self.entries:
            if isinstance(entry.body, kind):
                yield entry, entry.body

    @property
    def boots(self) -> frozenset[bytes]:
        """The boot ids of all its starts."""
        return frozenset(body.boot_id for _, body in self.of(BootKept))

    @property
    def rebuilt_at(self) -> int | None:
        """Which record says, before any start, that a coordinator's database was lost and begins anew; None: none."""
        for entry in self.entries if self.role == "coordinator" else ():
            match entry.body:
                case RecoveredKept():
                    return entry.height
                case BootKept():
                    return None
                case _:
                    pass
        return None

    def succeeds(self, other: Chain) -> bool:
        """Whether this is a rebuilt coordinator's, and the other that of a life before: they share no start."""
        return self.rebuilt_at is not None and not self.boots & other.boots

    def begins(self, other: Chain) -> bool:
        """Whether the other goes on where this one ends."""
        mine, theirs = self.source.rows, other.source.rows
        return len(mine) <= len(theirs) and all(
            (a.record, a.hash) == (b.record, b.hash) for a, b in zip(mine, theirs, strict=False)
        )


def entries_of(source: ChainFile) -> tuple[tuple[Entry, ...], tuple[tuple[int, str], ...]]:
    """The records that make sense, and of each other its height and what is wrong."""
    entries, senseless = [], []
    for row in source.rows:
        try:
            entries.append(Entry(row.height, row.record.wallet_id, read(row.record)))
        except ValueError as error:
            senseless.append((row.height, str(error)))
    return tuple(entries), tuple(senseless)


def heads_of(source: ChainFile) -> dict[bytes, int]:
    """Every head that this chain ever had, computed anew from the records: hash and height."""
    head = Head()
    heads = {GENESIS: 0}
    for row in source.rows:
        head = Head(head.height + 1, record_hash(head.hash, head.height, row.record))
        heads[head.hash] = head.height
    return heads
