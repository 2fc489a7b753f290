"""What nodes give back to a coordinator, made heavy, false or endless: it stays bounded, and the truth wins."""

from __future__ import annotations

from losing import lose
from spends import payment
from wire import Envelope
from world import World

from cluster.client import REQUEST_LIFE_MS
from cluster.codec import header_of
from cluster.holding import OFFER_EVERY_MS
from cluster.messages import Kind


def test_what_was_half_signed_and_has_expired_is_not_offered_for_ever() -> None:
    """It is never closed at a node, and a coordinator that lost it takes no expired request."""
    world = World()
    wallet = world.make_wallet()
    heard: list[Kind] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        kind = header_of(envelope.letter).kind
        heard.append(kind)
        return [] if kind is Kind.PARTIAL_SIGNATURES else [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    request_id = view.subject.request_id
    tickets = [world.node(name).signing.tickets for name in world.node_names]
    assert world.run(lambda: any(t.whole[request_id].state == "may-be-signed" for t in tickets if t.whole))
    world.stop("client")
    world.stop("coord")
    world.advance(REQUEST_LIFE_MS + 1)
    lose(world)
    world.run(ms=12_000)
    heard.clear()
    world.run(ms=10 * OFFER_EVERY_MS)
    assert Kind.HELD_REQUEST not in heard
    assert Kind.HELD_LIST not in heard
