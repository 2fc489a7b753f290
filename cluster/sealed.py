"""Secrets at rest: sealed under a passphrase, or under a key derived from the seed.

Pure: salts and nonces are arguments, files are read and written by `cluster.storage`. A sealed blob is

    "assent/sealed" (13) | version (1) | purpose (16, zero-padded ASCII) | Argon2id memory in KiB (4) | passes (4)
    | salt (16) | nonce (24) || XChaCha20-Poly1305 ciphertext and tag | checksum of all before it (8)

with big-endian numbers. Everything before `||` is associated data. The checksum tells damage from a wrong
passphrase for an honest owner; against an attacker only the tag counts.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from cluster.errors import ConfigError, StateError, UsageError, WrongPassphrase
from curve import tagged_hash

__all__ = [
    "KdfCost",
    "DEFAULT_COST",
    "MINIMUM_COST",
    "MAXIMUM_COST",
    "MAX_SEALED_BYTES",
    "SALT_BYTES",
    "NONCE_BYTES",
    "passphrase_bytes",
    "seal",
    "unseal",
    "seal_with_key",
    "unseal_with_key",
]

SALT_BYTES = 16
NONCE_BYTES = 24

MAX_SEALED_BYTES = 1024 * 1024
"""No sealed file is larger than this."""

_MAGIC = b"assent/sealed"
_VERSION = 1
_PURPOSE_BYTES = 16
_CHECKSUM_BYTES = 8
_TAG_BYTES = 16
_HEADER = len(_MAGIC) + 1 + _PURPOSE_BYTES + 4 + 4 + SALT_BYTES + NONCE_BYTES
_OVERHEAD = _HEADER + _TAG_BYTES + _CHECKSUM_BYTES


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What one guess of the passphrase costs: Argon2id memory in KiB, and passes over it."""

    memory_kib: int
    passes: int


DEFAULT_COST = KdfCost(256 * 1024, 3)
"""256 MiB and three passes."""

MINIMUM_COST = KdfCost(19 * 1024, 2)
"""Nothing cheaper is made or opened: a file that asks for less was made to be guessed."""

MAXIMUM_COST = KdfCost(1024 * 1024, 10)
"""Nothing dearer is opened: a hostile file must not take all memory or all day."""


def passphrase_bytes(text: str) -> bytes:
    """A typed passphrase as bytes, the same on every keyboard and system (NFC); UsageError if it is empty."""
    if not text:
        raise UsageError("the passphrase is empty")
    return unicodedata.normalize("NFC", text).encode()


def seal(
    secret: bytes,
    passphrase: bytes,
    *,
    purpose: str,
    salt: bytes,
    nonce: bytes,
    cost: KdfCost = DEFAULT_COST,
) -> bytes:
    """Seal a secret under a passphrase.

    Args:
        secret: what nobody else may read.
        passphrase: see `passphrase_bytes`; not empty.
        purpose: what this is, 1 to 16 ASCII characters; it must be named again to open it.
        salt: 16 fresh random bytes.
        nonce: 24 fresh random bytes.
        cost: between MINIMUM_COST and MAXIMUM_COST.

    Raises:
        ValueError: a size or the cost is out of bounds.
        ConfigError: the machine lacks the memory.
    """
    if not passphrase:
        raise ValueError("the passphrase is empty")
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("salt is 16 bytes and nonce 24")
    if len(secret) > MAX_SEALED_BYTES - _OVERHEAD:
        raise ValueError("too much to seal")
    fault = _cost_fault(cost)
    if fault:
        raise ValueError(fault)
    header = b"".join(
        (
            _MAGIC,
            bytes([_VERSION]),
            _padded(purpose),
            cost.memory_kib.to_bytes(4, "big"),
            cost.passes.to_bytes(4, "big"),
            salt,
            nonce,
        )
    )
    key = _stretched(passphrase, salt, cost)
    sealed = header + crypto_aead_xchacha20poly1305_ietf_encrypt(secret, header, nonce, key)
    return sealed + _checksum(sealed)


def unseal(blob: bytes, passphrase: bytes, *, purpose: str) -> bytes:
    """Open what `seal` made.

    Raises:
        WrongPassphrase: the passphrase does not open it.
        StateError: it is not a sealed file, is damaged, of another version, or of another purpose or cost.
        ConfigError: the machine lacks the memory.
    """
    cost, salt, nonce = _read_header(blob, purpose)
    key = _stretched(passphrase, salt, cost)
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            blob[_HEADER:-_CHECKSUM_BYTES], blob[:_HEADER], nonce, key
        )
    except CryptoError:
        raise WrongPassphrase("wrong passphrase") from None


def seal_with_key(key: bytes, secret: bytes, *, context: bytes, nonce: bytes) -> bytes:
    """Seal something small under a derived 32-byte key; `context` says where it belongs, `nonce` is 24 fresh bytes."""
    if len(key) != 32 or len(nonce) != NONCE_BYTES:
        raise ValueError("key is 32 bytes and nonce 24")
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(secret, _key_context(context), nonce, key)


def unseal_with_key(key: bytes, blob: bytes, *, context: bytes) -> bytes:
    """Open what `seal_with_key` made for the same context; StateError if it was altered or belongs elsewhere."""
    if len(key) != 32:
        raise ValueError("key is 32 bytes")
    try:
        nonce, ciphertext = blob[:NONCE_BYTES], blob[NONCE_BYTES:]
        return crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, _key_context(context), nonce, key)
    except (CryptoError, ValueError, TypeError):
        raise StateError(
            "a sealed record cannot be opened: it was altered, or belongs to another seed"
        ) from None


def _read_header(blob: bytes, purpose: str) -> tuple[KdfCost, bytes, bytes]:
    if not blob.startswith(_MAGIC) or len(blob) <= len(_MAGIC):
        raise StateError("this is not a sealed file of Assent")
    version = blob[len(_MAGIC)]
    if version != _VERSION:
        raise StateError(f"this sealed file has version {version}, and this program reads version {_VERSION}")
    if not _OVERHEAD <= len(blob) <= MAX_SEALED_BYTES:
        raise StateError("this sealed file is cut off or too long; use a copy")
    if _checksum(blob[:-_CHECKSUM_BYTES]) != blob[-_CHECKSUM_BYTES:]:
        raise StateError("this sealed file is damaged; use a copy")
    place = len(_MAGIC) + 1
    stated = blob[place : place + _PURPOSE_BYTES]
    if stated != _padded(purpose):
        name = stated.rstrip(b"\0").decode("ascii", "replace")
        raise StateError(f"this sealed file holds '{name}', and '{purpose}' is needed")
    place += _PURPOSE_BYTES
    cost = KdfCost(
        int.from_bytes(blob[place : place + 4], "big"), int.from_bytes(blob[place + 4 : place + 8], "big")
    )
    fault = _cost_fault(cost)
    if fault:
        raise StateError(f"this sealed file is not to be trusted: {fault}")
    place += 8
    return cost, blob[place : place + SALT_BYTES], blob[place + SALT_BYTES : _HEADER]


def _padded(purpose: str) -> bytes:
    raw = purpose.encode("ascii")
    if not 1 <= len(raw) <= _PURPOSE_BYTES or b"\0" in raw:
        raise ValueError("a purpose is 1 to 16 ASCII characters")
    return raw.ljust(_PURPOSE_BYTES, b"\0")


def _checksum(data: bytes) -> bytes:
    return tagged_hash("assent/sealed/checksum", data)[:_CHECKSUM_BYTES]


def _cost_fault(cost: KdfCost) -> str:
    """Why a cost is out of bounds; empty if it is not."""
    if cost.memory_kib < MINIMUM_COST.memory_kib or cost.passes < MINIMUM_COST.passes:
        return "its key derivation is cheaper than 19 MiB and two passes"
    if cost.memory_kib > MAXIMUM_COST.memory_kib or cost.passes > MAXIMUM_COST.passes:
        return "its key derivation is dearer than 1 GiB and ten passes"
    return ""


def _stretched(passphrase: bytes, salt: bytes, cost: KdfCost) -> bytes:
    try:
        return argon2id.kdf(32, passphrase, salt, opslimit=cost.passes, memlimit=cost.memory_kib * 1024)
    except (CryptoError, MemoryError):
        mebibytes = cost.memory_kib // 1024
        raise ConfigError(
            f"opening this takes {mebibytes} MiB of memory, which this machine did not give"
        ) from None


def _key_context(context: bytes) -> bytes:
    return tagged_hash("assent/sealed/context", context)
