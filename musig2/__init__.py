"""MuSig2 for BIP 340 signatures: BIP 327 signing over libsecp256k1's own module, and BIP 328's extended keys.

Bytes in, bytes out, as in the specification; randomness is always an argument. Nothing here stores, sends, or
knows what a transaction is.
"""

from musig2.errors import InvalidContributionError, ProtocolError, SessionStateError
from musig2.keys import BIP328_CHAIN_CODE, MAX_SIGNERS, AggregateKey, KeyShare, key_sort
from musig2.session import CoordinatorSession, SignerSession, nonce_agg, read_pubnonce

__all__ = [
    # keys
    "key_sort",
    "AggregateKey",
    "KeyShare",
    "MAX_SIGNERS",
    "BIP328_CHAIN_CODE",
    # nonces
    "nonce_agg",
    "read_pubnonce",
    # sessions
    "SignerSession",
    "CoordinatorSession",
    # errors
    "ProtocolError",
    "InvalidContributionError",
    "SessionStateError",
]
