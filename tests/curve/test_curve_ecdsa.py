"""ECDSA: what is signed verifies under another library, with a low S, and slips are refused."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from curve import N, SecretScalar, ecdsa_sign

SECRET = bytes(31) + b"\x07"


def is_signature(key: bytes, digest: bytes, compact: bytes) -> bool:
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key)
    der = encode_dss_signature(int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big"))
    try:
        public.verify(der, digest, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True


@given(digest=st.binary(min_size=32, max_size=32))
def test_another_library_verifies_it_and_its_s_is_low(digest: bytes) -> None:
    secret = SecretScalar.from_bytes(SECRET)
    compact = ecdsa_sign(secret, digest)
    assert is_signature(secret.point().to_bytes(), digest, compact)
    assert not is_signature(secret.point().to_bytes(), bytes([digest[0] ^ 1]) + digest[1:], compact)
    assert int.from_bytes(compact[32:], "big") <= N // 2
    assert ecdsa_sign(secret, digest) == compact


def test_caller_slips_are_refused() -> None:
    secret = SecretScalar.from_bytes(SECRET)
    with pytest.raises(ValueError, match="digest"):
        ecdsa_sign(secret, bytes(31))
    secret.wipe()
    with pytest.raises(ValueError, match="wiped"):
        ecdsa_sign(secret, bytes(32))
