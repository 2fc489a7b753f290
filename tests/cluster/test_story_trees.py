"""Quorum trees: which quorum signs, who is waited for, and what no tree can give."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator, signed_by
from policed import PolicedWorld
from spends import STRANGER, payment
from world import ScriptedJudge, World

from cluster.client_views import SigningView
from cluster.journal import ComplaintKept, read
from cluster.messages import Kind, Order, Verdict
from cluster.schemes import Wallet
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt


def timed(wallet: Wallet, *, sequence: int = 0xFFFFFFFD, locktime: int = 0, label: str = "timed") -> bytes:
    """A payment to a stranger with these locks."""
    coin = Coin(OutPoint(tagged_hash("test/coin", label.encode()), 0), 100_000, WalletPath(0, 0))
    return build_psbt(
        wallet.public,
        coins=[coin],
        payments=[Payment(STRANGER, 40_000)],
        fee_sats=500,
        change=WalletPath(1, 0),
        sequence=sequence,
        locktime=locktime,
    )


def who_signed(world: World) -> set[str]:
    return {name for name in world.node_names if signed_by(world, name)}


def verdict(world: World, view: SigningView, name: str) -> Verdict | None:
    shown = view.nodes.get(world.seats[name].identity.public)
    return None if shown is None else shown.verdict


WANTS_ALL = """\
schema: 1
name: held
network: regtest
limits:
  fee: {max: 5_000sat, max_share: unlimited}
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - {name: rent, when: {pays_only: anyone}, then: approve, quorum: {nodes: 3}}
"""


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    monkeypatch.setattr(World, "scheme", "musig2")
    return World


def test_the_favourite_signs_even_when_others_are_faster(tree: type[World]) -> None:
    """Whoever is not in the favourite quorum answers first; the favourite's nodes are there too, and are waited for."""
    world = tree(2, 3)

    def hook(envelope):  # type: ignore[no-untyped-def]
        envelope.delay_ms = 300 if envelope.sender == "node1" else 5
        return [envelope]

    wallet = world.make_wallet()
    world.hook = hook
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    assert who_signed(world) == {"node0", "node1"}
    assert view.signed is not None
    assert [len(one) for one in view.signed.signatures[0]] == [64]


def test_nobody_waits_for_a_favourite_that_is_not_there(tree: type[World]) -> None:
    world = tree(2, 3)
    wallet = world.make_wallet()
    world.run(ms=200)
    world.stop("node0")
    world.run(ms=30_000)
    began = world.now.monotonic_ms
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    assert who_signed(world) == {"node1", "node2"}
    assert world.now.monotonic_ms - began < 500


def test_a_favourite_that_goes_silent_is_waited_for_only_a_moment(tree: type[World]) -> None:
    """It was there until just now: a second is lost, the request is not."""
    world = tree(2, 3)
    wallet = world.make_wallet()
    world.run(ms=200)
    world.stop("node1")
    began = world.now.monotonic_ms
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    assert who_signed(world) == {"node0", "node2"}
    assert 900 < world.now.monotonic_ms - began < 4_000


def test_a_node_that_demands_more_than_a_quorum_of_the_tree_is_passed_over(tree: type[World]) -> None:
    judges = {"node0": ScriptedJudge("node0", need_nodes=3)}
    world = tree(judges=lambda name: judges.get(name) or ScriptedJudge(name))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    assert who_signed(world) == {"node1", "node2"}


def test_a_role_that_a_node_demands_decides_the_quorum(tree: type[World]) -> None:
    judges = {
        "node0": ScriptedJudge("node0", roles=("role2",)),
        "node1": ScriptedJudge("node1", roles=("role0",)),
    }
    world = tree(judges=lambda name: judges.get(name) or ScriptedJudge(name))
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet))
    assert world.run(lambda: view.final is not None)
    assert who_signed(world) == {"node0", "node2"}


def test_in_a_tree_a_policy_that_wants_all_refuses_at_once(tree: type[World]) -> None:
    """Two of three sign together there, never three: the node says so instead of waiting for what cannot come."""
    world = PolicedWorld(WANTS_ALL)
    wallet = world.make_wallet()
    view = world.request(wallet, timed(wallet))
    assert world.run(lambda: view.state == "refused")
    found = verdict(world, view, "node0")
    assert found is not None
    assert found.codes == ("policy-quorum-nodes",)


def test_an_evil_coordinator_makes_no_quorum_of_three_in_a_tree_of_two(tree: type[World]) -> None:
    world = tree(2, 3)
    wallet = world.make_wallet()
    world.run(ms=200)
    evil = EvilCoordinator(world)
    view = world.request(wallet, payment(wallet))
    entries = [evil.entry(name, view.request) for name in world.node_names]
    for chosen in (entries, entries[:1], [entries[0], entries[0]], entries[1::-1]):
        evil.order("node0", tuple(chosen), wallet.wallet_id, view.subject.request_id)
    for outsiders in ((3,), (2,), (1, 2), (0,), (2**31 - 1,)):
        order = Order((entries[0],), outsiders)
        evil.tell("node0", Kind.ORDER, order, wallet_id=wallet.wallet_id, request_id=view.subject.request_id)
    assert who_signed(world) == set()
    complaints = [read(record) for record in world.seats["node0"].disk]
    assert {c.code for c in complaints if isinstance(c, ComplaintKept)} == {"order-signers"}
    answered = evil.order("node0", tuple(entries[:2]), wallet.wallet_id, view.subject.request_id)
    assert [letter.header.kind for letter in answered] == [Kind.PARTIAL_SIGNATURES]
