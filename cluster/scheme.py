"""What the cluster asks of a signature scheme: the shape that FROST has, and that every other kind must fit.

A scheme has a public half, `Scheme`, which coordinators and clients use too, and two secret halves, which live
only inside the vault: `Dealing` while a key is being made, `Share` once it exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cluster.roster import Charter
from curve import SecretScalar
from taproot import SigningTask


class Blame(Exception):
    """Partial signatures are invalid: the participants (indices) who signed what cannot be right."""

    def __init__(self, culprits: tuple[int, ...]) -> None:
        super().__init__(f"invalid partial signatures from participants {culprits}")
        self.culprits = culprits


class KeygenTrouble(Exception):
    """A step of key generation failed: a code, the participants blamed, and whether an investigation can tell more."""

    def __init__(self, code: str, culprits: tuple[int, ...] = (), *, investigate: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.culprits = culprits
        self.investigate = investigate


@dataclass(frozen=True, slots=True)
class Signer:
    """One signer of a session: its participant index and its public nonces (66 bytes), one per signing task."""

    participant: int
    pubnonces: tuple[bytes, ...]


class Nonces(Protocol):
    """Secret nonces of one batch, one per signing task; they serve one session and are wiped by it."""

    @property
    def pubnonces(self) -> tuple[bytes, ...]:
        """Their public halves, 66 bytes each."""

    def sign(self, signers: Sequence[Signer]) -> tuple[bytes, ...]:
        """The partial signatures (32 bytes each) for this session; the nonces are gone whatever happens.

        Raises:
            ValueError: the signers or nonces make no session, or the nonces are gone.
        """

    def wipe(self) -> None:
        """Destroy them unused."""


class Share(Protocol):
    """One participant's secret share of one key."""

    def nonces(self, tasks: Sequence[SigningTask], extra: bytes, entropy: bytes) -> Nonces:
        """Fresh nonces for these tasks; `extra` differs for each batch, `entropy` is 32 fresh random bytes."""


class Dealing(Protocol):
    """A participant's secrets while a key is being made; each step can be taken once."""

    @property
    def message1(self) -> bytes:
        """The first message."""

    def second(self, message: bytes, entropy: bytes) -> bytes:
        """The answer to the coordinator's first message. Raises KeygenTrouble."""

    def finish(self, message: bytes) -> bytes:
        """The recovery data, from the coordinator's second message. Raises KeygenTrouble."""

    def investigate(self, message: bytes) -> KeygenTrouble:
        """Who is to blame for a failed second step, from the coordinator's investigation message."""

    def wipe(self) -> None:
        """Destroy what is secret in it."""


class Gathering(Protocol):
    """The coordinator's side while a key is being made."""

    def message(self, participant: int) -> bytes:
        """The coordinator's first message, to one participant."""

    def finish(self, messages: Sequence[bytes]) -> tuple[bytes, bytes]:
        """From everybody's second messages: the coordinator's second, and the recovery data. Raises KeygenTrouble."""

    def investigation(self, participant: int) -> bytes:
        """What a participant needs to find out whom to blame."""


@dataclass(frozen=True, slots=True)
class PublicKeyInfo:
    """What recovery data says in public: the threshold key, the public shares (33 bytes each), the transcript."""

    thresh_pk: bytes
    pubshares: tuple[bytes, ...]
    transcript: bytes


class Key(Protocol):
    """A finished key's public half, ready for sessions."""

    @property
    def info(self) -> PublicKeyInfo:
        """What anyone may know of it."""

    def aggregate(
        self, signers: Sequence[Signer], psigs: Sequence[Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[bytes, ...]:
        """One verified BIP 340 signature (64 bytes) per task. Raises Blame, naming who sent an invalid part."""

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """Whether every one is a public nonce at all: one that is not would end any session it is in."""

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """Whether this is the participant's acknowledgement of exactly this recovery data."""


class Scheme(Protocol):
    """One way of sharing a key."""

    @property
    def name(self) -> str:
        """What charters call it."""

    @property
    def spec(self) -> str:
        """The exact versions of the specifications; unequal ones never share a session."""

    def gathering(self, charter: Charter, messages: Sequence[bytes]) -> Gathering:
        """Begin the coordinator's side with everybody's first messages. Raises KeygenTrouble."""

    def read_key(self, charter: Charter, recovery_data: bytes) -> Key:
        """Check recovery data whole against its charter, in public. Raises KeygenTrouble."""


class SecretScheme(Protocol):
    """The secret side of a scheme, for the vault alone."""

    def deal(self, charter: Charter, host_key: SecretScalar, entropy: bytes) -> Dealing:
        """Begin a participant's side; `entropy` is 32 fresh random bytes. Raises KeygenTrouble."""

    def recover(self, charter: Charter, host_key: SecretScalar, recovery_data: bytes) -> Share:
        """This participant's share, from its host key and the recovery data. Raises KeygenTrouble."""

    def acknowledge(
        self, charter: Charter, host_key: SecretScalar, recovery_data: bytes, entropy: bytes
    ) -> bytes:
        """This participant's acknowledgement that a copy of the recovery data exists (64 bytes)."""
