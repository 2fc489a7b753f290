"""The first round: nonces that can be used once, and their aggregation."""

from collections.abc import Sequence
from typing import NoReturn

from curve import Point, SecretBytes, SecretScalar, tagged_hash
from frost.errors import InvalidContributionError, SessionStateError
from frost.keys import MAX_PARTICIPANTS

PUBNONCE_SIZE = 66


class SecNonce:
    """A signer's secret nonce for one signature, single-use by construction.

    The one call that uses it takes the two numbers out (`take`), and with that they are gone from here. It
    has no bytes, no comparison, no pickled form, and prints as dots.

    Attributes:
        pubnonce: the public half, 66 bytes; like `points`, the same parsed, it stays known after use.
    """

    __slots__ = ("_halves", "points", "pubnonce")

    def __init__(self, k1: SecretScalar, k2: SecretScalar) -> None:
        """Take over two secret numbers that no one else uses."""
        self.points = (k1.point(), k2.point())
        self.pubnonce = self.points[0].to_bytes() + self.points[1].to_bytes()
        # list.pop is atomic: of two threads that race for one nonce, one gets an error.
        self._halves = [(k1, k2)]

    @classmethod
    def from_bytes(cls, data: bytes) -> "SecNonce":
        """Read the spec's 64-byte form: for test vectors only, as nothing in this program writes it.

        Raises:
            ValueError: not 64 bytes, or a half that is zero (as after a wipe) or not below the group order.
        """
        if len(data) != 64:
            raise ValueError("a secnonce has 64 bytes")
        return cls(SecretScalar.from_bytes(data[:32]), SecretScalar.from_bytes(data[32:]))

    @property
    def is_spent(self) -> bool:
        """Whether it has been used or wiped."""
        return not self._halves

    def take(self) -> tuple[SecretScalar, SecretScalar]:
        """The two secret numbers, once; the caller wipes them.

        Raises:
            SessionStateError: the nonce has been used or wiped.
        """
        try:
            return self._halves.pop()
        except IndexError:
            raise SessionStateError("this nonce has been used or wiped; a nonce never serves twice") from None

    def wipe(self) -> None:
        """Destroy the nonce unused. Safe to repeat."""
        while self._halves:
            for half in self._halves.pop():
                half.wipe()

    def __reduce__(self) -> NoReturn:
        raise TypeError("nonces are not pickled or copied")

    def __repr__(self) -> str:
        return "SecNonce(spent)" if self.is_spent else "SecNonce(…)"


def nonce_gen(
    rand: bytes,
    *,
    secshare: SecretScalar | None = None,
    signer_id: int | None = None,
    pubshare: bytes | None = None,
    thresh_pk_xonly: bytes | None = None,
    msg: bytes | None = None,
    extra_in: bytes | None = None,
) -> tuple[SecNonce, bytes]:
    """Draw a nonce for one signature (*NonceGen*).

    Args:
        rand: 32 fresh, uniformly random bytes. A repeated value can cost the key; the other arguments only
            soften that. Nonces must **not** be derived deterministically from the session parameters.
        thresh_pk_xonly: ideally after all tweaks.

    Returns:
        (secnonce, pubnonce).

    Raises:
        ValueError: an argument has the wrong length.
    """
    _check_nonce_gen(rand, signer_id, pubshare, thresh_pk_xonly, extra_in)
    masked = SecretBytes(rand) if secshare is None else secshare.masked(tagged_hash("BIP0445/aux", rand))
    public = b"".join(
        (
            b"\x00" if signer_id is None else b"\x04" + signer_id.to_bytes(4),
            b"\x00" if pubshare is None else b"\x21" + pubshare,
            b"\x00" if thresh_pk_xonly is None else b"\x20" + thresh_pk_xonly,
            b"\x00" if msg is None else b"\x01" + len(msg).to_bytes(8) + msg,
            len(extra_in or b"").to_bytes(4),
            extra_in or b"",
        )
    )
    secnonce = SecNonce(*SecretScalar.derive_pair("BIP0445/nonce", masked, public))
    masked.wipe()
    return secnonce, secnonce.pubnonce


def nonce_agg(pubnonces: Sequence[bytes], ids: Sequence[int] | None = None) -> bytes:
    """Aggregate the signers' public nonces into 66 bytes (*NonceAgg*).

    Args:
        ids: whose nonce stands at each place, for naming a culprit; without it, places are named.

    Raises:
        InvalidContributionError: a pubnonce is invalid ("pubnonce"; names the first such signer).
        ValueError: no nonces, or lists of different lengths.
    """
    names = range(len(pubnonces)) if ids is None else ids
    if len(names) != len(pubnonces) or not pubnonces:
        raise ValueError("there must be one public nonce for each signer, and at least one")
    R1, R2 = aggregate([read_pubnonce(data, i) for i, data in zip(names, pubnonces, strict=True)])
    return R1.to_bytes_with_infinity() + R2.to_bytes_with_infinity()


def aggregate(pubnonces: Sequence[tuple[Point, Point]]) -> tuple[Point, Point]:
    """The two sums of parsed public nonces; either may be infinity."""
    first, second = zip(*pubnonces, strict=True)
    return Point.sum(first), Point.sum(second)


def read_pubnonce(data: bytes, signer_id: int) -> tuple[Point, Point]:
    """Parse a public nonce. Raises InvalidContributionError that names the signer."""
    try:
        if len(data) != PUBNONCE_SIZE:
            raise ValueError
        return Point.from_bytes(data[:33]), Point.from_bytes(data[33:])
    except ValueError:
        raise InvalidContributionError("pubnonce", culprits=(signer_id,)) from None


def read_aggnonce(data: bytes) -> tuple[Point, Point]:
    """Parse an aggregate nonce, whose halves may be infinity.

    Raises:
        InvalidContributionError: invalid ("aggnonce"; blames the coordinator).
    """
    try:
        if len(data) != PUBNONCE_SIZE:
            raise ValueError
        return Point.from_bytes_with_infinity(data[:33]), Point.from_bytes_with_infinity(data[33:])
    except ValueError:
        raise InvalidContributionError("aggnonce", coordinator=True) from None


def _check_nonce_gen(
    rand: bytes,
    signer_id: int | None,
    pubshare: bytes | None,
    thresh_pk_xonly: bytes | None,
    extra_in: bytes | None,
) -> None:
    if len(rand) != 32:
        raise ValueError("rand must be 32 bytes")
    if signer_id is not None and not 0 <= signer_id < MAX_PARTICIPANTS:
        raise ValueError("signer_id is out of range")
    if pubshare is not None and len(pubshare) != 33:
        raise ValueError("pubshare must be 33 bytes")
    if thresh_pk_xonly is not None and len(thresh_pk_xonly) != 32:
        raise ValueError("thresh_pk_xonly must be 32 bytes")
    if extra_in is not None and len(extra_in) >= 1 << 32:
        raise ValueError("extra_in is too long")
