"""The proof that the library's curve arithmetic runs in C, to be asked once at start.

btclib falls back to pure Python, silently and a thousand times slower, if its bindings are absent or refused by the
environment variable ECC_NO_LIBSECP256K1. A signer must refuse to start instead.
"""

import wallycore
from ecc import curves


class BackendMissing(RuntimeError):
    """The C back end is not in use; the text says what to install."""


def require_c_backend() -> None:
    """Make btclib use libsecp256k1 from here on, with no fallback, or refuse to run.

    Process-wide and safe to repeat. Afterwards a call that the bindings decline raises instead of falling back.

    Raises:
        BackendMissing: the bindings are absent, refused by the environment, or give a wrong answer; or wally
            cannot compute with secp256k1.
    """
    if not curves.is_libsecp256k1_serving():
        raise BackendMissing(
            "btclib is not using libsecp256k1: install btclib-secp256k1 and unset ECC_NO_LIBSECP256K1"
        )
    try:
        curves.set_libsecp256k1_serving(serving=True, required=True)
        generator = wallycore.ec_public_key_from_private_key((1).to_bytes(32))
    except Exception as fault:
        raise BackendMissing(f"a C back end does not work: {fault}") from fault
    if not curves.is_libsecp256k1_serving() or generator.hex() != _GENERATOR:
        raise BackendMissing("a C back end gives a wrong answer: reinstall btclib-secp256k1 and wallycore")


_GENERATOR = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
