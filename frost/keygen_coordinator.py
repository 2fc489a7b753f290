"""The coordinator of a key generation as a small machine; `frost.keygen_session` is the participants' side.

It collects one message of each participant per round, names who sent a bad one, and gets no say in the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from frost.chilldkg import (
    coordinator_check_msg1,
    coordinator_check_msg2,
    coordinator_finalize,
    coordinator_investigate_for,
    coordinator_step1,
)
from frost.dkg_errors import FaultyParticipantError, InvalidRecoveryAckError
from frost.dkg_params import SessionParams
from frost.dkg_recovery import recovery_ack_verify
from frost.dkg_states import CoordinatorState, RecoveryData
from frost.errors import SessionStateError
from frost.keygen_session import expect_stage
from frost.simplpedpop import PublicDKGOutput


@dataclass(frozen=True, slots=True)
class Collecting1:
    """First messages are coming in."""

    pmsgs1: dict[int, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Collecting2:
    """`cmsg1` is out (162·n + 33·(t-1) bytes), second messages are coming in."""

    cmsg1: bytes = field(repr=False)
    inside: CoordinatorState = field(repr=False)
    pmsgs1: tuple[bytes, ...] = field(repr=False)
    pmsgs2: dict[int, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Certified:
    """The key exists. `cmsg2` (64·n bytes) goes to everybody; acknowledgments are coming in."""

    cmsg2: bytes = field(repr=False)
    output: PublicDKGOutput
    recovery_data: RecoveryData = field(repr=False)
    acks: dict[int, bytes] = field(default_factory=dict, repr=False)


CoordinatorStage = Collecting1 | Collecting2 | Certified


class KeygenCoordinator:
    """The coordinator's side of one key generation. It holds no secret and draws no randomness.

    So after a restart it is made again from the stored messages, in any order within each round, and says
    the same bytes as before.
    """

    __slots__ = ("_params", "_stage")

    def __init__(self, params: SessionParams) -> None:
        self._params = params
        self._stage: CoordinatorStage = Collecting1()

    @property
    def state(self) -> CoordinatorStage:
        """Where the session stands."""
        return self._stage

    @property
    def missing(self) -> tuple[int, ...]:
        """The ids of the participants whose message or acknowledgment this round still lacks."""
        match self._stage:
            case Collecting1(pmsgs1=here) | Collecting2(pmsgs2=here) | Certified(acks=here):
                return tuple(i for i in range(self._params.n) if i not in here)

    def receive_pmsg1(self, participant_id: int, pmsg1: bytes) -> None:
        """Take one first message (33·t + 32·n + 97 bytes); the same one may come again.

        Raises:
            FaultyParticipantError: an invalid message, or another one than before. Nothing is taken.
            SessionStateError: first messages are no longer collected.
            ValueError: no such participant.
        """
        stage = expect_stage(self._stage, Collecting1)
        self._require_id(participant_id)
        coordinator_check_msg1(pmsg1, self._params, participant_id)
        if stage.pmsgs1.setdefault(participant_id, pmsg1) != pmsg1:
            raise FaultyParticipantError(participant_id, "two different first messages")

    def step1(self) -> Collecting2:
        """Make the first message for all participants.

        Raises:
            UnknownFaultyParticipantError: participants colluded; the session is over.
            SessionStateError: a first message is missing, or this was done before.
        """
        stage = expect_stage(self._stage, Collecting1)
        pmsgs1 = self._in_order(stage.pmsgs1)
        inside, cmsg1 = coordinator_step1(pmsgs1, self._params)
        self._stage = collecting = Collecting2(cmsg1, inside, pmsgs1)
        return collecting

    def investigation(self, participant_id: int) -> bytes:
        """The message (65·n bytes) for a participant who reports an invalid share; nothing confidential.

        Answering does not end the session: the report may be false, and then all second messages may still
        come.

        Raises:
            SessionStateError: before `step1` or after `finalize`.
            ValueError: no such participant.
        """
        stage = expect_stage(self._stage, Collecting2)
        self._require_id(participant_id)
        return coordinator_investigate_for(stage.pmsgs1, self._params, participant_id)

    def receive_pmsg2(self, participant_id: int, pmsg2: bytes) -> None:
        """Take one second message (64 bytes); the first valid one counts.

        Raises:
            FaultyParticipantError: an invalid signature. Nothing is taken, and a valid one may still come.
            SessionStateError: second messages are not collected now.
            ValueError: no such participant.
        """
        stage = expect_stage(self._stage, Collecting2)
        self._require_id(participant_id)
        coordinator_check_msg2(stage.inside, pmsg2, participant_id)
        stage.pmsgs2.setdefault(participant_id, pmsg2)

    def finalize(self) -> Certified:
        """Make the certificate. Its recovery data is to be durable before the certificate leaves.

        Raises:
            SessionStateError: a second message is missing, or this was done before.
        """
        stage = expect_stage(self._stage, Collecting2)
        self._stage = certified = Certified(*coordinator_finalize(stage.inside, self._in_order(stage.pmsgs2)))
        return certified

    def receive_ack(self, participant_id: int, ack: bytes) -> None:
        """Take one acknowledgment of the recovery data (64 bytes); the first valid one counts.

        Raises:
            InvalidRecoveryAckError: names the participant. Nothing is taken.
            SessionStateError: there is no key yet.
            ValueError: no such participant.
        """
        stage = expect_stage(self._stage, Certified)
        self._require_id(participant_id)
        if not recovery_ack_verify(self._params, stage.recovery_data, participant_id, ack):
            raise InvalidRecoveryAckError(participant_id)
        stage.acks.setdefault(participant_id, ack)

    def acks(self) -> tuple[bytes, ...]:
        """Everybody's acknowledgments, for everybody. Raises SessionStateError while one is missing."""
        return self._in_order(expect_stage(self._stage, Certified).acks)

    def _in_order(self, messages: dict[int, bytes]) -> tuple[bytes, ...]:
        if self.missing:
            raise SessionStateError(f"still missing: participants {', '.join(map(str, self.missing))}")
        return tuple(messages[i] for i in range(self._params.n))

    def _require_id(self, participant_id: int) -> None:
        if not 0 <= participant_id < self._params.n:
            raise ValueError(f"no participant has the id {participant_id}")
