"""The lives of one peer: which of its boot ids came after which, and whether their record chains can be one.

A life is what one process said under its boot id. An honest chain only grows and every start adds a record, so each
life stands wholly above those before it. Arrival proves nothing, since the coordinator may delay and reorder; what
proves an order is the echo: a heartbeat that names a heartbeat of ours was signed after ours was.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.head_letters import MAX_STATEMENTS
from cluster.statements import Statement

TWO_LIVES = "peer-two-lives"
"""Two processes of one node are running at once."""

ROLLED_BACK = "peer-rolled-back"
"""A node speaks from an older copy of its records, or did: its chain has two ends."""

MAX_LIVES = 8
"""How many lives of one peer are remembered; the furthest is never forgotten."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a peer is not to be signed with: a code, and two of its own letters that prove it."""

    code: str
    newer: Statement
    older: Statement


@dataclass(slots=True)
class _Life:
    """What was heard of one boot id in one lineage.

    `first_beat` is how many heartbeats this node had said when it first heard of it, `spoke_after` the last of them
    that it echoed; what was settled by the owner (`past`) is only handed back.
    """

    low: Statement
    high: Statement
    first_beat: int
    spoke_after: int = 0
    past: bool = False

    def after(self, other: _Life) -> bool:
        """Whether it spoke when the other had been heard: proven, never guessed."""
        return self.spoke_after > other.first_beat

    def widen(self, statement: Statement) -> None:
        if statement.place < self.low.place:
            self.low = statement
        # Of two that say the same the later one is kept: what came before it is in order with it.
        if statement.place >= self.high.place and statement.sequence >= self.high.sequence:
            self.high = statement


class Lives:
    """What one peer said of its chain, life by life; bounded."""

    def __init__(self) -> None:
        self._lives: dict[tuple[bytes, int], _Life] = {}
        self._settled_beat = -1

    def take(self, statement: Statement, *, beat: int, echo: int = 0) -> Doubt | None:
        """Take a genuine statement into account; the doubt that it proves, if it does.

        Args:
            statement: what the peer said.
            beat: how many heartbeats this node has said so far.
            echo: which of them the statement's letter names; 0 for none.
        """
        fork = self._fork(statement)
        key = (statement.boot_id, statement.lineage)
        life = self._lives.get(key)
        if life is None or (life.past and echo > self._settled_beat):
            life = self._lives[key] = _Life(statement, statement, beat)
            self._forget_one()
        life.widen(statement)
        life.spoke_after = max(life.spoke_after, echo)
        return fork or self._disorder(key, life)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The furthest of each life of the newest lineage, the very furthest first: what is handed back to the peer."""
        highs = sorted(
            (life.high for life in self._lives.values()), key=lambda high: high.place, reverse=True
        )
        return tuple(high for high in highs if high.lineage == highs[0].lineage)[:MAX_STATEMENTS]

    def outdone(self, said: Statement) -> bool:
        """Whether another life came as far as this statement, so that who made it has ended, or has lost records."""
        return any(
            life.high.place >= said.place
            for life in self._lives.values()
            if not life.past and life.high.boot_id != said.boot_id
        )

    def settle(self, beat: int) -> None:
        """The owner knows of what was said so far; it counts against the peer no more.

        A life that goes on speaking, as its echo of a heartbeat after `beat` proves, counts anew.
        """
        self._settled_beat = beat
        for life in self._lives.values():
            life.past = True

    def _fork(self, said: Statement) -> Doubt | None:
        """In one process both the sequence and the chain only rise: two memories under one boot id fall out of step."""
        for life in self._lives.values():
            if life.past or life.low.boot_id != said.boot_id:
                continue
            for known in (life.low, life.high):
                rises = said.sequence - known.sequence
                grows = _sign(said.place, known.place)
                same = grows == 0 and said.head != known.head
                if same or rises * grows < 0 or (rises == 0 and grows != 0):
                    return Doubt(TWO_LIVES, said, known)
        return None

    def _disorder(self, key: tuple[bytes, int], life: _Life) -> Doubt | None:
        """Lives that are no honest sequence; two that spoke in turn weigh more than a chain with two ends."""
        others = [
            (lineage, other)
            for (boot_id, lineage), other in self._lives.items()
            if boot_id != key[0] and not other.past and not life.past
        ]
        for _, other in others:
            if life.after(other) and other.after(life):
                return Doubt(TWO_LIVES, life.high, other.high)
        for lineage, other in others:
            later, earlier = (other, life) if other.after(life) else (life, other)
            if later.after(earlier) and later.low.place <= earlier.high.place:
                return Doubt(ROLLED_BACK, later.low, earlier.high)
            both_low, both_high = (
                max(life.low.height, other.low.height),
                min(life.high.height, other.high.height),
            )
            if lineage == key[1] and both_low <= both_high:
                return Doubt(ROLLED_BACK, later.high, earlier.high)
        return None

    def _forget_one(self) -> None:
        if len(self._lives) <= MAX_LIVES:
            return
        furthest = max(self._lives, key=lambda key: self._lives[key].high.place)
        del self._lives[next(key for key in self._lives if key != furthest)]


def _sign(one: tuple[int, int], other: tuple[int, int]) -> int:
    return (one > other) - (one < other)
