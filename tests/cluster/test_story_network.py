"""A network that loses, repeats, delays, reorders and alters letters: a signature or a clean expiry, never worse."""

from __future__ import annotations

from random import Random

import pytest
from evil import signed_by
from spends import payment
from wire import Hook, rough
from world import World

from cluster.journal import ComplaintKept, FinalKept, read

MINUTE = 60_000


def weather(kind: str, seed: int) -> Hook:
    random = Random(seed)
    return {
        "lossy": lambda: rough(random, lose=0.3, repeat=0, alter=0, late_ms=50),
        "repeating": lambda: rough(random, lose=0, repeat=0.7, alter=0, late_ms=50),
        "reordering": lambda: rough(random, lose=0, repeat=0.1, alter=0, late_ms=3_000),
        "altering": lambda: rough(random, lose=0, repeat=0, alter=0.2, late_ms=50),
        "dreadful": lambda: rough(random, lose=0.25, repeat=0.3, alter=0.15, late_ms=2_000),
    }[kind]()


def convicted(world: World) -> list[str]:
    entries = (read(record) for seat in world.seats.values() for record in seat.disk)
    return [e.code for e in entries if isinstance(e, ComplaintKept) and e.evidence]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["lossy", "repeating", "reordering", "altering", "dreadful"])
def test_a_wallet_is_made_and_spends_in_any_weather(kind: str, seed: int) -> None:
    world = World(seed=seed, hook=weather(kind, seed))
    wallet = world.make_wallet(ms=5 * MINUTE)
    views = [world.request(wallet, payment(wallet, label=f"{i}", coins=1 + i)) for i in range(2)]
    assert world.run(lambda: all(view.final is not None for view in views), ms=5 * MINUTE), views[0].state
    assert not convicted(world)


@pytest.mark.parametrize("seed", range(4))
def test_three_of_five_in_dreadful_weather(seed: int) -> None:
    world = World(3, 5, seed=seed, hook=weather("dreadful", seed))
    wallet = world.make_wallet(ms=5 * MINUTE)
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None, ms=5 * MINUTE), view.state
    finals = [read(r) for seat in world.seats.values() for r in seat.disk if r.kind == "final"]
    assert len({entry.request_id for entry in finals if isinstance(entry, FinalKept)}) == 1
    assert not convicted(world)


@pytest.mark.parametrize("seed", range(3))
def test_hardly_any_network_means_a_clean_expiry_or_a_signature(seed: int) -> None:
    world = World(seed=seed)
    wallet = world.make_wallet()
    world.hook = rough(Random(seed), lose=0.9, repeat=0, alter=0.1, late_ms=100)
    view = world.request(wallet, payment(wallet), life_ms=10 * MINUTE)
    world.run(lambda: view.final is not None, ms=12 * MINUTE)
    world.hook = rough(Random(seed), lose=0, repeat=0, alter=0, late_ms=100)
    assert world.run(lambda: view.final is not None or view.state in {"expired", "rejected"}, ms=MINUTE), (
        view.state
    )
    assert not convicted(world)


def test_nobody_is_heard_at_all() -> None:
    world = World()
    wallet = world.make_wallet()
    world.hook = lambda envelope: []
    view = world.request(wallet, payment(wallet), life_ms=MINUTE)
    world.run(ms=5 * MINUTE)
    assert view.state == "unsent"
    assert not any(signed_by(world, name) for name in world.node_names)
    world.hook = lambda envelope: [envelope]
    assert world.run(lambda: view.state == "rejected", ms=10_000)
    assert view.codes == ("request-unknown",)
