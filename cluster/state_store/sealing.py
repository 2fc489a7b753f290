"""What leaves a node for a state store: sealed, padded, and under names that say nothing.

An object is

    "assent/store" (12) | format (1) | owner tag (16) | name (32) | version (8) || nonce (24) | ciphertext and tag

Everything before `||` and the store id are associated data, so an object opens only as what it was written: in this
store, under this name, with this version. The clear part lets a reader say *how* a false object is false. Plaintext
is a length, the data, and zeros up to a power of two.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cluster.errors import StateError
from cluster.keys import Keys
from cluster.sealed import seal_with_key, unseal_with_key
from cluster.state_store.findings import Code, StoreFault
from cluster.state_store.protocol import KeyValue

__all__ = ["LEAST_BYTES", "Sealer", "batch_role", "default_store_id", "padded_size"]

LEAST_BYTES = 4096
"""The smallest size of a plaintext; each larger one is twice the one before."""

HEAD_ROLE = b"head"

_MAGIC = b"assent/store"
_FORMAT = 1
_TAG_BYTES = 16
_NAME_BYTES = 32
_CLEAR = len(_MAGIC) + 1 + _TAG_BYTES + _NAME_BYTES + 8
_LENGTH_BYTES = 8


def batch_role(index: int) -> bytes:
    """What the batch of this index is, before its name is made of it."""
    return b"batch" + index.to_bytes(8, "big")


def default_store_id(keys: Keys) -> str:
    """The keyspace of a node whose owner named none: the words alone find it again."""
    return f"assent-{_keyed(keys.state_store_key('naming'), b'store id', b'').hex()[:32]}"


def padded_size(size: int) -> int:
    """How large a plaintext becomes that has so many bytes of data."""
    return max(LEAST_BYTES, 1 << (size + _LENGTH_BYTES - 1).bit_length())


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals and opens the objects of one node in one store."""

    store_id: str
    sealing_key: bytes = field(repr=False)
    naming_key: bytes = field(repr=False)

    @classmethod
    def of(cls, keys: Keys, store_id: str) -> Sealer:
        """Under the keys of a seed."""
        return cls(store_id, keys.state_store_key("sealing"), keys.state_store_key("naming"))

    @property
    def owner_tag(self) -> bytes:
        """Stands in the clear on every object: that it is of this node, in this store."""
        return self._name_of(b"owner")[:_TAG_BYTES]

    def name(self, role: bytes) -> str:
        """The key under which the store keeps something: a keyed hash of what it is."""
        return self._name_of(role).hex()

    def seal(self, role: bytes, replaces: int, data: bytes, nonce: bytes) -> KeyValue:
        """An object to be written over version `replaces` (0: a new one); `nonce` is 24 fresh random bytes."""
        name = self._name_of(role)
        clear = _MAGIC + bytes([_FORMAT]) + self.owner_tag + name + (replaces + 1).to_bytes(8, "big")
        plain = len(data).to_bytes(_LENGTH_BYTES, "big") + data
        plain = plain.ljust(padded_size(len(data)), b"\0")
        sealed = seal_with_key(self.sealing_key, plain, context=self._context(clear), nonce=nonce)
        return KeyValue(name.hex(), replaces, clear + sealed)

    def open(self, role: bytes, found: KeyValue) -> bytes:
        """The data of an object that a store gave for this name; StoreFault says how it is false."""
        clear, sealed = found.value[:_CLEAR], found.value[_CLEAR:]
        if len(clear) < _CLEAR or not clear.startswith(_MAGIC):
            raise StoreFault(Code.DAMAGED, "an object in it is not one of Assent's")
        if clear[len(_MAGIC)] != _FORMAT:
            raise StoreFault(Code.DAMAGED, "an object in it was written by another version of this program")
        at = len(_MAGIC) + 1
        if clear[at : at + _TAG_BYTES] != self.owner_tag:
            raise StoreFault(Code.SWAPPED, "an object in it belongs to another node or store")
        try:
            plain = unseal_with_key(self.sealing_key, sealed, context=self._context(clear))
        except StateError:
            raise StoreFault(Code.DAMAGED, "an object in it was altered") from None
        stated = clear[at + _TAG_BYTES :]
        if stated != self._name_of(role) + found.version.to_bytes(8, "big"):
            raise StoreFault(Code.MIXED, "it gives an object of another place or time for the one asked for")
        size = int.from_bytes(plain[:_LENGTH_BYTES], "big")
        return plain[_LENGTH_BYTES : _LENGTH_BYTES + size]

    def _name_of(self, role: bytes) -> bytes:
        return _keyed(self.naming_key, b"name", self.store_id.encode(), role)

    def _context(self, clear: bytes) -> bytes:
        store = self.store_id.encode()
        return b"state store" + len(store).to_bytes(2, "big") + store + clear


def _keyed(key: bytes, *parts: bytes) -> bytes:
    """A keyed hash of parts that cannot run into each other."""
    message = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return hmac.digest(key, message, hashlib.sha256)
