"""What every story is told for: the wallets of its world, FROST's and MuSig2's (a tree where t is less than n)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from world import World

SCHEMES = ("frost", "musig2")
EVERY_SCHEME = {
    "test_attack_policy",
    "test_hostile_policies",
    "test_property_budget",
    "test_property_keygen",
    "test_property_letters",
    "test_property_psbt",
    "test_property_signing",
    "test_quorums_on_chain",
    "test_story_away",
    "test_story_clocks",
    "test_story_crash",
    "test_story_drill",
    "test_story_freeze",
    "test_story_rescue",
    "test_story_rescue_people",
    "test_story_evil_coordinator",
    "test_story_evil_node",
    "test_story_guards",
    "test_story_honest",
    "test_story_index",
    "test_story_leaves",
    "test_story_limits",
    "test_story_network",
    "test_story_policy_actions",
    "test_story_robust",
    "test_story_second_locks",
    "test_story_stale_orders",
}
"""The modules whose tests run once for each scheme."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the stories once for each scheme."""
    if metafunc.module.__name__.rpartition(".")[2] in EVERY_SCHEME:
        frost_only = metafunc.definition.get_closest_marker("frost_only") is not None
        metafunc.parametrize("scheme", SCHEMES[:1] if frost_only else SCHEMES, indirect=True, scope="module")


@pytest.fixture(autouse=True, scope="module")
def scheme(request: pytest.FixtureRequest) -> Iterator[str]:
    """The scheme of every wallet that a `World` makes."""
    before = World.scheme
    World.scheme = getattr(request, "param", before)
    yield World.scheme
    World.scheme = before
