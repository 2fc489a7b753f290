"""BIP 340: the BIP's own vectors, any message length, and refusals."""

from collections.abc import Callable

import pytest
from conformance.bip340 import cases
from hypothesis import given
from hypothesis import strategies as st
from vector_files import official, parameters, skip_without_official

from curve import SecretScalar, schnorr_sign, schnorr_verify

SECRET = bytes(31) + b"\x07"


@skip_without_official("bip340")
@pytest.mark.parametrize("run", parameters(cases, official("bip340")))
def test_official_case(run: Callable[[], None]) -> None:
    run()


@given(msg=st.binary(max_size=200), aux=st.binary(min_size=32, max_size=32))
def test_signature_verifies_and_only_for_its_message(msg: bytes, aux: bytes) -> None:
    secret = SecretScalar.from_bytes(SECRET)
    sig = schnorr_sign(secret, msg, aux)
    assert schnorr_verify(secret.point().xonly(), msg, sig)
    assert not schnorr_verify(secret.point().xonly(), msg + b"\x00", sig)


def test_malformed_is_simply_no_signature() -> None:
    key = SecretScalar.from_bytes(SECRET).point().xonly()
    assert not schnorr_verify(key, b"", bytes(63))
    assert not schnorr_verify(key, b"", bytes(65))
    assert not schnorr_verify(key[1:], b"", bytes(64))
    assert not schnorr_verify(b"\xff" * 32, b"", bytes(64))


def test_caller_slips_are_refused() -> None:
    secret = SecretScalar.from_bytes(SECRET)
    with pytest.raises(ValueError, match="aux_rand"):
        schnorr_sign(secret, b"", bytes(31))
    secret.wipe()
    with pytest.raises(ValueError, match="wiped"):
        schnorr_sign(secret, b"", bytes(32))
