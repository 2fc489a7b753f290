"""What goes wrong in a key generation, named as in ChillDKG's reference, each naming whom it blames.

A message of the wrong length is a `ValueError` in the specification. Here it is that *and* a
`ProtocolError`, because it is a peer who sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frost.errors import ProtocolError

if TYPE_CHECKING:
    from frost.encpedpop import InvestigationData


class HostSeckeyError(ValueError):
    """The host secret key is invalid, or is not the key of a participant of this session."""


class RandomnessError(ValueError):
    """The randomness is all zeroes, so the random number generator is broken."""


class SessionParamsError(ValueError):
    """The participants and threshold given for a session make no session."""


class ThresholdOrCountError(SessionParamsError):
    """`1 <= t <= n <= 128` does not hold."""


class InvalidHostPubkeyError(SessionParamsError):
    """A host public key is not a compressed public key.

    Attributes:
        participant_id: whose key it is.
    """

    def __init__(self, participant_id: int) -> None:
        super().__init__(f"the host public key of participant {participant_id} is invalid")
        self.participant_id = participant_id


class DuplicateHostPubkeyError(SessionParamsError):
    """Two participants have the same host public key; at least one of them is faulty.

    Attributes:
        participant_id1: the first of the two.
        participant_id2: the second.
    """

    def __init__(self, participant_id1: int, participant_id2: int) -> None:
        super().__init__(
            f"participants {participant_id1} and {participant_id2} have the same host public key"
        )
        self.participant_id1 = participant_id1
        self.participant_id2 = participant_id2


class FaultyParticipantError(ProtocolError):
    """A participant is faulty: raised by the coordinator, of a message it knows to be that participant's.

    Attributes:
        participant_id: the faulty participant.
    """

    def __init__(self, participant_id: int, text: str) -> None:
        super().__init__(f"participant {participant_id}: {text}", culprits=(participant_id,))
        self.participant_id = participant_id


class UnknownFaultyParticipantError(ProtocolError):
    """Participants colluded against the session; the coordinator cannot tell which (not in the reference)."""

    @property
    def unsure(self) -> bool:
        """Always: nobody is named."""
        return True


class FaultyCoordinatorError(ProtocolError):
    """The coordinator is faulty: raised by a participant."""

    def __init__(self, text: str) -> None:
        super().__init__(f"coordinator: {text}", coordinator=True)


class FaultyParticipantOrCoordinatorError(ProtocolError):
    """A participant looks faulty to another one, unless the coordinator has framed it. Proves neither.

    Attributes:
        participant_id: the suspected participant.
    """

    def __init__(self, participant_id: int, text: str) -> None:
        super().__init__(
            f"participant {participant_id} or the coordinator: {text}",
            culprits=(participant_id,),
            coordinator=True,
        )
        self.participant_id = participant_id


class UnknownFaultyParticipantOrCoordinatorError(ProtocolError):
    """Some participant or the coordinator is faulty; `participant_investigate` may narrow it down.

    Attributes:
        inv_data: what the investigation needs. It is secret and single-use; None where there is nothing to
            investigate.
    """

    def __init__(self, inv_data: InvestigationData | None, text: str) -> None:
        super().__init__(f"an unknown participant or the coordinator: {text}", coordinator=True)
        self.inv_data = inv_data

    @property
    def unsure(self) -> bool:
        """Always: no participant is named, and the coordinator is only a suspect."""
        return True


class ParticipantMsgError(FaultyParticipantError, ValueError):
    """A participant's message has the wrong length (a `ValueError` in the reference)."""


class CoordinatorMsgError(FaultyCoordinatorError, ValueError):
    """A message of the coordinator has the wrong length (a `ValueError` in the reference)."""


class RecoveryDataError(ProtocolError, ValueError):
    """The recovery data is invalid. Nobody is blamed: whoever gave it may have had it from somebody else."""

    @property
    def unsure(self) -> bool:
        """Always: nobody is named."""
        return True


class InvalidRecoveryAckError(FaultyParticipantError):
    """A recovery acknowledgment is invalid. The session still succeeded; only a backup is unconfirmed."""

    def __init__(self, participant_id: int, text: str = "invalid recovery acknowledgment") -> None:
        super().__init__(participant_id, text)


class RecoveryAckMsgError(InvalidRecoveryAckError, ValueError):
    """A recovery acknowledgment has the wrong length (a `ValueError` in the reference)."""
