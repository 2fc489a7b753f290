"""Recovery leaves: who is asked, whose policy allows it, and what is refused before anybody signs."""

from __future__ import annotations

import pytest
from evil import EvilCoordinator, signed_by
from policed import PolicedWorld
from spends import STRANGER
from world import ScriptedJudge, World

from cluster.charter import LeafPlan
from cluster.client_views import SigningView
from cluster.codec import encode
from cluster.messages import Decision, Kind, Order, Verdict
from cluster.owner_says import Answer, CopyShown, Freeze
from cluster.roster import digest
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, Subject
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, PublicWallet, WalletPath, build_psbt, check_own_descriptor

DAYS_30 = 4_320
LEAVES = (
    LeafPlan("solo", "pk", (1,), 1, older=DAYS_30),
    LeafPlan("some", "multi", (0, 1, 2), 2, after=1_000),
)


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


def leafy(world: World) -> tuple[World, Wallet]:
    world.leaves = LEAVES
    return world, world.make_wallet()


def who_signed(world: World) -> set[str]:
    return {name for name in world.node_names if signed_by(world, name)}


def verdict(world: World, view: SigningView, name: str) -> Verdict | None:
    shown = view.nodes.get(world.seats[name].identity.public)
    return None if shown is None else shown.verdict


def test_only_those_in_a_leaf_are_asked() -> None:
    asked: list[str] = []

    def judge(name: str) -> ScriptedJudge:
        def decide(subject: Subject, said: bool | None) -> Decision:
            asked.append(name)
            return Decision.APPROVE

        return ScriptedJudge(name, decide)

    world, wallet = leafy(World(judges=judge))
    view = world.request(wallet, timed(wallet, sequence=DAYS_30), leaf="solo")
    assert world.run(lambda: view.final is not None)
    assert set(asked) == {"node1"}
    assert who_signed(world) == {"node1"}
    assert world.run(lambda: all(not world.node(name).signing.tickets.whole for name in world.node_names))


def test_a_node_outside_the_leaf_refuses_whatever_the_coordinator_says() -> None:
    world, wallet = leafy(World())
    evil = EvilCoordinator(world)
    view = world.request(wallet, timed(wallet, sequence=DAYS_30), leaf="solo")
    [answer] = evil.propose("node0", view.request)
    assert isinstance(answer.body, Verdict)
    assert answer.body.decision is Decision.REFUSE
    entry = evil.entry("node1", view.request)
    evil.order("node0", (entry,), wallet.wallet_id, view.subject.request_id)
    assert who_signed(world) == set()


def test_a_node_that_is_called_an_outsider_must_still_approve() -> None:
    """An outsider writes no verdict; were a node taken for one, its assent would not be needed."""
    world, wallet = leafy(World())
    evil = EvilCoordinator(world)
    view = world.request(wallet, timed(wallet, locktime=1_000), leaf="some")
    entry = evil.entry("node0", view.request)
    for outsiders in ((1,), (2,), (1, 2), (0, 1), (3,)):
        order = Order((entry,), outsiders)
        ids = {"wallet_id": wallet.wallet_id, "request_id": view.subject.request_id}
        assert evil.tell("node0", Kind.ORDER, order, **ids) == []
    assert who_signed(world) == set()


def test_a_leaf_that_is_not_in_the_wallet() -> None:
    world, wallet = leafy(World())
    with pytest.raises(BadRequest) as refused:
        world.request(wallet, timed(wallet, sequence=DAYS_30), leaf="heirs")
    assert refused.value.code == "request-leaf"


def test_a_request_by_another_leaf_is_another_request() -> None:
    """The same transaction by the key path and by a leaf: two spends, and neither's nonces serve the other."""
    world, wallet = leafy(World())
    psbt = timed(wallet, locktime=1_000)
    plain, leaf = world.request(wallet, psbt), world.request(wallet, psbt, leaf="some")
    assert plain.subject.spend_id != leaf.subject.spend_id
    assert world.run(lambda: plain.final is not None and leaf.final is not None)
    assert plain.final is not None
    assert leaf.final is not None
    assert plain.final.txid_hex == leaf.final.txid_hex
    sessions = {kept.session_id for name in world.node_names for kept in signed_by(world, name)}
    assert len(sessions) == 2


@pytest.mark.parametrize(
    ("leaf", "sequence", "locktime"),
    [
        ("solo", 0xFFFFFFFD, 0),
        ("solo", DAYS_30 - 1, 0),
        ("solo", 0xFFFFFFFF, 0),
        ("solo", 1 << 22 | 0xFFFF, 0),
        ("some", 0xFFFFFFFD, 0),
        ("some", 0xFFFFFFFD, 999),
        ("some", 0xFFFFFFFF, 1_000),
        ("some", 0xFFFFFFFD, 1_800_000_000),
    ],
)
def test_a_lock_time_that_the_leaf_would_not_take(
    scheme: str, leaf: str, sequence: int, locktime: int
) -> None:
    """What no chain would accept is refused before anybody is asked."""
    world, wallet = leafy(World())
    psbt = timed(wallet, sequence=sequence, locktime=locktime)
    with pytest.raises(BadRequest) as refused:
        world.request(wallet, psbt, leaf=leaf)
    assert refused.value.code == "lock-time"


NO_LEAF = """\
schema: 1
name: held
network: regtest
limits:
  fee: {max: 5_000sat, max_share: unlimited}
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - {name: rent, when: {pays_only: anyone}, then: approve}
"""


def test_a_policy_that_names_no_leaf_refuses_all() -> None:
    world, wallet = leafy(PolicedWorld(NO_LEAF))
    view = world.request(wallet, timed(wallet, sequence=DAYS_30), leaf="solo")
    assert world.run(lambda: view.state == "refused")
    found = verdict(world, view, "node1")
    assert found is not None
    assert "policy-leaf" in found.codes
    plain = world.request(wallet, timed(wallet))
    assert world.run(lambda: plain.final is not None)


@pytest.mark.parametrize(
    ("when", "signs"),
    [
        ("{by_leaf: [solo]}", True),
        ("{by_leaf: [some]}", False),
        ("{recovery: true, leaf_timed: true}", True),
        ("{recovery: false}", False),
        ("{leaf_timed: false}", False),
        ("{outsiders: true}", False),
    ],
)
def test_a_policy_names_the_leaf_and_its_tier(when: str, signs: bool) -> None:
    text = NO_LEAF.replace("{pays_only: anyone}", when).replace("limits:", "leaves: [solo]\nlimits:", 1)
    world, wallet = leafy(PolicedWorld(text))
    view = world.request(wallet, timed(wallet, sequence=DAYS_30), leaf="solo")
    assert world.run(lambda: view.final is not None or view.state == "refused")
    assert (view.final is not None) is signs


def test_the_owner_is_told_by_which_leaf() -> None:
    text = NO_LEAF.replace("then: approve}", "then: ask}").replace(
        "limits:", "leaves: [solo, some]\nlimits:", 1
    )
    world, wallet = leafy(PolicedWorld(text))
    told = dict[str, list[str]]()
    for leaf, sequence, locktime in (("solo", DAYS_30, 0), ("some", 0xFFFFFFFD, 1_000), ("", 0xFFFFFFFD, 0)):
        psbt = timed(wallet, sequence=sequence, locktime=locktime, label=f"by-{leaf}")
        view = world.request(wallet, psbt, leaf=leaf)
        world.run(ms=300)
        [question] = [
            one for one in world.node("node1").questions(world.now) if one.subject == view.subject.request_id
        ]
        told[leaf] = [line for line in question.lines if "leaf" in line]
    assert told == {
        "solo": ["by the recovery leaf solo (signed by its one key), not the ordinary way"],
        "some": ["by the recovery leaf some (signed by 2 of its 3 keys), not the ordinary way"],
        "": [],
    }


def test_a_freeze_stops_leaves_too() -> None:
    text = NO_LEAF.replace("limits:", "leaves: [solo]\nlimits:", 1)
    world, wallet = leafy(PolicedWorld(text))
    world.perform("node1", world.node("node1").answer(Freeze(wallet.wallet_id), world.now, world.entropy()))
    view = world.request(wallet, timed(wallet, sequence=DAYS_30), leaf="solo")
    assert world.run(lambda: view.state == "refused")


def test_every_leaf_draws_on_the_same_budget() -> None:
    """40,000 to a stranger twice: by the key path, then by a leaf; this node's part of 50,000 a day holds for both."""
    text = NO_LEAF.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 150_000sat}]")
    text = text.replace("limits:", "leaves: [solo, some]\nlimits:", 1)
    for first, then in (("", "some"), ("some", "")):
        world, wallet = leafy(PolicedWorld(text, 3, 3))
        one = world.request(wallet, timed(wallet, locktime=1_000, label="one"), leaf=first)
        assert world.run(lambda view=one: view.final is not None)  # type: ignore[misc]
        two = world.request(wallet, timed(wallet, locktime=1_000, label="two"), leaf=then)
        assert world.run(lambda view=two: view.state == "refused"), (first, then)  # type: ignore[misc]


def test_a_node_that_derives_other_addresses_never_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner is not even asked for a copy, nobody is shown an address, and the client is told whose key it is."""
    real, seen = check_own_descriptor, list[PublicWallet]()

    def failing(wallet: PublicWallet) -> None:
        seen.append(wallet)
        real(wallet)
        if len(seen) == 1:
            raise ValueError("at 0/0 it has another address")

    world = World()
    monkeypatch.setattr("cluster.node_keygen.check_own_descriptor", failing)
    charter = world.charter()
    view = world.propose(charter)
    subject = digest(encode(charter))

    def asked() -> bool:
        plans = [world.node(name).plan(subject) for name in world.node_names]
        for name, plan in zip(world.node_names, plans, strict=True):
            if plan is not None and plan.stage == "proposed":
                world.answer(name, Answer(subject, True))
        return bool(view.codes)

    assert world.run(asked)
    assert view.codes == ("keygen-addresses",)
    assert sorted(one.reach for one in view.nodes.values()).count("unfinished") == 1
    stages = sorted(plan.stage for name in world.node_names if (plan := world.node(name).plan(subject)))
    assert stages == ["made", "made", "undecided"]
    monkeypatch.setattr("cluster.node_keygen.check_own_descriptor", real)

    def copied() -> bool:
        for name in world.node_names:
            plan, wallet = (
                world.node(name).plan(subject),
                world.node(name).keygen.wallets.get(charter.wallet_id),
            )
            if plan is not None and plan.stage == "made" and wallet is not None:
                world.answer(name, CopyShown(charter.wallet_id, wallet.recovery_data))
        return view.wallet is not None

    assert world.run(copied)
    assert not view.codes
