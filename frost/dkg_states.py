"""What a key generation leaves behind after each step, and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, NoReturn

from curve import SecretScalar
from frost.dkg_params import SessionParams
from frost.encpedpop import ParticipantState
from frost.errors import SessionStateError
from frost.simplpedpop import PublicDKGOutput

RecoveryData = NewType("RecoveryData", bytes)
"""4 + 33·t + 162·n bytes: the transcript and all n signatures on it. Public, but links keys to people."""


@dataclass(frozen=True, slots=True)
class DKGOutput:
    """What a participant has of a finished session.

    Attributes:
        secshare: this participant's secret share, Taproot tweak included. Prints as dots.
        thresh_pk: the threshold public key (33 bytes).
        pubshares: all participants' public shares (33 bytes each).
    """

    secshare: SecretScalar
    thresh_pk: bytes
    pubshares: tuple[bytes, ...]

    @property
    def public(self) -> PublicDKGOutput:
        """The part without the share."""
        return PublicDKGOutput(self.thresh_pk, self.pubshares)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")


class ParticipantState1:
    """A participant between its two steps. Single-use: `participant_step2` takes its contents."""

    __slots__ = ("_once", "params", "participant_id")

    def __init__(self, params: SessionParams, enc_state: ParticipantState) -> None:
        self.params = params
        self.participant_id = enc_state.participant_id
        self._once = [enc_state]

    def require_unused(self) -> None:
        """Raises SessionStateError once the state is used."""
        if not self._once:
            raise SessionStateError("participant_step2 has used this state already")

    def take(self) -> ParticipantState:
        """The contents, which are gone afterwards, also for another thread. Raises SessionStateError."""
        try:
            return self._once.pop()
        except IndexError:
            raise SessionStateError("participant_step2 has used this state already") from None

    def __reduce__(self) -> NoReturn:
        raise TypeError("session states are single-use: not pickled or copied")

    def __repr__(self) -> str:
        return "ParticipantState1(…)"


class ParticipantState2:
    """A participant that has signed, and waits for the certificate. Holds the share; `wipe()` forgets it.

    A wrong certificate does not use it up, because a right one may still come. A right one does.

    Attributes:
        transcript: what was signed. With the parameters it suffices to finish from a certificate after a
            restart.
    """

    __slots__ = ("_output", "params", "transcript")

    def __init__(self, params: SessionParams, transcript: bytes, output: DKGOutput) -> None:
        self.params = params
        self.transcript = transcript
        self._output: DKGOutput | None = output

    def peek(self) -> DKGOutput:
        """The output inside. Raises SessionStateError once it is used."""
        if self._output is None:
            raise SessionStateError("participant_finalize has used this state already, or it was wiped")
        return self._output

    def take(self) -> None:
        """Mark the state as used; the output is now its caller's."""
        self._output = None

    def wipe(self) -> None:
        """Forget the share."""
        if self._output is not None:
            self._output.secshare.wipe()
            self._output = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __repr__(self) -> str:
        return "ParticipantState2(…)"


@dataclass(frozen=True, slots=True)
class CoordinatorState:
    """The coordinator between its two steps. All of it is public."""

    params: SessionParams
    transcript: bytes
    output: PublicDKGOutput
