"""A node that was away hears later how a request ended that it never saw: nothing to do, and nobody to complain of."""

from __future__ import annotations

from spends import payment
from wire import Envelope
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


def test_the_end_of_an_unseen_proposal_is_no_complaint() -> None:
    """It was proposed and expired while this node was away; both letters come late."""
    world = World()
    late: list[Envelope] = []

    def away(envelope: Envelope) -> list[Envelope]:
        if envelope.addressee != "node2" or envelope.kind not in {Kind.KEYGEN_PROPOSE, Kind.KEYGEN_FAULT}:
            return [envelope]
        late.append(envelope)
        return []

    world.hook = away
    subject, step = world.client.propose(world.charter(), world.now, world.entropy(), life_ms=5_000)
    world.perform("client", step)
    assert world.run(lambda: world.client.keygen[subject].state == "failed", ms=20_000)
    assert {envelope.kind for envelope in late} == {Kind.KEYGEN_PROPOSE, Kind.KEYGEN_FAULT}
    for envelope in (late[-2], late[-1]):
        world.deliver(envelope)
    assert "complaint" not in [record.kind for record in world.seats["node2"].disk]
