"""ChillDKG 0.3.0: n participants make a t-of-n threshold key, with a coordinator whom nobody trusts.

EncPedPop, then CertEq: all participants sign the same transcript, and the n signatures are a certificate
that convinces everybody, at any later time, that the key generation succeeded. Transcript and certificate
are the *recovery data*: with it, a host secret key alone restores a participant's share
(`frost.dkg_recovery`).

Two warnings of the specification govern the order of the steps:

* After sending message 2 a participant **must not** erase the host secret key, whatever happens next:
  another participant may hold the certificate and use the threshold public key.
* An exception in `participant_finalize` does **not** mean that the session failed for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from curve import Point
from frost.certeq import certeq_sign, certeq_verify
from frost.dkg_errors import (
    CoordinatorMsgError,
    FaultyCoordinatorError,
    FaultyParticipantError,
    HostSeckeyError,
    ParticipantMsgError,
    RandomnessError,
    UnknownFaultyParticipantError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from frost.dkg_messages import (
    CoordinatorInvestigationMsg,
    CoordinatorMsg1,
    ParticipantMsg1,
    Transcript,
)
from frost.dkg_params import HostSeckey, SessionParams, host_secret
from frost.dkg_states import (
    CoordinatorState,
    DKGOutput,
    ParticipantState1,
    ParticipantState2,
    RecoveryData,
)
from frost.encpedpop import encpedpop_investigate, encpedpop_step1, encpedpop_step2
from frost.simplpedpop import (
    PublicDKGOutput,
    assemble_sum_coms,
    pop_verify,
    public_output,
    sum_coms_to_nonconst_terms,
)
from frost.vss import sum_scalars

# Participant


def participant_step1(
    hostseckey: HostSeckey, params: SessionParams, random: bytes
) -> tuple[ParticipantState1, bytes]:
    """A participant's first step.

    Args:
        random: 32 bytes, FRESH for each session. They are used up here; nothing derived from them needs to
            be stored.

    Returns:
        The state for `participant_step2`, and the first message for the coordinator (33·t + 32·n + 97 bytes).

    Raises:
        HostSeckeyError: the host key is invalid, or nobody's in `params`.
        RandomnessError: `random` is all zeroes.
        ValueError: a wrong length.
    """
    deckey = host_secret(hostseckey)
    participant_id = params.participant_id(deckey.point().to_bytes())
    if len(random) != 32:
        raise ValueError("random must be 32 bytes")
    if not any(random):
        raise RandomnessError("the randomness is all zeroes")
    # EncPedPop only ever hashes its seed, so the host key can be both seed and decryption key.
    enc_state, pmsg = encpedpop_step1(deckey, params.hostpubkeys, params.t, participant_id, random)
    return ParticipantState1(params, enc_state), pmsg.to_bytes()


def participant_step2(
    hostseckey: HostSeckey, state1: ParticipantState1, cmsg1: bytes, aux_rand: bytes
) -> tuple[ParticipantState2, bytes]:
    """A participant's second step, and the point of no return.

    After sending the returned message, the host key **must not** be erased, even if no reply ever comes.
    Write down that it is about to leave, with `state2.transcript`, *before* it leaves.

    Args:
        cmsg1: the coordinator's first message (162·n + 33·(t-1) bytes).
        aux_rand: 32 bytes, fresh where possible.

    Returns:
        The state for `participant_finalize`, and the second message for the coordinator (64 bytes).

    Raises:
        HostSeckeyError: not the host key of `participant_step1`.
        FaultyCoordinatorError: also as CoordinatorMsgError, where the length is wrong.
        FaultyParticipantOrCoordinatorError: names a suspect.
        UnknownFaultyParticipantOrCoordinatorError: `participant_investigate` may name one.
        SessionStateError: the state was used before. Whatever else is raised about `cmsg1` uses it up as
            well.
        ValueError: a wrong length of the key or `aux_rand`.
    """
    deckey = host_secret(hostseckey)
    if len(aux_rand) != 32:
        raise ValueError("aux_rand must be 32 bytes")
    state1.require_unused()
    params, participant_id = state1.params, state1.participant_id
    if deckey.point().to_bytes() != params.hostpubkeys[participant_id]:
        raise HostSeckeyError("host secret key does not match the one used in participant_step1")
    # Used up even if this message is bad: how we react to a second one would tell about our share.
    enc_state = state1.take()

    cmsg = CoordinatorMsg1.from_bytes(cmsg1, t=params.t, n=params.n)
    secshare, sum_coms = encpedpop_step2(enc_state, deckey, cmsg)
    try:
        public, tweak = public_output(sum_coms, params.n)
    except UnknownFaultyParticipantError as e:
        secshare.wipe()
        raise UnknownFaultyParticipantOrCoordinatorError(None, "a public share is infinity") from e
    output = DKGOutput(secshare.add(tweak), public.thresh_pk, public.pubshares)
    secshare.wipe()

    # All encrypted shares are in it, not just our own, so that all participants agree on the recovery data.
    transcript = Transcript(
        params.t, sum_coms, params.hostpubkeys, cmsg.pubnonces, cmsg.enc_secshares
    ).to_bytes()
    sig = certeq_sign(deckey, transcript, participant_id, aux_rand)
    return ParticipantState2(params, transcript, output), sig


def participant_finalize(state2: ParticipantState2, cmsg2: bytes) -> tuple[DKGOutput, RecoveryData]:
    """A participant's final step: check the certificate, after which the session has succeeded.

    An exception does not mean that it failed: another participant may have a valid certificate, with which
    `participant_recover` finishes this one. So **never** erase the host key on an exception. And before the
    threshold key is used, see that all participants have the recovery data
    (`participant_recovery_acks_verify`).

    Args:
        cmsg2: the coordinator's second message (64·n bytes).

    Raises:
        FaultyCoordinatorError: an invalid certificate; as CoordinatorMsgError, where its length is wrong.
        SessionStateError: the state was used before.
    """
    output = state2.peek()
    if len(cmsg2) != 64 * state2.params.n:
        raise CoordinatorMsgError("second message has the wrong length")
    for i, hostpubkey in enumerate(state2.params.hostpubkeys):
        if not certeq_verify(hostpubkey, state2.transcript, i, cmsg2[64 * i : 64 * (i + 1)]):
            raise FaultyCoordinatorError("certificate with an invalid signature")
    state2.take()
    return output, RecoveryData(state2.transcript + cmsg2)


def participant_investigate(error: UnknownFaultyParticipantOrCoordinatorError, cinv: bytes) -> NoReturn:
    """Find out who is to blame for an `UnknownFaultyParticipantOrCoordinatorError` of `participant_step2`.

    Never returns. An investigation message that is itself wrong convicts the coordinator, so the error is
    used up.

    Args:
        cinv: the coordinator's investigation message for this participant (65·n bytes).

    Raises:
        FaultyParticipantOrCoordinatorError: names a participant, unless the coordinator framed it.
        FaultyCoordinatorError: the coordinator contradicts itself; as CoordinatorMsgError, where the length
            is wrong.
        ValueError: the error leaves nothing to investigate, or was investigated before.
    """
    data = error.inv_data
    if data is None:
        raise ValueError("nothing to investigate")
    error.inv_data = None
    try:
        encpedpop_investigate(data, CoordinatorInvestigationMsg.from_bytes(cinv, n=len(data.pads)))
    finally:
        data.wipe()


# Coordinator


def coordinator_step1(pmsgs1: Sequence[bytes], params: SessionParams) -> tuple[CoordinatorState, bytes]:
    """The coordinator's first step. Deterministic and public, so it may be repeated from stored messages.

    Args:
        pmsgs1: the participants' first messages, in the order of their ids.

    Returns:
        The state for `coordinator_finalize`, and the first message for all participants (162·n + 33·(t-1)
        bytes).

    Raises:
        FaultyParticipantError: names the participant; as ParticipantMsgError, where the length is wrong.
        UnknownFaultyParticipantError: participants colluded to make a key or share infinity.
        ValueError: not n messages.
    """
    pmsgs = _read_pmsgs1(pmsgs1, params)
    cmsg = CoordinatorMsg1(
        coms_to_secrets=tuple(pmsg.com.commitment_to_secret() for pmsg in pmsgs),
        sum_coms_to_nonconst_terms=sum_coms_to_nonconst_terms([pmsg.com for pmsg in pmsgs]),
        pops=tuple(pmsg.pop for pmsg in pmsgs),
        pubnonces=tuple(pmsg.pubnonce for pmsg in pmsgs),
        enc_secshares=tuple(sum_scalars(pmsg.enc_shares[i] for pmsg in pmsgs) for i in range(params.n)),
    )
    sum_coms = assemble_sum_coms(cmsg.coms_to_secrets, cmsg.sum_coms_to_nonconst_terms)
    output, _ = public_output(sum_coms, params.n)
    transcript = Transcript(params.t, sum_coms, params.hostpubkeys, cmsg.pubnonces, cmsg.enc_secshares)
    return CoordinatorState(params, transcript.to_bytes(), output), cmsg.to_bytes()


def coordinator_check_msg1(pmsg1: bytes, params: SessionParams, participant_id: int) -> None:
    """Check one participant's first message as far as the coordinator can (not in the reference).

    The participants check the same and more, but could blame only "participant or coordinator". The shares
    are encrypted, so a bad share still takes an investigation.

    Raises:
        FaultyParticipantError: names the participant.
    """
    pmsg = ParticipantMsg1.from_bytes(pmsg1, participant_id=participant_id, t=params.t, n=params.n)
    try:
        Point.from_bytes(pmsg.pubnonce)
    except ValueError as e:
        raise FaultyParticipantError(participant_id, "invalid public nonce") from e
    com_to_secret = pmsg.com.commitment_to_secret()
    if com_to_secret.is_infinity:
        raise FaultyParticipantError(participant_id, "invalid commitment")
    if not pop_verify(pmsg.pop, com_to_secret, participant_id):
        raise FaultyParticipantError(participant_id, "invalid proof of possession")


def coordinator_check_msg2(state: CoordinatorState, pmsg2: bytes, participant_id: int) -> None:
    """Check one participant's second message, its signature on the transcript (64 bytes).

    Raises:
        FaultyParticipantError: names the participant; as ParticipantMsgError, where the length is wrong.
    """
    if len(pmsg2) != 64:
        raise ParticipantMsgError(participant_id, "second message has the wrong length")
    hostpubkey = state.params.hostpubkeys[participant_id]
    if not certeq_verify(hostpubkey, state.transcript, participant_id, pmsg2):
        raise FaultyParticipantError(participant_id, "invalid signature for the certificate")


def coordinator_finalize(
    state: CoordinatorState, pmsgs2: Sequence[bytes]
) -> tuple[bytes, PublicDKGOutput, RecoveryData]:
    """The coordinator's final step: check all signatures and make the certificate of them.

    An exception means that the session did not succeed *for the coordinator*; a participant may still have
    a certificate.

    Args:
        pmsgs2: the participants' second messages, in the order of their ids (64 bytes each).

    Returns:
        The second message for all participants (64·n bytes), the public output, and the recovery data.

    Raises:
        FaultyParticipantError: names the participant; as ParticipantMsgError, where the length is wrong.
        ValueError: not n messages.
    """
    if len(pmsgs2) != state.params.n:
        raise ValueError("one second message of each participant")
    for i, pmsg2 in enumerate(pmsgs2):
        coordinator_check_msg2(state, pmsg2, i)
    cert = b"".join(pmsgs2)
    return cert, state.output, RecoveryData(state.transcript + cert)


def coordinator_investigate(pmsgs1: Sequence[bytes], params: SessionParams) -> tuple[bytes, ...]:
    """Help participants who received an invalid share to find out from whom.

    Returns:
        One investigation message per participant (65·n bytes each). They hold nothing confidential.

    Raises:
        FaultyParticipantError: names the participant; as ParticipantMsgError, where the length is wrong.
        ValueError: not n messages.
    """
    pmsgs = _read_pmsgs1(pmsgs1, params)
    return tuple(_investigation(pmsgs, i) for i in range(params.n))


def coordinator_investigate_for(pmsgs1: Sequence[bytes], params: SessionParams, participant_id: int) -> bytes:
    """One participant's message of `coordinator_investigate`, without the work for all the others (65·n bytes)."""
    return _investigation(_read_pmsgs1(pmsgs1, params), participant_id)


def _investigation(pmsgs: Sequence[ParticipantMsg1], participant_id: int) -> bytes:
    return CoordinatorInvestigationMsg(
        enc_partial_secshares=tuple(pmsg.enc_shares[participant_id] for pmsg in pmsgs),
        partial_pubshares=tuple(pmsg.com.pubshare(participant_id) for pmsg in pmsgs),
    ).to_bytes()


def _read_pmsgs1(pmsgs1: Sequence[bytes], params: SessionParams) -> list[ParticipantMsg1]:
    if len(pmsgs1) != params.n:
        raise ValueError("one first message of each participant")
    return [
        ParticipantMsg1.from_bytes(pmsg1, participant_id=i, t=params.t, n=params.n)
        for i, pmsg1 in enumerate(pmsgs1)
    ]
