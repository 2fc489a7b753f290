"""The anchor: a small file, best on another disk, that says how far the record chain has come.

Rewritten whole after each commit and before a letter leaves, under a MAC whose key comes from the seed:

    "assent/anchor/1" (15) | lineage (4) | height (8) | head (32) | HMAC-SHA256 of all before it (32)

with big-endian numbers. It is nobody's secret. Whoever puts back an old database must find this file too.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path

from cluster.errors import StateError, StorageFault
from cluster.heads import Anchored
from cluster.records import Head
from cluster.storage.files import read_file, write_public

__all__ = ["Anchor"]

_MAGIC = b"assent/anchor/1"
_MAC_BYTES = 32
_SIZE = len(_MAGIC) + 4 + 8 + 32 + _MAC_BYTES


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
            raw = read_file(self.path, max_bytes=4096)
        except StateError as error:
            return Anchored(fault=str(error))
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(raw) != _SIZE or not body.startswith(_MAGIC):
            return Anchored(fault=f"{self.path} is damaged, or no anchor")
        if not hmac.compare_digest(mac, self._mac(body)):
            return Anchored(fault=f"{self.path} is damaged, or another node's")
        lineage, height, head = body[15:19], body[19:27], body[27:]
        return Anchored(Head(int.from_bytes(height, "big"), head), int.from_bytes(lineage, "big"), "")

    def write(self, head: Head, lineage: int) -> None:
        """Say how far the chain has come; StorageFault if the disk refuses, and the process must end."""
        body = _MAGIC + lineage.to_bytes(4, "big") + head.height.to_bytes(8, "big") + head.hash
        try:
            write_public(self.path, body + self._mac(body))
        except StateError as error:
            raise StorageFault(
                f"the anchor cannot be written ({error}); bring its disk back, or change `anchor:` in config.yaml"
            ) from None

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, sha256)
