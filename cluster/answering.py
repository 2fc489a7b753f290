"""How often what a peer asks is answered: each question once, each of its lives now and then, and few lives at a time.

A coordinator can repeat what a peer asked before, or in an earlier life, and a peer can ask without end. Neither must
use up the answers that an honest peer's present question needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.codec import Letter

LIVES_ANSWERED = 8
"""So many lives (boot ids) of one peer are answered at a time, however often it starts."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The newest question of a life that was answered, and when, on the monotonic clock."""

    attempt: int
    monotonic_ms: int


class Answering:
    """Which questions are due for an answer, and which are repeated or too many."""

    def __init__(self, every_ms: int) -> None:
        """Answer one life once in this time (milliseconds)."""
        self._every_ms = every_ms
        self._answers: dict[bytes, dict[bytes, _Answer]] = {}

    def due(self, asked: Letter, attempt: int, now_ms: int) -> bool:
        """Whether to answer this question, the life's `attempt`th; it counts as answered then."""
        boot_id = asked.header.boot_id
        lives = self._answers.setdefault(asked.header.sender, {})  # the one answered last stands last
        answer = lives.get(boot_id)
        if answer is None:
            free = len(lives) < LIVES_ANSWERED or self._rested(next(iter(lives.values())), now_ms)
        else:
            free = attempt > answer.attempt and self._rested(answer, now_ms)
        if free:
            lives.pop(boot_id, None)
            lives[boot_id] = _Answer(attempt, now_ms)
            if len(lives) > LIVES_ANSWERED:
                del lives[next(iter(lives))]
        return free

    def _rested(self, answer: _Answer, now_ms: int) -> bool:
        return now_ms - answer.monotonic_ms >= self._every_ms
