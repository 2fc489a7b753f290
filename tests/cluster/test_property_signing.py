"""Properties: whatever happens in whatever order, the invariants of DESIGN 5 hold (`watch` checks each step)."""

from __future__ import annotations

from typing import Any

from chaos import EVERYBODY, NODES, Chaos, step
from evil import signed_by
from hypothesis import given, settings
from hypothesis import strategies as st
from spends import payment


@settings(max_examples=max(40, settings().max_examples // 2))
@given(steps=st.lists(step(), min_size=5, max_size=40))
def test_the_invariants_hold_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    chaos = Chaos()
    chaos.request(0)
    for name, *arguments in steps:
        getattr(chaos, name)(*arguments)
    world = chaos.world
    world.crash = None
    for name in EVERYBODY:
        world.stop(name)
        world.restart(name)
    for name in NODES:
        watched = world.watch.judges[name]
        assert watched.booked == {kept.spend_id for kept in signed_by(world, name)}


@given(steps=st.lists(step(), min_size=5, max_size=25))
@settings(max_examples=max(20, settings().max_examples // 4))
def test_the_chaos_over_what_was_open_still_ends(steps: list[tuple[Any, ...]]) -> None:
    """Once everybody is honest, willing and awake again, a new request of a new spend is signed."""
    chaos = Chaos()
    for name, *arguments in steps:
        getattr(chaos, name)(*arguments)
    world = chaos.world
    world.crash = None
    chaos.moods.clear()
    for name in EVERYBODY:
        world.stop(name)
        world.restart(name)
    view = world.request(chaos.wallet, payment(chaos.wallet, label="afterwards"))
    assert world.run(lambda: view.final is not None, ms=120_000), (view.state, view.codes)
