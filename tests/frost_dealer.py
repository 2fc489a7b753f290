"""A trusted dealer, for tests only: it knows the whole key, which Assent never lets anyone do."""

import random
from dataclasses import dataclass

from curve import N, Point, Scalar, SecretScalar
from frost import KeyShare, ThresholdInfo, ThresholdKey, validate_threshold_info


@dataclass(frozen=True)
class Dealt:
    """A dealt key: the checked public part, each participant's secret share, and the raw shares."""

    info: ThresholdInfo
    key: ThresholdKey
    shares: tuple[KeyShare, ...]
    secshares: tuple[bytes, ...]


def deal(t: int, n: int, seed: object) -> Dealt:
    """Split a fresh key t-of-n."""
    rng = random.Random(f"dealer {seed}")
    coefficients = [rng.randrange(1, N) for _ in range(t)]
    secshares = tuple(_evaluate(coefficients, i + 1) for i in range(n))
    info = ThresholdInfo(
        t=t,
        thresh_pk=(Scalar(coefficients[0]) * Point.GENERATOR).to_bytes(),
        pubshares=tuple(SecretScalar.from_bytes(secshare).point().to_bytes() for secshare in secshares),
    )
    key = validate_threshold_info(info)
    shares = tuple(
        KeyShare(key=key, signer_id=i, secshare=SecretScalar.from_bytes(secshare))
        for i, secshare in enumerate(secshares)
    )
    return Dealt(info=info, key=key, shares=shares, secshares=secshares)


def _evaluate(coefficients: list[int], x: int) -> bytes:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % N
    return value.to_bytes(32)
