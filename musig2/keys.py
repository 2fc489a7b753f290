"""Keys: a signer's own, and the aggregate of several (BIP 327), from which others are derived (BIP 328)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NoReturn

from curve import KeyAggregate, Point, SecretScalar, Tweak, pubkey_sort
from musig2.errors import InvalidContributionError

BIP328_CHAIN_CODE = sha256(b"MuSig2MuSig2MuSig2").digest()
"""The chain code (32 bytes) of every aggregate key's synthetic extended key (BIP 328)."""

MAX_SIGNERS = 128
"""The most keys in one aggregate: a bound of ours, the same as FROST's."""

_MOST_TWEAKED = 512


def key_sort(pubkeys: Iterable[bytes]) -> tuple[bytes, ...]:
    """*KeySort*: the public keys (33 bytes each) in their one order.

    Raises:
        InvalidContributionError: one is no point ("pubkey"; names its place in what was given).
    """
    return tuple(point.to_bytes() for point in pubkey_sort(_points(tuple(pubkeys))))


class AggregateKey:
    """The aggregate of public keys in a fixed order (*KeyAgg*), ready for sessions. Immutable.

    Attributes:
        pubkeys: the keys (33 bytes each), in the order of aggregation; one may stand twice.
        point: the aggregate, untweaked.
    """

    __slots__ = ("_aggregate", "_tweaked", "point", "points", "pubkeys")

    def __init__(self, points: tuple[Point, ...]) -> None:
        """For `of`: aggregate points that have been read."""
        self.points = points
        self.pubkeys = tuple(point.to_bytes() for point in points)
        self._aggregate = KeyAggregate.of(points)
        self.point = self._aggregate.point
        self._tweaked: OrderedDict[tuple[Tweak, ...], KeyAggregate] = OrderedDict()

    @classmethod
    def of(cls, pubkeys: Sequence[bytes]) -> AggregateKey:
        """Aggregate keys (33 bytes each) in this order; whoever wants BIP 390's order sorts first (`key_sort`).

        Raises:
            InvalidContributionError: one is no point ("pubkey"; names its place).
            ValueError: none or too many, or the aggregate is infinity (for chosen keys only).
        """
        if not 1 <= len(pubkeys) <= MAX_SIGNERS:
            raise ValueError(f"an aggregate key has 1 to {MAX_SIGNERS} keys")
        return cls(_points(pubkeys))

    def to_bytes(self) -> bytes:
        """The untweaked aggregate, 33 bytes compressed."""
        return self.point.to_bytes()

    def tweaked(self, tweaks: Sequence[Tweak]) -> KeyAggregate:
        """The key under these tweaks, in order (*ApplyTweak*). Raises ValueError for a tweak out of range."""
        wanted = tuple(tweaks)
        known = self._tweaked.get(wanted)
        if known is None:
            if len(self._tweaked) >= _MOST_TWEAKED:
                self._tweaked.popitem(last=False)
            known = self._tweaked[wanted] = self._aggregate.tweaked(wanted)
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AggregateKey) and self.pubkeys == other.pubkeys

    def __hash__(self) -> int:
        return hash(self.pubkeys)

    def __repr__(self) -> str:
        return f"AggregateKey({self.to_bytes().hex()} of {len(self.pubkeys)})"


class KeyShare:
    """One signer's own signing key. It prints without its secret and is never copied.

    Attributes:
        point: the public key.
        pubkey: the same, 33 bytes compressed.
    """

    __slots__ = ("point", "pubkey", "secret")

    def __init__(self, secret: SecretScalar) -> None:
        self.secret = secret
        self.point = secret.point()
        self.pubkey = self.point.to_bytes()

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __repr__(self) -> str:
        return f"KeyShare({self.pubkey.hex()})"


def _points(pubkeys: Sequence[bytes]) -> tuple[Point, ...]:
    points = []
    for place, pubkey in enumerate(pubkeys):
        try:
            points.append(Point.from_bytes(pubkey))
        except ValueError:
            raise InvalidContributionError("pubkey", culprits=(place,)) from None
    return tuple(points)
