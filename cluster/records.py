"""Records: what a machine remembers, in order, each holding the hash of the one before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from curve import tagged_hash

GENESIS = bytes(32)
"""Stands where the first record names the one before it."""

NO_WALLET = bytes(32)
"""The wallet id of records that are about no one wallet."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing to remember: a kind (short ASCII), the wallet it is about (32 bytes) and an encoded body."""

    kind: str
    wallet_id: bytes
    body: bytes


def record_hash(prev: bytes, height: int, record: Record) -> bytes:
    """The hash of a record at `height` (the first is 0) after the record whose hash is `prev` (32 bytes)."""
    kind = record.kind.encode()
    return tagged_hash(
        "assent/record",
        prev,
        height.to_bytes(8, "big"),
        record.wallet_id,
        len(kind).to_bytes(2, "big"),
        kind,
        len(record.body).to_bytes(8, "big"),
        record.body,
    )


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain of records stands: how many there are, and the hash of the last."""

    height: int = 0
    hash: bytes = GENESIS

    def after(self, records: Iterable[Record]) -> Head:
        """Where the chain stands once these records follow."""
        head = self
        for record in records:
            head = Head(head.height + 1, record_hash(head.hash, head.height, record))
        return head
