"""The note of how far a state store has confirmed: what it can no longer deny.

Written after each confirmation and not synced, as the note of the database's own head is: it may lag behind after a
loss of power, but never runs ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.records import Head
from curve import tagged_hash

__all__ = ["MARK_BYTES", "Mark", "decode_mark", "encode_mark"]

_BODY = 16 + 8 + 8 + 32
_CHECK = 8

MARK_BYTES = _BODY + _CHECK
_START = Head()


@dataclass(frozen=True, slots=True)
class Mark:
    """The head that a store confirmed last, and the version of its head object; version 0: nothing yet."""

    head_version: int = 0
    head: Head = _START

    @property
    def known(self) -> bool:
        """Whether a store has confirmed anything."""
        return self.head_version > 0


def encode_mark(mark: Mark, owner_tag: bytes) -> bytes:
    """The note's bytes, for the store that this tag (16 bytes) names."""
    body = (
        owner_tag
        + mark.head_version.to_bytes(8, "big")
        + mark.head.height.to_bytes(8, "big")
        + mark.head.hash
    )
    return body + _checksum(body)


def decode_mark(data: bytes, owner_tag: bytes) -> Mark:
    """The note; nothing yet where it is not whole or was about another store."""
    body, check = data[:_BODY], data[_BODY:]
    if len(data) != MARK_BYTES or check != _checksum(body) or body[:16] != owner_tag:
        return Mark()
    height = int.from_bytes(body[24:32], "big")
    return Mark(int.from_bytes(body[16:24], "big"), Head(height, body[32:]))


def _checksum(body: bytes) -> bytes:
    return tagged_hash("assent/store/mark", body)[:_CHECK]
