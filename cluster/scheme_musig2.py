"""MuSig2 as a scheme of the cluster: BIP 327 signing with the nodes' own keys. A thin adapter over `musig2`.

There is nothing to generate: the keys stand in the roster, and everything follows from the charter. The ceremony
is the same all the same, and each step shows that all members computed one descriptor and one set of addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.charter import MUSIG2_SCHEME, Charter
from cluster.keys import Secrets
from cluster.outputs import aggregate_key, participant_keys, public_wallet, quorums
from cluster.scheme import Blame, KeygenTrouble, Known, Signer
from curve import Point, SecretScalar, tagged_hash
from musig2 import (
    AggregateKey,
    CoordinatorSession,
    InvalidContributionError,
    KeyShare,
    ProtocolError,
    SignerSession,
    key_sort,
    read_pubnonce,
)
from taproot import PublicWallet, SigningTask, WalletKey

NAME = MUSIG2_SCHEME
SPEC = "BIP327/1.0.3 BIP328 BIP390"


class Musig2Keys:
    """The participants' signing keys, and the aggregate of whichever of them sign together."""

    def __init__(self, pubkeys: Mapping[int, bytes]) -> None:
        self._pubkeys = dict(pubkeys)
        self._known: dict[frozenset[int], tuple[AggregateKey, tuple[int, ...]]] = {}

    @property
    def everybody(self) -> AggregateKey:
        """The aggregate key of all of them."""
        return self.of([Signer(participant, ()) for participant in self._pubkeys])[0]

    def of(self, signers: Sequence[Signer]) -> tuple[AggregateKey, tuple[int, ...]]:
        """The aggregate key of these signers and their order in it; ValueError for a stranger."""
        chosen = frozenset(signer.participant for signer in signers)
        if chosen not in self._known:
            strangers = chosen - self._pubkeys.keys()
            if strangers or len(chosen) != len(signers):
                raise ValueError("a signer is no participant of this key, or stands twice")
            by_key = {self._pubkeys[participant]: participant for participant in chosen}
            ordered = key_sort(list(by_key))
            self._known[chosen] = AggregateKey.of(ordered), tuple(by_key[key] for key in ordered)
        return self._known[chosen]


def ordered_nonces(signers: Sequence[Signer], order: Sequence[int], i: int) -> list[bytes]:
    """Everybody's public nonce for the i-th task, in the order of the aggregate key."""
    by_participant = {signer.participant: signer.pubnonces for signer in signers}
    return [by_participant[participant][i] for participant in order]


class Musig2Nonces:
    """One batch: a `SignerSession` per signing task, bound to key and message where the tasks are known already.

    They are where everybody must sign: n of n, or a leaf. In a tree of quorums who signs decides both.
    """

    def __init__(
        self,
        share: KeyShare,
        keys: Musig2Keys,
        count: int,
        tasks: Sequence[SigningTask] | None,
        extra: bytes,
        entropy: bytes,
    ) -> None:
        self._keys = keys
        key = None if tasks is None else keys.everybody
        self._sessions = tuple(
            SignerSession.open(
                share,
                rand=tagged_hash("assent/nonce", entropy, i.to_bytes(4, "big")),
                extra_in=tagged_hash("assent/nonce-extra", extra, i.to_bytes(4, "big")),
                key=key,
                tweaks=() if tasks is None else tasks[i].tweaks,
                msg=None if tasks is None else tasks[i].sighash,
            )
            for i in range(count)
        )
        self.pubnonces = tuple(session.pubnonce for session in self._sessions)

    def sign(self, signers: Sequence[Signer], tasks: Sequence[SigningTask]) -> tuple[bytes, ...]:
        """The partial signatures, each verified by this signer itself before it leaves."""
        try:
            counts = {len(tasks), *(len(signer.pubnonces) for signer in signers)}
            if counts != {len(self._sessions)}:
                raise ValueError("not one nonce per signing task")
            key, order = self._keys.of(signers)
            return tuple(
                session.sign(key, ordered_nonces(signers, order, i), tweaks=task.tweaks, msg=task.sighash)
                for i, (session, task) in enumerate(zip(self._sessions, tasks, strict=True))
            )
        except ProtocolError as error:
            raise ValueError(f"the order makes no session: {error}") from None
        finally:
            self.wipe()

    def wipe(self) -> None:
        """Destroy every nonce that is still unused."""
        for session in self._sessions:
            session.wipe()


class Musig2Share:
    """A participant's own signing key, in whatever aggregate it signs."""

    def __init__(self, secret: SecretScalar, pubkeys: Mapping[int, bytes]) -> None:
        self._share = KeyShare(secret)
        self._keys = Musig2Keys(pubkeys)

    def nonces(
        self, count: int, tasks: Sequence[SigningTask] | None, extra: bytes, entropy: bytes
    ) -> Musig2Nonces:
        """Fresh nonces, each from its own 32 bytes of the entropy."""
        return Musig2Nonces(self._share, self._keys, count, tasks, extra, entropy)


class Musig2Group:
    """The public keys for sessions: any set that the wallet admits signs as one key."""

    gives_nonces = True

    def __init__(self, pubkeys: Mapping[int, bytes]) -> None:
        self._keys = Musig2Keys(pubkeys)

    def point(self, participants: Sequence[int]) -> Point:
        """The aggregate of exactly these."""
        return self._keys.of([Signer(participant, ()) for participant in participants])[0].point

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """Two points each."""
        try:
            for pubnonce in pubnonces:
                read_pubnonce(pubnonce)
        except (ProtocolError, ValueError):
            return False
        return True

    def check(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> None:
        """Verify each partial signature that is here. Raises Blame."""
        for i, task in enumerate(tasks):
            session, order = self._session(signers, task, i)
            self._add(session, order, psigs, i)
            wrong = tuple(p for p in order if p in psigs and not session.verify(order.index(p)))
            if wrong:
                raise Blame(tuple(sorted(wrong)))

    def aggregate(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[tuple[bytes, ...], ...]:
        """One verified signature per task; partial signatures are looked at one by one only on failure."""
        signatures = []
        for i, task in enumerate(tasks):
            session, order = self._session(signers, task, i)
            self._add(session, order, psigs, i)
            try:
                signatures.append((session.aggregate(),))
            except InvalidContributionError as error:
                raise _blame(error, order) from None
        return tuple(signatures)

    def _session(
        self, signers: Sequence[Signer], task: SigningTask, i: int
    ) -> tuple[CoordinatorSession, tuple[int, ...]]:
        key, order = self._keys.of(signers)
        try:
            session = CoordinatorSession.open(
                key, tweaks=task.tweaks, msg=task.sighash, pubnonces=ordered_nonces(signers, order, i)
            )
        except InvalidContributionError as error:
            raise _blame(error, order) from None
        return session, order

    def _add(
        self,
        session: CoordinatorSession,
        order: tuple[int, ...],
        psigs: Mapping[int, Sequence[bytes]],
        i: int,
    ) -> None:
        for participant, parts in psigs.items():
            try:
                session.add(order.index(participant), parts[i])
            except (InvalidContributionError, ValueError):
                raise Blame((participant,)) from None


class Musig2Dealing:
    """A member's part in the ceremony: it says which descriptor it computed, and hears that all say the same."""

    def __init__(self, descriptor: str, n: int) -> None:
        """`n` is how many members say so."""
        self._descriptor = descriptor.encode()
        self._n = n
        self.message1 = _seen(self._descriptor)

    def second(self, message: bytes, entropy: bytes) -> bytes:
        """The same again, now that everybody's is known to be the same."""
        del entropy
        self._compare(message)
        return self.message1

    def finish(self, message: bytes) -> bytes:
        """The descriptor, which is all there is to keep beside charter and roster."""
        self._compare(message)
        return self._descriptor

    def _compare(self, message: bytes) -> None:
        if len(message) != 32 * self._n:  # a liar could have thousands named, in a letter too long to be sent
            raise KeygenTrouble("keygen-descriptor-or-coordinator")
        others = tuple(i for i in range(self._n) if message[32 * i : 32 * i + 32] != self.message1)
        if others:
            raise KeygenTrouble("keygen-descriptor-or-coordinator", others)

    def investigate(self, message: bytes) -> KeygenTrouble:
        """There is nothing to find out: who differs was said at once."""
        del message
        return KeygenTrouble("keygen-nothing-to-investigate")

    def wipe(self) -> None:
        """Nothing here is secret."""


class Musig2Gathering:
    """The coordinator's side: it compares what the members computed with what it computed itself."""

    def __init__(self, descriptor: str, messages: Sequence[bytes]) -> None:
        self._descriptor = descriptor.encode()
        self._joined = self._join(messages)

    def _join(self, messages: Sequence[bytes]) -> bytes:
        wanted = _seen(self._descriptor)
        others = tuple(i for i, message in enumerate(messages) if message != wanted)
        if others:
            raise KeygenTrouble("keygen-descriptor", others)
        return b"".join(messages)

    def message(self, participant: int) -> bytes:
        """What every member said."""
        del participant
        return self._joined

    def finish(self, messages: Sequence[bytes]) -> tuple[bytes, bytes]:
        """What every member said at last, and the descriptor."""
        return self._join(messages), self._descriptor

    def investigation(self, participant: int) -> bytes:
        """Nothing: nobody asks."""
        del participant
        return b""


class Musig2Key:
    """A MuSig2 wallet's public half."""

    def __init__(self, charter: Charter, recovery_data: bytes) -> None:
        self._charter = charter
        self._recovery_data = recovery_data
        self.wallet_key = main_key(charter)
        self.members = tuple(member.identity for member in charter.members)
        self.threshold = charter.t

    def group(self, ids: Mapping[int, int]) -> Musig2Group:
        """The keys for sessions."""
        keys = participant_keys(self._charter)
        return Musig2Group({participant: keys[own].public_key for participant, own in ids.items()})

    def check(self, public: PublicWallet) -> None:
        """The recovery data is the descriptor, to the letter."""
        if self._recovery_data != public.descriptor().encode():
            raise KeygenTrouble("recovery-data")

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """Nothing beside the acknowledgement that every scheme has: the recovery data holds no secret's image."""
        del participant
        return not ack


class Musig2:
    """The scheme itself."""

    name = NAME
    spec = SPEC

    def gathering(self, charter: Charter, messages: Sequence[bytes], known: Known) -> Musig2Gathering:
        """Begin the coordinator's side with everybody's first messages. Raises KeygenTrouble."""
        return Musig2Gathering(_descriptor(charter, known), messages)

    def read_key(self, charter: Charter, recovery_data: bytes) -> Musig2Key:
        """The public half; what it says of the recovery data is checked by `check`. Raises KeygenTrouble."""
        return Musig2Key(charter, recovery_data)

    def deal(self, charter: Charter, secrets: Secrets, entropy: bytes, known: Known) -> Musig2Dealing:
        """Begin a member's side. Raises KeygenTrouble."""
        del secrets, entropy
        return Musig2Dealing(_descriptor(charter, known), charter.n)

    def recover(self, charter: Charter, secrets: Secrets, recovery_data: bytes) -> Musig2Share:
        """This member's share: its own signing key. Raises KeygenTrouble unless the charter has it."""
        del recovery_data
        keys = participant_keys(charter)
        share = Musig2Share(secrets.signing_key, {i: keys[i].public_key for i in charter.cosigners})
        if secrets.signing_key.point().to_bytes() not in {m.signing_pubkey for m in charter.members}:
            raise KeygenTrouble("recovery-data")
        return share

    def acknowledge(self, charter: Charter, secrets: Secrets, recovery_data: bytes, entropy: bytes) -> bytes:
        """Nothing beside the acknowledgement that every scheme has."""
        del charter, secrets, recovery_data, entropy
        return b""


MUSIG2 = Musig2()
"""The one instance; it has no state."""


def main_key(charter: Charter) -> WalletKey:
    """What stands on the key path: the aggregate of all cosigners, or of the favourite quorum of a tree."""
    keys = participant_keys(charter)
    return aggregate_key(tuple(keys[i] for i in sorted(quorums(charter)[0])))


def _descriptor(charter: Charter, known: Known) -> str:
    others = {wallet_id: key.wallet_key for wallet_id, key in known.items()}
    try:
        return public_wallet(charter, main_key(charter), others).descriptor()
    except ValueError:
        raise KeygenTrouble("keygen-start") from None


def _seen(descriptor: bytes) -> bytes:
    return tagged_hash("assent/musig2/descriptor", descriptor)


def _blame(error: InvalidContributionError, order: tuple[int, ...]) -> Blame:
    return Blame(tuple(sorted(order[index] for index in error.culprits)))
