"""Stories of what a policy can lead to: waits, freezes, notices, numbers, and demands on the quorum."""

from __future__ import annotations

import pytest
from evil import signed_by
from policed import FRIENDS, PolicedWorld
from spends import STRANGER, payment

from cluster.client_views import SigningView
from cluster.effects import Now
from cluster.journal import FrozenKept, NoticeKept, ThawedKept, WaitKept, read
from cluster.messages import Decision, Kind, PartialSignatures, Verdict
from cluster.owner_says import Answer, ClockConfirmed, Freeze, NothingToAnswer, Thaw
from cluster.record_body import Body
from cluster.schemes import Wallet
from cluster.subjects import request_number

UNIT_MS = 600_000
WAITS = FRIENDS.replace("then: approve", "then: {wait: {delay: 20min, expires: 50min}}")
ASKS_AND_WAITS = FRIENDS.replace("then: approve", "then: {ask: {match: true}, wait: {delay: 20min}}")
NEEDS_ALL = FRIENDS.replace("then: approve", "then: approve\n    quorum: {nodes: 3}")
NEEDS_ROLE2 = FRIENDS.replace("then: approve", "then: approve\n    quorum: {roles: [role2]}")
NEVER_01 = FRIENDS.replace("then: approve", "then: approve\n    quorum: {never_only: [role0, role1]}")
NOTIFIES = FRIENDS.replace("then: approve", "then: approve\n    notify: true")
FREEZES = FRIENDS + (
    "deny:\n  - name: trap\n    when: {sent_above: 45_000sat}\n    then: freeze\n    notify: true\n"
)


def made(policy: str) -> tuple[PolicedWorld, Wallet]:
    world = PolicedWorld(policy)
    return world, world.make_wallet()


def ask(world: PolicedWorld, wallet: Wallet, label: str = "coin", amount_sats: int = 40_000) -> SigningView:
    return world.request(wallet, payment(wallet, script=STRANGER, label=label, amount_sats=amount_sats))


def entries(world: PolicedWorld, name: str) -> list[Body]:
    return [read(record) for record in world.seats[name].disk]


def verdict(view: SigningView, world: PolicedWorld, name: str) -> Verdict | None:
    seen = view.nodes.get(world.seats[name].identity.public)
    return None if seen is None else seen.verdict


def said(view: SigningView, world: PolicedWorld, name: str, decision: Decision) -> bool:
    found = verdict(view, world, name)
    return found is not None and found.decision is decision


def all_say(view: SigningView, world: PolicedWorld, decision: Decision) -> bool:
    return all(said(view, world, name, decision) for name in world.node_names)


def silent_clocks(world: PolicedWorld) -> None:
    """From here on no node hears of another's clock, so that only the owner can confirm the time."""
    kinds = {Kind.CLOCK_ASK, Kind.CLOCK_SAID, Kind.CLOCK_RELAY}
    world.hook = lambda envelope: [] if envelope.kind in kinds else [envelope]


# Waits.


def test_a_spend_waits_and_is_then_signed_by_itself() -> None:
    world, wallet = made(WAITS)
    view = ask(world, wallet)
    assert world.run(lambda: all_say(view, world, Decision.WAIT))
    assert not world.run(lambda: view.final is not None, ms=2 * UNIT_MS - 60_000)
    assert not any(signed_by(world, name) for name in world.node_names)
    assert world.run(lambda: view.final is not None, ms=3 * 60_000)
    waits = [entry for entry in entries(world, "node0") if isinstance(entry, WaitKept)]
    assert len(waits) == 1
    assert waits[0].spend_id == view.subject.spend_id


def test_a_wait_goes_on_after_a_restart_and_no_clock_shortens_it() -> None:
    world, wallet = made(WAITS.replace(", expires: 50min", ""))
    view = ask(world, wallet)
    assert world.run(lambda: all_say(view, world, Decision.WAIT))
    world.run(ms=UNIT_MS)
    silent_clocks(world)
    for name in world.node_names:
        world.restart(name)
    world.now = Now(world.now.wall_ms + 3 * UNIT_MS, world.now.monotonic_ms)
    assert not world.run(lambda: view.final is not None, ms=UNIT_MS // 2), "a wall clock set forwards"
    # The policy's time is written down once an hour, so a restart may cost that much of a wait, and never gains any.
    assert world.run(lambda: view.final is not None, ms=2 * UNIT_MS)


def test_a_wait_with_an_end_goes_on_once_the_clock_is_confirmed() -> None:
    world, wallet = made(WAITS)
    view = ask(world, wallet)
    assert world.run(lambda: all_say(view, world, Decision.WAIT))
    silent_clocks(world)
    for name in world.node_names:
        world.restart(name)
    assert not world.run(lambda: view.final is not None, ms=4 * UNIT_MS), "it may be over already"
    for name in world.node_names:
        world.perform(name, world.node(name).answer(ClockConfirmed(), world.now, world.entropy()))
    assert world.run(lambda: view.final is not None)


def test_asking_again_for_the_same_spend_starts_no_new_wait() -> None:
    world, wallet = made(WAITS)
    first = ask(world, wallet)
    assert world.run(lambda: all_say(first, world, Decision.WAIT))
    world.run(ms=UNIT_MS)
    psbt = payment(wallet, script=STRANGER)
    again = world.request(wallet, psbt, "once more")
    assert again.subject.spend_id == first.subject.spend_id
    assert world.run(lambda: again.final is not None, ms=UNIT_MS + 3 * 60_000)


def test_a_wait_that_is_over_is_refused() -> None:
    world, wallet = made(WAITS)
    view = ask(world, wallet)
    assert world.run(lambda: all_say(view, world, Decision.WAIT))
    for name in ("node1", "node2"):
        world.stop(name)
    world.run(ms=3 * UNIT_MS)
    assert said(view, world, "node0", Decision.APPROVE)
    world.run(ms=3 * UNIT_MS)
    assert said(view, world, "node0", Decision.REFUSE)
    for name in ("node1", "node2"):
        world.restart(name)
        world.perform(name, world.node(name).answer(ClockConfirmed(), world.now, world.entropy()))
    assert world.run(lambda: view.state == "refused")
    found = [verdict(view, world, name) for name in world.node_names]
    assert any(one is not None and one.codes == ("policy-wait-expired",) for one in found)
    assert not any(signed_by(world, name) for name in world.node_names)


def test_the_owner_s_no_ends_a_wait() -> None:
    world, wallet = made(WAITS)
    view = ask(world, wallet)
    assert world.run(lambda: all_say(view, world, Decision.WAIT))
    for name in ("node0", "node1"):
        world.answer(name, Answer(view.subject.request_id, False))
    assert world.run(lambda: view.state == "refused")
    world.run(ms=3 * UNIT_MS)
    assert view.final is None


def test_a_yes_and_a_delay_are_both_needed() -> None:
    world, wallet = made(ASKS_AND_WAITS)
    view = ask(world, wallet)
    request_id = view.subject.request_id
    assert world.run(lambda: all_say(view, world, Decision.WAIT))
    assert len(world.node("node0").questions(world.now)) == 1, "asked while it waits"
    for name in ("node0", "node1"):
        world.answer(name, Answer(request_id, True, request_number(request_id)))
    assert all_say(view, world, Decision.WAIT)
    assert world.run(lambda: view.final is not None, ms=2 * UNIT_MS + 3 * 60_000)


# Numbers.


def test_a_yes_without_the_number_is_not_enough_and_a_wrong_one_is_refused() -> None:
    world, wallet = made(FRIENDS.replace("then: approve", "then: {ask: {match: true}}"))
    view = ask(world, wallet)
    request_id = view.subject.request_id
    assert world.run(lambda: all_say(view, world, Decision.ASK))
    wrong = f"{(int(request_number(request_id)) + 1) % 10**6:06d}"
    with pytest.raises(NothingToAnswer, match="number"):
        world.node("node0").answer(Answer(request_id, True, wrong), world.now, world.entropy())
    for name in ("node0", "node1"):
        world.answer(name, Answer(request_id, True))
    world.run(ms=60_000)
    found = verdict(view, world, "node0")
    assert found is not None
    assert found.codes == ("policy-ask-number",)
    for name in ("node0", "node1"):
        world.answer(name, Answer(request_id, True, request_number(request_id)))
    assert world.run(lambda: view.final is not None)


# Freezes and notices.


def test_a_rule_freezes_the_wallet_and_only_the_owner_thaws_it() -> None:
    world, wallet = made(FREEZES)
    trap = ask(world, wallet, "trap", 46_000)
    assert world.run(lambda: trap.state == "refused")
    for name in world.node_names:
        kinds = [type(entry) for entry in entries(world, name)]
        assert kinds.count(FrozenKept) == 1
        assert kinds.count(NoticeKept) == 1
    small = ask(world, wallet, "small")
    assert world.run(lambda: small.state == "refused")
    found = verdict(small, world, "node0")
    assert found is not None
    assert found.codes == ("policy-frozen",)
    for name in world.node_names:
        world.restart(name)
        with pytest.raises(NothingToAnswer, match="frozen already"):
            world.node(name).answer(Freeze(wallet.wallet_id), world.now, world.entropy())
        world.perform(name, world.node(name).answer(Thaw(wallet.wallet_id), world.now, world.entropy()))
        assert ThawedKept in [type(entry) for entry in entries(world, name)]
    after = ask(world, wallet, "after")
    assert world.run(lambda: after.final is not None)


@pytest.mark.frost_only(
    reason="in a quorum tree no more than t sign together: test_story_trees.py shows the refusal"
)
def test_a_freeze_takes_a_standing_approval_back_at_once() -> None:
    world, wallet = made(NEEDS_ALL)
    world.stop("node2")
    view = ask(world, wallet)
    assert world.run(lambda: said(view, world, "node0", Decision.APPROVE))
    for name in ("node0", "node1"):
        world.perform(name, world.node(name).answer(Freeze(wallet.wallet_id), world.now, world.entropy()))
    world.restart("node2")
    assert world.run(lambda: view.state == "refused")
    assert not any(signed_by(world, name) for name in world.node_names)
    with pytest.raises(NothingToAnswer, match="no such wallet"):
        world.node("node0").answer(Freeze(bytes(31) + b"\x01"), world.now, world.entropy())


def test_a_notice_is_told_once() -> None:
    world, wallet = made(NOTIFIES)
    view = ask(world, wallet)
    assert world.run(lambda: view.final is not None)
    world.run(ms=60_000)
    for name in world.node_names:
        notices = [entry for entry in entries(world, name) if isinstance(entry, NoticeKept)]
        assert len(notices) == 1
        assert "friends" in notices[0].text
        world.restart(name)
        assert len(world.node(name).signing.tickets.notices) == 1


# Demands on the quorum.


@pytest.mark.parametrize("policy", [NEEDS_ALL, NEEDS_ROLE2, NEVER_01])
def test_a_quorum_that_lacks_what_a_policy_demands_never_signs(policy: str, scheme: str) -> None:
    world, wallet = made(policy)
    if scheme != "frost" and policy is NEEDS_ALL:  # more than a quorum of a tree has: refused at once
        view = ask(world, wallet)
        assert world.run(lambda: view.state == "refused")
        assert {seen.verdict.codes for seen in view.nodes.values() if seen.verdict} == {
            ("policy-quorum-nodes",)
        }
        return
    world.stop("node2")
    view = ask(world, wallet)
    assert not world.run(lambda: view.final is not None, ms=5 * 60_000)
    assert not any(signed_by(world, name) for name in world.node_names)
    world.restart("node2")
    assert world.run(lambda: view.final is not None, ms=5 * 60_000)


def test_a_signer_is_wanted_only_under_a_policy_that_is_named() -> None:
    world, wallet = made(FRIENDS)
    known = world.watch.judges["node1"].digest_for(wallet.wallet_id).hex()
    strict = FRIENDS.replace(
        "then: approve", f"then: approve\n    quorum: {{policies: {{role1: {known}}}, roles: [role1]}}"
    )
    world.adopt("node0", strict)
    world.stop("node2")
    view = ask(world, wallet)
    assert world.run(lambda: view.final is not None), "node1 is under the policy that node0 named"
    world.adopt("node1", FRIENDS.replace("5_000sat", "4_000sat"))
    later = ask(world, wallet, "later")
    assert not world.run(lambda: later.final is not None, ms=5 * 60_000)
    assert len(signed_by(world, "node0")) == 1


def test_every_partial_signature_names_its_policy() -> None:
    world, wallet = made(FRIENDS)
    view = ask(world, wallet)
    assert world.run(lambda: view.final is not None)
    for name in world.node_names:
        for kept in signed_by(world, name):
            assert kept.policy_digest == world.watch.judges[name].digest_for(wallet.wallet_id)
            assert (kept.fee_sats, kept.initiator) == (500, "client")
            assert kept.payments == ((STRANGER, 40_000),)


def test_a_partial_signature_letter_carries_the_digest() -> None:
    assert PartialSignatures((bytes(32),), b"\x07" * 32).policy_digest == b"\x07" * 32
