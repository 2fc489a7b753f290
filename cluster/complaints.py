"""What a machine keeps of bad letters: a count for each sender and code, and a record of the first few."""

from __future__ import annotations

from cluster.journal import ComplaintKept
from cluster.messages import NO_ID, SignedLetter
from cluster.roster import Roster
from cluster.turn import Turn

MAX_WRITTEN = 16
"""How many kinds of complaint about one sender are written down in one run; a liar must not fill the disk."""

MAX_KINDS = 4096
"""How many pairs of sender and code are counted at all."""

HARMLESS = frozenset({"letter-repeated"})
"""What an honest sender over a bad network may cause."""


class Complaints:
    """Bounded in memory and on disk; strangers share one place."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.counts: dict[tuple[bytes, str], int] = {}

    def add(self, about: bytes, code: str, turn: Turn, proof: tuple[SignedLetter, ...] = ()) -> None:
        """Count a complaint; the first of its kind about somebody in the roster is also remembered, with its proof."""
        if code in HARMLESS:
            return
        known = bool(self._roster.role_of(about))
        key = (about if known else NO_ID, code)
        if key not in self.counts and len(self.counts) >= MAX_KINDS:
            return
        self.counts[key] = self.counts.get(key, 0) + 1
        written = sum(1 for who, _ in self.counts if who == about)
        if known and self.counts[key] == 1 and written <= MAX_WRITTEN:
            turn.note(ComplaintKept(turn.now.wall_ms, about, code, proof))
