"""ChillDKG recovery: outputs again from recovery data, and acknowledgments that everybody has a copy.

Recovery data convinces by itself: it holds every participant's signature on the whole transcript.
"""

from __future__ import annotations

from collections.abc import Sequence

from curve import Scalar
from frost.certeq import ack_sign, ack_verify, certeq_verify
from frost.dkg_errors import (
    FaultyParticipantOrCoordinatorError,
    InvalidRecoveryAckError,
    RecoveryAckMsgError,
    RecoveryDataError,
    SessionParamsError,
    UnknownFaultyParticipantError,
)
from frost.dkg_messages import Transcript, split_recovery_data
from frost.dkg_params import HostSeckey, SessionParams, host_secret
from frost.dkg_states import DKGOutput
from frost.encpedpop import decaps_multi, decrypt_sum, serialize_enc_context
from frost.simplpedpop import PublicDKGOutput, public_output

# Recovery


def participant_recover(hostseckey: HostSeckey, recovery_data: bytes) -> tuple[DKGOutput, SessionParams]:
    """Restore a participant's output, after an interrupted `participant_finalize` or on a new device.

    The parameters that come back are those the recovery data holds: the caller compares them with the ones
    it expects.

    Raises:
        RecoveryDataError: the data is malformed, or not signed by all of its participants, or the share
            does not fit.
        HostSeckeyError: the key is invalid, or nobody's in this recovery data.
        ValueError: the key does not have 32 bytes.
    """
    transcript, params, public, tweak = _open(recovery_data)
    deckey = host_secret(hostseckey)
    participant_id = params.participant_id(deckey.point().to_bytes())
    context = serialize_enc_context(params.t, params.hostpubkeys)
    try:
        pads = decaps_multi(deckey, transcript.pubnonces, context, participant_id)
    except FaultyParticipantOrCoordinatorError as e:
        raise RecoveryDataError("invalid public nonce in recovery data") from e
    untweaked = decrypt_sum(transcript.enc_secshares[participant_id], pads, participant_id)
    for pad in pads:
        pad.wipe()
    if untweaked is None:
        raise RecoveryDataError("the share in the recovery data is zero")
    secshare = untweaked.add(tweak)
    untweaked.wipe()
    # Our signature is valid, so we checked this during the session. Unless somebody else has used our host
    # key.
    if secshare.point().to_bytes() != public.pubshares[participant_id]:
        secshare.wipe()
        raise RecoveryDataError("the share in the recovery data does not fit its public share")
    return DKGOutput(secshare, public.thresh_pk, public.pubshares), params


def coordinator_recover(recovery_data: bytes) -> tuple[PublicDKGOutput, SessionParams]:
    """Restore the public output, and verify the recovery data, without any key.

    Raises:
        RecoveryDataError: the data is malformed, or not signed by all of its participants.
    """
    _, params, public, _ = _open(recovery_data)
    return public, params


def verify_taproot_safe(recovery_data: bytes, thresh_pk: bytes) -> None:
    """Prove that a threshold public key hides no Taproot script path, from recovery data alone.

    Recomputes that the key is P + H_TapTweak(P)·G for the P that all participants committed to and signed:
    it commits to an empty message, which no script path spend can open. Any node does this before it shows
    the first address.

    Raises:
        RecoveryDataError: invalid recovery data, or another key.
    """
    public, _ = coordinator_recover(recovery_data)
    if public.thresh_pk != thresh_pk:
        raise RecoveryDataError("this threshold public key does not follow from the recovery data")


def _open(recovery_data: bytes) -> tuple[Transcript, SessionParams, PublicDKGOutput, Scalar]:
    transcript, params, sigs, signed = _parse(recovery_data)
    for i, (hostpubkey, sig) in enumerate(zip(params.hostpubkeys, sigs, strict=True)):
        if not certeq_verify(hostpubkey, signed, i, sig):
            raise RecoveryDataError("invalid certificate in recovery data")
    try:
        public, tweak = public_output(transcript.sum_coms, params.n)
    except UnknownFaultyParticipantError as e:
        raise RecoveryDataError("infinite key or public share in recovery data") from e
    return transcript, params, public, tweak


def _parse(recovery_data: bytes) -> tuple[Transcript, SessionParams, tuple[bytes, ...], bytes]:
    try:
        signed, sigs = split_recovery_data(recovery_data)
        transcript = Transcript.from_bytes(signed)
        params = SessionParams(transcript.hostpubkeys, transcript.t)
    except SessionParamsError as e:
        raise RecoveryDataError("invalid session parameters in recovery data") from e
    except ValueError as e:
        raise RecoveryDataError("failed to deserialize recovery data") from e
    return transcript, params, sigs, signed


# Recovery acknowledgment


def participant_recovery_ack_sign(
    hostseckey: HostSeckey, recovery_data: bytes, params: SessionParams, aux_rand: bytes
) -> bytes:
    """Acknowledge that this participant has the recovery data. To be sent only after it is stored durably.

    Unlike the reference, checks the certificate too: nobody should vouch for a copy of something useless.

    Args:
        aux_rand: 32 bytes, fresh where possible.

    Returns:
        The acknowledgment, a signature (64 bytes).

    Raises:
        HostSeckeyError: the key is invalid, or nobody's in `params`.
        RecoveryDataError: the recovery data is invalid or of other parameters.
        ValueError: a wrong length of the key or `aux_rand`.
    """
    deckey = host_secret(hostseckey)
    participant_id = params.participant_id(deckey.point().to_bytes())
    if len(aux_rand) != 32:
        raise ValueError("aux_rand must be 32 bytes")
    _require_params(recovery_data, params)
    return ack_sign(deckey, recovery_data, participant_id, aux_rand)


def recovery_ack_verify(params: SessionParams, recovery_data: bytes, participant_id: int, ack: bytes) -> bool:
    """Whether `ack` is this participant's acknowledgment of this recovery data, itself checked already.

    Total: anything malformed is simply not an acknowledgment.
    """
    return ack_verify(params.hostpubkeys[participant_id], recovery_data, participant_id, ack)


def participant_recovery_acks_verify(
    recovery_data: bytes, params: SessionParams, ack_sigs: Sequence[bytes]
) -> None:
    """Verify that all participants have the recovery data; before that, the key **must not** be used.

    Args:
        ack_sigs: the acknowledgments of all participants, in the order of their ids.

    Raises:
        RecoveryDataError: the recovery data is invalid or of other parameters.
        InvalidRecoveryAckError: names the first participant whose acknowledgment is invalid. The key
            generation itself succeeded all the same.
        ValueError: not n acknowledgments.
    """
    if len(ack_sigs) != params.n:
        raise ValueError("one acknowledgment of each participant")
    _require_params(recovery_data, params)
    for i, ack in enumerate(ack_sigs):
        if len(ack) != 64:
            raise RecoveryAckMsgError(i, "recovery acknowledgment has the wrong length")
        if not recovery_ack_verify(params, recovery_data, i, ack):
            raise InvalidRecoveryAckError(i)


def _require_params(recovery_data: bytes, params: SessionParams) -> None:
    _, found = coordinator_recover(recovery_data)
    if found != params:
        raise RecoveryDataError("recovery data does not match the provided session parameters")
