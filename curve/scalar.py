"""Public numbers modulo the order of secp256k1.

A Python integer is variable-time and cannot be wiped, so nothing secret may ever become a `Scalar`. Lagrange
coefficients, challenges, nonce coefficients, tweaks and published partial signatures are public.
"""

from typing import Final

N: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""The order of the secp256k1 group."""


class Scalar:
    """A public integer modulo N. Immutable."""

    __slots__ = ("_value",)

    def __init__(self, value: int) -> None:
        """The residue of `value`, which may be negative or exceed N."""
        self._value = value % N

    @classmethod
    def from_bytes(cls, data: bytes) -> "Scalar":
        """Read 32 big-endian bytes. Raises ValueError unless the value is below N."""
        if len(data) != 32:
            raise ValueError("a scalar has 32 bytes")
        value = int.from_bytes(data)
        if value >= N:
            raise ValueError("scalar is not below the group order")
        return cls(value)

    @classmethod
    def from_bytes_reduced(cls, data: bytes) -> "Scalar":
        """Read 32 big-endian bytes, reducing modulo N. Raises ValueError on another length."""
        if len(data) != 32:
            raise ValueError("a scalar has 32 bytes")
        return cls(int.from_bytes(data))

    def to_bytes(self) -> bytes:
        """32 big-endian bytes."""
        return self._value.to_bytes(32)

    def inverse(self) -> "Scalar":
        """The multiplicative inverse. Raises ValueError for zero."""
        if not self._value:
            raise ValueError("zero has no inverse")
        return Scalar(pow(self._value, -1, N))

    def __add__(self, other: "Scalar") -> "Scalar":
        if not isinstance(other, Scalar):
            return NotImplemented
        return Scalar(self._value + other._value)

    def __sub__(self, other: "Scalar") -> "Scalar":
        if not isinstance(other, Scalar):
            return NotImplemented
        return Scalar(self._value - other._value)

    def __mul__(self, other: "Scalar") -> "Scalar":
        if not isinstance(other, Scalar):
            return NotImplemented  # scalar * point is Point.__rmul__
        return Scalar(self._value * other._value)

    def __neg__(self) -> "Scalar":
        return Scalar(-self._value)

    def __int__(self) -> int:
        return self._value

    def __bool__(self) -> bool:
        return self._value != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scalar) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Scalar(0x{self._value:064x})"
