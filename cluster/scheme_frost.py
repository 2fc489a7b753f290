"""FROST as a scheme of the cluster: BIP 445 signing over a ChillDKG key. A thin adapter over `frost`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cluster.charter import FROST_SCHEME, Charter
from cluster.keys import Secrets
from cluster.scheme import Blame, KeygenTrouble, Known, Signer
from curve import Point, SecretScalar, tagged_hash
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
from taproot import ExtendedKey, PublicWallet, SigningTask, WalletKey, wallet_chain_code

NAME = FROST_SCHEME
SPEC = "BIP445/0.12.1 ChillDKG/0.3.0"


class FrostNonces:
    """One batch: a `SignerSession` per signing task."""

    def __init__(
        self,
        share: KeyShare,
        ids: Mapping[int, int],
        tasks: Sequence[SigningTask],
        extra: bytes,
        entropy: bytes,
    ) -> None:
        self._key = share.key
        self._ids = ids
        self._tasks = tuple(tasks)
        self._sessions = tuple(
            SignerSession.open(
                share,
                tweaks=task.tweaks,
                msg=task.sighash,
                rand=tagged_hash("assent/nonce", entropy, i.to_bytes(4, "big")),
                extra_in=extra,
            )
            for i, task in enumerate(tasks)
        )
        self.pubnonces = tuple(session.pubnonce for session in self._sessions)

    def sign(self, signers: Sequence[Signer], tasks: Sequence[SigningTask]) -> tuple[bytes, ...]:
        """The partial signatures, each verified by this signer itself before it leaves (against fault attacks)."""
        try:
            if tuple(tasks) != self._tasks:
                raise ValueError("the nonces were made for other tasks")
            if any(len(signer.pubnonces) != len(self._sessions) for signer in signers):
                raise ValueError("not one nonce per signing task")
            chosen = self._key.signers([self._ids[signer.participant] for signer in signers])
            return tuple(
                session.sign(
                    chosen, {self._ids[signer.participant]: signer.pubnonces[i] for signer in signers}
                )
                for i, session in enumerate(self._sessions)
            )
        except (ProtocolError, KeyError) as error:
            raise ValueError(f"the order makes no session: {error}") from None
        finally:
            self.wipe()

    def wipe(self) -> None:
        """Destroy every nonce that is still unused."""
        for session in self._sessions:
            session.wipe()


class FrostShare:
    """A secret share, proven to fit its public share.

    Args:
        ids: which FROST participant each participant of the wallet is; by default the same.
    """

    def __init__(self, share: KeyShare, ids: Mapping[int, int] | None = None) -> None:
        self._share = share
        self._ids = {i: i for i in range(share.key.n)} if ids is None else ids

    def nonces(
        self, count: int, tasks: Sequence[SigningTask] | None, extra: bytes, entropy: bytes
    ) -> FrostNonces:
        """Fresh nonces, each from its own 32 bytes of the entropy."""
        if tasks is None or len(tasks) != count:
            raise ValueError("a FROST wallet's tasks do not depend on who signs")
        return FrostNonces(self._share, self._ids, tasks, extra, entropy)

    def under(self, ids: Mapping[int, int]) -> FrostShare:
        """The same share in a wallet whose participants are numbered otherwise."""
        return FrostShare(self._share, ids)


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


class FrostGroup:
    """A threshold key for sessions; `ids` says which FROST participant each signer is."""

    gives_nonces = True

    def __init__(self, key: ThresholdKey, ids: Mapping[int, int]) -> None:
        self._key = key
        self._ids = ids

    def point(self, participants: Sequence[int]) -> Point:
        """The threshold key, whoever signs."""
        del participants
        return self._key.thresh_pk

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """Two points each; their sum is nobody's business here."""
        try:
            for pubnonce in pubnonces:
                nonce_agg([pubnonce], [0])
        except ProtocolError:
            return False
        return True

    def check(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> None:
        """Verify each partial signature that is here. Raises Blame."""
        for i, session in enumerate(self._sessions(signers, tasks)):
            self._add(session, psigs, i)
            wrong = tuple(p for p in sorted(psigs) if not session.verify(self._ids[p]))
            if wrong:
                raise Blame(wrong)

    def aggregate(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[tuple[bytes, ...], ...]:
        """One verified signature per task; partial signatures are looked at one by one only on failure."""
        signatures = []
        for i, session in enumerate(self._sessions(signers, tasks)):
            self._add(session, psigs, i)
            try:
                signatures.append((session.aggregate(),))
            except InvalidContributionError as error:
                raise self._blame(error) from None
        return tuple(signatures)

    def _sessions(
        self, signers: Sequence[Signer], tasks: Sequence[SigningTask]
    ) -> Iterator[CoordinatorSession]:
        chosen = self._key.signers([self._ids[signer.participant] for signer in signers])
        for i, task in enumerate(tasks):
            pubnonces = {self._ids[signer.participant]: signer.pubnonces[i] for signer in signers}
            try:
                yield CoordinatorSession.open(
                    chosen, tweaks=task.tweaks, msg=task.sighash, pubnonces=pubnonces
                )
            except InvalidContributionError as error:
                raise self._blame(error) from None

    def _add(self, session: CoordinatorSession, psigs: Mapping[int, Sequence[bytes]], i: int) -> None:
        for participant, parts in psigs.items():
            try:
                session.add(self._ids[participant], parts[i])
            except ValueError:  # of another size
                raise Blame((participant,)) from None
            except InvalidContributionError as error:
                raise self._blame(error) from None

    def _blame(self, error: InvalidContributionError) -> Blame:
        return Blame(tuple(p for p, own in self._ids.items() if own in error.culprits))


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
        chain_code = wallet_chain_code(public.thresh_pk, transcript)
        self.wallet_key = WalletKey(ExtendedKey(public.thresh_pk, chain_code))
        self.members = tuple(member.identity for member in charter.members)
        self.threshold = charter.t

    @property
    def threshold_key(self) -> ThresholdKey:
        """The validated key, for shares of it."""
        return self._key

    def group(self, ids: Mapping[int, int]) -> FrostGroup:
        """The key for sessions."""
        return FrostGroup(self._key, ids)

    def check(self, public: PublicWallet) -> None:
        """Nothing: ChillDKG's transcript says what the key is, and all else follows from the charter."""

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """ChillDKG recovery acknowledgement of one participant."""
        return recovery_ack_verify(self._params, self._recovery_data, participant, ack)


class Frost:
    """The scheme itself."""

    name = NAME
    spec = SPEC

    def gathering(self, charter: Charter, messages: Sequence[bytes], known: Known) -> FrostGathering:
        """Begin the coordinator's side with everybody's first messages. Raises KeygenTrouble."""
        del known
        return FrostGathering(charter, messages)

    def read_key(self, charter: Charter, recovery_data: bytes) -> FrostKey:
        """Check recovery data whole against its charter, in public. Raises KeygenTrouble."""
        return FrostKey(charter, recovery_data)

    def deal(self, charter: Charter, secrets: Secrets, entropy: bytes, known: Known) -> FrostDealing:
        """Begin a participant's side; `entropy` is 32 fresh random bytes. Raises KeygenTrouble."""
        del known
        try:
            return FrostDealing(charter, secrets.host_key, entropy)
        except (ProtocolError, ValueError) as error:
            raise _trouble("keygen-start", error) from None

    def recover(self, charter: Charter, secrets: Secrets, recovery_data: bytes) -> FrostShare:
        """This participant's share, from its host key and the recovery data. Raises KeygenTrouble."""
        key, host_key = FrostKey(charter, recovery_data), secrets.host_key
        try:
            output, params = participant_recover(host_key, recovery_data)
            participant = params.participant_id(host_key.point().to_bytes())
            return FrostShare(KeyShare(key.threshold_key, participant, output.secshare))
        except (ProtocolError, ValueError) as error:
            raise _trouble("recovery-data", error) from None

    def acknowledge(self, charter: Charter, secrets: Secrets, recovery_data: bytes, entropy: bytes) -> bytes:
        """This participant's acknowledgement that a copy of the recovery data exists (64 bytes)."""
        return participant_recovery_ack_sign(secrets.host_key, recovery_data, _params(charter), entropy)


FROST = Frost()
"""The one instance; it has no state."""


def _params(charter: Charter) -> SessionParams:
    return SessionParams([member.host_pubkey for member in charter.members], charter.t)


def _trouble(code: str, error: ProtocolError | ValueError) -> KeygenTrouble:
    """Trouble under our code; where the finding is only "this one or the coordinator", the code says so."""
    if not isinstance(error, ProtocolError):
        return KeygenTrouble(code)
    return KeygenTrouble(f"{code}-or-coordinator" if error.unsure else code, error.culprits)
