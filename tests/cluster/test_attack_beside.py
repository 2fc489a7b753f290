"""An evil coordinator beside an honest one that carries everything: whatever it says, all goes on.

The evil one is `coord`, the first of the roster, to which every device speaks first.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from evil import EvilCoordinator, resigned
from losing import asks
from spends import payment
from wire import Envelope
from world import ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.codec import open_letter
from cluster.messages import Decision, Kind, NodeStatus, Status
from cluster.owner_says import Answer
from cluster.schemes import Wallet
from cluster.turning import STALLED_MS

BOTH = ("coord", "other")


def made(**more: object) -> tuple[World, Wallet]:
    """Two coordinators that both know the wallet, and still do nothing wrong."""
    world = World(coordinators=BOTH, **more)  # type: ignore[arg-type]
    wallet = world.make_wallet()
    world.run(ms=12_000)
    return world, wallet


Lie = Callable[[World, Status], Status]


def lying(world: World, lie: Lie) -> None:
    """From here on the evil one carries nothing to a node, and tells the client of its request this lie."""

    def hook(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != "coord":
            return [envelope]
        if envelope.addressee in world.node_names:
            return [] if envelope.kind in {Kind.PROPOSE, Kind.ORDER, Kind.NONCE_REQUEST} else [envelope]
        if envelope.kind is not Kind.STATUS:
            return [envelope]
        said = open_letter(envelope.letter, envelope.signature, world.seats["coord"].identity.public).body
        assert isinstance(said, Status)
        false = lie(world, said)
        return [resigned(world, envelope, state=false.state, codes=false.codes, nodes=false.nodes)]

    world.hook = hook


def stands(state: str) -> Lie:
    """A state for which there is no proof."""
    return lambda _, said: msgspec.structs.replace(said, state=state)


def all_misbehaved(_: World, said: Status) -> Status:
    """Nodes that did nothing are said to have cheated."""
    nodes = tuple(msgspec.structs.replace(node, reach="misbehaved") for node in said.nodes)
    return msgspec.structs.replace(said, nodes=nodes)


LIES = {state: stands(state) for state in ("refused", "rejected", "expired", "closed")} | {
    state: stands(state) for state in ("asking", "waiting", "cosigning", "final")
}


def ends(world: World, view: SigningView) -> bool:
    """Whether the request is signed before long, and whoever waits for it is told nothing else before."""

    def over() -> bool:
        return view.final is not None or view.state in {"refused", "rejected", "expired"} or view.hopeless

    world.run(over, ms=STALLED_MS + 20_000)
    return view.final is not None


@pytest.mark.parametrize("state", LIES)
def test_no_state_of_which_there_is_no_proof_ends_a_request_or_keeps_it(state: str) -> None:
    world, wallet = made()
    lying(world, LIES[state])
    view = world.request(wallet, payment(wallet))
    assert ends(world, view), (view.state, view.codes)


def test_no_word_that_nodes_misbehaved_ends_a_request() -> None:
    world, wallet = made()
    lying(world, all_misbehaved)
    view = world.request(wallet, payment(wallet))
    assert ends(world, view)
    assert "misbehaved" not in {seen.reach for seen in view.nodes.values()}


def test_an_old_question_to_an_owner_shown_for_ever_keeps_no_request() -> None:
    """The verdict is genuine, and of before the owner's yes."""
    asked = [True]

    def judges(name: str) -> ScriptedJudge:
        return ScriptedJudge(name, lambda *_: Decision.ASK if asked[0] else Decision.APPROVE)

    world, wallet = made(judges=judges)
    view = world.request(wallet, payment(wallet))
    world.run(ms=1_000)
    old = {node: seen.signed for node, seen in view.nodes.items()}
    assert len([one for one in old.values() if one is not None]) == 3
    nodes = tuple(NodeStatus(node, "online", signed) for node, signed in old.items())
    lying(world, lambda _, said: Status("asking", (), nodes))
    asked[0] = False
    for name in world.node_names:
        world.answer(name, Answer(view.subject.request_id, True))
    assert ends(world, view)


def test_a_coordinator_that_nobody_asked_ends_nothing() -> None:
    """The client speaks to the honest one, and waits for an owner there."""
    world, wallet = made(judges=asks)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.state == "asking")
    for state in ("refused", "rejected", "expired"):
        nodes = tuple(NodeStatus(m.identity, "misbehaved", None) for m in wallet.charter.members)
        evil.tell(
            "client",
            Kind.STATUS,
            Status(state, ("request-refused",), nodes),
            wallet_id=wallet.wallet_id,
            request_id=view.subject.request_id,
        )
        assert view.state == "asking"
        assert not view.hopeless


def test_what_all_coordinators_say_is_believed() -> None:
    """One without a proof, as it was started anew, and the other not at all."""
    world, wallet = made()
    world.stop("other")
    lying(world, stands("expired"))
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.state == "expired", ms=20_000)


def test_what_nodes_refuse_is_believed_of_the_first_that_shows_it() -> None:
    world, wallet = made(judges=lambda name: ScriptedJudge(name, lambda *_: Decision.REFUSE))
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.state == "refused", ms=1_000)
    assert world.client.coordinator == world.seats["coord"].identity.public
