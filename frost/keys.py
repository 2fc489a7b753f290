"""What key generation leaves behind: the threshold key, its shares, and the signer sets chosen from them.

Everything here is checked once, when it is made. Sessions take the checked types and check nothing again, so
a hundred inputs signed by one set cost one validation (BIP 445: "implementations can cache these values").
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from curve import N, Point, Scalar, SecretScalar, Tweak, TweakContext

MAX_PARTICIPANTS = 128
"""BIP 445's security bound on n: above it, adaptive attackers may forge with fewer than t shares."""


@dataclass(frozen=True, slots=True)
class ThresholdInfo:
    """The public result of key generation, unchecked, as bytes (BIP 445, Threshold Info).

    `pubshares[i]` belongs to participant i; None where it is unknown.
    """

    t: int
    thresh_pk: bytes
    pubshares: tuple[bytes | None, ...]

    @property
    def n(self) -> int:
        """The number of participants."""
        return len(self.pubshares)


@dataclass(frozen=True, slots=True)
class ThresholdKey:
    """A key that has passed `validate_threshold_info`: any t of its public shares give `thresh_pk`."""

    t: int
    n: int
    thresh_pk: Point
    pubshares: tuple[Point | None, ...]

    def signers(self, ids: Sequence[int]) -> "SignerSet":
        """Choose signers by id, for any number of sessions.

        Their shares need no second comparison with `thresh_pk`: validation made that certain for each set.

        Raises:
            ValueError: too few or too many ids, an id out of range or twice, or one whose share is unknown.
        """
        _check_ids(n=self.n, t=self.t, ids=ids)
        points = []
        for signer_id in ids:
            point = self.pubshares[signer_id]
            if point is None:
                raise ValueError(f"the public share of participant {signer_id} is unknown")
            points.append(point)
        return SignerSet(
            n=self.n, t=self.t, ids=tuple(ids), pubshares=tuple(points), thresh_pk=self.thresh_pk
        )


@dataclass(frozen=True, slots=True)
class SignerSet:
    """The u signers of some sessions, checked, and what follows from them alone. Public data.

    Attributes:
        pubshares: in the order of `ids`, or None in a session without them, which can blame nobody.
    """

    n: int
    t: int
    ids: tuple[int, ...]
    pubshares: tuple[Point, ...] | None
    thresh_pk: Point
    serialized: bytes = field(init=False, repr=False, compare=False)
    _lambdas: dict[int, Scalar] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Serialise the set once: bytes(4, u) and *SerializeIds*, which sorts: order means nothing."""
        parts = (len(self.ids), *sorted(self.ids))
        object.__setattr__(self, "serialized", b"".join(part.to_bytes(4) for part in parts))

    def interpolating_value(self, signer_id: int) -> Scalar:
        """The signer's Lagrange coefficient for this set (*DeriveInterpolatingValue*), computed once.

        Raises:
            ValueError: the signer is not in the set.
        """
        value = self._lambdas.get(signer_id)
        if value is None:
            if signer_id not in self.ids:
                raise ValueError(f"signer {signer_id} is not in the signer set")
            value = self._lambdas[signer_id] = _lagrange(self.ids, signer_id, -1)
        return value

    def pubshare(self, signer_id: int) -> Point:
        """The signer's public share. Raises ValueError if it is not in the set, or the set has no shares."""
        if self.pubshares is None:
            raise ValueError("this session has no public shares")
        if signer_id not in self.ids:
            raise ValueError(f"signer {signer_id} is not in the signer set")
        return self.pubshares[self.ids.index(signer_id)]

    def tweaked(self, tweaks: Sequence[Tweak]) -> TweakContext:
        """The threshold key under these tweaks (*TweakCtxInit*, *ApplyTweak*). Raises ValueError."""
        return TweakContext.start(self.thresh_pk).apply_all(tweaks)


@dataclass(frozen=True, slots=True)
class KeyShare:
    """One participant's part of a threshold key: its secret share, proven to fit its public share."""

    key: ThresholdKey
    signer_id: int
    secshare: SecretScalar = field(compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError unless the secret share belongs to this participant of this key."""
        if not 0 <= self.signer_id < self.key.n:
            raise ValueError("no participant has this id")
        if self.secshare.point() != self.key.pubshares[self.signer_id]:
            raise ValueError("the secret share does not match the participant's public share")

    @property
    def pubshare(self) -> Point:
        """The public share that belongs to the secret one."""
        return self.secshare.point()


def validate_threshold_info(info: ThresholdInfo) -> ThresholdKey:
    """Check that every signer set that can be chosen reproduces the threshold key (*ValidateThresholdInfo*).

    Returns:
        The same, parsed: the only door to a `ThresholdKey`.

    Raises:
        ValueError: bad t or n, an invalid point, fewer than t public shares, or shares that do not fit.
    """
    t, n = info.t, info.n
    if not 1 <= t <= n:
        raise ValueError("the threshold must satisfy 1 <= t <= n")
    _check_participants(n)
    thresh_pk = _parse(info.thresh_pk, "threshold public key")
    pubshares = tuple(
        None if data is None else _parse(data, f"public share of participant {i}")
        for i, data in enumerate(info.pubshares)
    )
    present = {i: point for i, point in enumerate(pubshares) if point is not None}
    if len(present) < t:
        raise ValueError("fewer than t public shares are present")
    ids = tuple(present)
    basis, points = ids[:t], tuple(present.values())[:t]
    for j in ids[t:]:
        if derive_pubshare_at(basis, points, j) != present[j]:
            raise ValueError("the public shares do not lie on one polynomial")
    _check_thresh_pk(basis, points, thresh_pk)
    return ThresholdKey(t=t, n=n, thresh_pk=thresh_pk, pubshares=pubshares)


def validate_session_params(
    *, n: int, t: int, ids: Sequence[int], pubshares: Sequence[bytes] | None, thresh_pk: bytes
) -> SignerSet:
    """Check a signer set that stands alone, without the whole threshold info (*ValidateSessionParams*).

    Args:
        pubshares: in the order of `ids`, or None where the session runs without them.

    Raises:
        ValueError: bad n, t or u, an id out of range or twice, an invalid point, shares that do not give
            `thresh_pk`, or lists of different lengths.
    """
    if not 1 <= t <= n:
        raise ValueError("the threshold must satisfy 1 <= t <= n")
    _check_participants(n)
    _check_ids(n=n, t=t, ids=ids)
    key = _parse(thresh_pk, "threshold public key")
    points = None
    if pubshares is not None:
        if len(pubshares) != len(ids):
            raise ValueError("there must be one public share for each id")
        points = tuple(
            _parse(data, f"public share of participant {i}") for i, data in zip(ids, pubshares, strict=True)
        )
        _check_thresh_pk(ids, points, key)
    return SignerSet(n=n, t=t, ids=tuple(ids), pubshares=points, thresh_pk=key)


def derive_pubshare_at(ids: Sequence[int], points: Sequence[Point], x: int) -> Point:
    """The public share that a further identifier `x` would have (*DerivePubshareAt*); may be infinity.

    The identifiers are distinct. x = -1 gives the threshold public key.
    """
    return Point.sum(_lagrange(ids, i, x) * point for i, point in zip(ids, points, strict=True))


def make_tweaks(tweaks: Sequence[bytes], is_xonly: Sequence[bool]) -> tuple[Tweak, ...]:
    """Pair the spec's two lists. Raises ValueError where their lengths differ."""
    if len(tweaks) != len(is_xonly):
        raise ValueError("there must be one mode for each tweak")
    return tuple(Tweak(tweak=tweak, is_xonly=mode) for tweak, mode in zip(tweaks, is_xonly, strict=True))


def _lagrange(ids: Sequence[int], own: int, x: int) -> Scalar:
    """Coefficients are public, so Python's integers may compute them."""
    numerator, denominator = 1, 1
    for other in ids:
        if other != own:
            numerator = numerator * (x - other) % N
            denominator = denominator * (own - other) % N
    return Scalar(numerator * pow(denominator, -1, N))


def _parse(data: bytes, what: str) -> Point:
    try:
        return Point.from_bytes(data)
    except ValueError as error:
        raise ValueError(f"the {what} is invalid: {error}") from None


def _check_participants(n: int) -> None:
    if n > MAX_PARTICIPANTS:
        raise ValueError(f"there must be at most {MAX_PARTICIPANTS} participants")


def _check_ids(*, n: int, t: int, ids: Sequence[int]) -> None:
    if not t <= len(ids) <= n:
        raise ValueError("the number of signers must satisfy t <= u <= n")
    if not all(0 <= signer_id < n for signer_id in ids):
        raise ValueError("a signer id is out of range")
    if len(set(ids)) != len(ids):
        raise ValueError("a signer id occurs twice")


def _check_thresh_pk(ids: Sequence[int], points: Sequence[Point], thresh_pk: Point) -> None:
    derived = derive_pubshare_at(ids, points, -1)
    if derived.is_infinity:
        raise ValueError("the public shares give the point at infinity as threshold public key")
    if derived != thresh_pk:
        raise ValueError("the public shares do not match the threshold public key")
