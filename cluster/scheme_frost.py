"""FROST as a scheme of the cluster: BIP 445 signing over a ChillDKG key. A thin adapter over `frost`."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.roster import Charter
from cluster.scheme import Blame, KeygenTrouble, PublicKeyInfo, Signer
from curve import SecretScalar, tagged_hash
from frost import (
    CoordinatorSession,
    InvalidContributionError,
    KeyShare,
    ParticipantState2,
    ProtocolError,
    SessionParams,
    SignerSession,
    ThresholdInfo,
    ThresholdKey,
    UnknownFaultyParticipantOrCoordinatorError,
    coordinator_check_msg1,
    coordinator_finalize,
    coordinator_investigate_for,
    coordinator_recover,
    coordinator_step1,
    nonce_agg,
    participant_finalize,
    participant_investigate,
    participant_recover,
    participant_recovery_ack_sign,
    participant_step1,
    participant_step2,
    recovery_ack_verify,
    validate_threshold_info,
)
from taproot import SigningTask

NAME = "frost"
SPEC = "BIP445/0.12.1 ChillDKG/0.3.0"


class FrostNonces:
    """One batch: a `SignerSession` per signing task."""

    def __init__(self, key: ThresholdKey, sessions: tuple[SignerSession, ...]) -> None:
        self._key = key
        self._sessions = sessions
        self.pubnonces = tuple(session.pubnonce for session in sessions)

    def sign(self, signers: Sequence[Signer]) -> tuple[bytes, ...]:
        """The partial signatures, each verified by this signer itself before it leaves (against fault attacks)."""
        try:
            if any(len(signer.pubnonces) != len(self._sessions) for signer in signers):
                raise ValueError("not one nonce per signing task")
            chosen = self._key.signers([signer.participant for signer in signers])
            return tuple(
                session.sign(chosen, {signer.participant: signer.pubnonces[i] for signer in signers})
                for i, session in enumerate(self._sessions)
            )
        except ProtocolError as error:
            raise ValueError(f"the order makes no session: {error}") from None
        finally:
            self.wipe()

    def wipe(self) -> None:
        """Destroy every nonce that is still unused."""
        for session in self._sessions:
            session.wipe()


class FrostShare:
    """A secret share, proven to fit its public share."""

    def __init__(self, share: KeyShare) -> None:
        self._share = share

    def nonces(self, tasks: Sequence[SigningTask], extra: bytes, entropy: bytes) -> FrostNonces:
        """Fresh nonces, each from its own 32 bytes of the entropy."""
        sessions = tuple(
            SignerSession.open(
                self._share,
                tweaks=task.tweaks,
                msg=task.sighash,
                rand=tagged_hash("assent/nonce", entropy, i.to_bytes(4, "big")),
                extra_in=extra,
            )
            for i, task in enumerate(tasks)
        )
        return FrostNonces(self._share.key, sessions)


class FrostDealing:
    """A ChillDKG participant between its steps."""

    def __init__(self, charter: Charter, host_key: SecretScalar, entropy: bytes) -> None:
        params = _params(charter)
        self._host_key = host_key
        self._state1, self.message1 = participant_step1(host_key, params, entropy)
        self._state2: ParticipantState2 | None = None
        self._error: UnknownFaultyParticipantOrCoordinatorError | None = None

    def second(self, message: bytes, entropy: bytes) -> bytes:
        """ChillDKG participant_step2: the point of no return."""
        try:
            self._state2, answer = participant_step2(self._host_key, self._state1, message, entropy)
        except UnknownFaultyParticipantOrCoordinatorError as error:
            self._error = error if error.inv_data is not None else None
            raise KeygenTrouble("keygen-investigate", investigate=self._error is not None) from None
        except (ProtocolError, ValueError) as error:
            raise _trouble("keygen-message", error) from None
        return answer

    def finish(self, message: bytes) -> bytes:
        """ChillDKG participant_finalize; the share itself comes from recovery, as after any restart."""
        if self._state2 is None:
            raise KeygenTrouble("keygen-lost")
        try:
            output, recovery_data = participant_finalize(self._state2, message)
        except (ProtocolError, ValueError) as error:
            raise _trouble("keygen-certificate", error) from None
        output.secshare.wipe()
        return bytes(recovery_data)

    def investigate(self, message: bytes) -> KeygenTrouble:
        """ChillDKG participant_investigate."""
        if self._error is None:
            return KeygenTrouble("keygen-nothing-to-investigate")
        try:
            participant_investigate(self._error, message)
        except (ProtocolError, ValueError) as error:
            return _trouble("keygen-investigated", error)

    def wipe(self) -> None:
        """Let go of every state; the host key is not this object's to wipe."""
        if self._state2 is not None:
            self._state2.wipe()
        if self._error is not None and self._error.inv_data is not None:
            self._error.inv_data.wipe()
        self._state2, self._error = None, None


class FrostGathering:
    """The coordinator's side of one ChillDKG session; all of it is public and can be made again from messages."""

    def __init__(self, charter: Charter, messages: Sequence[bytes]) -> None:
        self._params = _params(charter)
        self._messages = tuple(messages)
        try:
            for participant, message in enumerate(messages):
                coordinator_check_msg1(message, self._params, participant)
            self._state, self._message = coordinator_step1(messages, self._params)
        except (ProtocolError, ValueError) as error:
            raise _trouble("keygen-first-message", error) from None

    def message(self, participant: int) -> bytes:
        """The coordinator's first message; ChillDKG sends everybody the same."""
        del participant
        return self._message

    def finish(self, messages: Sequence[bytes]) -> tuple[bytes, bytes]:
        """ChillDKG coordinator_finalize."""
        try:
            certificate, _, recovery_data = coordinator_finalize(self._state, messages)
        except (ProtocolError, ValueError) as error:
            raise _trouble("keygen-second-message", error) from None
        return certificate, bytes(recovery_data)

    def investigation(self, participant: int) -> bytes:
        """ChillDKG coordinator_investigate, for one participant."""
        return coordinator_investigate_for(self._messages, self._params, participant)


class FrostKey:
    """A finished key's public half: validated once, so that sessions check nothing again."""

    def __init__(self, charter: Charter, recovery_data: bytes) -> None:
        try:
            public, params = coordinator_recover(recovery_data)
            if (params.t, params.hostpubkeys) != (charter.t, _params(charter).hostpubkeys):
                raise ValueError("the recovery data is of other members or another threshold")
            self._key = validate_threshold_info(ThresholdInfo(charter.t, public.thresh_pk, public.pubshares))
        except (ProtocolError, ValueError) as error:
            raise _trouble("recovery-data", error) from None
        self._params = params
        self._recovery_data = recovery_data
        # The certificate is left out: signatures can be made in more than one way, the transcript cannot.
        transcript = recovery_data[: -64 * charter.n]
        self.info = PublicKeyInfo(public.thresh_pk, tuple(public.pubshares), transcript)

    @property
    def threshold_key(self) -> ThresholdKey:
        """The validated key, for shares of it."""
        return self._key

    def aggregate(
        self, signers: Sequence[Signer], psigs: Sequence[Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[bytes, ...]:
        """One verified signature per task; partial signatures are looked at one by one only on failure."""
        chosen = self._key.signers([signer.participant for signer in signers])
        signatures = []
        for i, task in enumerate(tasks):
            try:
                session = CoordinatorSession.open(
                    chosen,
                    tweaks=task.tweaks,
                    msg=task.sighash,
                    pubnonces={signer.participant: signer.pubnonces[i] for signer in signers},
                )
                for signer, parts in zip(signers, psigs, strict=True):
                    session.add(signer.participant, parts[i])
                signatures.append(session.aggregate())
            except InvalidContributionError as error:
                raise Blame(error.culprits) from None
        return tuple(signatures)

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """Two points each; their sum is nobody's business here."""
        try:
            for pubnonce in pubnonces:
                nonce_agg([pubnonce], [0])
        except ProtocolError:
            return False
        return True

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """ChillDKG recovery acknowledgement of one participant."""
        return recovery_ack_verify(self._params, self._recovery_data, participant, ack)


class Frost:
    """The scheme itself."""

    name = NAME
    spec = SPEC

    def gathering(self, charter: Charter, messages: Sequence[bytes]) -> FrostGathering:
        """Begin the coordinator's side with everybody's first messages. Raises KeygenTrouble."""
        return FrostGathering(charter, messages)

    def read_key(self, charter: Charter, recovery_data: bytes) -> FrostKey:
        """Check recovery data whole against its charter, in public. Raises KeygenTrouble."""
        return FrostKey(charter, recovery_data)

    def deal(self, charter: Charter, host_key: SecretScalar, entropy: bytes) -> FrostDealing:
        """Begin a participant's side; `entropy` is 32 fresh random bytes. Raises KeygenTrouble."""
        try:
            return FrostDealing(charter, host_key, entropy)
        except (ProtocolError, ValueError) as error:
            raise _trouble("keygen-start", error) from None

    def recover(self, charter: Charter, host_key: SecretScalar, recovery_data: bytes) -> FrostShare:
        """This participant's share, from its host key and the recovery data. Raises KeygenTrouble."""
        key = FrostKey(charter, recovery_data)
        try:
            output, params = participant_recover(host_key, recovery_data)
            participant = params.participant_id(host_key.point().to_bytes())
            return FrostShare(KeyShare(key.threshold_key, participant, output.secshare))
        except (ProtocolError, ValueError) as error:
            raise _trouble("recovery-data", error) from None

    def acknowledge(
        self, charter: Charter, host_key: SecretScalar, recovery_data: bytes, entropy: bytes
    ) -> bytes:
        """This participant's acknowledgement that a copy of the recovery data exists (64 bytes)."""
        return participant_recovery_ack_sign(host_key, recovery_data, _params(charter), entropy)


FROST = Frost()
"""The one instance; it has no state."""


def _params(charter: Charter) -> SessionParams:
    return SessionParams([member.host_pubkey for member in charter.members], charter.t)


def _trouble(code: str, error: ProtocolError | ValueError) -> KeygenTrouble:
    """Trouble under our code; where the finding is only "this one or the coordinator", the code says so."""
    if not isinstance(error, ProtocolError):
        return KeygenTrouble(code)
    return KeygenTrouble(f"{code}-or-coordinator" if error.unsure else code, error.culprits)
