"""The note of `cluster.state_store.mark`, as a file beside the database."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.errors import StateError
from cluster.state_store.mark import MARK_BYTES, Mark, decode_mark, encode_mark

__all__ = ["MARK_NAME", "MarkFile"]

MARK_NAME = "state-store.mark"


class MarkFile:
    """The note about one store, by the tag (16 bytes) that stands on all of its objects."""

    def __init__(self, directory: Path, owner_tag: bytes) -> None:
        """Nothing is read yet; `directory` is the node's own."""
        self.path = directory / MARK_NAME
        self._tag = owner_tag

    def read(self) -> Mark:
        """How far the store has confirmed; nothing where there is no whole note about it."""
        try:
            with self.path.open("rb") as file:
                return decode_mark(file.read(MARK_BYTES + 1), self._tag)
        except FileNotFoundError:
            return Mark()
        except OSError as error:
            raise StateError(f"{self.path}: {(error.strerror or '').lower()}") from None

    def write(self, mark: Mark) -> None:
        """Note it; OSError if the disk refuses."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.pwrite(descriptor, encode_mark(mark, self._tag), 0)
        finally:
            os.close(descriptor)

    def forget(self) -> None:
        """The store has confirmed nothing any more: it is written anew."""
        self.path.unlink(missing_ok=True)
