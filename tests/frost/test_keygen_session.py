"""Key generation as machines: order, repeats, faults, restarts."""

import copy
import pickle

import pytest
from dkg_runs import Run, altered, draw

import frost
from frost.dkg_messages import ParticipantMsg1

T, N = 2, 3
RUN = Run(T, N, "session")


def start(i: int) -> frost.KeygenParticipant:
    return frost.KeygenParticipant.start(RUN.keys[i], RUN.params, draw("session", "random", i))


def pmsg1_of(participant: frost.KeygenParticipant) -> bytes:
    assert isinstance(participant.state, frost.Started)
    return participant.state.pmsg1


def to_second() -> tuple[list[frost.KeygenParticipant], frost.KeygenCoordinator, bytes]:
    participants = [start(i) for i in range(N)]
    coordinator = frost.KeygenCoordinator(RUN.params)
    for i, participant in enumerate(participants):
        coordinator.receive_pmsg1(i, pmsg1_of(participant))
    return participants, coordinator, coordinator.step1().cmsg1


def to_certificate() -> tuple[list[frost.KeygenParticipant], frost.KeygenCoordinator, frost.Certified]:
    participants, coordinator, cmsg1 = to_second()
    for i, participant in enumerate(participants):
        coordinator.receive_pmsg2(i, participant.receive_cmsg1(RUN.keys[i], cmsg1, draw("aux", i)).pmsg2)
    return participants, coordinator, coordinator.finalize()


def test_an_honest_session() -> None:
    participants, coordinator, certified = to_certificate()
    for i, participant in enumerate(participants):
        finished = participant.receive_cmsg2(RUN.keys[i], certified.cmsg2)
        assert finished.output.public == certified.output
        assert finished.recovery_data == certified.recovery_data
        assert finished.output.secshare.point().to_bytes() == certified.output.pubshares[i]
        coordinator.receive_ack(i, participant.recovery_ack(RUN.keys[i], draw("ack", i)))
    for participant in participants:
        assert participant.receive_acks(coordinator.acks()) is participant.state


def test_the_coordinator_says_who_is_missing() -> None:
    coordinator = frost.KeygenCoordinator(RUN.params)
    coordinator.receive_pmsg1(2, RUN.pmsgs1[2])
    coordinator.receive_pmsg1(2, RUN.pmsgs1[2])  # a repeat
    assert list(coordinator.missing) == [0, 1]
    with pytest.raises(frost.SessionStateError, match="0, 1"):
        coordinator.step1()
    for i in (0, 1):
        coordinator.receive_pmsg1(i, RUN.pmsgs1[i])
    coordinator.step1()
    assert list(coordinator.missing) == [0, 1, 2]
    with pytest.raises(frost.SessionStateError):
        coordinator.finalize()


@pytest.mark.parametrize("bad_id", [-1, N])
def test_no_such_participant(bad_id: int) -> None:
    _, coordinator, _ = to_second()
    for call in (coordinator.receive_pmsg2, lambda i, _: coordinator.investigation(i)):
        with pytest.raises(ValueError, match="no participant"):
            call(bad_id, bytes(64))
    with pytest.raises(ValueError, match="no participant"):
        frost.KeygenCoordinator(RUN.params).receive_pmsg1(bad_id, RUN.pmsgs1[0])


def test_two_different_first_messages_convict_their_sender() -> None:
    coordinator = frost.KeygenCoordinator(RUN.params)
    coordinator.receive_pmsg1(1, RUN.pmsgs1[1])
    _, other = frost.participant_step1(RUN.keys[1], RUN.params, draw("other"))
    with pytest.raises(frost.FaultyParticipantError) as caught:
        coordinator.receive_pmsg1(1, other)
    assert caught.value.participant_id == 1


def test_steps_out_of_turn_raise_and_change_nothing() -> None:
    participants, coordinator, cmsg1 = to_second()
    p, key = participants[0], RUN.keys[0]
    for step in (
        lambda: p.receive_cmsg2(key, bytes(64 * N)),
        lambda: p.receive_recovery_data(key, b""),
        lambda: p.receive_cinv(b""),
        lambda: p.recovery_ack(key, draw("ack")),
        lambda: p.receive_acks([]),
        lambda: coordinator.receive_pmsg1(0, RUN.pmsgs1[0]),
        coordinator.step1,
        lambda: coordinator.receive_ack(0, bytes(64)),
        coordinator.acks,
    ):
        with pytest.raises(frost.SessionStateError):
            step()
    with pytest.raises(frost.HostSeckeyError):
        p.receive_cmsg1(RUN.keys[1], cmsg1, draw("aux"))
    undecided = p.receive_cmsg1(key, cmsg1, draw("aux"))
    assert p.state is undecided
    with pytest.raises(frost.SessionStateError):
        p.receive_cmsg1(key, cmsg1, draw("aux"))


def test_a_bad_second_message_is_not_taken_and_a_good_one_may_follow() -> None:
    participants, coordinator, cmsg1 = to_second()
    pmsg2 = participants[0].receive_cmsg1(RUN.keys[0], cmsg1, draw("aux")).pmsg2
    with pytest.raises(frost.FaultyParticipantError) as caught:
        coordinator.receive_pmsg2(0, altered(pmsg2, 3))
    assert caught.value.culprits == (0,)
    assert list(coordinator.missing) == [0, 1, 2]
    coordinator.receive_pmsg2(0, pmsg2)
    assert list(coordinator.missing) == [1, 2]


def test_an_undecided_participant_stays_so_until_the_right_certificate_comes() -> None:
    participants, _, certified = to_certificate()
    p, key = participants[1], RUN.keys[1]
    undecided = p.state
    for bad in (b"", altered(certified.cmsg2, 100), certified.cmsg2 + b"\0", bytes(64 * N)):
        with pytest.raises(frost.FaultyCoordinatorError):
            p.receive_cmsg2(key, bad)
        with pytest.raises(frost.RecoveryDataError):
            p.receive_recovery_data(key, certified.recovery_data[: -64 * N] + bad)
        assert p.state is undecided
    assert p.receive_cmsg2(key, certified.cmsg2).output.public == certified.output


@pytest.mark.parametrize("by", ["certificate", "recovery data"])
def test_a_restart_after_message_2_finishes_all_the_same(by: str) -> None:
    participants, _, certified = to_certificate()
    undecided = participants[2].state
    assert isinstance(undecided, frost.Undecided)
    written_down = pickle.loads(pickle.dumps((undecided.transcript, undecided.pmsg2)))
    again = frost.KeygenParticipant.resume(frost.Undecided(RUN.params, *written_down))
    if by == "certificate":
        finished = again.receive_cmsg2(RUN.keys[2], certified.cmsg2)
    else:
        finished = again.receive_recovery_data(RUN.keys[2], certified.recovery_data)
    assert finished.output.public == certified.output
    assert finished.output.secshare.point().to_bytes() == certified.output.pubshares[2]


def test_recovery_data_of_another_session_with_the_same_keys_is_refused() -> None:
    """It is genuine, but of another threshold key than the one that was agreed on here."""
    participants, _, _ = to_certificate()
    other = Run(T, N, "session")
    other.pmsgs1[0] = frost.participant_step1(other.keys[0], other.params, draw("else"))[1]
    cstate, cmsg1 = other.coordinate()
    state1, _ = frost.participant_step1(other.keys[0], other.params, draw("else"))
    pmsgs2 = [frost.participant_step2(other.keys[0], state1, cmsg1, draw("aux"))[1]]
    pmsgs2 += [other.step2(i, cmsg1)[1] for i in (1, 2)]
    _, _, recovery_data = frost.coordinator_finalize(cstate, pmsgs2)
    assert frost.coordinator_recover(recovery_data)[1] == RUN.params
    with pytest.raises(frost.RecoveryDataError, match="not of this session"):
        participants[0].receive_recovery_data(RUN.keys[0], recovery_data)


def test_a_restarted_coordinator_says_the_same_bytes() -> None:
    _, first, certified = to_certificate()
    participants, _, cmsg1 = to_second()
    again = frost.KeygenCoordinator(RUN.params)
    for i in (2, 0, 1):
        again.receive_pmsg1(i, RUN.pmsgs1[i])
    assert again.step1().cmsg1 == cmsg1
    for i in (1, 2, 0):
        again.receive_pmsg2(i, participants[i].receive_cmsg1(RUN.keys[i], cmsg1, draw("aux", i)).pmsg2)
    assert again.finalize() == certified
    assert first.state == certified


def test_an_acknowledgment_is_checked_when_it_comes_and_missing_ones_are_named() -> None:
    participants, coordinator, certified = to_certificate()
    finished = [p.receive_cmsg2(RUN.keys[i], certified.cmsg2) for i, p in enumerate(participants)]
    acks = [p.recovery_ack(RUN.keys[i], draw("ack", i)) for i, p in enumerate(participants)]
    for bad in (acks[1], b"", altered(acks[0], 0)):
        with pytest.raises(frost.InvalidRecoveryAckError) as caught:
            coordinator.receive_ack(0, bad)
        assert caught.value.participant_id == 0
    coordinator.receive_ack(0, acks[0])
    with pytest.raises(frost.SessionStateError, match="1, 2"):
        coordinator.acks()
    with pytest.raises(frost.InvalidRecoveryAckError) as caught:
        participants[0].receive_acks([acks[0], acks[0], acks[2]])
    assert caught.value.participant_id == 1
    assert participants[0].state is finished[0]


def faulty_session() -> tuple[list[frost.KeygenParticipant], frost.KeygenCoordinator, bytes]:
    """Participant 1 sends participant 0 a bad share."""
    message = ParticipantMsg1.from_bytes(RUN.pmsgs1[1], participant_id=1, t=T, n=N)
    shares = (-message.enc_shares[0], *message.enc_shares[1:])
    bad = ParticipantMsg1(message.com, message.pop, message.pubnonce, shares).to_bytes()
    participants = [start(i) for i in range(N)]
    coordinator = frost.KeygenCoordinator(RUN.params)
    for i, pmsg1 in enumerate((RUN.pmsgs1[0], bad, RUN.pmsgs1[2])):
        coordinator.receive_pmsg1(i, pmsg1)
    return participants, coordinator, coordinator.step1().cmsg1


def test_an_honest_investigation() -> None:
    participants, coordinator, cmsg1 = faulty_session()
    p = participants[0]
    with pytest.raises(frost.UnknownFaultyParticipantOrCoordinatorError):
        p.receive_cmsg1(RUN.keys[0], cmsg1, draw("aux"))
    assert isinstance(p.state, frost.Failed)
    assert p.state.can_investigate
    found = p.receive_cinv(coordinator.investigation(0))
    assert isinstance(found, frost.FaultyParticipantOrCoordinatorError)
    assert found.participant_id == 1
    assert isinstance(p.state, frost.Failed)
    assert p.state.error is found
    assert not p.state.can_investigate
    with pytest.raises(frost.SessionStateError):
        p.receive_cinv(coordinator.investigation(0))


def test_a_coordinator_that_hampers_the_investigation_is_the_suspect() -> None:
    participants, coordinator, cmsg1 = faulty_session()
    with pytest.raises(frost.ProtocolError):
        participants[0].receive_cmsg1(RUN.keys[0], cmsg1, draw("aux"))
    found = participants[0].receive_cinv(coordinator.investigation(0)[:-1])
    assert isinstance(found, frost.FaultyCoordinatorError)


def test_a_fault_before_message_2_ends_the_session_for_good() -> None:
    participants, _, cmsg1 = to_second()
    p = participants[0]
    with pytest.raises(frost.FaultyCoordinatorError):
        p.receive_cmsg1(RUN.keys[0], cmsg1[:-1], draw("aux"))
    assert isinstance(p.state, frost.Failed)
    assert not p.state.can_investigate
    with pytest.raises(frost.SessionStateError):
        p.receive_cmsg1(RUN.keys[0], cmsg1, draw("aux"))


def test_states_with_secrets_do_not_pickle() -> None:
    participants, _, certified = to_certificate()
    finished = participants[0].receive_cmsg2(RUN.keys[0], certified.cmsg2)
    for secret in (finished, participants[0], start(0), start(0).state):
        for door in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError):
                door(secret)
    assert finished.output.secshare.expose().hex() not in repr(finished)
