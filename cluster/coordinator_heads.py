"""The coordinator's part in heartbeats and heads: it passes on what nodes say, and vouches for nothing."""

from __future__ import annotations

from cluster.codec import BadLetter, Letter
from cluster.head_letters import BEATS_AT_ONCE
from cluster.messages import Beats, HeadAsk, HeadRelay, HeadSaid, Heartbeat, Kind, SignedLetter
from cluster.roster import Roster
from cluster.turn import Turn

LIVES_KEPT = 4
"""Of how many boot ids of one node the newest heartbeat is kept: two that live at once must both be seen."""


class HeadCarrier:
    """Keeps each node's newest heartbeats, and gives a node that speaks those of the others, a few letters at most."""

    def __init__(self, roster: Roster) -> None:
        self._nodes = tuple(entry.identity for entry in roster.nodes)
        self._newest: dict[bytes, dict[bytes, SignedLetter]] = {}
        self._given: dict[bytes, set[bytes]] = {}

    def newest(self, node: bytes) -> SignedLetter | None:
        """A node's newest heartbeat, if there was one."""
        return next(reversed(self._newest.get(node, {}).values()), None)

    def _beat(self, letter: Letter, turn: Turn) -> None:
        """Keep a heartbeat, and answer it with those that its sender has not been given."""
        node = letter.header.sender
        kept = self._newest.setdefault(node, {})
        kept.pop(letter.header.boot_id, None)
        kept[letter.header.boot_id] = letter.signed
        if len(kept) > LIVES_KEPT:
            kept.pop(next(iter(kept)))
        others = [signed for other in self._nodes if other != node for signed in self._beats(other)]
        given = self._given.get(node, set())
        due = [signed for signed in others if signed.signature not in given]
        for start in range(0, len(due), BEATS_AT_ONCE):
            turn.tell(Kind.BEATS, node, Beats(tuple(due[start : start + BEATS_AT_ONCE])))
        self._given[node] = {signed.signature for signed in others}

    def _beats(self, node: bytes) -> list[SignedLetter]:
        return list(self._newest.get(node, {}).values())

    def carry(self, letter: Letter, turn: Turn) -> None:
        """Keep a heartbeat; pass a question for heads on to every other node, and an answer to whoever asked."""
        body = letter.body
        if isinstance(body, Heartbeat):
            self._beat(letter, turn)
            return
        if isinstance(body, HeadAsk):
            addressees = [node for node in self._nodes if node != letter.header.sender]
        elif isinstance(body, HeadSaid) and body.asker in self._nodes:
            addressees = [body.asker]
        else:
            raise BadLetter("head-stranger", "no node of this cluster asked")
        relay = HeadRelay(int(letter.header.kind), letter.signed)
        for node in addressees:
            turn.tell(Kind.HEAD_RELAY, node, relay)
