"""Which exit code a request that did not end in a signature has, and whom the line names."""

from __future__ import annotations

import pytest
from world import World

from cluster.cli.output import Output
from cluster.cli.owner import _not_yet
from cluster.cli.verdicts import Verdicts, outcome_error, tell_news
from cluster.client_views import NodeView, SigningView
from cluster.errors import ClusterError
from cluster.heads import UNPROVEN
from cluster.messages import NO_ID, Decision, Verdict
from cluster.subjects import request_number
from policy.tags import ASK_NUMBER
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def asked(world: World) -> SigningView:
    wallet = world.make_wallet()
    public = wallet.public
    coin = Coin(OutPoint(bytes(32), 1), 100_000, WalletPath(0, 0))
    pay = Payment(public.script(WalletPath(0, 5)), 99_000)
    return world.request(wallet, build_psbt(public, coins=[coin], payments=[pay], fee_sats=1_000))


def node(decision: Decision | None, reach: str = "online") -> NodeView:
    if decision is None:
        return NodeView(reach)
    codes = () if decision is Decision.APPROVE else (f"policy-{decision.name.lower()}",)
    return NodeView(reach, Verdict(decision, codes, NO_ID, NO_ID, 0, 0, NO_ID, 0, (), (), (), 0))


YES, ASK, WAIT, NO = Decision.APPROVE, Decision.ASK, Decision.WAIT, Decision.REFUSE


@pytest.mark.parametrize(
    ("state", "nodes", "code", "said"),
    [
        ("refused", [node(NO), node(NO), node(YES)], 4, "refused by node0 (policy-refuse), node1"),
        ("asking", [node(YES), node(ASK), node(None, "unreachable")], 5, "waiting for node1 (policy-ask)"),
        ("waiting", [node(YES), node(WAIT), node(NO)], 5, "waiting for node1 (policy-wait)"),
        ("asking", [node(ASK), node(NO), node(None, "unreachable")], 6, "no quorum: refused by node1"),
        (
            "asking",
            [node(ASK, "unreachable"), node(YES), node(None, "unreachable")],
            6,
            "cannot reach node0, node2",
        ),
        ("gathering", [node(YES), node(None, "unreachable"), node(None, "unreachable")], 6, "node1, node2"),
        ("gathering", [node(YES), node(YES), node(None, "version-mismatch")], 6, "node2"),
        ("gathering", [node(YES), node(YES), node(YES)], 6, "no signature in time"),
        ("expired", [node(YES), node(None), node(None)], 6, "expired"),
        ("closed", [node(YES), node(YES), node(YES)], 6, "given up"),
        ("signing", [node(YES, "misbehaved"), node(YES), node(NO)], 8, "node0 misbehaved"),
        ("rejected", [], 4, "did not take"),
        ("unsent", [], 7, "relay did not answer"),
    ],
)
def test_the_error_names_who_and_why(
    world: World, asked: SigningView, state: str, nodes: list[NodeView], code: int, said: str
) -> None:
    view = SigningView(asked.subject, asked.request, state=state)
    view.nodes = {world.seats[f"node{i}"].identity.public: seen for i, seen in enumerate(nodes)}
    verdicts = Verdicts(world.roster)
    verdicts.news(view)
    error = outcome_error(view, verdicts, "relay", heard=False)
    assert isinstance(error, ClusterError)
    assert error.exit_code == code
    assert said in str(error)


def test_news_are_told_once_and_a_lost_cause_is_seen(world: World, asked: SigningView) -> None:
    view = SigningView(asked.subject, asked.request)
    keys = [world.seats[name].identity.public for name in world.node_names]
    view.nodes = dict(zip(keys, [node(YES), node(None), node(ASK)], strict=True))
    verdicts = Verdicts(world.roster)
    assert verdicts.news(view) == ["node0: approves", "node2: asks its owner (policy-ask)"]
    assert verdicts.news(view) == []
    assert not view.hopeless
    view.nodes[keys[0]] = node(YES, "misbehaved")
    view.nodes[keys[2]] = node(NO)
    assert verdicts.news(view) == [
        "node0: MISBEHAVED (an invalid partial signature), as the coordinator says",
        "node2: refuses (policy-refuse)",
    ]
    assert view.hopeless
    assert [fact["decision"] for fact in verdicts.facts()] == ["approve", None, "refuse"]


def test_whoever_waits_for_a_node_that_waits_for_its_peers_is_told_the_ways_out(
    world: World, asked: SigningView
) -> None:
    view = SigningView(asked.subject, asked.request)
    keys = [world.seats[name].identity.public for name in world.node_names]
    unproven = NodeView("online", Verdict(WAIT, (UNPROVEN,), NO_ID, NO_ID, 0, 0, NO_ID, 0, (), (), (), 0))
    view.nodes = dict(zip(keys, [unproven, node(YES), node(None, "unreachable")], strict=True))
    verdicts = Verdicts(world.roster)
    assert verdicts.news(view)[0] == "node0: waits (rollback-unproven)"
    error = outcome_error(view, verdicts, "relay", heard=True)
    assert error.exit_code == 5
    for way in ("start the others", "assent quarantine end", "an anchor", "the same command again"):
        assert way in str(error)
    view.nodes[keys[0]] = node(ASK)
    verdicts.news(view)
    assert "quarantine" not in str(outcome_error(view, verdicts, "relay", heard=True))


def test_an_owner_who_must_type_the_number_is_told_which(
    world: World, asked: SigningView, capsys: pytest.CaptureFixture[str]
) -> None:
    view = SigningView(asked.subject, asked.request)
    keys = [world.seats[name].identity.public for name in world.node_names]
    by_number = NodeView("online", Verdict(ASK, (ASK_NUMBER,), NO_ID, NO_ID, 0, 0, NO_ID, 0, (), (), (), 0))
    unproven = NodeView("online", Verdict(WAIT, (UNPROVEN,), NO_ID, NO_ID, 0, 0, NO_ID, 0, (), (), (), 0))
    view.nodes = dict(zip(keys, [node(YES), by_number, unproven], strict=True))
    verdicts = Verdicts(world.roster)
    for _ in range(2):
        tell_news(Output(as_json=False), verdicts, view)
    said = capsys.readouterr().err
    assert said.count(f"assent approve ID --number {request_number(asked.subject.request_id)}") == 1
    assert said.count("assent quarantine end") == 1


def test_a_yes_that_is_not_enough_says_what_is_missing() -> None:
    assert "again with --number" in str(_not_yet("ask", [ASK_NUMBER]))
    assert "`assent status` says which" in str(_not_yet("wait", [UNPROVEN]))
    refused = _not_yet("refuse", ["policy-frozen"])
    assert (refused.exit_code, str(refused)) == (
        4,
        "your yes is kept, but this node's policy still says refuse (policy-frozen)",
    )
