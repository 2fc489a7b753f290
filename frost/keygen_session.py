"""A participant of a key generation as a small machine, for letters that come late or twice, and restarts.

    KeygenParticipant.start ── pmsg1 ──▶ KeygenCoordinator.receive_pmsg1 … step1
          .receive_cmsg1    ◀── cmsg1 ──
            (Undecided)     ── pmsg2 ──▶ .receive_pmsg2 … finalize
          .receive_cmsg2    ◀── cmsg2 ──
            (Finished)      ── ack ────▶ .receive_ack … acks
          .receive_acks     ◀── acks ──
          (Acknowledged)

The state is a value with a type, and a step out of turn raises `SessionStateError`. Host keys
are passed to the steps that need them and never kept. What a participant has signed is never signed again
or taken back: from `Undecided` the only way leads to `Finished`, by a certificate or by recovery data, in
this process or a later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from traceback import clear_frames
from typing import NoReturn, TypeVar

from frost.chilldkg import (
    participant_investigate,
    participant_step1,
    participant_step2,
)
from frost.dkg_errors import (
    CoordinatorMsgError,
    FaultyCoordinatorError,
    RecoveryDataError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from frost.dkg_params import HostSeckey, SessionParams
from frost.dkg_recovery import (
    participant_recover,
    participant_recovery_ack_sign,
    participant_recovery_acks_verify,
)
from frost.dkg_states import DKGOutput, ParticipantState1, RecoveryData
from frost.errors import ProtocolError, SessionStateError

# The states of a participant


class Started:
    """Message 1 is out. A restart loses this, which is harmless: the session is given up."""

    __slots__ = ("pmsg1", "state1")

    def __init__(self, pmsg1: bytes, state1: ParticipantState1) -> None:
        self.pmsg1 = pmsg1
        self.state1 = state1

    def __reduce__(self) -> NoReturn:
        raise TypeError("session states are single-use: not pickled or copied")


@dataclass(frozen=True, slots=True)
class Failed:
    """Step 2 found a fault and message 2 was never made, so this session cannot succeed for anybody.

    Attributes:
        error: the fault.
        can_investigate: the coordinator may be asked for an investigation message, to learn whose fault it
            is.
    """

    error: ProtocolError

    @property
    def can_investigate(self) -> bool:
        """Whether an investigation message of the coordinator could tell more."""
        error = self.error
        return isinstance(error, UnknownFaultyParticipantOrCoordinatorError) and error.inv_data is not None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Message 2 may be out, so others may hold a certificate. Durable *before* `pmsg2` leaves; all public.

    Attributes:
        transcript: what was signed; with a certificate it becomes the recovery data.
    """

    params: SessionParams
    transcript: bytes = field(repr=False)
    pmsg2: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The key exists. `recovery_data` is to be durable *before* it is acknowledged."""

    params: SessionParams
    output: DKGOutput
    recovery_data: RecoveryData = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Everybody has the recovery data: the key may be used."""

    finished: Finished
    acks: tuple[bytes, ...] = field(repr=False)


ParticipantStage = Started | Failed | Undecided | Finished | Acknowledged

_Stage = TypeVar("_Stage")


def expect_stage(stage: object, kind: type[_Stage]) -> _Stage:
    """The stage, if it is of this kind; raises SessionStateError otherwise."""
    if not isinstance(stage, kind):
        raise SessionStateError(f"this step needs the state {kind.__name__}, not {type(stage).__name__}")
    return stage


class KeygenParticipant:
    """A participant's side of one key generation."""

    __slots__ = ("_params", "_stage")

    def __init__(self, params: SessionParams, stage: ParticipantStage) -> None:
        """For `start` and `resume`."""
        self._params = params
        self._stage: ParticipantStage = stage

    @classmethod
    def start(cls, hostseckey: HostSeckey, params: SessionParams, random: bytes) -> KeygenParticipant:
        """Begin; the first message is in the state (`participant_step1`, with its errors).

        Args:
            random: 32 bytes, fresh for this session and never stored.
        """
        state1, pmsg1 = participant_step1(hostseckey, params, random)
        return cls(params, Started(pmsg1, state1))

    @classmethod
    def resume(cls, undecided: Undecided) -> KeygenParticipant:
        """Go on after a restart, with what was written down before message 2 left."""
        return cls(undecided.params, undecided)

    @property
    def state(self) -> ParticipantStage:
        """Where this participant stands."""
        return self._stage

    def receive_cmsg1(self, hostseckey: HostSeckey, cmsg1: bytes, aux_rand: bytes) -> Undecided:
        """Check the coordinator's first message and sign: **the point of no return**.

        Write down what is returned, then send its `pmsg2`; on a repeated request send the same bytes again.
        From here on the host key must never be erased. The share is not kept: it comes back with the
        certificate.

        Raises:
            ProtocolError: as `participant_step2`; the session is now `Failed`, and perhaps `can_investigate`.
            SessionStateError: not `Started`.
            HostSeckeyError, ValueError: a slip of the caller, which changes nothing.
        """
        started = expect_stage(self._stage, Started)
        try:
            state2, pmsg2 = participant_step2(hostseckey, started.state1, cmsg1, aux_rand)
        except ProtocolError as error:
            # The error stays, and with it the frames it went through: none of them may keep the host key.
            del hostseckey
            clear_frames(error.__traceback__)
            self._stage = Failed(error)
            raise
        self._stage = undecided = Undecided(self._params, state2.transcript, pmsg2)
        state2.wipe()
        return undecided

    def receive_cinv(self, cinv: bytes) -> ProtocolError:
        """Learn from the coordinator's investigation message whose fault it was; returns that error.

        Raises:
            SessionStateError: there is nothing to investigate.
        """
        failed = expect_stage(self._stage, Failed)
        if not failed.can_investigate or not isinstance(
            failed.error, UnknownFaultyParticipantOrCoordinatorError
        ):
            raise SessionStateError("there is nothing to investigate")
        try:
            participant_investigate(failed.error, cinv)
        except ProtocolError as found:
            self._stage = Failed(found)
            return found

    def receive_cmsg2(self, hostseckey: HostSeckey, cmsg2: bytes) -> Finished:
        """Finish from the certificate (64·n bytes). Works the same before and after a restart.

        Raises:
            FaultyCoordinatorError: an invalid certificate. **Not** the end: this participant stays
                undecided, because a valid one may exist.
            SessionStateError: not `Undecided`.
            HostSeckeyError, ValueError: not the host key of this session.
        """
        undecided = expect_stage(self._stage, Undecided)
        if len(cmsg2) != 64 * self._params.n:
            raise CoordinatorMsgError("second message has the wrong length")
        recovery_data = RecoveryData(undecided.transcript + cmsg2)
        try:
            output, _ = participant_recover(hostseckey, recovery_data)
        except RecoveryDataError as e:
            raise FaultyCoordinatorError("certificate with an invalid signature") from e
        self._stage = finished = Finished(self._params, output, recovery_data)
        return finished

    def receive_recovery_data(self, hostseckey: HostSeckey, recovery_data: bytes) -> Finished:
        """Finish from somebody else's recovery data, which need not be trusted.

        Raises:
            RecoveryDataError: not of this session, or without a valid certificate. This participant stays
                undecided.
            SessionStateError: not `Undecided`.
            HostSeckeyError, ValueError: not the host key of this session.
        """
        undecided = expect_stage(self._stage, Undecided)
        end = len(undecided.transcript)
        if recovery_data[:end] != undecided.transcript:
            # It may be genuine, of another session with the same keys; but then it is another key.
            raise RecoveryDataError("this recovery data is not of this session")
        try:
            return self.receive_cmsg2(hostseckey, recovery_data[end:])
        except FaultyCoordinatorError as e:
            raise RecoveryDataError("invalid certificate in recovery data") from e

    def recovery_ack(self, hostseckey: HostSeckey, aux_rand: bytes) -> bytes:
        """Acknowledge the recovery data (64 bytes); only once it is durable. May be repeated.

        Raises:
            SessionStateError: not `Finished`.
            HostSeckeyError, ValueError: not the host key of this session, or `aux_rand` is not 32 bytes.
        """
        finished = expect_stage(self._stage, Finished)
        return participant_recovery_ack_sign(hostseckey, finished.recovery_data, self._params, aux_rand)

    def receive_acks(self, acks: Sequence[bytes]) -> Acknowledged:
        """Check everybody's acknowledgment, in the order of the ids: before that, no address is shown.

        Raises:
            InvalidRecoveryAckError: names the participant. The key exists all the same.
            SessionStateError: not `Finished`.
            ValueError: not n acknowledgments.
        """
        finished = expect_stage(self._stage, Finished)
        participant_recovery_acks_verify(finished.recovery_data, self._params, acks)
        self._stage = acknowledged = Acknowledged(finished, tuple(acks))
        return acknowledged
