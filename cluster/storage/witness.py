"""A note beside the database of how far its chain has come, so that an older copy of it is noticed.

Written after each commit and not synced: it may lag behind after a loss of power, but never runs ahead. It finds
a restored older database, a `-wal` file that was deleted or damaged; not somebody who puts both files back.
"""

from __future__ import annotations

import os
from pathlib import Path

from cluster.errors import StateError
from cluster.records import Head
from cluster.storage.files import check_private_file
from curve import tagged_hash

__all__ = ["NOTE_BYTES", "Witness"]

_BODY = 8 + 32
_CHECK = 8

NOTE_BYTES = _BODY + _CHECK
"""The size of a whole note."""


class Witness:
    """The open note of one database."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, database: Path) -> None:
        """Open the note, making one if there is none; StateError if others may write it."""
        self.path = self.beside(database)
        try:
            self._descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise StateError(f"{self.path}: {(error.strerror or '').lower()}") from None
        try:
            check_private_file(self.path)
        except StateError:
            self.close()
            raise

    @staticmethod
    def beside(database: Path) -> Path:
        """Where the note of a database is."""
        return database.with_name(database.name + ".head")

    def read(self) -> Head:
        """How far the chain was seen to come; the start of it if there is no whole note."""
        return self.head_in(os.pread(self._descriptor, NOTE_BYTES + 1, 0))

    @staticmethod
    def head_in(raw: bytes) -> Head:
        """The head that a note says; the start of a chain if it is no whole note."""
        body, check = raw[:_BODY], raw[_BODY:]
        if len(body) != _BODY or check != _checksum(body):
            return Head()
        return Head(int.from_bytes(body[:8], "big"), body[8:])

    def write(self, head: Head) -> None:
        """Note a chain that was just committed; OSError if the disk refuses."""
        body = head.height.to_bytes(8, "big") + head.hash
        os.pwrite(self._descriptor, body + _checksum(body), 0)

    def close(self) -> None:
        """Let go of the note; harmless twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _checksum(body: bytes) -> bytes:
    return tagged_hash("assent/witness/checksum", body)[:_CHECK]
