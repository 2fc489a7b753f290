"""What the cluster asks of a signature scheme: one shape for FROST, MuSig2 and the single keys of script leaves.

A scheme has a public half, `Scheme`, which coordinators and clients use too, and two secret halves, which live
only inside the vault: `Dealing` while a key is being made, `Share` once it exists. Who may sign together, and by
which leaf, is not a scheme's matter but that of `cluster.routes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cluster.charter import Charter
from cluster.keys import Secrets
from curve import Point
from taproot import PublicWallet, SigningTask, WalletKey


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
    """One signer of a session: its participant index and its public nonces (66 bytes), one per signing task.

    Where signing needs no nonces there are none.
    """

    participant: int
    pubnonces: tuple[bytes, ...]


class Nonces(Protocol):
    """Secret nonces of one batch; they serve one session and are wiped by it."""

    @property
    def pubnonces(self) -> tuple[bytes, ...]:
        """Their public halves, 66 bytes each: one per signing task, or none where signing needs no nonces."""

    def sign(self, signers: Sequence[Signer], tasks: Sequence[SigningTask]) -> tuple[bytes, ...]:
        """One partial signature per task for this session; the nonces are gone whatever happens.

        Raises:
            ValueError: the signers, nonces or tasks make no session, or the nonces are gone.
        """

    def wipe(self) -> None:
        """Destroy them unused."""


class Share(Protocol):
    """One participant's secret share of one key."""

    def nonces(self, count: int, tasks: Sequence[SigningTask] | None, extra: bytes, entropy: bytes) -> Nonces:
        """Fresh nonces for so many tasks.

        Args:
            tasks: what will be signed, where that is known before it is known who signs; it is bound into them.
            extra: differs for each batch.
            entropy: 32 fresh random bytes.
        """


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


class Group(Protocol):
    """A key that participants sign with together: its public half, ready for sessions."""

    @property
    def gives_nonces(self) -> bool:
        """Whether signers commit to nonces first; else each answers an order alone."""

    def point(self, participants: Sequence[int]) -> Point:
        """The key that exactly these sign with, untweaked; ValueError where there is none."""

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """Whether every one is a public nonce at all: one that is not would end any session it is in."""

    def check(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> None:
        """Verify the partial signatures that are here, one by one. Raises Blame."""

    def aggregate(
        self, signers: Sequence[Signer], psigs: Mapping[int, Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[tuple[bytes, ...], ...]:
        """The verified signatures of each task, as `taproot.finish` takes them. Raises Blame, naming the culprits."""


class Key(Protocol):
    """A finished wallet key's public half."""

    @property
    def wallet_key(self) -> WalletKey:
        """What stands on the key path."""

    @property
    def members(self) -> tuple[bytes, ...]:
        """The identity keys of its members, by participant."""

    @property
    def threshold(self) -> int:
        """How many participants sign at least."""

    def group(self, ids: Mapping[int, int]) -> Group:
        """The key for sessions; `ids` says which of its own participants each signer is."""

    def check(self, public: PublicWallet) -> None:
        """Check the recovery data against the wallet that came of it. Raises KeygenTrouble."""

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """Whether this is what the scheme wants a participant to say of exactly this recovery data."""


class Scheme(Protocol):
    """One way of sharing a key."""

    @property
    def name(self) -> str:
        """What charters call it."""

    @property
    def spec(self) -> str:
        """The exact versions of the specifications; unequal ones never share a session."""

    def gathering(self, charter: Charter, messages: Sequence[bytes], known: Known) -> Gathering:
        """Begin the coordinator's side with everybody's first messages. Raises KeygenTrouble."""

    def read_key(self, charter: Charter, recovery_data: bytes) -> Key:
        """Check recovery data against its charter, in public. Raises KeygenTrouble."""


class SecretScheme(Protocol):
    """The secret side of a scheme, for the vault alone."""

    def deal(self, charter: Charter, secrets: Secrets, entropy: bytes, known: Known) -> Dealing:
        """Begin a participant's side; `entropy` is 32 fresh random bytes. Raises KeygenTrouble."""

    def recover(self, charter: Charter, secrets: Secrets, recovery_data: bytes) -> Share:
        """This participant's share, from its keys and the recovery data. Raises KeygenTrouble."""

    def acknowledge(self, charter: Charter, secrets: Secrets, recovery_data: bytes, entropy: bytes) -> bytes:
        """What the scheme's own specification wants said once a copy of the recovery data exists; perhaps nothing."""


Known = Mapping[bytes, Key]
"""The finished FROST wallets that a leaf may name, by wallet id."""
