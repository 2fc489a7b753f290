"""BIP 32 public derivation, seen as a plain tweak of the parent key."""

import hmac

from curve.point import Point
from curve.scalar import Scalar
from curve.tweak import Tweak

_HARDENED = 1 << 31


def bip32_tweak(point: Point, chain_code: bytes, index: int) -> tuple[Tweak, Point, bytes]:
    """Derive the unhardened child `index` of a public key.

    Returns:
        The plain tweak that leads from parent to child, the child's point, and its 32-byte chain code.

    Raises:
        ValueError: a hardened or negative index, a chain code that is not 32 bytes, or the one child in 2^127
            that BIP 32 declares invalid.
    """
    if len(chain_code) != 32:
        raise ValueError("a chain code has 32 bytes")
    if not 0 <= index < _HARDENED:
        raise ValueError("only unhardened children follow from a public key")
    digest = hmac.digest(chain_code, point.to_bytes() + index.to_bytes(4), "sha512")
    tweak = Tweak(tweak=digest[:32], is_xonly=False)
    child = point.add_generator_times(Scalar.from_bytes(tweak.tweak))
    if child.is_infinity:
        raise ValueError("BIP 32 has no such child")
    return tweak, child, digest[32:]
