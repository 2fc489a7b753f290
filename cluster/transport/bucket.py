"""How much one peer may send before anyone spends time on it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_ALLOWANCE", "Allowance", "Bucket", "PeerBuckets"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one peer may send: so many letters and bytes per second, and so many at once."""

    letters_per_second: float
    letters_at_once: float
    bytes_per_second: float
    bytes_at_once: float


DEFAULT_ALLOWANCE = Allowance(500, 1000, 16 * 1024 * 1024, 64 * 1024 * 1024)
"""Far above what a busy cluster needs; a flood costs us at most 500 signature checks a second and peer."""

EXCESS_PER_SECOND, EXCESS_AT_ONCE = 25.0, 250.0
"""How many letters beyond that are only dropped; with more, it is a flood, and even reading it costs the others."""


class Bucket:
    """A token bucket; time is an argument, in seconds on the monotonic clock."""

    __slots__ = ("_at", "_held", "_rate", "_size")

    def __init__(self, rate: float, size: float, now: float) -> None:
        self._rate = rate
        self._size = size
        self._held = size
        self._at = now

    def refill(self, now: float) -> float:
        """How many tokens there are at `now`."""
        self._held = min(self._size, self._held + max(0.0, now - self._at) * self._rate)
        self._at = now
        return self._held

    def spend(self, tokens: float) -> None:
        """Take tokens that `refill` has just shown to be there."""
        self._held -= tokens


class PeerBuckets:
    """Both buckets of one peer, and one for what does not fit into them."""

    __slots__ = ("_bytes", "_excess", "_letters", "floods")

    def __init__(self, allowance: Allowance, now: float) -> None:
        self.floods = False
        self._excess = Bucket(EXCESS_PER_SECOND, EXCESS_AT_ONCE, now)
        self._letters = Bucket(allowance.letters_per_second, allowance.letters_at_once, now)
        self._bytes = Bucket(allowance.bytes_per_second, allowance.bytes_at_once, now)

    def admit(self, size: int, now: float) -> bool:
        """Whether one more letter of this size may come in; it is counted only if it may, else it may be a flood."""
        if self._letters.refill(now) < 1 or self._bytes.refill(now) < size:
            self.floods = self._excess.refill(now) < 1
            self._excess.spend(0 if self.floods else 1)
            return False
        self._letters.spend(1)
        self._bytes.spend(size)
        return True
