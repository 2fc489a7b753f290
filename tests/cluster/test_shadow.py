"""A draft in the shadow: it says what it would have said, once, and never has a say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policed import FRIENDS, PolicedWorld
from spends import STRANGER, payment

from cluster.journal import ShadowEnded, ShadowKept, ShadowSaid, read
from cluster.judge import PolicyJudge
from cluster.judging import NOTHING_SAID
from cluster.messages import Decision
from cluster.owner_says import Answer, NothingToAnswer
from cluster.profiles import Profiles
from cluster.records import NO_WALLET
from cluster.schemes import Wallet
from cluster.settings import profile_of_texts
from cluster.shadow import FAILED, Drafting, Shadow, ShadowWord

STRICTER = FRIENDS.replace("sent: unlimited", "sent: 30_000sat")
ASKS = FRIENDS.replace("then: approve", "then: ask")


def made(policy: str = FRIENDS) -> tuple[PolicedWorld, Wallet]:
    world = PolicedWorld(policy)
    return world, world.make_wallet()


def draft(world: PolicedWorld, name: str, text: str, wallet_id: bytes = NO_WALLET) -> None:
    step = world.node(name).answer(Drafting(text, "", wallet_id), world.now, world.entropy())
    world.perform(name, step)


def said(world: PolicedWorld, name: str) -> list[ShadowSaid]:
    entries = [read(record) for record in world.seats[name].disk]
    return [entry for entry in entries if isinstance(entry, ShadowSaid)]


def sign(world: PolicedWorld, wallet: Wallet, label: str = "coin", amount_sats: int = 40_000) -> bool:
    view = world.request(wallet, payment(wallet, script=STRANGER, label=label, amount_sats=amount_sats))
    world.run(lambda: view.final is not None, ms=30_000)
    return view.final is not None


def test_a_draft_that_would_refuse_is_noted_and_refuses_nothing() -> None:
    world, wallet = made()
    for name in world.node_names:
        draft(world, name, STRICTER)
    assert sign(world, wallet)
    for name in world.node_names:
        [entry] = said(world, name)
        assert (Decision(entry.decision), Decision(entry.said)) == (Decision.REFUSE, Decision.APPROVE)
        assert entry.codes == ("policy-amount-sent",)
        assert entry.note == ""


def test_a_draft_that_agrees_says_nothing() -> None:
    world, wallet = made()
    draft(world, "node0", STRICTER)
    assert sign(world, wallet, amount_sats=20_000)
    assert said(world, "node0") == []


def test_a_draft_that_would_approve_lets_nothing_pass() -> None:
    world, wallet = made(STRICTER)
    for name in world.node_names:
        draft(world, name, FRIENDS)
    assert not sign(world, wallet)
    [entry] = said(world, "node0")
    assert (Decision(entry.decision), Decision(entry.said)) == (Decision.APPROVE, Decision.REFUSE)


def test_each_changed_outcome_is_noted_once_however_often_it_is_judged() -> None:
    world, wallet = made(ASKS)
    draft(world, "node0", STRICTER)
    view = world.request(wallet, payment(wallet, script=STRANGER))
    world.run(lambda: len(view.nodes) == 3, ms=30_000)
    request_id = next(iter(world.node("node0").signing.tickets.whole))
    assert [Decision(one.said) for one in said(world, "node0")] == [Decision.ASK]
    world.run(ms=120_000)
    assert len(said(world, "node0")) == 1
    # With the owner's yes the policy approves and the draft still refuses: another outcome, noted once more.
    world.perform("node0", world.node("node0").answer(Answer(request_id, True), world.now, world.entropy()))
    world.run(ms=120_000)
    assert [Decision(one.said) for one in said(world, "node0")] == [Decision.ASK, Decision.APPROVE]


def test_a_restart_keeps_the_draft_and_what_it_said() -> None:
    world, wallet = made()
    draft(world, "node0", STRICTER)
    assert sign(world, wallet)
    world.restart("node0")
    judge = world.watch.judges["node0"].inner
    assert isinstance(judge, PolicyJudge)
    assert judge.shadow.drafts[NO_WALLET].text == STRICTER
    assert judge.shadow.count(NO_WALLET) == len(judge.shadow.said(NO_WALLET)) == 1
    assert sign(world, wallet, "another")
    assert len(said(world, "node0")) == 2


def test_a_new_draft_begins_anew_and_none_says_nothing() -> None:
    world, wallet = made()
    draft(world, "node0", STRICTER)
    assert sign(world, wallet)
    judge = world.watch.judges["node0"].inner
    assert isinstance(judge, PolicyJudge)
    draft(world, "node0", ASKS)
    assert judge.shadow.count(NO_WALLET) == 0
    assert sign(world, wallet, "another")
    assert [Decision(one.decision) for one in judge.shadow.said(NO_WALLET)] == [Decision.ASK]
    draft(world, "node0", "")
    assert judge.shadow.drafts == {}
    assert sign(world, wallet, "a third")
    assert len(said(world, "node0")) == 2
    kinds = [type(read(record)) for record in world.seats["node0"].disk]
    assert kinds.count(ShadowKept) == 2
    assert kinds.count(ShadowEnded) == 1


def test_a_wallets_own_draft_comes_before_the_one_for_all() -> None:
    world, wallet = made()
    draft(world, "node0", ASKS)
    draft(world, "node0", STRICTER, wallet.wallet_id)
    assert sign(world, wallet)
    assert [Decision(one.decision) for one in said(world, "node0")] == [Decision.REFUSE]


@pytest.mark.parametrize(
    ("text", "wallet_id", "why"),
    [
        ("schema: 2\n", NO_WALLET, "schema"),
        (FRIENDS.replace("regtest", "signet"), NO_WALLET, "signet"),
        (FRIENDS, b"\x09" * 32, "no such wallet"),
    ],
)
def test_what_cannot_be_in_the_shadow_is_refused_and_not_remembered(
    text: str, wallet_id: bytes, why: str
) -> None:
    world, _ = made()
    before = len(world.seats["node0"].disk)
    with pytest.raises(NothingToAnswer, match=why):
        draft(world, "node0", text, wallet_id)
    assert len(world.seats["node0"].disk) == before


def test_a_draft_that_fails_is_a_note_and_nothing_more() -> None:
    """A record that an older program wrote may not load any more; the policy in force does not care."""
    world, wallet = made()
    draft(world, "node0", STRICTER)
    judge = world.watch.judges["node0"].inner
    assert isinstance(judge, PolicyJudge)
    judge.shadow.restore(ShadowKept(0, "schema: 99\n", ""), NO_WALLET)
    assert sign(world, wallet)
    [entry] = said(world, "node0")
    assert entry.codes == (FAILED,)
    assert entry.note == "the draft failed (SettingsError)"


def test_a_judgement_is_the_same_with_a_draft_and_without() -> None:
    world, wallet = made()
    assert sign(world, wallet)
    judge = world.watch.judges["node0"].inner
    assert isinstance(judge, PolicyJudge)
    [ticket] = world.node("node0").signing.tickets.whole.values()
    bare = judge.judge(ticket.subject, NOTHING_SAID, world.now)
    for text in (STRICTER, ASKS, FRIENDS.replace("[friends, own]", "own")):
        judge.restore(ShadowKept(0, text, ""), NO_WALLET)
        found = judge.judge(ticket.subject, NOTHING_SAID, world.now)
        assert found.shadow is not None
        assert replace(found, shadow=None) == bare
        assert found.same_as(bare)


def test_without_a_draft_nothing_is_looked_at() -> None:
    shadow = Shadow(profile_of_texts)
    world, wallet = made()
    assert sign(world, wallet)
    judge = world.watch.judges["node0"].inner
    assert isinstance(judge, PolicyJudge)
    assert isinstance(judge.profiles, Profiles)
    assert not said(world, "node0")
    assert shadow.drafts == {}
    word = ShadowWord(Decision.ASK, Decision.APPROVE, ("policy-ask",))
    assert word.entry(5, b"\x01" * 32) == ShadowSaid(5, b"\x01" * 32, 1, 0, ("policy-ask",), "")
