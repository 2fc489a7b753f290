"""The anchor: a small file, best on another disk, that says how far the record chain has come.

Rewritten whole after each commit and before a letter leaves, under a MAC whose key comes from the seed:

    "assent/anchor/1" (15) | lineage (4) | height (8) | head (32) | HMAC-SHA256 of all before it (32)

with big-endian numbers. It is nobody's secret. Whoever puts back an old database must find this file too.
"""

from __future__ import annotations

import hmac
import os
import stat
from hashlib import sha256
from pathlib import Path

from cluster.errors import ConfigError, StateError, StorageFault
from cluster.heads import Anchored
from cluster.records import GENESIS, Head
from cluster.storage.files import read_file, write_public

__all__ = ["Anchor", "check_anchor_place"]

_MAGIC = b"assent/anchor/1"
_MAC_BYTES = 32
_SIZE = len(_MAGIC) + 4 + 8 + 32 + _MAC_BYTES
_READ_BYTES = 4096


def check_anchor_place(path: Path) -> None:
    """Raises StateError unless a new anchor can lie there, in a directory where only we can write."""
    if path.exists():
        raise StateError(f"{path}: this exists already; each node needs an anchor of its own")
    try:
        mode = os.stat(path.parent).st_mode
    except OSError as error:
        raise StateError(f"{path.parent}: {(error.strerror or 'cannot be read').lower()}") from None
    if not stat.S_ISDIR(mode):
        raise StateError(f"{path.parent}: this is not a directory")
    if mode & 0o022:
        raise StateError(
            f"{path.parent}: others may write here, and could put back an older anchor; do `chmod go-w`"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StateError(f"{path.parent}: nothing can be written here")


class Anchor:
    """The anchor file of one node."""

    __slots__ = ("_key", "path")

    def __init__(self, path: Path, key: bytes) -> None:
        """Nothing is read or written; `key` (32 bytes) is `Keys.anchor_key`."""
        self.path = path
        self._key = key

    def read(self) -> Anchored:
        """What it vouches for, or why it vouches for nothing: missing, damaged, or another node's."""
        if not self.path.exists():
            return Anchored(fault=f"{self.path} is missing")
        try:
            raw = read_file(self.path, max_bytes=_READ_BYTES)
        except StateError as error:
            return Anchored(fault=str(error))
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(raw) != _SIZE or not body.startswith(_MAGIC):
            return Anchored(fault=f"{self.path} is damaged, or no anchor")
        if not hmac.compare_digest(mac, self._mac(body)):
            return Anchored(fault=f"{self.path} is damaged, or another node's")
        lineage, height, head = body[15:19], body[19:27], body[27:]
        return Anchored(Head(int.from_bytes(height, "big"), head), int.from_bytes(lineage, "big"), "")

    def check_file(self) -> None:
        """Raises ConfigError where a file lies that is no anchor, not even a damaged one: it would be written over."""
        try:
            size = self.path.stat().st_size
            raw = read_file(self.path, max_bytes=_READ_BYTES) if size <= _READ_BYTES else b""
        except (OSError, StateError):
            return  # nothing that can be written over
        if size != _SIZE and not (raw.startswith(_MAGIC) or (size < _SIZE and _MAGIC.startswith(raw))):
            raise ConfigError(
                f"{self.path}: `anchor:` names this file, which is no anchor, and would write over it; name a new one"
            )

    def write(self, head: Head, lineage: int) -> None:
        """Say how far the chain has come; StorageFault if the disk refuses, and the process must end."""
        try:
            write_public(self.path, self._sealed(head, lineage))
        except StateError as error:
            raise StorageFault(
                f"the anchor cannot be written ({error}); bring its disk back, or change `anchor:` in config.yaml"
            ) from None

    def create(self) -> None:
        """The anchor of a chain that is still to be made; StateError if it cannot be written."""
        write_public(
            self.path, self._sealed(Head(0, GENESIS), 0)
        )  # no `replace=False`: a stick's FAT has no links

    def _sealed(self, head: Head, lineage: int) -> bytes:
        body = _MAGIC + lineage.to_bytes(4, "big") + head.height.to_bytes(8, "big") + head.hash
        return body + self._mac(body)

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, sha256)
