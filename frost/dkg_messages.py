"""The messages of a ChillDKG session: exact lengths, checked points and scalars, nothing else.

The sizes follow from t and n alone, so a reader knows how many bytes to expect before it reads one. Whom a
bad message is blamed on is decided by who reads it: a participant blames the coordinator, the coordinator a
participant.
"""

from __future__ import annotations

from dataclasses import dataclass

from curve import Point, Scalar
from frost.dkg_errors import (
    CoordinatorMsgError,
    FaultyCoordinatorError,
    FaultyParticipantError,
    ParticipantMsgError,
)
from frost.keys import MAX_PARTICIPANTS
from frost.vss import VSSCommitment, chunks, read_points, read_scalars, write_points, write_scalars


@dataclass(frozen=True, slots=True)
class ParticipantMsg1:
    """A participant's commitment, proof of possession, encryption nonce and encrypted shares."""

    com: VSSCommitment
    pop: bytes
    pubnonce: bytes  # validated by the participants who use it, as in the specification
    enc_shares: tuple[Scalar, ...]

    @staticmethod
    def len_bytes(*, t: int, n: int) -> int:
        """33·t + 32·n + 97."""
        return 33 * t + 64 + 33 + 32 * n

    @classmethod
    def from_bytes(cls, data: bytes, *, participant_id: int, t: int, n: int) -> ParticipantMsg1:
        """Read it, for the coordinator. Raises FaultyParticipantError."""
        if len(data) != cls.len_bytes(t=t, n=n):
            raise ParticipantMsgError(participant_id, "first message has the wrong length")
        com_end, pop_end, nonce_end = 33 * t, 33 * t + 64, 33 * t + 97
        try:
            com = VSSCommitment(read_points(data[:com_end]))
            enc_shares = read_scalars(data[nonce_end:])
        except ValueError as e:
            raise FaultyParticipantError(participant_id, "invalid commitment or encrypted share") from e
        return cls(com, data[com_end:pop_end], data[pop_end:nonce_end], enc_shares)

    def to_bytes(self) -> bytes:
        """The message as it goes to the coordinator."""
        return self.com.to_bytes() + self.pop + self.pubnonce + write_scalars(self.enc_shares)


@dataclass(frozen=True, slots=True)
class CoordinatorMsg1:
    """What the coordinator makes of the first messages; the same for all participants."""

    coms_to_secrets: tuple[Point, ...]
    sum_coms_to_nonconst_terms: tuple[Point, ...]
    pops: tuple[bytes, ...]
    pubnonces: tuple[bytes, ...]
    enc_secshares: tuple[Scalar, ...]

    @staticmethod
    def len_bytes(*, t: int, n: int) -> int:
        """162·n + 33·(t-1)."""
        return 33 * (t - 1) + (33 + 64 + 33 + 32) * n

    @classmethod
    def from_bytes(cls, data: bytes, *, t: int, n: int) -> CoordinatorMsg1:
        """Read it, for a participant. Raises FaultyCoordinatorError."""
        if len(data) != cls.len_bytes(t=t, n=n):
            raise CoordinatorMsgError("first message has the wrong length")
        coms_end = 33 * n
        sums_end = coms_end + 33 * (t - 1)
        pops_end = sums_end + 64 * n
        nonces_end = pops_end + 33 * n
        try:
            return cls(
                coms_to_secrets=read_points(data[:coms_end]),
                sum_coms_to_nonconst_terms=read_points(data[coms_end:sums_end]),
                pops=chunks(data[sums_end:pops_end], 64),
                pubnonces=chunks(data[pops_end:nonces_end], 33),
                enc_secshares=read_scalars(data[nonces_end:]),
            )
        except ValueError as e:
            raise FaultyCoordinatorError("invalid commitment or encrypted secret share") from e

    def to_bytes(self) -> bytes:
        """The message as it goes to every participant."""
        return (
            write_points(self.coms_to_secrets)
            + write_points(self.sum_coms_to_nonconst_terms)
            + b"".join(self.pops)
            + b"".join(self.pubnonces)
            + write_scalars(self.enc_secshares)
        )


@dataclass(frozen=True, slots=True)
class CoordinatorInvestigationMsg:
    """What one participant needs to find out who sent it a bad share. Holds nothing confidential."""

    enc_partial_secshares: tuple[Scalar, ...]
    partial_pubshares: tuple[Point, ...]

    @staticmethod
    def len_bytes(*, n: int) -> int:
        """65·n."""
        return (32 + 33) * n

    @classmethod
    def from_bytes(cls, data: bytes, *, n: int) -> CoordinatorInvestigationMsg:
        """Read it, for a participant. Raises FaultyCoordinatorError."""
        if len(data) != cls.len_bytes(n=n):
            raise CoordinatorMsgError("investigation message has the wrong length")
        try:
            return cls(read_scalars(data[: 32 * n]), read_points(data[32 * n :]))
        except ValueError as e:
            raise FaultyCoordinatorError("invalid encrypted partial secshare or partial pubshare") from e

    def to_bytes(self) -> bytes:
        """The message as it goes to its participant."""
        return write_scalars(self.enc_partial_secshares) + write_points(self.partial_pubshares)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What all participants must agree on, and sign: the recovery data without the signatures."""

    t: int
    sum_coms: VSSCommitment
    hostpubkeys: tuple[bytes, ...]
    pubnonces: tuple[bytes, ...]
    enc_secshares: tuple[Scalar, ...]

    @staticmethod
    def len_bytes(*, t: int, n: int) -> int:
        """4 + 33·t + 98·n."""
        return 4 + 33 * t + 98 * n

    @classmethod
    def from_bytes(cls, data: bytes) -> Transcript:
        """Read it. Raises ValueError; says nothing about whether the parameters in it make sense together."""
        t = int.from_bytes(data[:4])
        if not 1 <= t <= MAX_PARTICIPANTS:  # before any size is computed from it
            raise ValueError("threshold out of bounds")
        n, rest = divmod(len(data) - 4 - 33 * t, 98)
        if rest or not 1 <= n <= MAX_PARTICIPANTS:
            raise ValueError("wrong length")
        coms_end = 4 + 33 * t
        keys_end, nonces_end = coms_end + 33 * n, coms_end + 66 * n
        return cls(
            t=t,
            sum_coms=VSSCommitment(read_points(data[4:coms_end])),
            hostpubkeys=chunks(data[coms_end:keys_end], 33),
            pubnonces=chunks(data[keys_end:nonces_end], 33),
            enc_secshares=read_scalars(data[nonces_end:]),
        )

    def to_bytes(self) -> bytes:
        """The bytes that are signed (the reference's `eq_input`)."""
        return (
            self.t.to_bytes(4)
            + self.sum_coms.to_bytes()
            + b"".join(self.hostpubkeys)
            + b"".join(self.pubnonces)
            + write_scalars(self.enc_secshares)
        )


def split_recovery_data(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Cut recovery data into the bytes of its transcript and its n signatures. Raises ValueError."""
    t = int.from_bytes(data[:4])
    if not 1 <= t <= MAX_PARTICIPANTS:
        raise ValueError("threshold out of bounds")
    n, rest = divmod(len(data) - 4 - 33 * t, 98 + 64)
    if rest or not 1 <= n <= MAX_PARTICIPANTS:
        raise ValueError("wrong length")
    end = Transcript.len_bytes(t=t, n=n)
    return data[:end], chunks(data[end:], 64)
