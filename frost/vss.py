"""Feldman's verifiable secret sharing: a secret polynomial, and the public commitment to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curve import Point, Scalar, SecretScalar, tagged_hash

BIP_TAG = "BIP DKG/"


def hash_to_scalar(tag: str, *parts: bytes) -> Scalar:
    """A tagged hash as a public scalar."""
    return Scalar.from_bytes_reduced(tagged_hash(tag, *parts))


def chunks(data: bytes, size: int) -> tuple[bytes, ...]:
    """Cut a byte string into equal pieces; its length is a multiple of `size`."""
    return tuple(data[i : i + size] for i in range(0, len(data), size))


def read_points(data: bytes) -> tuple[Point, ...]:
    """Read a run of 33-byte points, infinity allowed. Raises ValueError if one is not on the curve."""
    return tuple(Point.from_bytes_with_infinity(piece) for piece in chunks(data, 33))


def read_scalars(data: bytes) -> tuple[Scalar, ...]:
    """Read a run of 32-byte public scalars. Raises ValueError if one is not below the group order."""
    return tuple(Scalar.from_bytes(piece) for piece in chunks(data, 32))


def write_points(points: Sequence[Point]) -> bytes:
    """33 bytes each; infinity is 33 zero bytes."""
    return b"".join(point.to_bytes_with_infinity() for point in points)


def write_scalars(scalars: Sequence[Scalar]) -> bytes:
    """32 bytes each."""
    return b"".join(scalar.to_bytes() for scalar in scalars)


def sum_scalars(scalars: Iterable[Scalar]) -> Scalar:
    """The sum of public scalars."""
    return sum(scalars, Scalar(0))


class VSS:
    """One participant's secret polynomial of degree t-1; all its coefficients are secret scalars."""

    __slots__ = ("_coeffs",)

    def __init__(self, coeffs: Sequence[SecretScalar]) -> None:
        """Take over the coefficients, the secret itself first."""
        self._coeffs = tuple(coeffs)

    @classmethod
    def generate(cls, seed: SecretScalar, t: int) -> VSS:
        """Derive the polynomial from a seed (`VSS.generate`)."""
        return cls([SecretScalar.derive(BIP_TAG + "vss coeffs", seed, i.to_bytes(4)) for i in range(t)])

    def secret(self) -> SecretScalar:
        """f(0), which is shared. It stays this object's to wipe."""
        return self._coeffs[0]

    def secshare_for(self, participant_id: int) -> SecretScalar:
        """f(participant_id + 1), which is never f(0)."""
        x = Scalar(participant_id + 1)
        value = self._coeffs[-1].mul(Scalar(1))
        for coeff in reversed(self._coeffs[:-1]):
            product = value.mul(x)
            value.wipe()
            value = product.add(coeff)
            product.wipe()
        return value

    def commit(self) -> VSSCommitment:
        """The commitment to each coefficient."""
        return VSSCommitment(tuple(coeff.point() for coeff in self._coeffs))

    def wipe(self) -> None:
        """Forget the polynomial."""
        for coeff in self._coeffs:
            coeff.wipe()

    def __repr__(self) -> str:
        return "VSS(…)"


@dataclass(frozen=True, slots=True)
class VSSCommitment:
    """The public commitment to a polynomial: t points.

    Infinity is allowed, so that no participant can make the sum of valid commitments an invalid one.
    """

    ges: tuple[Point, ...]

    def to_bytes(self) -> bytes:
        """33·t bytes."""
        return write_points(self.ges)

    def commitment_to_secret(self) -> Point:
        """f(0)·G."""
        return self.ges[0]

    def commitment_to_nonconst_terms(self) -> tuple[Point, ...]:
        """The commitments to the coefficients above the secret."""
        return self.ges[1:]

    def pubshare(self, participant_id: int) -> Point:
        """f(participant_id + 1)·G. By Horner's rule, whose multipliers are small and therefore fast."""
        x = Scalar(participant_id + 1)
        value = self.ges[-1]
        for ge in reversed(self.ges[:-1]):
            value = x * value + ge
        return value

    def invalid_taproot_commit(self) -> tuple[VSSCommitment, Scalar]:
        """Move the secret so that the threshold key has an unspendable script path; also returns the tweak.

        Otherwise a participant who chooses his commitment last could hide a Taproot script path of his own
        in the threshold public key. The tweak commits to an empty message, which BIP 341 never accepts as a
        script path.

        Raises:
            ValueError: the commitment to the secret is infinity.
        """
        tweak = hash_to_scalar("TapTweak", self.commitment_to_secret().xonly())
        tweaked = self.commitment_to_secret().add_generator_times(tweak)
        return VSSCommitment((tweaked, *self.ges[1:])), tweak
