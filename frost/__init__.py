"""FROST for BIP 340 signatures: BIP 445 signing and ChillDKG key generation.

Bytes in, bytes out, as in the specs' reference programs; randomness is always an argument. Nothing here
stores, sends, or knows what a transaction is.
"""

from frost.errors import InvalidContributionError, ProtocolError, SessionStateError
from frost.keys import (
    MAX_PARTICIPANTS,
    KeyShare,
    SignerSet,
    ThresholdInfo,
    ThresholdKey,
    derive_pubshare_at,
    make_tweaks,
    validate_session_params,
    validate_threshold_info,
)
from frost.nonces import SecNonce, nonce_agg, nonce_gen
from frost.session import CoordinatorSession, SignerSession
from frost.signing import (
    SessionContext,
    SessionValues,
    deterministic_sign,
    get_session_values,
    partial_sig_agg,
    partial_sig_verify,
    sign,
)

__all__ = [
    # key material
    "MAX_PARTICIPANTS",
    "ThresholdInfo",
    "validate_threshold_info",
    "ThresholdKey",
    "KeyShare",
    "SignerSet",
    "validate_session_params",
    "derive_pubshare_at",
    # BIP 445, in its order
    "make_tweaks",
    "SecNonce",
    "nonce_gen",
    "nonce_agg",
    "SessionContext",
    "SessionValues",
    "get_session_values",
    "sign",
    "partial_sig_verify",
    "partial_sig_agg",
    "deterministic_sign",
    # sessions
    "SignerSession",
    "CoordinatorSession",
    # errors
    "ProtocolError",
    "InvalidContributionError",
    "SessionStateError",
]
