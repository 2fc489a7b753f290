"""FROST for BIP 340 signatures: BIP 445 signing and ChillDKG key generation.

Bytes in, bytes out, as in the specs' reference programs; randomness is always an argument. Nothing here
stores, sends, or knows what a transaction is.
"""

from frost.chilldkg import (
    coordinator_check_msg1,
    coordinator_check_msg2,
    coordinator_finalize,
    coordinator_investigate,
    coordinator_investigate_for,
    coordinator_step1,
    participant_finalize,
    participant_investigate,
    participant_step1,
    participant_step2,
)
from frost.dkg_errors import (
    DuplicateHostPubkeyError,
    FaultyCoordinatorError,
    FaultyParticipantError,
    FaultyParticipantOrCoordinatorError,
    HostSeckeyError,
    InvalidHostPubkeyError,
    InvalidRecoveryAckError,
    RandomnessError,
    RecoveryDataError,
    SessionParamsError,
    ThresholdOrCountError,
    UnknownFaultyParticipantError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from frost.dkg_params import HostSeckey, SessionParams, hostpubkey_gen, params_hash
from frost.dkg_recovery import (
    coordinator_recover,
    participant_recover,
    participant_recovery_ack_sign,
    participant_recovery_acks_verify,
    recovery_ack_verify,
    verify_taproot_safe,
)
from frost.dkg_states import (
    CoordinatorState,
    DKGOutput,
    ParticipantState1,
    ParticipantState2,
    RecoveryData,
)
from frost.errors import InvalidContributionError, ProtocolError, SessionStateError
from frost.keygen_coordinator import Certified, Collecting1, Collecting2, KeygenCoordinator
from frost.keygen_session import (
    Acknowledged,
    Failed,
    Finished,
    KeygenParticipant,
    Started,
    Undecided,
)
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
from frost.simplpedpop import PublicDKGOutput

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
    # ChillDKG, in its order
    "HostSeckey",
    "hostpubkey_gen",
    "SessionParams",
    "params_hash",
    "DKGOutput",
    "PublicDKGOutput",
    "RecoveryData",
    "ParticipantState1",
    "ParticipantState2",
    "CoordinatorState",
    "participant_step1",
    "participant_step2",
    "participant_finalize",
    "participant_investigate",
    "coordinator_check_msg1",
    "coordinator_step1",
    "coordinator_check_msg2",
    "coordinator_finalize",
    "coordinator_investigate",
    "coordinator_investigate_for",
    "participant_recover",
    "coordinator_recover",
    "verify_taproot_safe",
    "participant_recovery_ack_sign",
    "recovery_ack_verify",
    "participant_recovery_acks_verify",
    # its sessions
    "KeygenParticipant",
    "Started",
    "Failed",
    "Undecided",
    "Finished",
    "Acknowledged",
    "KeygenCoordinator",
    "Collecting1",
    "Collecting2",
    "Certified",
    # its errors
    "HostSeckeyError",
    "RandomnessError",
    "SessionParamsError",
    "ThresholdOrCountError",
    "InvalidHostPubkeyError",
    "DuplicateHostPubkeyError",
    "FaultyParticipantError",
    "FaultyCoordinatorError",
    "FaultyParticipantOrCoordinatorError",
    "UnknownFaultyParticipantError",
    "UnknownFaultyParticipantOrCoordinatorError",
    "RecoveryDataError",
    "InvalidRecoveryAckError",
]
