"""BIP 340 Schnorr signatures by a single key."""

from curve.context import BYTES64, context, ffi, lib, require, succeeded
from curve.secret import SecretScalar

_MAGIC = b"\xda\x6f\xb3\x8c"  # SECP256K1_SCHNORRSIG_EXTRAPARAMS_MAGIC


def schnorr_sign(secret: SecretScalar, msg: bytes, aux_rand: bytes) -> bytes:
    """Sign a message of any length with BIP 340's own nonce derivation (64 bytes).

    Args:
        aux_rand: 32 bytes, fresh for each signature where possible.

    Raises:
        ValueError: the secret has been wiped, or `aux_rand` is not 32 bytes.
    """
    if len(aux_rand) != 32:
        raise ValueError("aux_rand must be 32 bytes")
    keypair = ffi.new("secp256k1_keypair *")
    aux = ffi.new("unsigned char[32]", aux_rand)
    params = ffi.new("secp256k1_schnorrsig_extraparams *")
    params.magic = _MAGIC
    params.ndata = aux
    signature = ffi.new(BYTES64)
    try:
        require(lib.secp256k1_keypair_create(context, keypair, secret._live()))
        require(lib.secp256k1_schnorrsig_sign_custom(context, signature, msg, len(msg), keypair, params))
    finally:
        ffi.memmove(keypair, bytes(96), 96)
    return bytes(ffi.buffer(signature))


def schnorr_verify(xonly: bytes, msg: bytes, sig: bytes) -> bool:
    """Whether `sig` (64 bytes) signs `msg` (any length) under the x-only public key (32 bytes).

    Total: anything malformed is simply not a signature.
    """
    if len(xonly) != 32 or len(sig) != 64:
        return False
    key = ffi.new("secp256k1_xonly_pubkey *")
    if not succeeded(lib.secp256k1_xonly_pubkey_parse(context, key, xonly)):
        return False
    return succeeded(lib.secp256k1_schnorrsig_verify(context, sig, msg, len(msg), key))
