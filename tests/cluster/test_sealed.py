from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import sealed
from cluster.errors import ClusterError, ConfigError, StateError, UsageError, WrongPassphrase
from cluster.sealed import (
    DEFAULT_COST,
    MINIMUM_COST,
    KdfCost,
    passphrase_bytes,
    seal,
    seal_with_key,
    unseal,
    unseal_with_key,
)

SECRET = bytes(range(32))
SALT, NONCE, KEY = b"s" * 16, b"n" * 24, b"k" * 32
HEADER = 13 + 1 + 16 + 8 + 16 + 24


def sealed_seed(cost: KdfCost = MINIMUM_COST) -> bytes:
    return seal(SECRET, b"correct horse", purpose="seed", salt=SALT, nonce=NONCE, cost=cost)


def with_checksum(body: bytes) -> bytes:
    """What a deliberate forger writes: the checksum is no secret."""
    return body + sealed._checksum(body)


@pytest.fixture(scope="module")
def blob() -> bytes:
    return sealed_seed()


def test_goes_round(blob: bytes) -> None:
    assert unseal(blob, b"correct horse", purpose="seed") == SECRET
    assert SECRET not in blob
    assert (DEFAULT_COST.memory_kib, DEFAULT_COST.passes) == (256 * 1024, 3)


def test_wrong_passphrase_says_so(blob: bytes) -> None:
    with pytest.raises(WrongPassphrase, match=r"^wrong passphrase$"):
        unseal(blob, b"correct horsf", purpose="seed")


def test_every_flipped_byte_is_found(blob: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(len(blob)):
        damaged = bytearray(blob)
        damaged[place] ^= 1
        with pytest.raises(StateError):
            unseal(bytes(damaged), b"correct horse", purpose="seed")
    # With the checksum put right, as a forger would, the bounds and the tag still find each one.
    monkeypatch.setattr(
        sealed, "_stretched", lambda passphrase, salt, cost: sealed._checksum(salt + repr(cost).encode()) * 4
    )
    body = sealed_seed()[:-8]
    for place in range(len(body)):
        forged = bytearray(body)
        forged[place] ^= 1
        with pytest.raises(ClusterError):
            unseal(with_checksum(bytes(forged)), b"correct horse", purpose="seed")


def test_header_is_authenticated_with_the_real_derivation(blob: bytes) -> None:
    forged = bytearray(blob[:-8])
    forged[HEADER - 1] ^= 1  # the nonce
    with pytest.raises(WrongPassphrase):
        unseal(with_checksum(bytes(forged)), b"correct horse", purpose="seed")


@pytest.mark.parametrize("size", [0, 1, 12, 13, 14, HEADER - 1, HEADER, HEADER + 15, 100])
def test_cut_off(blob: bytes, size: int) -> None:
    with pytest.raises(StateError):
        unseal(blob[:size], b"correct horse", purpose="seed")


@pytest.mark.parametrize(
    ("memory_kib", "passes", "says"),
    [
        (19 * 1024 - 1, 3, "cheaper"),
        (1 << 18, 1, "cheaper"),
        (0, 0, "cheaper"),
        ((1 << 20) + 1, 3, "dearer"),
        (1 << 18, 11, "dearer"),
        (2**32 - 1, 2**32 - 1, "dearer"),
    ],
)
def test_cost_out_of_bounds_is_neither_made_nor_opened(
    blob: bytes, memory_kib: int, passes: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        sealed_seed(KdfCost(memory_kib, passes))
    forged = blob[:30] + memory_kib.to_bytes(4, "big") + passes.to_bytes(4, "big") + blob[38:-8]
    with pytest.raises(StateError, match=says):
        unseal(with_checksum(forged), b"correct horse", purpose="seed")


def test_newer_version_names_both(blob: bytes) -> None:
    with pytest.raises(StateError, match="version 2, and this program reads version 1"):
        unseal(blob[:13] + b"\2" + blob[14:], b"correct horse", purpose="seed")


def test_purpose_is_bound(blob: bytes) -> None:
    with pytest.raises(StateError, match="holds 'seed', and 'roster' is needed"):
        unseal(blob, b"correct horse", purpose="roster")
    forged = blob[:14] + b"roster".ljust(16, b"\0") + blob[30:-8]
    with pytest.raises(WrongPassphrase):
        unseal(with_checksum(forged), b"correct horse", purpose="roster")


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("cluster.sealed.argon2id.kdf", refuse)
    with pytest.raises(ConfigError, match="19 MiB"):
        sealed_seed()


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    for tried in (garbage, b"assent/sealed\x01" + garbage):
        with pytest.raises(StateError):
            unseal(tried, b"x", purpose="seed")
    with pytest.raises(StateError):
        unseal_with_key(KEY, garbage, context=b"here")


def test_arguments_are_checked() -> None:
    for wrong in (
        {"salt": b"s"},
        {"nonce": b"n"},
        {"purpose": ""},
        {"purpose": "x" * 17},
        {"passphrase": b""},
    ):
        arguments = {"purpose": "seed", "salt": SALT, "nonce": NONCE, "passphrase": b"p", **wrong}
        with pytest.raises(ValueError):
            seal(SECRET, cost=MINIMUM_COST, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too much"):
        seal(bytes(1 << 20), b"p", purpose="seed", salt=SALT, nonce=NONCE, cost=MINIMUM_COST)


def test_passphrase_is_the_same_on_every_keyboard() -> None:
    assert passphrase_bytes("cafe\u0301") == passphrase_bytes("caf\u00e9")
    with pytest.raises(UsageError):
        passphrase_bytes("")


def test_sealed_under_a_key() -> None:
    small = seal_with_key(KEY, SECRET, context=b"wallet 1", nonce=NONCE)
    assert unseal_with_key(KEY, small, context=b"wallet 1") == SECRET
    with pytest.raises(StateError):
        unseal_with_key(KEY, small, context=b"wallet 2")
    with pytest.raises(StateError):
        unseal_with_key(b"K" * 32, small, context=b"wallet 1")
    for place in range(len(small)):
        damaged = bytearray(small)
        damaged[place] ^= 1
        with pytest.raises(StateError):
            unseal_with_key(KEY, bytes(damaged), context=b"wallet 1")
    with pytest.raises(ValueError):
        seal_with_key(KEY[1:], SECRET, context=b"", nonce=NONCE)
    with pytest.raises(ValueError):
        unseal_with_key(KEY[1:], small, context=b"")
