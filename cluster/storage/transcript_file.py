"""A transcript on disk: private, bounded, appended to at every start, and never a reason to stop signing.

It is evidence for an audit and protects nothing, so it is not synced. When it is full, or the disk refuses, it ends,
and the machine goes on without.
"""

from __future__ import annotations

import os
from pathlib import Path

from cluster.errors import StateError
from cluster.storage.files import check_private_file
from cluster.transcripts import LENGTH_BYTES, MAX_FRAME_BYTES, TRANSCRIPT_HEAD, Frame, frame_bytes

__all__ = ["MAX_TRANSCRIPT_BYTES", "TranscriptFile"]

MAX_TRANSCRIPT_BYTES = 1024 * 1024 * 1024
"""A transcript ends here."""


class TranscriptFile:
    """One open transcript of the machine with this identity key (32 bytes)."""

    def __init__(self, path: Path, me: bytes, *, max_bytes: int = MAX_TRANSCRIPT_BYTES) -> None:
        """Go on with the file, or begin it; StateError when it is none of ours, or open to others."""
        self.path = path
        self._me = me
        self._max_bytes = max_bytes
        self.ended = ""
        """Why nothing more is written; "" while it is."""
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise StateError(f"{path}: {(error.strerror or '').lower()}") from None
        try:
            check_private_file(path)
            self._size = self._begin()
        except BaseException:
            self.close()
            raise

    def heard(self, sender: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
        """A letter came from the holder of this identity key."""
        self._write(at_ms, True, sender, self._me, letter, signature)

    def said(self, addressee: bytes, letter: bytes, signature: bytes, at_ms: int) -> None:
        """A letter is about to leave."""
        self._write(at_ms, False, self._me, addressee, letter, signature)

    def close(self) -> None:
        """Let go of the file; harmless twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self.ended = self.ended or "it was closed"

    def _begin(self) -> int:
        """Where to go on: after the last whole frame, as a killed machine may have left half of one."""
        size = os.fstat(self._descriptor).st_size
        if size == 0:
            return os.pwrite(self._descriptor, TRANSCRIPT_HEAD, 0)
        if size > self._max_bytes:
            self.ended = "it is full"
            return size
        head = os.pread(self._descriptor, len(TRANSCRIPT_HEAD), 0)
        if head != TRANSCRIPT_HEAD:
            raise StateError(f"{self.path}: this is not a transcript; name another file")
        end = self._whole_until(size)
        os.ftruncate(self._descriptor, end)
        return end

    def _whole_until(self, size: int) -> int:
        """Where the last whole frame ends; the frames themselves are not read."""
        end = len(TRANSCRIPT_HEAD)
        while end + LENGTH_BYTES <= size:
            length = int.from_bytes(os.pread(self._descriptor, LENGTH_BYTES, end), "big")
            if length > MAX_FRAME_BYTES:
                raise StateError(f"{self.path}: the frame at byte {end} makes no sense; name another file")
            if end + LENGTH_BYTES + length > size:
                break
            end += LENGTH_BYTES + length
        return end

    def _write(
        self, at_ms: int, heard: bool, sender: bytes, addressee: bytes, letter: bytes, signature: bytes
    ) -> None:
        if self.ended or len(signature) != 64:  # the transport lets no other signature through
            return
        data = frame_bytes(Frame(at_ms, heard, sender, addressee, letter, signature))
        if self._size + len(data) > self._max_bytes:
            self.ended = "it is full"
            return
        try:
            written = os.pwrite(self._descriptor, data, self._size)
        except OSError as error:
            self.ended = f"the disk refused ({(error.strerror or '').lower()})"
            return
        if written != len(data):
            self.ended = "the disk is full"
            return
        self._size += written
