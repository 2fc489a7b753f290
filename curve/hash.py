"""BIP 340 tagged hashes."""

from functools import lru_cache
from hashlib import sha256
from typing import Protocol, Self

from curve.scalar import Scalar


class _State(Protocol):
    def copy(self) -> Self: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


@lru_cache(maxsize=256)
def _midstate(tag: str) -> _State:
    prefix = sha256(tag.encode()).digest()
    return sha256(prefix + prefix)


def tagged_hash(tag: str, *parts: bytes) -> bytes:
    """SHA256(SHA256(tag) || SHA256(tag) || parts…), the domain-separated hash of BIP 340 (32 bytes).

    For public data: what passes here stays in Python's memory. Secrets go through `SecretScalar.derive`.
    """
    state = _midstate(tag).copy()
    state.update(b"".join(parts))
    return state.digest()


def hash_to_scalar(tag: str, *parts: bytes) -> Scalar:
    """A tagged hash read as a public scalar modulo the group order (`scalar_from_bytes_wrapping`)."""
    return Scalar.from_bytes_reduced(tagged_hash(tag, *parts))
