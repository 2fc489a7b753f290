"""The schemes this program speaks, and the wallets that exist under them (their public halves)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cluster.charter import Charter
from cluster.codec import encode
from cluster.outputs import public_wallet
from cluster.roster import RosterError, digest
from cluster.routes import Route, routes_of
from cluster.scheme import Blame, Gathering, Key, KeygenTrouble, Known, Scheme, SecretScheme, Signer
from cluster.scheme_frost import FROST
from cluster.scheme_musig2 import MUSIG2
from curve import schnorr_verify, tagged_hash
from taproot import PublicWallet, SigningTask, WalletPath

__all__ = [
    "SCHEMES",
    "Blame",
    "Gathering",
    "KeygenTrouble",
    "Route",
    "Signer",
    "Wallet",
    "check_named_wallets",
    "finished",
    "gather",
    "known_keys",
    "read_wallet",
    "scheme_of",
    "secret_scheme_of",
]

_TABLE: dict[str, Scheme] = {scheme.name: scheme for scheme in (FROST, MUSIG2)}
_SECRET: dict[str, SecretScheme] = {scheme.name: scheme for scheme in (FROST, MUSIG2)}

SCHEMES = tuple(f"{scheme.name} {scheme.spec}" for scheme in _TABLE.values())
"""What Hello says of them, with exact versions: unequal versions would blame honest signers."""

FIRST_ADDRESSES = 3
"""So many addresses of each branch every member acknowledges before one is shown."""

_ACK_BYTES = 64


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
    routes: Mapping[str, Route] = field(repr=False, compare=False)
    complete: bool = False
    next_receive: int = 0
    next_change: int = 0

    @property
    def wallet_id(self) -> bytes:
        """The charter's random id, 32 bytes."""
        return self.charter.wallet_id

    @property
    def next_indexes(self) -> tuple[int, int]:
        """The next unused index of each branch."""
        return self.next_receive, self.next_change

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
            parts.append(_sized(task.leaf_hash))
        return tagged_hash("assent/session", *parts)

    @property
    def acknowledgement(self) -> bytes:
        """What every member signs once its owner has a copy: charter, recovery data, descriptor, first addresses."""
        paths = [WalletPath(branch, i) for branch in (0, 1) for i in range(FIRST_ADDRESSES)]
        return tagged_hash(
            "assent/wallet-ack",
            digest(encode(self.charter)),
            _sized(self.recovery_data),
            _sized(self.public.descriptor().encode()),
            *(_sized(self.public.address(path).encode()) for path in paths),
        )

    def acknowledged_by(self, participant: int, ack: bytes) -> bool:
        """Whether this is that participant's acknowledgement of exactly this wallet.

        It is what the scheme wants said, and then a BIP 340 signature of `acknowledgement` by the host key.
        """
        own, signature = ack[:-_ACK_BYTES], ack[-_ACK_BYTES:]
        host_pubkey = self.charter.members[participant].host_pubkey
        return (
            len(signature) == _ACK_BYTES
            and self.key.acknowledged_by(participant, own)
            and schnorr_verify(host_pubkey[1:], self.acknowledgement, signature)
        )

    def acknowledged(self, acks: Sequence[bytes]) -> bool:
        """Whether these are all members' acknowledgements, in the charter's order."""
        return len(acks) == self.charter.n and all(
            self.acknowledged_by(participant, ack) for participant, ack in enumerate(acks)
        )


def known_keys(wallets: Mapping[bytes, Wallet]) -> Known:
    """The keys that leaves of further wallets may name: those of FROST wallets."""
    return {key: wallet.key for key, wallet in wallets.items() if wallet.charter.scheme == FROST.name}


def finished(wallets: Mapping[bytes, Wallet]) -> dict[bytes, Wallet]:
    """Those whose every member has acknowledged."""
    return {wallet_id: wallet for wallet_id, wallet in wallets.items() if wallet.complete}


def check_named_wallets(charter: Charter, known: Known) -> None:
    """Raises RosterError unless each wallet that a leaf names is a FROST wallet known here, as the leaf has it.

    Asked before any owner is: a key whose wallet nobody can read would end its ceremony nowhere.
    """
    members = sorted(member.identity for member in charter.members)
    for leaf in charter.leaves:
        if leaf.kind != "frost":
            continue
        other = known.get(leaf.wallet)
        if other is None:
            raise RosterError(f"leaf {leaf.name} names no FROST wallet that is finished here")
        if other.wallet_key.key.public_key != leaf.thresh_pk:
            raise RosterError(f"leaf {leaf.name} names a wallet with another key than it has")
        if sorted(other.members) != members:
            raise RosterError(f"leaf {leaf.name} names a wallet of other members")


def gather(charter: Charter, messages: Sequence[bytes], known: Known) -> Gathering:
    """Begin the coordinator's side of key generation with everybody's first messages. Raises KeygenTrouble."""
    return scheme_of(charter).gathering(charter, messages, known)


def read_wallet(charter: Charter, recovery_data: bytes, known: Known) -> Wallet:
    """The wallet that recovery data stands for, checked whole against its charter. Raises KeygenTrouble."""
    key = scheme_of(charter).read_key(charter, recovery_data)
    others = {wallet_id: other.wallet_key for wallet_id, other in known.items()}
    try:
        public = public_wallet(charter, key.wallet_key, others)
        routes = routes_of(charter, key, public, known)
    except ValueError:
        raise KeygenTrouble("wallet-leaf") from None
    key.check(public)
    return Wallet(charter, recovery_data, key, public, routes)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
