"""To which coordinator a device speaks, and when it turns to the next: none of them is trusted, and any will do."""

from __future__ import annotations

from collections.abc import Sequence

SILENT_MS = 6_000
"""A coordinator that is not heard for so long is left for the next one."""

STALLED_MS = 30_000
"""One with which nothing ends for so long is left too; whatever it has goes on."""

DOUBTED_MS = 2_000
"""One that is doubted is left at once, but no sooner than this after the last turn: none is asked without a rest."""


class Turning:
    """The coordinators of a roster, one at a time, round and round; how often it turned is in `turned`."""

    def __init__(self, coordinators: Sequence[bytes]) -> None:
        """Begin with the first of these (identity keys)."""
        self.all = tuple(coordinators)
        self._place = 0
        self._since_ms: int | None = None
        self._heard_at_ms = 0
        self._turned_ms: int | None = None
        self.turned = 0
        self._doubted = False

    @property
    def current(self) -> bytes:
        """To whom the device speaks now."""
        return self.all[self._place]

    def turn_to(self, coordinator: bytes, now_ms: int) -> None:
        """Speak to this one from here on."""
        self._place = self.all.index(coordinator)
        self._since_ms = self._heard_at_ms = now_ms

    def heard(self, sender: bytes, now_ms: int) -> None:
        """A coordinator said something that makes sense."""
        if sender == self.current:
            self._heard_at_ms = now_ms

    def doubt(self, sender: bytes) -> None:
        """A coordinator said something that is proven to be false, or of which another must be asked."""
        self._doubted = self._doubted or sender == self.current

    def turns(self, now_ms: int, *, stalls: bool) -> bool:
        """Turn to the next one if it is time to; `stalls` says that something is open."""
        if self._since_ms is None:
            self._since_ms = self._heard_at_ms = now_ms
        is_silent = now_ms - self._heard_at_ms >= SILENT_MS
        is_stalled = stalls and now_ms - self._since_ms >= STALLED_MS
        rested = self._turned_ms is None or now_ms - self._turned_ms >= DOUBTED_MS
        if len(self.all) == 1 or not (is_silent or is_stalled or (self._doubted and rested)):
            return False
        self._turned_ms = now_ms
        self.turned += 1
        self._place = (self._place + 1) % len(self.all)
        self._since_ms = self._heard_at_ms = now_ms
        self._doubted = False
        return True
