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

HARMLESS = frozenset({
    "letter-repeated", "letter-expired",
    "request-unknown", "keygen-unknown", "drill-unknown", "change-unknown",
})  # fmt: skip
"""What an honest sender may cause: the network was slow, or one of the two has lost what the letter is about."""

TIMELY = HARMLESS | {"approval-life", "letter-wallet"}
"""What proves no liar: it depends on the hour, or on what whoever judges has kept."""


class Complaints:
    """Bounded in memory and on disk; strangers share one place.

    What an honest sender may cause is dropped like any bad letter, and counted apart: it accuses nobody.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.counts: dict[tuple[bytes, str], int] = {}
        self.dropped: dict[tuple[bytes, str], int] = {}

    def add(self, about: bytes, code: str, turn: Turn, proof: tuple[SignedLetter, ...] = ()) -> None:
        """Count a bad letter; the first complaint of its kind about somebody known is remembered, with its proof."""
        known = bool(self._roster.role_of(about))
        key = (about if known else NO_ID, code)
        counts = self.dropped if code in HARMLESS else self.counts
        if key not in counts and len(counts) >= MAX_KINDS:
            return
        counts[key] = counts.get(key, 0) + 1
        if code in HARMLESS:
            return
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
