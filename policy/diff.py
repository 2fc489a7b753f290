"""What changes when one profile takes another's place, and whether that is tighter: computed, never declared.

Tightening takes effect at once and loosening waits, so "tighter" is said only of what `policy.strictness` proves. The
direction of the whole is proved on the whole; each single change is looked at as if it were made alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from policy.edits import edits
from policy.effort import Effort, TooHard
from policy.layers import Layers, layers_of
from policy.profile import Profile
from policy.strictness import at_least_as_strict

MAX_STEPS = 3_000_000
"""What proving the direction of the whole may take: some seconds. Beyond it nothing is proved, so a change waits."""

MAX_EDIT_STEPS = 500_000
"""The same for the single changes together, whose directions are for the eye only."""


class Direction(Enum):
    """Which way a change goes. BOTH is also what is said where neither way can be proved."""

    SAME = "same"
    TIGHTER = "tighter"
    LOOSER = "looser"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: where in the profile, on which line of the new file (0: on none), and what, in words.

    The direction is that of this change made alone. In a base, the line is one of the base's file.
    """

    direction: Direction
    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Diff:
    """Which way a new profile goes as a whole, and all that changes."""

    direction: Direction
    changes: tuple[Change, ...]


def compare(old: Profile | None, new: Profile) -> Diff:
    """What the new profile changes; without an old one, everything was refused.

    SAME or TIGHTER is said only where the new profile surely judges nothing more mildly, whatever the facts, demands
    at least as much of the quorum, freezes and tells no less, and is no easier to change.
    """
    if old is None:
        text = "there was no policy, so everything was refused"
        return Diff(Direction.LOOSER, (Change(Direction.LOOSER, "", 0, text),))
    before, after = layers_of(old), layers_of(new)
    whole, effort = _direction(before, after, Effort(MAX_STEPS)), Effort(MAX_EDIT_STEPS)
    changes = tuple(
        Change(_direction(before, edit.layers, effort), edit.path, edit.line, edit.text)
        for edit in edits(old, new)
    )
    if _joined(change.direction for change in changes) is not whole:
        text = f"taken together, the changes are {_WORDS[whole]}"
        changes = (*changes, Change(whole, "", 0, text))
    return Diff(whole, changes)


_WORDS = {
    Direction.SAME: "no change of what is allowed",
    Direction.TIGHTER: "tighter",
    Direction.LOOSER: "looser",
    Direction.BOTH: "not surely tighter and not surely looser",
}


def _direction(old: Layers, new: Layers, effort: Effort) -> Direction:
    if new == old:
        return Direction.SAME
    return _of(stricter=_proved(new, old, effort), milder=_proved(old, new, effort))


def _proved(new: Layers, old: Layers, effort: Effort) -> bool:
    """Whether the new one is proved to be at least as strict; what takes too many steps is not."""
    try:
        effort.spend(1)
        return at_least_as_strict(new, old, effort)
    except TooHard:
        return False


def _of(*, stricter: bool, milder: bool) -> Direction:
    """From what is proved: that the new is at least as strict as the old, and the reverse."""
    if stricter:
        return Direction.SAME if milder else Direction.TIGHTER
    return Direction.LOOSER if milder else Direction.BOTH


def _joined(directions: Iterable[Direction]) -> Direction:
    found = set(directions)
    return _of(
        stricter=found <= {Direction.SAME, Direction.TIGHTER},
        milder=found <= {Direction.SAME, Direction.LOOSER},
    )
