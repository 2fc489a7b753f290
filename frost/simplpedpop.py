"""SimplPedPop: Pedersen's key generation with proofs of possession, the innermost layer of ChillDKG.

Nothing here is encrypted or agreed upon; `encpedpop` and `chilldkg` see to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curve import Point, Scalar, SecretScalar, tagged_hash
from frost.dkg_errors import (
    FaultyCoordinatorError,
    FaultyParticipantOrCoordinatorError,
    UnknownFaultyParticipantError,
)
from frost.vss import BIP_TAG, VSS, VSSCommitment, hash_to_scalar

POP_TAG = BIP_TAG + "pop message"


# Proofs of possession


def pop_prove(secret: SecretScalar, participant_id: int, aux_rand: bytes) -> bytes:
    """Prove knowledge of the shared secret (64 bytes): BIP 340 with ChillDKG's own tags."""
    P = secret.point()
    d = secret.mul(Scalar(1)) if P.has_even_y() else secret.negate()
    msg = participant_id.to_bytes(4)
    masked = d.masked(tagged_hash(POP_TAG + "/aux", aux_rand))
    k0 = SecretScalar.derive(POP_TAG + "/nonce", masked, P.xonly(), msg)
    R = k0.point()
    k = k0.mul(Scalar(1)) if R.has_even_y() else k0.negate()
    e = hash_to_scalar(POP_TAG + "/challenge", R.xonly(), P.xonly(), msg)
    ed = d.mul(e)
    s = k.add(ed)
    sig = R.xonly() + s.expose()
    for used in (d, masked, k0, k, ed, s):
        used.wipe()
    return sig


def pop_verify(pop: bytes, com_to_secret: Point, participant_id: int) -> bool:
    """Whether a proof (64 bytes) is the named participant's for this commitment, which is not infinity."""
    try:
        s = Scalar.from_bytes(pop[32:])
    except ValueError:
        return False
    P = com_to_secret if com_to_secret.has_even_y() else -com_to_secret
    e = hash_to_scalar(POP_TAG + "/challenge", pop[:32], P.xonly(), participant_id.to_bytes(4))
    R = (-e * P).add_generator_times(s)
    return not R.is_infinity and R.has_even_y() and R.xonly() == pop[:32]


# Participant


@dataclass(frozen=True, slots=True)
class PublicDKGOutput:
    """What a key generation gives everybody, the coordinator included.

    Attributes:
        thresh_pk: the threshold public key (33 bytes).
        pubshares: the participants' public shares (33 bytes each), in the order of their ids.
    """

    thresh_pk: bytes
    pubshares: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Dealt:
    """What a first step makes: public commitment and proof, and a secret share for each participant."""

    com: VSSCommitment
    pop: bytes
    partial_secshares: tuple[SecretScalar, ...]


def participant_step1(seed: SecretScalar, t: int, n: int, participant_id: int, aux_rand: bytes) -> Dealt:
    """Deal shares of a fresh secret to n participants, with a proof of possession."""
    vss = VSS.generate(seed, t)
    dealt = Dealt(
        com=vss.commit(),
        pop=pop_prove(vss.secret(), participant_id, aux_rand),
        partial_secshares=tuple(vss.secshare_for(i) for i in range(n)),
    )
    vss.wipe()
    return dealt


def check_contributions(
    coms_to_secrets: Sequence[Point], pops: Sequence[bytes], participant_id: int, com_to_secret: Point
) -> None:
    """Check, as a participant, what the coordinator says the others contributed (`participant_step2`).

    Raises:
        FaultyCoordinatorError: it changed our own commitment.
        FaultyParticipantOrCoordinatorError: an infinite commitment or an invalid proof.
    """
    if coms_to_secrets[participant_id] != com_to_secret:
        raise FaultyCoordinatorError("unexpected first group element for local participant id")
    for i, (com, pop) in enumerate(zip(coms_to_secrets, pops, strict=True)):
        if i == participant_id:
            continue  # our own; and a proof that was changed on the way harms only the one who reads it
        if com.is_infinity:
            raise FaultyParticipantOrCoordinatorError(i, "invalid commitment")
        if not pop_verify(pop, com, i):
            raise FaultyParticipantOrCoordinatorError(i, "invalid proof of possession")


def verify_secshare(secshare: SecretScalar | None, pubshare: Point) -> bool:
    """Whether a secret share (None is zero, which a secret scalar cannot be) belongs to a public share."""
    return pubshare.is_infinity if secshare is None else secshare.point() == pubshare


# Coordinator, and everybody who has the sum of the commitments


def assemble_sum_coms(
    coms_to_secrets: Sequence[Point], sum_coms_to_nonconst_terms: Sequence[Point]
) -> VSSCommitment:
    """The commitment to the sum of all polynomials. Only the sum of its non-constant terms is ever sent."""
    return VSSCommitment((Point.sum(coms_to_secrets), *sum_coms_to_nonconst_terms))


def sum_coms_to_nonconst_terms(coms: Sequence[VSSCommitment]) -> tuple[Point, ...]:
    """Sum the commitments to each coefficient above the secret (Pedersen, section 5.1)."""
    return tuple(map(Point.sum, zip(*(com.commitment_to_nonconst_terms() for com in coms), strict=True)))


def public_output(sum_coms: VSSCommitment, n: int) -> tuple[PublicDKGOutput, Scalar]:
    """The threshold public key and public shares, and the Taproot tweak that is part of each share.

    Raises:
        UnknownFaultyParticipantError: a key or share is infinity, which takes participants who collude to
            bring about.
    """
    try:
        tweaked, tweak = sum_coms.invalid_taproot_commit()
        return PublicDKGOutput(
            thresh_pk=tweaked.commitment_to_secret().to_bytes(),
            pubshares=tuple(tweaked.pubshare(i).to_bytes() for i in range(n)),
        ), tweak
    except ValueError as e:
        raise UnknownFaultyParticipantError("the threshold public key or a public share is infinity") from e
