"""The schemes this program speaks, and the wallets that exist under them (their public halves)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cluster.roster import Charter
from cluster.scheme import Blame, Gathering, Key, KeygenTrouble, Scheme, SecretScheme, Signer
from cluster.scheme_frost import FROST
from curve import tagged_hash
from taproot import Network, PublicWallet, SigningTask, wallet_chain_code

__all__ = [
    "SCHEMES",
    "Blame",
    "Gathering",
    "KeygenTrouble",
    "Signer",
    "Wallet",
    "gather",
    "read_wallet",
    "scheme_of",
    "secret_scheme_of",
]

_TABLE: dict[str, Scheme] = {FROST.name: FROST}
_SECRET: dict[str, SecretScheme] = {FROST.name: FROST}

SCHEMES = tuple(f"{scheme.name} {scheme.spec}" for scheme in _TABLE.values())
"""What Hello says of them, with exact versions: unequal versions would blame honest signers."""


def scheme_of(charter: Charter) -> Scheme:
    """The scheme of a charter; ValueError, naming both versions, when this program does not speak it."""
    scheme = _TABLE.get(charter.scheme)
    if scheme is None:
        raise ValueError(f"scheme {charter.scheme} is unknown; this program speaks {', '.join(SCHEMES)}")
    if scheme.spec != charter.spec:
        raise ValueError(f"{charter.scheme} {charter.spec}, and this program speaks {scheme.spec}")
    return scheme


def secret_scheme_of(charter: Charter) -> SecretScheme:
    """The secret side of a charter's scheme, for the vault alone; ValueError as `scheme_of`."""
    return _SECRET[scheme_of(charter).name]


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet whose key exists; `complete` once every member acknowledged its recovery data.

    `next_receive` and `next_change` follow the highest addresses that are known to be used: a script counts as
    the wallet's own up to the gap limit beyond them.
    """

    charter: Charter
    recovery_data: bytes = field(repr=False)
    key: Key = field(repr=False, compare=False)
    public: PublicWallet = field(repr=False, compare=False)
    complete: bool = False
    next_receive: int = 0
    next_change: int = 0

    @property
    def wallet_id(self) -> bytes:
        """The charter's random id, 32 bytes."""
        return self.charter.wallet_id

    def having_used(self, next_receive: int, next_change: int) -> Wallet:
        """The wallet with all addresses below these indexes counted as used."""
        if next_receive <= self.next_receive and next_change <= self.next_change:
            return self
        return replace(
            self,
            next_receive=max(next_receive, self.next_receive),
            next_change=max(next_change, self.next_change),
        )

    def session_id(self, request_id: bytes, signers: Sequence[Signer], tasks: Sequence[SigningTask]) -> bytes:
        """What one session is called: a hash over everything that decides what its psigs mean (DESIGN 5.5)."""
        parts = [
            _sized(f"{self.charter.scheme} {self.charter.spec}".encode()),
            self.wallet_id,
            request_id,
            len(signers).to_bytes(4, "big"),
        ]
        for signer in sorted(signers, key=lambda signer: signer.participant):
            parts.append(signer.participant.to_bytes(4, "big"))
            parts.append(_sized(b"".join(signer.pubnonces)))
        parts.append(len(tasks).to_bytes(4, "big"))
        for task in tasks:
            parts.append(task.index.to_bytes(4, "big"))
            parts.append(task.sighash)
            tweaks = b"".join(tweak.tweak + bytes([tweak.is_xonly]) for tweak in task.tweaks)
            parts.append(_sized(tweaks))
            parts.append(_sized(task.leaf or b""))
        return tagged_hash("assent/session", *parts)

    def aggregate(
        self, signers: Sequence[Signer], psigs: Sequence[Sequence[bytes]], tasks: Sequence[SigningTask]
    ) -> tuple[bytes, ...]:
        """One verified signature per task, from everybody's partial signatures in the signers' order. Raises Blame."""
        return self.key.aggregate(signers, psigs, tasks)

    def takes_nonces(self, pubnonces: Sequence[bytes]) -> bool:
        """Whether every one is a public nonce at all: one that is not would end any session it is in."""
        return self.key.takes_nonces(pubnonces)

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """Whether this is that participant's acknowledgement of exactly this recovery data."""
        return self.key.acknowledged_by(participant, ack)

    def acknowledged(self, acks: Sequence[bytes]) -> bool:
        """Whether these are all members' acknowledgements, in the charter's order."""
        return len(acks) == self.charter.n and all(
            self.acknowledged_by(participant, ack) for participant, ack in enumerate(acks)
        )


def gather(charter: Charter, messages: Sequence[bytes]) -> Gathering:
    """Begin the coordinator's side of key generation with everybody's first messages. Raises KeygenTrouble."""
    return scheme_of(charter).gathering(charter, messages)


def read_wallet(charter: Charter, recovery_data: bytes) -> Wallet:
    """The wallet that recovery data stands for, checked whole against its charter. Raises KeygenTrouble."""
    key = scheme_of(charter).read_key(charter, recovery_data)
    info = key.info
    chain_code = wallet_chain_code(info.thresh_pk, info.transcript)
    public = PublicWallet(Network(charter.network), info.thresh_pk, chain_code)
    return Wallet(charter, recovery_data, key, public)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
