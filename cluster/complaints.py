"""What a machine keeps of bad letters: a count for each sender and code, and a record of the first few."""

from __future__ import annotations

from cluster.codec import BadLetter, open_letter
from cluster.journal import ComplaintKept
from cluster.messages import NO_ID, Kind, SignedLetter
from cluster.roster import Roster
from cluster.turn import Turn

MAX_WRITTEN = 16
"""How many kinds of complaint about one sender are written down in one run; a liar must not fill the disk."""

MAX_KINDS = 4096
"""How many pairs of sender and code are counted at all."""

HARMLESS = frozenset({"letter-repeated"})
"""What an honest sender over a bad network may cause."""

TIMELY = frozenset({"letter-expired", "letter-repeated", "approval-life", "request-unknown"})
"""What may be wrong with an honest coordinator's order: it is late, or a node has lost what it is about."""


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


def proof_in(sender: bytes, letter: bytes, signature: bytes, code: str) -> tuple[SignedLetter, ...]:
    """A coordinator's letter that is wrong in itself may prove it a liar (`cluster.evidence`); others prove nothing."""
    if code in TIMELY:
        return ()
    try:
        opened = open_letter(letter, signature, sender)
    except BadLetter:
        return ()
    return (opened.signed,) if opened.header.kind in {Kind.ORDER, Kind.FINAL} else ()
