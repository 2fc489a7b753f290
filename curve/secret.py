"""Secrets: numbers and bytes that live in one wiped buffer each and are only ever worked on in C.

Python cannot promise that no copy stays behind (`expose` makes one, and only the end of the process clears an
interpreter's memory). What can be wiped is wiped: on `wipe()`, and at the latest when the object goes.
"""

from collections.abc import Sequence
from operator import xor
from typing import Any, NoReturn

from curve.context import BYTES, BYTES32, PUBKEY, context, ffi, lib, require, succeeded
from curve.point import Point
from curve.scalar import N, Scalar

_ZERO = bytes(32)
_ORDER = N.to_bytes(32)
_wipe = ffi.memmove


class SecretBytes:
    """Secret bytes of any length in one buffer that is wiped. Input for `SecretScalar.derive`.

    Once wiped, they refuse to be that: zeros in their place would make what is derived public.
    """

    __slots__ = ("_buffer", "_size")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        """Copy `data`; wiping the caller's copy stays the caller's task."""
        self._size = len(data)
        self._buffer: Any = ffi.new(BYTES, max(self._size, 1))
        ffi.memmove(self._buffer, data, self._size)

    def __len__(self) -> int:
        return self._size

    def _live(self) -> Any:
        if self._buffer is None:
            raise ValueError("this secret has been wiped")
        return self._buffer

    def wipe(self) -> None:
        """Overwrite the buffer with zeros; every later use raises ValueError. Safe to repeat."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            ffi.memmove(buffer, bytes(self._size), self._size)

    def __del__(self, _wipe: Any = _wipe) -> None:
        buffer = getattr(self, "_buffer", None)
        if buffer is not None:
            _wipe(buffer, bytes(self._size), self._size)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __repr__(self) -> str:
        return "SecretBytes(…)"


class SecretScalar:
    """A secret number from 1 to N-1. Every operation returns a new one and happens in C, in constant time.

    It is never an integer, has no value to compare or hash by, cannot be pickled, and prints as dots. Once
    wiped, every use raises ValueError.
    """

    __slots__ = ("_buffer", "_point")

    def __init__(self, buffer: Any) -> None:
        """For `curve` itself: take over a buffer of 32 bytes that holds a number from 1 to N-1."""
        self._buffer = buffer
        self._point: Point | None = None

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> "SecretScalar":
        """Read 32 big-endian bytes. Raises ValueError on another length, on zero, and from N upwards."""
        secret = cls(_copy32(data))
        if not succeeded(lib.secp256k1_ec_seckey_verify(context, secret._buffer)):
            secret.wipe()
            raise ValueError("secret scalar is zero or not below the group order")
        return secret

    @classmethod
    def from_bytes_reduced(cls, data: bytes | bytearray | memoryview) -> "SecretScalar":
        """Read 32 big-endian bytes modulo N (`scalar_from_bytes_wrapping`). Raises ValueError on zero."""
        secret = cls(_copy32(data))
        if not _reduce(secret._buffer):
            raise ValueError("secret scalar is zero")
        return secret

    @classmethod
    def derive(cls, tag: str, *parts: "bytes | SecretBytes | SecretScalar") -> "SecretScalar":
        """The tagged hash of the parts as a secret number modulo N, computed in C without leaving the buffer.

        Raises:
            ValueError: the hash is zero modulo N (never seen).
        """
        preimage, size = _join(parts)
        secret = cls._hashed(tag.encode(), preimage, size)
        ffi.memmove(preimage, bytes(size), size)
        return secret

    @classmethod
    def derive_pair(
        cls, tag: str, *parts: "bytes | SecretBytes | SecretScalar"
    ) -> tuple["SecretScalar", "SecretScalar"]:
        """`derive` for parts || 0 and for parts || 1: the two halves of a nonce (BIP 327, BIP 445)."""
        label = tag.encode()
        preimage, size = _join((*parts, b"\x00"))
        first = cls._hashed(label, preimage, size)
        preimage[size - 1] = 1
        second = cls._hashed(label, preimage, size)
        ffi.memmove(preimage, bytes(size), size)
        return first, second

    @classmethod
    def _hashed(cls, label: bytes, preimage: Any, size: int) -> "SecretScalar":
        out = ffi.new(BYTES32)
        require(lib.secp256k1_tagged_sha256(context, out, label, len(label), preimage, size))
        if not _reduce(out):
            raise ValueError("derived secret scalar is zero")
        return cls(out)

    @classmethod
    def weighted_sum(cls, *terms: "tuple[Scalar, SecretScalar]") -> "SecretScalar":
        """The sum of weight · secret over all terms. Raises ValueError if it, or any weight, is zero."""
        total, term = None, ffi.new(BYTES32)
        try:
            for weight, secret in terms:
                ffi.memmove(term, secret._live(), 32)
                if not succeeded(lib.secp256k1_ec_seckey_tweak_mul(context, term, weight.to_bytes())):
                    raise ValueError("product with zero")
                if total is None:
                    total, term = term, ffi.new(BYTES32)
                elif not succeeded(lib.secp256k1_ec_seckey_tweak_add(context, total, term)):
                    raise ValueError("sum of secrets is zero")
        except ValueError:
            if total is not None:
                ffi.memmove(total, _ZERO, 32)
            raise
        finally:
            ffi.memmove(term, _ZERO, 32)
        if total is None:
            raise ValueError("a sum of no terms is zero")
        return cls(total)

    def point(self) -> Point:
        """The public point, self · G. Computed once and kept, as it is public."""
        if self._point is None:
            key = ffi.new(PUBKEY)
            require(lib.secp256k1_ec_pubkey_create(context, key, self._live()))
            self._point = Point(key)
        return self._point

    def negate(self) -> "SecretScalar":
        """-self."""
        result = self._copy()
        require(lib.secp256k1_ec_seckey_negate(context, result._buffer))
        return result

    def add(self, other: "SecretScalar | Scalar") -> "SecretScalar":
        """self + other. Raises ValueError if that is zero."""
        result = self._copy()
        if not succeeded(lib.secp256k1_ec_seckey_tweak_add(context, result._buffer, _operand(other))):
            raise ValueError("sum of secrets is zero")
        return result

    def mul(self, other: "SecretScalar | Scalar") -> "SecretScalar":
        """self · other. Raises ValueError if `other` is zero."""
        result = self._copy()
        if not succeeded(lib.secp256k1_ec_seckey_tweak_mul(context, result._buffer, _operand(other))):
            raise ValueError("product with zero")
        return result

    def masked(self, mask: bytes) -> SecretBytes:
        """The 32 bytes of this number xor a 32-byte mask, still secret (BIP 327 and BIP 445 nonces)."""
        if len(mask) != 32:
            raise ValueError("a mask has 32 bytes")
        mixed = bytearray(map(xor, memoryview(ffi.buffer(self._live())), mask))  # byte by byte: no integer
        result = SecretBytes(mixed)
        mixed[:] = _ZERO
        return result

    def ecdh(self, point: Point) -> SecretBytes:
        """SHA256 of the compressed shared point, as in libsecp256k1's ECDH (32 bytes); the caller wipes it.

        Raises:
            ValueError: `point` is infinity.
        """
        if point.is_infinity:
            raise ValueError("no shared secret with infinity")
        out = ffi.new(BYTES32)
        require(lib.secp256k1_ecdh(context, out, point._key, self._live(), ffi.NULL, ffi.NULL))
        shared = SecretBytes(ffi.buffer(out))
        ffi.memmove(out, _ZERO, 32)
        return shared

    def expose(self) -> bytes:
        """The 32 bytes as an ordinary object that nobody can wipe: for sealing, the wire, and vectors."""
        return bytes(ffi.buffer(self._live()))

    def wipe(self) -> None:
        """Overwrite the buffer with zeros; every later use raises ValueError. Safe to repeat."""
        buffer, self._buffer, self._point = self._buffer, None, None
        if buffer is not None:
            ffi.memmove(buffer, _ZERO, 32)

    @property
    def is_wiped(self) -> bool:
        """Whether the secret is gone."""
        return self._buffer is None

    def _live(self) -> Any:
        if self._buffer is None:
            raise ValueError("this secret has been wiped")
        return self._buffer

    def _copy(self) -> "SecretScalar":
        buffer = ffi.new(BYTES32)
        ffi.memmove(buffer, self._live(), 32)
        return SecretScalar(buffer)

    def __len__(self) -> int:
        return 32

    def __bool__(self) -> bool:
        return True

    def __del__(self, _wipe: Any = _wipe, _zero: bytes = _ZERO) -> None:
        # Bound as defaults: at the interpreter's end the module's globals are already None.
        buffer = getattr(self, "_buffer", None)
        if buffer is not None:
            _wipe(buffer, _zero, 32)

    def __eq__(self, other: object) -> bool:
        raise TypeError("secrets are not compared; compare their points")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __repr__(self) -> str:
        return "SecretScalar(…)"


def _copy32(data: bytes | bytearray | memoryview) -> Any:
    if len(data) != 32:
        raise ValueError("a secret scalar has 32 bytes")
    buffer = ffi.new(BYTES32)
    ffi.memmove(buffer, data, 32)
    return buffer


def _join(parts: "Sequence[bytes | SecretBytes | SecretScalar]") -> tuple[Any, int]:
    """Copy the parts into one buffer, which the caller wipes."""
    size = sum([len(part) for part in parts])
    joined = ffi.new(BYTES, max(size, 1))
    end = 0
    try:
        for part in parts:
            start, end = end, end + len(part)
            ffi.memmove(joined + start, part if isinstance(part, bytes) else part._live(), len(part))
    except ValueError:
        ffi.memmove(joined, bytes(size), size)  # tracebacks hold this frame
        raise
    return joined, size


def _operand(value: SecretScalar | Scalar) -> Any:
    return value.to_bytes() if isinstance(value, Scalar) else value._live()


def _reduce(buffer: Any) -> bool:
    """Reduce 32 bytes modulo N in place; whether the result is not zero.

    Byte by byte and not in constant time, but only for N and above (or zero), which no hash has ever given.
    """
    if succeeded(lib.secp256k1_ec_seckey_verify(context, buffer)):
        return True
    borrow = 0
    digits = bytearray(32)
    for i in reversed(range(32)):
        digit = buffer[i] - _ORDER[i] - borrow
        borrow = int(digit < 0)
        digits[i] = digit & 0xFF
    if not borrow:
        ffi.memmove(buffer, digits, 32)
    digits[:] = _ZERO
    return succeeded(lib.secp256k1_ec_seckey_verify(context, buffer))
