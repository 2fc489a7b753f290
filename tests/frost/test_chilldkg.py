"""ChillDKG: what an honest session gives, and whom each kind of dishonesty is blamed on."""

import copy
import pickle
from itertools import combinations

import pytest
from dkg_runs import Run, altered, draw
from hypothesis import given, settings
from hypothesis import strategies as st

import frost
from curve import N, Point, Scalar, SecretScalar, schnorr_verify, tagged_hash
from frost import dkg_errors
from frost.dkg_messages import CoordinatorMsg1, ParticipantMsg1, Transcript
from frost.vss import VSSCommitment

RUN = Run(2, 3)
DONE = RUN.finish()
T, NUM = RUN.t, RUN.n


# What an honest session gives


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 2), (2, 2), (1, 3), (2, 3), (3, 3), (3, 5)])
def test_any_t_shares_make_the_threshold_key(t: int, n: int) -> None:
    done = Run(t, n, "interpolate").finish()
    for output, pubshare in zip(done.outputs, done.public.pubshares, strict=True):
        assert output.secshare.point().to_bytes() == pubshare
    for chosen in combinations(range(n), t):
        parts = []
        for i in chosen:
            lagrange = Scalar(1)
            for j in chosen:
                if j != i:
                    lagrange = lagrange * Scalar(j + 1) * Scalar(j - i).inverse()
            parts.append(lagrange * Point.from_bytes(done.public.pubshares[i]))
        assert Point.sum(parts).to_bytes() == done.public.thresh_pk


@pytest.mark.parametrize("chosen", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_dealt_shares_sign(chosen: tuple[int, ...]) -> None:
    key = frost.validate_threshold_info(frost.ThresholdInfo(T, DONE.public.thresh_pk, DONE.public.pubshares))
    sessions = {
        i: frost.SignerSession.open(
            frost.KeyShare(key, i, DONE.outputs[i].secshare),
            tweaks=[],
            msg=draw("msg"),
            rand=draw("nonce", i),
        )
        for i in chosen
    }
    pubnonces = {i: session.pubnonce for i, session in sessions.items()}
    signers = key.signers(chosen)
    coordinator = frost.CoordinatorSession.open(signers, tweaks=[], msg=draw("msg"), pubnonces=pubnonces)
    for i, session in sessions.items():
        coordinator.add(i, session.sign(signers, pubnonces))
    assert schnorr_verify(DONE.public.thresh_pk[1:], draw("msg"), coordinator.aggregate())


def test_sizes_are_those_of_the_specification() -> None:
    assert {len(pmsg1) for pmsg1 in RUN.pmsgs1} == {33 * T + 32 * NUM + 97}
    assert len(DONE.cmsg1) == 162 * NUM + 33 * (T - 1)
    assert {len(pmsg2) for pmsg2 in DONE.pmsgs2} == {64}
    assert len(DONE.cmsg2) == 64 * NUM
    assert len(DONE.recovery_data) == 4 + 33 * T + 162 * NUM
    assert {len(c) for c in frost.coordinator_investigate(RUN.pmsgs1, RUN.params)} == {65 * NUM}


def test_the_key_is_taproot_safe_and_anybody_can_tell() -> None:
    frost.verify_taproot_safe(DONE.recovery_data, DONE.public.thresh_pk)
    # Recomputed here from the recovery data by hand: P + H_TapTweak(P)·G.
    P = Point.from_bytes(DONE.recovery_data[4:37])
    tweak = Scalar.from_bytes(tagged_hash("TapTweak", P.xonly()))
    assert (P + tweak * Point.GENERATOR).to_bytes() == DONE.public.thresh_pk
    with pytest.raises(frost.RecoveryDataError):
        frost.verify_taproot_safe(DONE.recovery_data, P.to_bytes())


# Parameters and keys


def test_no_more_participants_than_can_sign_together() -> None:
    keys = [(Scalar(i + 1) * Point.GENERATOR).to_bytes() for i in range(129)]
    assert frost.SessionParams(keys[:128], 128).n == 128
    for some, t in ((keys, 1), ([], 0), ([], 1), (keys[:2], 0), (keys[:2], 3), (keys[:2], -1)):
        with pytest.raises(frost.ThresholdOrCountError):
            frost.SessionParams(some, t)


@pytest.mark.parametrize("bad", [b"", bytes(33), bytes(32), b"\x04" + bytes(64), b"\x02" + b"\xff" * 32])
def test_an_invalid_host_key_names_its_owner(bad: bytes) -> None:
    with pytest.raises(frost.InvalidHostPubkeyError) as caught:
        frost.SessionParams([*RUN.params.hostpubkeys, bad], 2)
    assert caught.value.participant_id == 3


@pytest.mark.parametrize("bad", [bytes(32), N.to_bytes(32), b"\xff" * 32])
def test_an_invalid_host_secret_key(bad: bytes) -> None:
    with pytest.raises(frost.HostSeckeyError):
        frost.hostpubkey_gen(bad)


def test_a_strangers_host_secret_key() -> None:
    stranger = draw("stranger")
    with pytest.raises(frost.HostSeckeyError):
        frost.participant_step1(stranger, RUN.params, draw("r"))
    with pytest.raises(frost.HostSeckeyError):
        frost.participant_recover(stranger, DONE.recovery_data)
    with pytest.raises(frost.HostSeckeyError):
        frost.participant_recovery_ack_sign(stranger, DONE.recovery_data, RUN.params, draw("r"))


def test_a_secret_scalar_does_as_a_host_key_and_is_not_wiped() -> None:
    key = SecretScalar.from_bytes(RUN.keys[0])
    _, pmsg1 = frost.participant_step1(key, RUN.params, draw("run", "random", 0))
    assert pmsg1 == RUN.pmsgs1[0]
    assert not key.is_wiped
    key.wipe()
    with pytest.raises(ValueError, match="wiped"):
        frost.hostpubkey_gen(key)


# States


def test_states_are_used_once() -> None:
    state1, _ = RUN.step1(0)
    state2, _ = frost.participant_step2(RUN.keys[0], state1, DONE.cmsg1, draw("aux"))
    with pytest.raises(frost.SessionStateError):
        frost.participant_step2(RUN.keys[0], state1, DONE.cmsg1, draw("aux"))
    with pytest.raises(frost.FaultyCoordinatorError):  # leaves it usable: a right certificate may still come
        frost.participant_finalize(state2, altered(DONE.cmsg2, 70))
    frost.participant_finalize(state2, DONE.cmsg2)
    with pytest.raises(frost.SessionStateError):
        frost.participant_finalize(state2, DONE.cmsg2)


def test_a_bad_message_uses_the_state_up_but_a_slip_does_not() -> None:
    state1, _ = RUN.step1(0)
    with pytest.raises(ValueError, match="aux_rand"):
        frost.participant_step2(RUN.keys[0], state1, DONE.cmsg1, b"")
    with pytest.raises(frost.HostSeckeyError):
        frost.participant_step2(RUN.keys[1], state1, DONE.cmsg1, draw("aux"))
    with pytest.raises(frost.FaultyCoordinatorError):
        frost.participant_step2(RUN.keys[0], state1, b"", draw("aux"))
    with pytest.raises(frost.SessionStateError):
        frost.participant_step2(RUN.keys[0], state1, DONE.cmsg1, draw("aux"))


def test_a_wiped_state_holds_no_share() -> None:
    state2, _ = RUN.step2(0, DONE.cmsg1)
    share = state2.peek().secshare
    state2.wipe()
    assert share.is_wiped
    with pytest.raises(frost.SessionStateError):
        frost.participant_finalize(state2, DONE.cmsg2)


def test_secrets_do_not_print_pickle_or_copy() -> None:
    state1, _ = RUN.step1(0)
    state2, _ = RUN.step2(0, DONE.cmsg1)
    error = bad_share(1, 0)
    for secret in (state1, state2, DONE.outputs[0], error.inv_data, error):
        for door in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                door(secret)
    exposed = DONE.outputs[0].secshare.expose().hex()
    for secret in (state1, state2, DONE.outputs[0], error, error.inv_data):
        assert exposed not in repr(secret)
        assert not any(key.hex() in repr(secret) for key in RUN.keys)


# Whom dishonesty is blamed on


def step2_error(cmsg1: bytes, i: int = 0) -> frost.ProtocolError:
    with pytest.raises(frost.ProtocolError) as caught:
        RUN.step2(i, cmsg1)
    return caught.value


def with_share_off(pmsg1: bytes, sender: int, receiver: int, by: int = 17) -> bytes:
    message = ParticipantMsg1.from_bytes(pmsg1, participant_id=sender, t=T, n=NUM)
    shares = list(message.enc_shares)
    shares[receiver] = shares[receiver] + Scalar(by)
    return ParticipantMsg1(message.com, message.pop, message.pubnonce, tuple(shares)).to_bytes()


def tampered_pmsgs1(sender: int, receiver: int) -> list[bytes]:
    pmsgs1 = list(RUN.pmsgs1)
    pmsgs1[sender] = with_share_off(pmsgs1[sender], sender, receiver)
    return pmsgs1


def bad_share(sender: int, receiver: int) -> frost.UnknownFaultyParticipantOrCoordinatorError:
    _, cmsg1 = frost.coordinator_step1(tampered_pmsgs1(sender, receiver), RUN.params)
    error = step2_error(cmsg1, receiver)
    assert isinstance(error, frost.UnknownFaultyParticipantOrCoordinatorError)
    assert error.unsure
    return error


@pytest.mark.parametrize(("sender", "receiver"), [(1, 0), (2, 0), (0, 2)])
def test_investigation_finds_who_sent_a_bad_share(sender: int, receiver: int) -> None:
    error = bad_share(sender, receiver)
    cinvs = frost.coordinator_investigate(tampered_pmsgs1(sender, receiver), RUN.params)
    with pytest.raises(frost.FaultyParticipantOrCoordinatorError) as caught:
        frost.participant_investigate(error, cinvs[receiver])
    assert caught.value.participant_id == sender
    assert caught.value.culprits == (sender,)
    assert caught.value.unsure
    with pytest.raises(ValueError, match="nothing"):  # once only
        frost.participant_investigate(error, cinvs[receiver])


def test_investigation_of_what_a_participant_never_sent_finds_the_coordinator() -> None:
    error = bad_share(0, 0)  # our own share for ourselves
    cinvs = frost.coordinator_investigate(tampered_pmsgs1(0, 0), RUN.params)
    with pytest.raises(frost.FaultyCoordinatorError):
        frost.participant_investigate(error, cinvs[0])
    error = bad_share(1, 0)
    with pytest.raises(frost.FaultyCoordinatorError):  # the honest messages do not explain the bad sum
        frost.participant_investigate(error, frost.coordinator_investigate(RUN.pmsgs1, RUN.params)[0])


def test_investigation_of_commitments_that_do_not_add_up_finds_the_coordinator() -> None:
    """Otherwise the coordinator could frame whom it likes with a made-up commitment."""
    error = bad_share(1, 0)
    cinv = bytearray(frost.coordinator_investigate(tampered_pmsgs1(1, 0), RUN.params)[0])
    cinv[32 * NUM + 66 :] = Point.GENERATOR.to_bytes()  # participant 2's
    with pytest.raises(frost.FaultyCoordinatorError):
        frost.participant_investigate(error, bytes(cinv))


def test_an_investigation_message_for_one_is_that_of_all() -> None:
    cinvs = frost.coordinator_investigate(RUN.pmsgs1, RUN.params)
    ones = [frost.coordinator_investigate_for(RUN.pmsgs1, RUN.params, i) for i in range(NUM)]
    assert tuple(ones) == cinvs


def test_a_share_that_is_zero_does_no_harm() -> None:
    """A sender knows the pad of its receiver, so it can encrypt zero, which is not a secret scalar."""
    probe = bad_share(1, 0)
    assert probe.inv_data is not None
    pad = probe.inv_data.pads[1]
    message = ParticipantMsg1.from_bytes(RUN.pmsgs1[1], participant_id=1, t=T, n=NUM)
    shares = (Scalar.from_bytes(pad.expose()), *message.enc_shares[1:])
    zero = ParticipantMsg1(message.com, message.pop, message.pubnonce, shares).to_bytes()
    pmsgs1 = [RUN.pmsgs1[0], zero, RUN.pmsgs1[2]]
    _, cmsg1 = frost.coordinator_step1(pmsgs1, RUN.params)
    error = step2_error(cmsg1)
    assert isinstance(error, frost.UnknownFaultyParticipantOrCoordinatorError)
    with pytest.raises(frost.FaultyParticipantOrCoordinatorError) as caught:
        frost.participant_investigate(error, frost.coordinator_investigate(pmsgs1, RUN.params)[0])
    assert caught.value.participant_id == 1


def replace_cmsg1(**changes: object) -> bytes:
    message = CoordinatorMsg1.from_bytes(DONE.cmsg1, t=T, n=NUM)
    fields = {name: getattr(message, name) for name in CoordinatorMsg1.__slots__}
    return CoordinatorMsg1(**(fields | changes)).to_bytes()


def test_blame_in_step2() -> None:
    message = CoordinatorMsg1.from_bytes(DONE.cmsg1, t=T, n=NUM)
    G = Point.GENERATOR

    def swap(items: tuple[object, ...], i: int, new: object) -> tuple[object, ...]:
        return (*items[:i], new, *items[i + 1 :])

    own_nonce = step2_error(replace_cmsg1(pubnonces=swap(message.pubnonces, 0, G.to_bytes())))
    assert type(own_nonce) is frost.FaultyCoordinatorError
    own_com = step2_error(replace_cmsg1(coms_to_secrets=swap(message.coms_to_secrets, 0, G)))
    assert type(own_com) is frost.FaultyCoordinatorError
    for changes in (
        {"pubnonces": swap(message.pubnonces, 2, bytes(33))},
        {"coms_to_secrets": swap(message.coms_to_secrets, 2, Point.INFINITY)},
        {"coms_to_secrets": swap(message.coms_to_secrets, 2, G)},
        {"pops": swap(message.pops, 2, bytes(64))},
        {"pops": swap(message.pops, 2, b"\xff" * 64)},
        {"pops": swap(message.pops, 2, message.pops[1])},
    ):
        error = step2_error(replace_cmsg1(**changes))
        assert isinstance(error, frost.FaultyParticipantOrCoordinatorError), changes
        assert (error.participant_id, error.unsure) == (2, True)
    sums = step2_error(replace_cmsg1(sum_coms_to_nonconst_terms=(G,)))
    assert isinstance(sums, frost.UnknownFaultyParticipantOrCoordinatorError)


def test_a_public_share_at_infinity_is_nobodys_for_certain() -> None:
    """Whoever knows participant 2's share can bend the sum so that it vanishes, and ours still fits."""
    message = CoordinatorMsg1.from_bytes(DONE.cmsg1, t=T, n=NUM)
    share = Scalar.from_bytes(DONE.outputs[2].secshare.expose())
    slope = -share * Scalar(3).inverse()
    cmsg1 = replace_cmsg1(
        sum_coms_to_nonconst_terms=(message.sum_coms_to_nonconst_terms[0] + slope * Point.GENERATOR,),
        enc_secshares=(message.enc_secshares[0] + slope, *message.enc_secshares[1:]),
    )
    error = step2_error(cmsg1)
    assert isinstance(error, frost.UnknownFaultyParticipantOrCoordinatorError)
    assert (error.culprits, error.unsure, error.inv_data) == ((), True, None)
    with pytest.raises(ValueError, match="nothing to investigate"):
        frost.participant_investigate(error, bytes(65 * NUM))


def test_the_coordinator_names_who_sent_a_bad_first_message() -> None:
    honest = ParticipantMsg1.from_bytes(RUN.pmsgs1[1], participant_id=1, t=T, n=NUM)
    infinite = VSSCommitment((Point.INFINITY, *honest.com.ges[1:]))
    bad = [
        ParticipantMsg1(infinite, honest.pop, honest.pubnonce, honest.enc_shares).to_bytes(),
        ParticipantMsg1(honest.com, bytes(64), honest.pubnonce, honest.enc_shares).to_bytes(),
        ParticipantMsg1(honest.com, honest.pop, bytes(33), honest.enc_shares).to_bytes(),
        altered(RUN.pmsgs1[1], 0, 0xFF),
        RUN.pmsgs1[1][:-32] + b"\xff" * 32,
        RUN.pmsgs1[1] + b"\0",
        b"",
    ]
    for message in bad:
        with pytest.raises(frost.FaultyParticipantError) as caught:
            frost.coordinator_check_msg1(message, RUN.params, 1)
        assert (caught.value.culprits, caught.value.unsure) == ((1,), False)
    frost.coordinator_check_msg1(RUN.pmsgs1[1], RUN.params, 1)


def test_opposite_commitments_are_refused_before_they_make_an_infinite_key() -> None:
    run = Run(1, 2, "opposite")
    honest = ParticipantMsg1.from_bytes(run.pmsgs1[0], participant_id=0, t=1, n=2)
    com = VSSCommitment((-honest.com.ges[0],))
    other = ParticipantMsg1(com, honest.pop, honest.pubnonce, honest.enc_shares).to_bytes()
    with pytest.raises(frost.UnknownFaultyParticipantError) as caught:
        frost.coordinator_step1([run.pmsgs1[0], other], run.params)
    assert caught.value.unsure


def test_a_bad_second_message_names_its_sender() -> None:
    cstate, _ = RUN.coordinate()
    for bad in (altered(DONE.pmsgs2[2], 5), DONE.pmsgs2[1], DONE.pmsgs2[2][:-1], b""):
        with pytest.raises(frost.FaultyParticipantError) as caught:
            frost.coordinator_finalize(cstate, [*DONE.pmsgs2[:2], bad])
        assert caught.value.participant_id == 2


def test_participants_who_were_told_different_things_do_not_finish() -> None:
    """A coordinator that equivocates: each side's certificate is worthless to the other."""
    other = Run(2, 3)
    other.pmsgs1[2] = frost.participant_step1(other.keys[2], other.params, draw("else"))[1]
    _, cmsg1 = other.coordinate()
    state2, pmsg2 = RUN.step2(0, cmsg1)
    with pytest.raises(frost.FaultyCoordinatorError):
        frost.participant_finalize(state2, pmsg2 + DONE.cmsg2[64:])


# Recovery


def test_recovery_restores_everything() -> None:
    for i, key in enumerate(RUN.keys):
        output, params = frost.participant_recover(key, DONE.recovery_data)
        assert params == RUN.params
        assert output.public == DONE.public
        assert output.secshare.expose() == DONE.outputs[i].secshare.expose()
    assert frost.coordinator_recover(DONE.recovery_data) == (DONE.public, RUN.params)


def forged_recovery_data(**changes: object) -> bytes:
    """Recovery data that all participants together signed, although it makes no sense."""
    transcript = Transcript.from_bytes(DONE.recovery_data[: -64 * NUM])
    fields = {name: getattr(transcript, name) for name in Transcript.__slots__}
    signed = Transcript(**(fields | changes)).to_bytes()
    sigs = [
        frost.certeq.certeq_sign(SecretScalar.from_bytes(key), signed, i, draw("a"))
        for i, key in enumerate(RUN.keys)
    ]
    return signed + b"".join(sigs)


def test_recovery_data_that_all_members_forged_is_refused() -> None:
    assert frost.coordinator_recover(forged_recovery_data()) == (DONE.public, RUN.params)
    infinite = VSSCommitment((Point.INFINITY, Point.GENERATOR))
    with pytest.raises(frost.RecoveryDataError):
        frost.coordinator_recover(forged_recovery_data(sum_coms=infinite))
    for changes in ({"enc_secshares": (Scalar(0),) * 3}, {"pubnonces": (bytes(33),) * 3}):
        with pytest.raises(frost.RecoveryDataError):
            frost.participant_recover(RUN.keys[0], forged_recovery_data(**changes))


def test_a_public_share_at_infinity_is_refused() -> None:
    """f(1) + tweak = 0 for a polynomial that colluding members chose together."""
    C0 = Transcript.from_bytes(DONE.recovery_data[: -64 * NUM]).sum_coms.ges[0]
    tweaked, _ = VSSCommitment((C0,)).invalid_taproot_commit()
    slope = -tweaked.ges[0]
    with pytest.raises(frost.RecoveryDataError, match="infinite"):
        frost.coordinator_recover(forged_recovery_data(sum_coms=VSSCommitment((C0, slope))))


def test_acknowledgments() -> None:
    acks = [
        frost.participant_recovery_ack_sign(key, DONE.recovery_data, RUN.params, draw("ack"))
        for key in RUN.keys
    ]
    frost.participant_recovery_acks_verify(DONE.recovery_data, RUN.params, acks)
    for bad in (altered(acks[1], 40), acks[0], acks[1][:-1], b""):
        assert not frost.recovery_ack_verify(RUN.params, DONE.recovery_data, 1, bad)
        with pytest.raises(frost.InvalidRecoveryAckError) as caught:
            frost.participant_recovery_acks_verify(DONE.recovery_data, RUN.params, [acks[0], bad, acks[2]])
        assert caught.value.participant_id == 1
    with pytest.raises(ValueError):
        frost.participant_recovery_acks_verify(DONE.recovery_data, RUN.params, acks[:2])
    # A signature on the transcript is not an acknowledgment, nor the other way round.
    assert not frost.recovery_ack_verify(RUN.params, DONE.recovery_data, 0, DONE.pmsgs2[0])


def test_acknowledging_another_session_is_refused() -> None:
    other = frost.SessionParams(RUN.params.hostpubkeys, 1)
    for params in (other, frost.SessionParams(reversed(RUN.params.hostpubkeys), 2)):
        with pytest.raises(frost.RecoveryDataError):
            frost.participant_recovery_ack_sign(RUN.keys[0], DONE.recovery_data, params, draw("ack"))
        with pytest.raises(frost.RecoveryDataError):
            frost.participant_recovery_acks_verify(DONE.recovery_data, params, [bytes(64)] * 3)
    for bad in (b"", altered(DONE.recovery_data, -1 + len(DONE.recovery_data))):
        with pytest.raises(frost.RecoveryDataError):
            frost.participant_recovery_ack_sign(RUN.keys[0], bad, RUN.params, draw("ack"))


# Hostile bytes


GARBAGE = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"\0" * 600, b"\xff" * 600, b"\x02" + b"\xff" * 599]),
)


def hostile(honest: bytes) -> st.SearchStrategy[bytes]:
    """Anything but the honest message: a byte changed, cut, lengthened, moved, or garbage of the right length."""
    at = st.integers(0, len(honest) - 1)
    return st.one_of(
        GARBAGE,
        st.builds(lambda i, mask: altered(honest, i, mask), at, st.integers(1, 255)),
        st.builds(lambda i: honest[:i], at),
        st.builds(lambda tail: honest + tail, st.binary(min_size=1, max_size=70)),
        st.builds(lambda i: honest[i:] + honest[:i], at),
        st.builds(lambda i, new: honest[:i] + new + honest[i + len(new) :], at, st.binary(max_size=70)),
        st.binary(min_size=len(honest), max_size=len(honest)),
    ).filter(lambda data: data != honest)


def finish_with(cmsg1: bytes) -> frost.PublicDKGOutput | None:
    """All participants get this cmsg1; what they finish with, if they do."""
    second = []
    for i in range(NUM):
        try:
            second.append(RUN.step2(i, cmsg1))
        except frost.ProtocolError:
            return None
    cert = b"".join(pmsg2 for _, pmsg2 in second)
    outputs = {frost.participant_finalize(state2, cert)[0].public for state2, _ in second}
    assert len(outputs) == 1
    return outputs.pop()


@settings(max_examples=150, deadline=None)
@given(hostile(DONE.cmsg1))
def test_an_altered_coordinator_message_changes_no_key(cmsg1: bytes) -> None:
    """Refused with a typed error, or (a proof of ours, which only others read) without effect on the key."""
    finished = finish_with(cmsg1)
    assert finished in (None, DONE.public)


def coordinator_error(messages: list[bytes]) -> frost.FaultyParticipantError | None:
    try:
        frost.coordinator_step1(messages, RUN.params)
    except frost.FaultyParticipantError as error:
        return error
    return None


@settings(max_examples=100, deadline=None)
@given(hostile(RUN.pmsgs1[1]))
def test_an_altered_first_message_makes_no_key_or_a_sound_one(pmsg1: bytes) -> None:
    messages = [RUN.pmsgs1[0], pmsg1, RUN.pmsgs1[2]]
    error = coordinator_error(messages)
    if error is not None:
        assert error.culprits == (1,)
        return
    _, cmsg1 = frost.coordinator_step1(messages, RUN.params)
    try:
        state2, pmsg2 = RUN.step2(0, cmsg1)
    except frost.ProtocolError:
        return
    # Participant 1's share for somebody else is off: that one refuses. Whoever is content gets no certificate.
    with pytest.raises(frost.ProtocolError):
        RUN.step2(1, cmsg1), RUN.step2(2, cmsg1)
    with pytest.raises(frost.ProtocolError):
        frost.participant_finalize(state2, pmsg2 + DONE.cmsg2[64:])


@settings(max_examples=60, deadline=None)
@given(hostile(DONE.pmsgs2[0]), hostile(DONE.cmsg2), hostile(DONE.recovery_data))
def test_altered_later_messages_are_refused(pmsg2: bytes, cmsg2: bytes, recovery_data: bytes) -> None:
    cstate, _ = RUN.coordinate()
    with pytest.raises(frost.FaultyParticipantError):
        frost.coordinator_finalize(cstate, [pmsg2, *DONE.pmsgs2[1:]])
    state2, _ = RUN.step2(0, DONE.cmsg1)
    with pytest.raises(frost.FaultyCoordinatorError):
        frost.participant_finalize(state2, cmsg2)
    with pytest.raises(frost.RecoveryDataError):
        frost.coordinator_recover(recovery_data)
    with pytest.raises(frost.RecoveryDataError):
        frost.participant_recover(RUN.keys[0], recovery_data)


@settings(max_examples=60, deadline=None)
@given(hostile(frost.coordinator_investigate(tampered_pmsgs1(1, 0), RUN.params)[0]))
def test_an_altered_investigation_message_convicts_nobody_for_certain_but_the_coordinator(
    cinv: bytes,
) -> None:
    with pytest.raises(frost.ProtocolError) as caught:
        frost.participant_investigate(bad_share(1, 0), cinv)
    assert caught.value.coordinator


def test_every_single_byte_of_every_message_counts() -> None:
    cstate, _ = RUN.coordinate()
    for i in range(len(DONE.cmsg1)):
        assert finish_with(altered(DONE.cmsg1, i)) in (None, DONE.public), i
    for i in range(64):
        with pytest.raises(frost.FaultyParticipantError):
            frost.coordinator_check_msg2(cstate, altered(DONE.pmsgs2[0], i), 0)
    state2, _ = RUN.step2(0, DONE.cmsg1)
    for i in range(len(DONE.cmsg2)):
        with pytest.raises(frost.FaultyCoordinatorError):
            frost.participant_finalize(state2, altered(DONE.cmsg2, i))
    for i in range(len(DONE.recovery_data)):
        with pytest.raises(frost.RecoveryDataError):
            frost.coordinator_recover(altered(DONE.recovery_data, i))
    for i in range(len(RUN.pmsgs1[1])):
        messages = [RUN.pmsgs1[0], altered(RUN.pmsgs1[1], i), RUN.pmsgs1[2]]
        assert (
            coordinator_error(messages)
            or finish_with(frost.coordinator_step1(messages, RUN.params)[1]) is None
        )


def test_an_altered_copy_of_the_coordinator_message_for_one_participant_changes_no_key() -> None:
    """A proof of possession is not in the transcript: whoever gets his own one altered finishes with the same key."""
    finished = 0
    for i in range(len(DONE.cmsg1)):
        try:
            state2, pmsg2 = RUN.step2(0, altered(DONE.cmsg1, i))
        except frost.ProtocolError:
            continue
        cert = pmsg2 + DONE.cmsg2[64:]
        try:
            output, recovery_data = frost.participant_finalize(state2, cert)
        except frost.FaultyCoordinatorError:
            continue
        assert (output.public, recovery_data) == (DONE.public, DONE.recovery_data)
        finished += 1
    assert finished == 64


@pytest.mark.parametrize("t", [0, 129, 2**31, 2**32 - 1])
def test_huge_counts_are_refused_at_once(t: int) -> None:
    for tail in (b"", bytes(162), bytes(162 * 200)):
        with pytest.raises(frost.RecoveryDataError):
            frost.coordinator_recover(t.to_bytes(4) + tail)


def test_wrong_lengths_are_value_errors_too() -> None:
    """As in the specification, so that a caller of the reference's functions finds what it expects."""
    assert issubclass(dkg_errors.ParticipantMsgError, ValueError)
    assert issubclass(dkg_errors.CoordinatorMsgError, ValueError)
    assert issubclass(dkg_errors.RecoveryAckMsgError, ValueError)
    assert isinstance(step2_error(DONE.cmsg1[:-1]), ValueError)
