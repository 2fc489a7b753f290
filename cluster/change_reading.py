"""What an announced change of a policy would change: read from its texts, and from nothing that anybody says of them.

Pure, and the same at the other nodes and at a person's device.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.change_rules import rule_of
from cluster.codec import BadLetter
from cluster.policy_letters import PolicyChange
from cluster.profiles import ReadTexts
from policy.diff import Diff, compare
from policy.profile import ChangeRule
from policy.wording import duration


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in both texts: the difference, and the rule of the one in force."""

    diff: Diff
    rule: ChangeRule


def read_change(change: PolicyChange, read: ReadTexts) -> Reading:
    """Read both texts; BadLetter unless they load and are what the digests say."""
    try:
        old = read(change.old_text, change.old_base)
        new = read(change.text, change.base)
    except ValueError:
        raise BadLetter("change-text", "the texts of the change do not load here") from None
    if (old.digest, new.digest) != (change.base_digest, change.digest):
        raise BadLetter("change-digest", "the texts are not what the digests say")
    return Reading(compare(old, new), rule_of(old))


def in_words(reading: Reading) -> tuple[str, ...]:
    """What would change, line by line, and how long it waits."""
    changes = (f"{one.direction.value}: {one.text}" for one in reading.diff.changes)
    return (*changes, f"in force {duration(reading.rule.cooldown_ms)} after it was proposed, at the earliest")
