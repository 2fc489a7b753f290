"""Tweaking a public key, one after another, while remembering what that does to the secret key.

The Tweak Context of BIP 445, which is the KeyAgg Context of BIP 327: both signing schemes share it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from curve.point import Point
from curve.scalar import Scalar
from curve.secret import SecretScalar

_ONE = Scalar(1)
_ZERO = Scalar(0)


@dataclass(frozen=True, slots=True)
class Tweak:
    """32 bytes to add to a key: in x-only mode (Taproot, BIP 341) or plain mode (BIP 32)."""

    tweak: bytes
    is_xonly: bool


@dataclass(frozen=True, slots=True)
class TweakContext:
    """A public key after some tweaks: `Q`, the accumulated sign `gacc` and the accumulated tweak `tacc`."""

    Q: Point
    gacc: Scalar
    tacc: Scalar

    @classmethod
    def start(cls, point: Point) -> "TweakContext":
        """The untweaked key (`TweakCtxInit`). Raises ValueError for infinity."""
        if point.is_infinity:
            raise ValueError("infinity is not a public key")
        return cls(Q=point, gacc=_ONE, tacc=_ZERO)

    def apply(self, tweak: Tweak) -> "TweakContext":
        """Apply one tweak (`ApplyTweak`).

        Raises:
            ValueError: the tweak is not 32 bytes below N, or the result is infinity.
        """
        return self.apply_all((tweak,))

    def apply_all(self, tweaks: Iterable[Tweak]) -> "TweakContext":
        """Apply tweaks in order. Raises ValueError as `apply` does."""
        Q, gacc, tacc = self.Q, self.gacc, self.tacc
        for tweak in tweaks:
            t = Scalar.from_bytes(tweak.tweak)
            if tweak.is_xonly and not Q.has_even_y():
                Q, gacc, tacc = -Q, -gacc, -tacc
            Q, tacc = Q.add_generator_times(t), t + tacc
            if Q.is_infinity:
                raise ValueError("tweaking gives the point at infinity")
        return TweakContext(Q, gacc, tacc)

    def negates_secret(self) -> bool:
        """Whether secret keys and shares count negatively under the x-only result (g · gacc = -1)."""
        return self.Q.has_even_y() == (self.gacc != _ONE)

    def secret_offset(self) -> Scalar:
        """What the tweaks add to the secret key of the x-only result (g · tacc)."""
        return self.tacc if self.Q.has_even_y() else -self.tacc

    def xonly(self) -> bytes:
        """The x-only public key of the result (`GetXonlyPubkey`, 32 bytes)."""
        return self.Q.xonly()

    def plain(self) -> bytes:
        """The plain public key of the result (`GetPlainPubkey`, 33 bytes)."""
        return self.Q.to_bytes()


def tweaked_secret(secret: SecretScalar, tweaks: Iterable[Tweak]) -> SecretScalar:
    """The secret key of a tweaked public key (g-accumulated and added in C); the caller wipes it.

    Raises:
        ValueError: as `TweakContext.apply`, or the secret has been wiped.
    """
    tweaked = TweakContext.start(secret.point()).apply_all(tweaks)
    signed = secret.negate() if tweaked.gacc != _ONE else secret
    result = signed.add(tweaked.tacc)
    if signed is not secret:
        signed.wipe()
    return result
