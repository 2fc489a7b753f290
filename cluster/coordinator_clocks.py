"""The coordinator's part in the agreement of clocks: it passes on what nodes ask and say, and keeps nothing of it."""

from __future__ import annotations

from cluster.codec import BadLetter, Letter
from cluster.messages import ClockAsk, ClockRelay, ClockSaid, Kind
from cluster.roster import Roster
from cluster.turn import Turn


class ClockCarrier:
    """Carries a node's question to every other node, and an answer to whoever asked."""

    def __init__(self, roster: Roster) -> None:
        self._nodes = tuple(entry.identity for entry in roster.nodes)

    def carry(self, letter: Letter, turn: Turn) -> None:
        """Pass a letter on, whole; whoever gets it checks who signed it."""
        body = letter.body
        if isinstance(body, ClockAsk):
            addressees = [node for node in self._nodes if node != letter.header.sender]
        elif isinstance(body, ClockSaid) and body.asker in self._nodes:
            addressees = [body.asker]
        else:
            raise BadLetter("clock-stranger", "no node of this cluster asked for the time")
        relay = ClockRelay(int(letter.header.kind), letter.signed)
        for node in addressees:
            turn.tell(Kind.CLOCK_RELAY, node, relay)
