"""The policy's clock: never backwards, and never faster than time passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import PolicyClock, peers_agree
from policy.clock import SLACK_MS

HOUR = 3_600_000


@given(
    st.lists(st.tuples(st.integers(0, HOUR), st.integers(-(10**12), 10**12), st.booleans()), max_size=30),
    st.booleans(),
)
def test_bounded_by_monotonic_time_whatever_the_wall_says(
    steps: list[tuple[int, int, bool]], restarted: bool
) -> None:
    start, monotonic = 10**12, 500
    if restarted:
        clock = PolicyClock.restarted(last_ms=start, monotonic_ms=monotonic)
    else:
        clock = PolicyClock.first(wall_ms=start, monotonic_ms=monotonic)
    base = monotonic
    for elapsed, offset, _ in steps:
        monotonic += elapsed
        before = clock.now_ms
        clock = clock.read(wall_ms=start + (monotonic - base) + offset, monotonic_ms=monotonic)
        assert clock.now_ms >= before
        assert clock.now_ms <= start + (monotonic - base) + (0 if restarted else SLACK_MS)


def test_many_small_steps_gain_no_more_than_one() -> None:
    clock = PolicyClock.first(wall_ms=0, monotonic_ms=0)
    for second in range(1, 1000):
        clock = clock.read(wall_ms=second * 119_000, monotonic_ms=second * 1000)
    assert clock.now_ms <= 999_000 + SLACK_MS
    assert clock.in_doubt


def test_a_jump_rolls_nothing_until_it_is_confirmed() -> None:
    clock = PolicyClock.first(wall_ms=0, monotonic_ms=0).read(wall_ms=10 * HOUR, monotonic_ms=1000)
    assert (clock.now_ms, clock.in_doubt) == (1000, True)
    clock = clock.confirm(wall_ms=10 * HOUR, monotonic_ms=1000)
    assert (clock.now_ms, clock.in_doubt) == (10 * HOUR, False)
    assert clock.read(wall_ms=10 * HOUR + 5000, monotonic_ms=6000).now_ms == 10 * HOUR + 5000


def test_a_restart_goes_on_where_it_stood() -> None:
    clock = PolicyClock.restarted(last_ms=5 * HOUR, monotonic_ms=7)
    clock = clock.read(wall_ms=50 * HOUR, monotonic_ms=7 + 1000)
    assert (clock.now_ms, clock.in_doubt) == (5 * HOUR + 1000, True)
    clock = clock.read(wall_ms=5 * HOUR + 60_000, monotonic_ms=7 + 2000)
    assert (clock.now_ms, clock.in_doubt) == (5 * HOUR + 2000, True)


def test_a_clock_set_back_stands_still() -> None:
    clock = PolicyClock.first(wall_ms=5 * HOUR, monotonic_ms=0).read(wall_ms=HOUR, monotonic_ms=1000)
    assert (clock.now_ms, clock.reading.now_ms, clock.in_doubt) == (5 * HOUR, 5 * HOUR, True)
    confirmed = clock.confirm(wall_ms=HOUR, monotonic_ms=1000).read(wall_ms=HOUR + 9, monotonic_ms=1009)
    assert (confirmed.now_ms, confirmed.in_doubt) == (5 * HOUR, False)
    assert clock.read(wall_ms=5 * HOUR + 9000, monotonic_ms=0).now_ms == 5 * HOUR + 9000


def test_a_clock_that_fell_behind_is_in_doubt_until_it_is_right_again() -> None:
    clock = PolicyClock.first(wall_ms=5 * HOUR, monotonic_ms=0)
    assert not clock.read(wall_ms=6 * HOUR - SLACK_MS, monotonic_ms=HOUR).in_doubt
    held = clock.read(wall_ms=6 * HOUR - SLACK_MS - 1, monotonic_ms=HOUR)
    assert held.in_doubt
    assert not held.read(wall_ms=7 * HOUR, monotonic_ms=2 * HOUR).in_doubt


def test_a_clock_held_back_is_in_doubt_beyond_the_slack() -> None:
    """Or whoever slows it makes a yes, a grant and an intent live for ever, and a working day last all night."""
    clock = PolicyClock.first(wall_ms=0, monotonic_ms=0)
    at = {late: clock.read(wall_ms=HOUR - late, monotonic_ms=HOUR) for late in (SLACK_MS, SLACK_MS + 1)}
    assert [(one.now_ms, one.in_doubt) for one in at.values()] == [
        (HOUR - SLACK_MS, False),
        (HOUR - SLACK_MS - 1, True),
    ]
    right = at[SLACK_MS + 1].read(wall_ms=HOUR + 1, monotonic_ms=HOUR + 1)
    assert (right.now_ms, right.in_doubt) == (HOUR + 1, False)


@pytest.mark.parametrize(
    ("peers", "n", "t", "agree"),
    [
        ([0, 0], 3, 2, True),
        ([0], 3, 2, False),
        ([0, SLACK_MS + 1], 3, 2, False),
        ([0, -SLACK_MS, SLACK_MS], 5, 3, True),
        ([0], 2, 2, True),
        ([], 1, 1, False),
    ],
)
def test_peers_agree(peers: list[int], n: int, t: int, agree: bool) -> None:
    assert peers_agree(10**9, [10**9 + offset for offset in peers], n=n, t=t) is agree
