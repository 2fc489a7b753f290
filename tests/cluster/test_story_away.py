"""A node that was away hears later how a request ended that it never saw: nothing to do, and nobody to complain of."""

from __future__ import annotations

from spends import payment
from world import World

from cluster.messages import Kind


def test_the_end_of_an_unseen_request_is_no_complaint() -> None:
    world = World()
    wallet = world.make_wallet()
    world.run(ms=500)
    world.hook = lambda e: [] if (e.kind, e.addressee) == (Kind.PROPOSE, "node2") else [e]
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    world.run(ms=500)
    kinds = [record.kind for record in world.seats["node2"].disk]
    assert "complaint" not in kinds
    assert "final" not in kinds
