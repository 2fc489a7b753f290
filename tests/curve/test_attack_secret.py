"""Attacks on what is left of a secret: after a wipe, after an error, after a key exchange."""

import pytest

from curve import Scalar, SecretBytes, SecretScalar
from curve import context as c

SECRET = b"\x11" * 32


def bytes_of(buffer: object) -> bytes:
    return bytes(c.ffi.buffer(buffer))


def test_wiped_bytes_refuse_rather_than_count_as_zeros() -> None:
    """Zeros in the place of masked randomness would make a nonce that anybody can compute."""
    gone = SecretBytes(SECRET)
    gone.wipe()
    gone.wipe()
    with pytest.raises(ValueError, match="wiped"):
        SecretScalar.derive_pair("tag", gone, b"public")


def test_an_error_while_joining_leaves_no_copy_in_its_traceback() -> None:
    gone = SecretScalar.from_bytes(SECRET)
    gone.wipe()
    with pytest.raises(ValueError, match="wiped") as caught:
        SecretScalar.derive("tag", SecretBytes(SECRET), gone)
    frames = [entry.frame for entry in caught.traceback if "joined" in entry.frame.f_locals]
    assert [bytes_of(frame.f_locals["joined"]) for frame in frames] == [bytes(64)]


def test_an_error_while_adding_leaves_no_copy_in_its_traceback() -> None:
    a = SecretScalar.from_bytes(SECRET)
    with pytest.raises(ValueError, match="zero") as caught:
        SecretScalar.weighted_sum((Scalar(1), a), (Scalar(-1), a))
    frame = caught.traceback[-1].frame
    assert bytes_of(frame.f_locals["total"]) == bytes_of(frame.f_locals["term"]) == bytes(32)


def test_a_shared_secret_can_be_wiped() -> None:
    a, b = SecretScalar.from_bytes(SECRET), SecretScalar.from_bytes(b"\x22" * 32)
    shared = a.ecdh(b.point())
    buffer = shared._live()
    assert any(bytes_of(buffer))
    shared.wipe()
    assert not any(bytes_of(buffer))
