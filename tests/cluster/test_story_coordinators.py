"""Several coordinators in one roster: any will do, none is needed, and what is asked of two is one request."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from company import PEOPLE, TWO
from evil import resigned, signed_by
from losing import asks, codes, is_final, lose, txids
from policed import PolicedWorld
from spends import STRANGER, payment
from wire import Envelope
from world import World

from cluster.client_views import SigningView
from cluster.codec import open_letter, seal_letter
from cluster.effects import Outgoing
from cluster.messages import Kind
from cluster.owner_says import Answer
from cluster.schemes import Wallet

BOTH = ("coord", "coord2")


def started(**more: object) -> tuple[World, Wallet]:
    world = World(coordinators=BOTH, **more)  # type: ignore[arg-type]
    wallet = world.make_wallet()
    world.run(ms=12_000)
    return world, wallet


def ask_both(world: World, view: SigningView) -> None:
    """The client's very letter goes to the second coordinator too."""
    second = world.seats["coord2"].identity.public
    world.send("client", Outgoing(second, view.request.letter, view.request.signature))


def test_the_second_learns_of_a_wallet_that_was_made_with_the_first() -> None:
    world, wallet = started()
    machine = world.seats["coord2"].machine
    assert set(machine.keygen.wallets) == {wallet.wallet_id}  # type: ignore[union-attr]


def test_two_coordinators_do_not_greet_each_other_for_ever() -> None:
    """Their doors let no coordinator in; behind them, an answer to a Hello would be answered again."""
    world, _ = started()
    public = world.seats["coord2"].identity.public
    hello = next(
        one for one in world.seats["coord"].said if Envelope("coord", "", one.letter, b"").kind is Kind.HELLO
    )
    letter = open_letter(hello.letter, hello.signature, world.seats["coord"].identity.public)
    header = msgspec.structs.replace(letter.header, addressee=public, boot_id=b"evil" * 4)
    signed = seal_letter(header, letter.body, world.seats["coord"].identity)
    between: list[Envelope] = []

    def hook(envelope: Envelope) -> list[Envelope]:
        if {envelope.sender, envelope.addressee} == set(BOTH):
            between.append(envelope)
        return [envelope]

    world.hook = hook
    world.deliver(Envelope("coord", "coord2", signed.letter, signed.signature))
    world.run(ms=5_000)
    assert not between
    assert codes(world, "coord2") == {"letter-role"}


@pytest.mark.parametrize("dies_after_ms", [0, 3, 8, 13, 18, 30, 2_000])
def test_the_first_dies_at_any_moment_and_the_same_request_ends_with_the_second(dies_after_ms: int) -> None:
    world, wallet = started()
    view = world.request(wallet, payment(wallet))
    world.run(ms=dies_after_ms)
    world.stop("coord")
    assert world.run(lambda: view.final is not None), (view.state, view.codes, world.client.trouble)
    request_id = view.subject.request_id
    assert dies_after_ms > 13 or is_final(world, request_id, "coord2")
    world.run(ms=1_000)
    assert txids(world, view) <= {view.final.txid_hex}  # type: ignore[union-attr]


def test_a_request_that_no_client_asks_for_any_more_is_taken_over() -> None:
    """The first coordinator and the client are gone; the nodes offer what they hold to the second."""
    world, wallet = started(judges=asks)
    view = world.request(wallet, payment(wallet))
    world.run(ms=2_000)
    world.stop("coord")
    world.stop("client")
    world.run(ms=60_000)
    world.answer("node1", Answer(view.subject.request_id, True))
    assert world.run(lambda: is_final(world, view.subject.request_id, "coord2"))


@pytest.mark.parametrize("seed", range(12))
def test_one_request_driven_by_two_coordinators_is_one_request(seed: int) -> None:
    """Both order at once, over any delays: no nonce serves twice (the world watches), and nothing is stuck."""
    world, wallet = started(seed=seed)

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        envelope.delay_ms = world.random.randint(1, 400)
        return [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet, label=f"{seed}"))
    ask_both(world, view)
    ids = [view.subject.request_id]
    assert world.run(lambda: all(is_final(world, ids[0], name) for name in BOTH)), view.state
    world.hook = lambda envelope: [envelope]
    world.run(ms=2_000)
    assert view.final is not None
    assert txids(world, view) == {view.final.txid_hex}
    for name in world.node_names:
        assert len(signed_by(world, name)) <= 4  # n-t+1 with each of the two


def test_orders_that_cross_do_not_thwart_each_other_for_ever() -> None:
    """Each coordinator is nearer to another node, so that each has half of the nonces, again and again."""
    world, wallet = started(t=3, n=4)
    near = {("coord", "node0"), ("coord2", "node1")}
    sessions: set[bytes] = set()

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.kind is Kind.ORDER:
            sessions.add(msgspec.msgpack.decode(envelope.letter)[0][5])
            envelope.delay_ms = 5 if (envelope.sender, envelope.addressee) in near else 300
        if (envelope.sender, envelope.addressee) in {("node2", "coord2"), ("node3", "coord")}:
            return []  # so they order other quorums, and not the very same session
        return [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    ask_both(world, view)
    began = world.now.monotonic_ms
    assert world.run(lambda: view.final is not None)
    assert world.now.monotonic_ms - began < 20_000
    assert len(sessions) <= 4  # n-t+1 with each of the two


def test_a_coordinator_that_lies_about_the_end_is_left_for_the_next() -> None:
    world, wallet = started()

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if (envelope.sender, envelope.addressee, envelope.kind) == ("coord", "client", Kind.FINAL):
            return [resigned(world, envelope, transaction=b"\x02")]
        if (envelope.sender, envelope.kind) == ("coord", Kind.FINAL):
            return []
        return [envelope]

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    assert world.client.coordinator == world.seats["coord2"].identity.public


def test_a_coordinator_that_stalls_is_left_for_the_next() -> None:
    """It answers its client, and never orders anything."""
    world, wallet = started()
    world.hook = lambda e: [] if (e.sender, e.kind) == ("coord", Kind.ORDER) else [e]
    view = world.request(wallet, payment(wallet))
    began = world.now.monotonic_ms
    assert world.run(lambda: view.final is not None)
    assert world.now.monotonic_ms - began < 60_000


def test_a_persons_yes_goes_by_the_second_when_the_first_is_dead() -> None:
    world = PolicedWorld(TWO, people=PEOPLE, coordinators=BOTH)
    wallet = world.make_wallet()
    world.run(ms=12_000)
    view = world.request(wallet, payment(wallet, script=STRANGER))
    world.run(ms=3_000)
    world.stop("coord")
    world.run(ms=50_000)
    for person in ("ann", "bob"):
        world.says(person, view.subject.request_id, True)
    assert world.run(lambda: view.final is not None), (view.state, view.codes)


def test_the_answer_of_a_request_that_ended_elsewhere_is_there_for_whoever_asks() -> None:
    world, wallet = started()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    world.run(ms=1_000)
    signed = {name: len(signed_by(world, name)) for name in world.node_names}
    world.stop("coord")
    again = SigningView(view.subject, view.request)
    world.client.signing[view.subject.request_id] = again
    assert world.run(lambda: again.final is not None)
    assert {name: len(signed_by(world, name)) for name in world.node_names} == signed


def test_both_lose_everything_and_the_request_ends_all_the_same() -> None:
    world, wallet = started()
    world.hook = lambda e: [] if e.kind is Kind.PARTIAL_SIGNATURES else [e]
    view = world.request(wallet, payment(wallet))
    world.run(ms=3_000)
    for name in BOTH:
        lose(world, name)
    world.hook = lambda e: [e]
    assert world.run(lambda: view.final is not None)
