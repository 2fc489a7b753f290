"""What a second reader found in changes of policy and in people's words: each attack, and that it fails."""

from __future__ import annotations

from changing import HOUR_MS, ChangingWorld

DAY_MS = 24 * HOUR_MS


# A cooldown that began by a clock which nobody but its owner vouched for.


def proposed_by_a_clock_that_lags(world: ChangingWorld) -> None:
    """The machine was off for three days, and its clock comes back as it was: its owner confirms that, and proposes."""
    world.make_wallet()
    world.stop("node0")
    world.run(ms=1_000)
    world.restart("node0")
    for name in ("node1", "node2"):
        world.stop(name)
    world.confirm_clock()
    world.loosen()
    world.jump(3 * DAY_MS)
    for name in ("node1", "node2"):
        world.restart(name)


def test_peers_who_correct_a_lagging_clock_shorten_no_cooldown() -> None:
    world = ChangingWorld()
    proposed_by_a_clock_that_lags(world)
    world.run(ms=120_000)
    assert not world.watch.judges["node0"].clock_in_doubt
    assert world.limit() == "50_000sat"
    world.wait(DAY_MS + HOUR_MS)
    assert world.limit() == "60_000sat"


def test_a_cooldown_that_peers_corrected_counts_what_they_vouch_for_afterwards() -> None:
    world = ChangingWorld()
    proposed_by_a_clock_that_lags(world)
    world.restart("node0")
    assert not world.pending().sure, "remembered"
    world.run(ms=120_000)
    assert world.limit() == "50_000sat"
    assert world.pending().sure
    world.stop("node0")
    world.advance(DAY_MS + HOUR_MS)
    world.restart("node0")
    assert world.pending().sure, "remembered too"
    assert world.run(lambda: world.limit() == "60_000sat", ms=60_000)
