"""How much may be spent on a proof: whoever writes a profile may be hostile, and every node compares what it hears."""

from __future__ import annotations

from dataclasses import dataclass


class TooHard(Exception):
    """A proof would take more steps than there are; so nothing is proved."""


@dataclass(slots=True)
class Effort:
    """The steps that are left; a step is about one look at two clauses."""

    left: int

    def spend(self, steps: int) -> None:
        """Take so many steps; TooHard when there are not as many left."""
        self.left -= steps
        if self.left < 0:
            raise TooHard
