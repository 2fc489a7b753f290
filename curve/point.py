"""Points of secp256k1, with infinity as an explicit value."""

from collections.abc import Iterable
from typing import Any, ClassVar

from curve.context import (
    BYTES33,
    COMPRESSED,
    PUBKEY,
    PUBKEY_LIST,
    SIZE,
    context,
    ffi,
    lib,
    require,
    succeeded,
)
from curve.scalar import Scalar

_INFINITY_BYTES = bytes(33)
_ONE = (1).to_bytes(32)


class Point:
    """A curve point or infinity. Immutable; keeps libsecp256k1's parsed form, so use costs no second parse.

    Make one with `from_bytes`, `from_bytes_with_infinity`, `from_xonly`, `SecretScalar.point` or arithmetic.
    Multiplication is variable-time: public scalars only.
    """

    __slots__ = ("_bytes", "_key")

    INFINITY: ClassVar["Point"]
    GENERATOR: ClassVar["Point"]

    def __init__(self, key: Any, encoded: bytes | None = None) -> None:
        """For `curve` itself: wrap a `secp256k1_pubkey *` that nobody changes again (None = infinity)."""
        self._key = key
        self._bytes = encoded

    @classmethod
    def from_bytes(cls, data: bytes) -> "Point":
        """Read a compressed point (`cpoint`). Raises ValueError unless it is 33 bytes and on the curve."""
        if len(data) != 33:  # the library would also accept 65-byte and hybrid encodings
            raise ValueError("a compressed point has 33 bytes")
        encoded = bytes(data)
        key = ffi.new(PUBKEY)
        if not succeeded(lib.secp256k1_ec_pubkey_parse(context, key, encoded, 33)):
            raise ValueError("not a point of secp256k1")
        return cls(key, encoded)

    @classmethod
    def from_bytes_with_infinity(cls, data: bytes) -> "Point":
        """Read a compressed point, where 33 zero bytes mean infinity (`cpoint_ext`). Raises ValueError."""
        return cls.INFINITY if data == _INFINITY_BYTES else cls.from_bytes(data)

    @classmethod
    def from_xonly(cls, data: bytes) -> "Point":
        """The point with this 32-byte x-coordinate and an even y (`lift_x`). Raises ValueError."""
        if len(data) != 32:
            raise ValueError("an x-only public key has 32 bytes")
        return cls.from_bytes(b"\x02" + data)

    @property
    def is_infinity(self) -> bool:
        """Whether this is the point at infinity."""
        return self._key is None

    def to_bytes(self) -> bytes:
        """33 bytes, compressed. Raises ValueError for infinity, which has no such encoding."""
        if self._bytes is None:
            if self._key is None:
                raise ValueError("infinity has no compressed encoding")
            out, size = ffi.new(BYTES33), ffi.new(SIZE, 33)
            require(lib.secp256k1_ec_pubkey_serialize(context, out, size, self._key, COMPRESSED))
            self._bytes = ffi.buffer(out)[:]
        return self._bytes

    def to_bytes_with_infinity(self) -> bytes:
        """33 bytes, compressed; infinity is 33 zero bytes (`cbytes_ext`)."""
        return _INFINITY_BYTES if self._key is None else self._bytes or self.to_bytes()

    def xonly(self) -> bytes:
        """The 32-byte x-coordinate. Raises ValueError for infinity."""
        return (self._bytes or self.to_bytes())[1:]

    def has_even_y(self) -> bool:
        """Whether the y-coordinate is even. Raises ValueError for infinity."""
        return (self._bytes or self.to_bytes())[0] == 2

    @staticmethod
    def sum(points: Iterable["Point"]) -> "Point":
        """The sum of any number of points; of none, infinity."""
        terms = tuple(points)
        keys = [point._key for point in terms if point._key is not None]
        if len(keys) > 1:
            return _combine(keys)
        return next((point for point in terms if point._key is not None), Point.INFINITY)

    def add_generator_times(self, scalar: Scalar) -> "Point":
        """self + scalar · G, in one pass of the library."""
        if not scalar:
            return self
        if self._key is None:
            return scalar * Point.GENERATOR
        key = ffi.new(PUBKEY, self._key[0])
        if not succeeded(lib.secp256k1_ec_pubkey_tweak_add(context, key, scalar.to_bytes())):
            return Point.INFINITY  # a checked scalar leaves no other reason
        return Point(key)

    def __add__(self, other: "Point") -> "Point":
        if not isinstance(other, Point):
            return NotImplemented
        if self._key is None or other._key is None:
            return other if self._key is None else self
        return _combine([self._key, other._key])

    def __sub__(self, other: "Point") -> "Point":
        if not isinstance(other, Point):
            return NotImplemented
        return self + -other

    def __neg__(self) -> "Point":
        if self._key is None:
            return self
        key = ffi.new(PUBKEY, self._key[0])
        require(lib.secp256k1_ec_pubkey_negate(context, key))
        encoded = self._bytes
        return Point(key, None if encoded is None else bytes((encoded[0] ^ 1,)) + encoded[1:])

    def __rmul__(self, scalar: Scalar) -> "Point":
        """scalar · self, variable-time: never with a secret."""
        if not isinstance(scalar, Scalar):
            return NotImplemented
        if self._key is None or not scalar:
            return Point.INFINITY
        if self is Point.GENERATOR:
            key = ffi.new(PUBKEY)
            require(lib.secp256k1_ec_pubkey_create(context, key, scalar.to_bytes()))
            return Point(key)
        key = ffi.new(PUBKEY, self._key[0])
        require(lib.secp256k1_ec_pubkey_tweak_mul(context, key, scalar.to_bytes()))
        return Point(key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Point):
            return NotImplemented
        return self is other or self.to_bytes_with_infinity() == other.to_bytes_with_infinity()

    def __hash__(self) -> int:
        return hash(self.to_bytes_with_infinity())

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return (Point.from_bytes_with_infinity, (self.to_bytes_with_infinity(),))

    def __repr__(self) -> str:
        return "Point.INFINITY" if self._key is None else f"Point({self.to_bytes().hex()})"


def _combine(keys: list[Any]) -> Point:
    key = ffi.new(PUBKEY)
    if not succeeded(lib.secp256k1_ec_pubkey_combine(context, key, ffi.new(PUBKEY_LIST, keys), len(keys))):
        return Point.INFINITY  # the only way in which a sum of valid points fails
    return Point(key)


def _generator() -> Point:
    key = ffi.new(PUBKEY)
    require(lib.secp256k1_ec_pubkey_create(context, key, _ONE))
    return Point(key)


Point.INFINITY = Point(None)
Point.GENERATOR = _generator()
