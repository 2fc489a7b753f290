"""What a second reader tried against the comparison of profiles: a node that lies may announce any two."""

from __future__ import annotations

import pytest

from cluster.settings import profile_of_text
from policy import Profile
from policy.diff import Direction, compare
from policy.effort import Effort, TooHard
from policy.layers import layers_of
from policy.strictness import at_least_as_strict

HEAD = "schema: 1\nname: big\nnetwork: regtest\nzone: UTC\n"
LIMITS = "limits:\n  amount: {sent: 50_000sat}\n  velocity: unlimited\n"
ONE = "tiers:\n  - {name: t, when: {pays_only: anyone}, then: ask}\n"


def tiers(count: int, first: int, more: str = "") -> Profile:
    rows = [
        f"  - {{name: t{n}, when: {{pays_only: anyone, sent_up_to: {first + n}sat{more}}}, then: ask}}\n"
        for n in range(count)
    ]
    return profile_of_text(HEAD + LIMITS + "tiers:\n" + "".join(rows))


def denies(count: int, first: int) -> Profile:
    rows = [f"  - {{name: d{n}, when: {{sent_above: {first + n}sat}}, then: refuse}}\n" for n in range(count)]
    return profile_of_text(HEAD + LIMITS + "deny:\n" + "".join(rows) + ONE)


def windows(count: int, first: int) -> Profile:
    rows = [f"    - {{window: {n + 1}h, sum: {first + n}sat}}\n" for n in range(count)]
    limits = "limits:\n  amount: {sent: 50_000sat}\n  velocity:\n" + "".join(rows)
    return profile_of_text(HEAD + limits + ONE)


@pytest.mark.parametrize("made", [tiers, denies, windows])
def test_each_costly_part_of_a_proof_stops_when_there_are_no_steps_left(made: object) -> None:
    assert callable(made)
    old, new = layers_of(made(40, 2_000)), layers_of(made(40, 1_999))
    assert at_least_as_strict(new, old, Effort(1_000_000))
    with pytest.raises(TooHard):
        at_least_as_strict(new, old, Effort(500))


def test_what_takes_too_long_to_prove_is_not_called_tighter() -> None:
    """It took minutes, in which the node heard neither its peers nor its owner."""
    more = ", fee_up_to: 900sat, inputs_up_to: 9, days: mon, total_up_to: 1btc"
    assert compare(tiers(20, 2_000, more), tiers(20, 1_999, more)).direction is Direction.TIGHTER
    assert compare(tiers(500, 2_000, more), tiers(500, 1_999, more)).direction is Direction.BOTH


def test_single_changes_beyond_the_effort_are_named_and_not_judged() -> None:
    diff = compare(tiers(120, 2_000), tiers(120, 1_999))
    assert diff.direction is Direction.TIGHTER
    assert len(diff.changes) == 121
    assert diff.changes[0].direction is not Direction.BOTH
    assert diff.changes[-2].direction is Direction.BOTH
