"""ECDSA signatures by a single key: for servers that know an account by its key, never for a transaction."""

from curve.context import BYTES64, context, ffi, lib, require
from curve.secret import SecretScalar


def ecdsa_sign(secret: SecretScalar, digest: bytes) -> bytes:
    """Sign a 32-byte hash with the nonce of RFC 6979; the compact form (64 bytes) with a low S.

    Raises:
        ValueError: the secret has been wiped, or `digest` is not 32 bytes.
    """
    if len(digest) != 32:
        raise ValueError("the digest must be 32 bytes")
    signature = ffi.new("secp256k1_ecdsa_signature *")
    require(lib.secp256k1_ecdsa_sign(context, signature, digest, secret._live(), ffi.NULL, ffi.NULL))
    compact = ffi.new(BYTES64)
    require(lib.secp256k1_ecdsa_signature_serialize_compact(context, compact, signature))
    return bytes(ffi.buffer(compact))
