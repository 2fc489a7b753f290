"""secp256k1 for signing protocols: points, scalars, secrets, tagged hashes, BIP 340, tweaks, BIP 32.

All curve arithmetic and all arithmetic on secrets happens in libsecp256k1. This package knows nothing of
thresholds, transactions or people, and never draws randomness: entropy is always an argument.
"""

from curve.bip32 import bip32_tweak
from curve.bip340 import schnorr_sign, schnorr_verify
from curve.context import IllegalCall, InternalFault, blind
from curve.ecdsa import ecdsa_sign
from curve.hash import tagged_hash
from curve.musig import (
    KeyAggregate,
    MusigSession,
    PubNonce,
    SecretNonce,
    is_partial_signature,
    musig_nonce_agg,
    pubkey_sort,
)
from curve.point import Point
from curve.scalar import N, Scalar
from curve.secret import SecretBytes, SecretScalar
from curve.tweak import Tweak, TweakContext, tweaked_secret

__all__ = [
    "N",
    "Scalar",
    "Point",
    "SecretScalar",
    "SecretBytes",
    "tagged_hash",
    "schnorr_sign",
    "schnorr_verify",
    "ecdsa_sign",
    "Tweak",
    "TweakContext",
    "tweaked_secret",
    "bip32_tweak",
    "KeyAggregate",
    "SecretNonce",
    "PubNonce",
    "MusigSession",
    "musig_nonce_agg",
    "is_partial_signature",
    "pubkey_sort",
    "blind",
    "IllegalCall",
    "InternalFault",
]
