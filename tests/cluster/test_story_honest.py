"""Stories without an attacker: any quorum signs, fewer never; owners, clocks and conditions are respected."""

from __future__ import annotations

from itertools import combinations

import pytest
from evil import signed_by
from spends import payment
from world import ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.journal import FinalKept, read
from cluster.messages import Decision, Kind
from cluster.owner_says import Answer, CopyShown, NothingToAnswer
from cluster.schemes import Wallet
from cluster.subjects import Subject

MINUTE = 60_000


def done(view: SigningView) -> bool:
    return view.final is not None


def only(world: World, online: tuple[str, ...]) -> None:
    """Exactly these nodes are running, freshly started."""
    for name in world.node_names:
        world.stop(name)
    for name in online:
        world.restart(name)


def asks(subject: Subject, said: bool | None) -> Decision:
    """Asks the owner, and does as the owner says."""
    if said is None:
        return Decision.ASK
    return Decision.APPROVE if said else Decision.REFUSE


def refuses(subject: Subject, said: bool | None) -> Decision:
    return Decision.REFUSE


def judged_by(**decisions: ScriptedJudge):  # type: ignore[no-untyped-def]
    """A judge for each named node; the others approve everything."""
    return lambda name: decisions.get(name) or ScriptedJudge(name)


def sign_with(world: World, wallet: Wallet, online: tuple[str, ...], label: str, ms: int) -> SigningView:
    only(world, online)
    view = world.request(wallet, payment(wallet, label=label))
    world.run(lambda: done(view), ms=ms)
    return view


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5)])
def test_every_subset_of_at_least_t_signs_and_no_smaller_one(t: int, n: int) -> None:
    world = World(t, n)
    wallet = world.make_wallet()
    for size in range(n + 1):
        for online in combinations(world.node_names, size):
            view = sign_with(world, wallet, online, f"coin {online}", 30_000 if size >= t else 25_000)
            assert done(view) == (size >= t), online
            if size < t:
                world.client.signing.clear()
                world.stop("coord")
                world.seats["coord"].disk = [r for r in world.seats["coord"].disk if r.kind != "request"]
                world.restart("coord")


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_wide_wallet(first: int, scheme: str) -> None:
    """Seven of ten; five of eight in a tree, which has at most 64 quorums."""
    t, n = (7, 10) if scheme == "frost" else (5, 8)
    world = World(t, n)
    wallet = world.make_wallet()
    online = world.node_names[first : first + t]
    assert done(sign_with(world, wallet, online, "enough", 30_000))
    assert not done(sign_with(world, wallet, online[1:], "too few", 30_000))


def test_many_inputs_and_both_signatures_are_of_one_transaction() -> None:
    world = World()
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, coins=12, amount_sats=1_000_000))
    assert world.run(lambda: done(view))
    finals = [read(r) for seat in world.seats.values() for r in seat.disk if r.kind == "final"]
    transactions = {entry.transaction for entry in finals if isinstance(entry, FinalKept)}
    assert view.final is not None
    assert transactions == {view.final.tx}


def test_nodes_hear_of_the_end_and_close() -> None:
    world = World()
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    subject = view.subject.request_id
    world.run(ms=2_000)
    assert done(view)
    assert {world.node(n).signing.tickets.ended[subject].state for n in world.node_names} == {"final"}


def test_two_wallets_keep_apart() -> None:
    world = World()
    first, second = world.make_wallet(0, "first"), world.make_wallet(1, "second")
    views = [world.request(first, payment(first)), world.request(second, payment(second))]
    assert world.run(lambda: all(done(view) for view in views))
    assert first.public.key.key.public_key != second.public.key.key.public_key


def test_one_node_offline_and_back() -> None:
    world = World()
    wallet = world.make_wallet()
    world.stop("node1")
    world.run(ms=20_000)
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: done(view), ms=5_000)
    world.restart("node1")
    assert world.run(lambda: bool(world.node("node1").signing.tickets.whole) or True)


def test_the_owner_says_yes_after_the_nonces_died() -> None:
    world = World(3, 3, judges=judged_by(node2=ScriptedJudge("node2", asks)))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(ms=40 * MINUTE)
    assert view.state == "asking"
    assert len(world.node("node2").questions(world.now)) == 1
    world.answer("node2", Answer(view.subject.request_id, True))
    assert world.run(lambda: done(view))


def test_the_owner_says_no() -> None:
    world = World(3, 3, judges=judged_by(node2=ScriptedJudge("node2", asks)))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.state == "asking")
    world.answer("node2", Answer(view.subject.request_id, False))
    assert world.run(lambda: view.state == "refused")
    assert not any(signed_by(world, name) for name in world.node_names)


def test_the_owner_takes_back_an_approval() -> None:
    world = World(3, 3, judges=judged_by(node2=ScriptedJudge("node2", asks)))
    wallet = world.make_wallet()
    world.stop("node0")
    view = world.request(wallet, payment(wallet))
    world.run(lambda: bool(world.node("node2").questions(world.now)))
    world.answer("node2", Answer(view.subject.request_id, True))
    world.run(ms=2_000)
    world.answer("node2", Answer(view.subject.request_id, False))
    world.restart("node0")
    world.run(ms=30_000)
    assert view.state == "refused"
    assert not done(view)
    assert not any(signed_by(world, name) for name in world.node_names)


def test_an_owner_cannot_answer_what_nobody_asked() -> None:
    world = World()
    wallet = world.make_wallet()
    with pytest.raises(NothingToAnswer):
        world.answer("node0", Answer(bytes(32), True))
    with pytest.raises(NothingToAnswer):
        world.answer("node0", CopyShown(wallet.wallet_id, b"another copy"))
    view = world.request(wallet, payment(wallet))
    world.run(lambda: done(view))
    world.run(ms=1_000)
    with pytest.raises(NothingToAnswer):
        world.answer("node0", Answer(view.subject.request_id, False))


def test_refused_by_more_than_can_be_spared() -> None:
    two = {name: ScriptedJudge(name, refuses) for name in ("node0", "node2")}
    world = World(judges=judged_by(**two))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.state == "refused")
    assert not any(signed_by(world, name) for name in world.node_names)


def test_one_refusal_can_be_spared() -> None:
    world = World(judges=judged_by(node1=ScriptedJudge("node1", refuses)))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: done(view))
    assert not signed_by(world, "node1")


def test_a_node_that_demands_three_of_two() -> None:
    world = World(judges=judged_by(node0=ScriptedJudge("node0", need_nodes=3)))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: done(view))
    signers = {name for name in world.node_names if signed_by(world, name)}
    assert signers == set(world.node_names) or "node0" not in signers


def test_a_required_role_signs_too() -> None:
    demanding = {name: ScriptedJudge(name, roles=("role2",)) for name in ("node0", "node1")}
    world = World(judges=judged_by(**demanding))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: done(view))
    assert signed_by(world, "node2")


def test_a_required_role_that_is_away_means_no_signature() -> None:
    demanding = {name: ScriptedJudge(name, roles=("role2",)) for name in ("node0", "node1")}
    world = World(judges=judged_by(**demanding))
    wallet = world.make_wallet()
    world.stop("node2")
    view = world.request(wallet, payment(wallet))
    assert not world.run(lambda: done(view), ms=MINUTE)
    assert not any(signed_by(world, name) for name in world.node_names)


def test_a_request_nobody_can_sign_expires_cleanly() -> None:
    world = World()
    wallet = world.make_wallet()
    world.stop("node0")
    world.stop("node1")
    view = world.request(wallet, payment(wallet), life_ms=30 * MINUTE)
    assert world.run(lambda: view.state == "expired", ms=40 * MINUTE)
    assert world.node("node2").signing.tickets.whole[view.subject.request_id].state == "closed"
    world.restart("node0")
    world.restart("node1")
    world.run(ms=10 * MINUTE)
    assert not done(view)


def test_a_signed_request_that_expires_lets_the_node_sleep() -> None:
    """What may be signed is never closed, and that must not keep the node awake for ever."""
    world = World()
    wallet = world.make_wallet()
    world.stop("node0")
    world.hook = lambda e: [] if e.kind is Kind.PARTIAL_SIGNATURES else [e]
    view = world.request(wallet, payment(wallet), life_ms=10 * MINUTE)
    world.run(lambda: bool(signed_by(world, "node2")), ms=60_000)
    world.stop("coord")
    world.run(ms=20 * MINUTE)
    assert world.node("node2").signing.tickets.whole[view.subject.request_id].state == "may-be-signed"
    before = world.seats["node2"].steps
    world.run(ms=MINUTE)
    assert world.seats["node2"].steps - before < 20
