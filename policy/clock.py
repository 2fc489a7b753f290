"""The time that budgets go by: it only moves forwards, and no faster than time really passes.

Whoever can set a node's wall clock must gain nothing: a clock set forwards must not roll a window, and a clock
set back must not fill one anew. So the wall clock is believed only within two minutes of what the monotonic
clock allows since an *anchor*, a moment that is known. The two minutes are granted once per anchor, not
once per reading, or a reading each second would let the clock run a hundred times too fast.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

SLACK_MS = 2 * 60_000
"""How far the wall clock may run ahead of the anchor plus the monotonic time elapsed (DESIGN 7)."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The policy's time, and whether the wall clock claims a jump, either way, that nobody has confirmed yet."""

    now_ms: int
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class PolicyClock:
    """What is known about time: the last policy time, the anchor it is measured from, and the doubt.

    `confirmed` says that the anchor is a first start, or was confirmed by peers or the owner; after a restart it
    is not, and then no slack is granted either (a node restarted a thousand times would gain it each time).
    """

    now_ms: int
    anchor_ms: int
    anchor_monotonic_ms: int
    confirmed: bool
    in_doubt: bool

    @classmethod
    def first(cls, *, wall_ms: int, monotonic_ms: int) -> PolicyClock:
        """A node's very first start: there are no bookings yet that a wrong clock could roll away."""
        return cls(wall_ms, wall_ms, monotonic_ms, confirmed=True, in_doubt=False)

    @classmethod
    def restarted(cls, *, last_ms: int, monotonic_ms: int) -> PolicyClock:
        """After a restart: time goes on from the last policy time on record; the gap is in doubt."""
        return cls(last_ms, last_ms, monotonic_ms, confirmed=False, in_doubt=True)

    def read(self, *, wall_ms: int, monotonic_ms: int) -> PolicyClock:
        """The clock after one reading of both clocks.

        Within the slack the wall clock counts. Beyond it only the monotonic time since the anchor does: a jump,
        or the gap across a restart, rolls no window. A monotonic clock that went back counts as standing still.
        A wall clock that fell behind lets time stand still, and is a jump as well: what is good until some moment
        would be good for ever.
        """
        elapsed = max(0, monotonic_ms - self.anchor_monotonic_ms)
        known_ms = self.anchor_ms + elapsed
        slack = SLACK_MS if self.confirmed else 0
        jumped, lags = wall_ms > known_ms + slack, wall_ms < known_ms - SLACK_MS
        now_ms = max(self.now_ms, known_ms if jumped else wall_ms)
        return replace(self, now_ms=now_ms, in_doubt=jumped or lags or not self.confirmed)

    def confirm(self, *, wall_ms: int, monotonic_ms: int) -> PolicyClock:
        """Peers agree with the wall clock, or the owner confirmed it: a new anchor, and never behind the last.

        A wall clock behind the last policy time leaves that time standing still until it is passed.
        """
        return PolicyClock(max(self.now_ms, wall_ms), wall_ms, monotonic_ms, confirmed=True, in_doubt=False)

    @property
    def reading(self) -> ClockReading:
        """What the judge is given."""
        return ClockReading(self.now_ms, self.in_doubt)


def peers_agree(wall_ms: int, peer_clocks_ms: Iterable[int], *, n: int, t: int) -> bool:
    """Whether min(t, n-1) peers' clocks, each from a letter signed over this boot, are within the slack of ours.

    At most t-1 nodes are evil, so min(t, n-1) includes an honest one wherever n > t or fewer are evil. The
    caller gives one clock per peer, never its own.
    """
    need = min(t, n - 1)
    return need > 0 and sum(abs(clock - wall_ms) <= SLACK_MS for clock in peer_clocks_ms) >= need
