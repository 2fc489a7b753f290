"""Attacks on real nodes with a real policy: a hostile client, an evil coordinator, a clock, a restart."""

from __future__ import annotations

import pytest
from evil import signed_by
from policed import PolicedWorld, kept_policy
from thief import ASKS, BUDGET, DAY_MS, Thief, pay

from cluster.codec import open_inner
from cluster.effects import Now
from cluster.journal import RecoveredKept, UsedKept, note
from cluster.messages import (
    Decision,
    Final,
    Gone,
    Kind,
    PartialSignatures,
    Verdict,
)
from cluster.owner_says import Answer, ClockConfirmed, PolicyProposed
from cluster.schemes import Wallet
from cluster.subjects import Subject
from taproot import Coin, OutPoint, WalletPath, build_psbt


def test_a_payment_in_pieces_is_one_payment() -> None:
    thief = Thief(BUDGET.replace("100_000sat", "1btc"))
    assert thief.signs(thief.psbt(pay(35_000), pay(35_000)))
    assert "policy-amount-sent" in thief.judged("node0", thief.psbt(pay(35_001), pay(35_000))).codes


def test_requests_in_flight_together_share_one_budget() -> None:
    """Both are approved and have nonces; the budget of the moment of the order decides."""
    thief = Thief(BUDGET)
    asked = []
    for coin in (1, 2):
        subject, answers = thief.ask("node0", thief.psbt(pay(40_000), coin=coin))
        asked.append((subject, thief.entries(subject, answers)))
    (first, one), (second, other) = asked
    assert isinstance(thief.order("node0", first, one).body, PartialSignatures)
    verdict = thief.order("node0", second, other).body
    assert isinstance(verdict, Verdict)
    assert verdict.codes == ("policy-velocity-sum",)
    assert len(signed_by(thief.world, "node0")) == 1


def test_a_replacement_is_paid_for_once_and_never_less_than_its_most() -> None:
    thief = Thief(BUDGET)
    assert thief.signs(thief.psbt(pay(20_000), coin=1))
    assert thief.signs(thief.psbt(pay(40_000), coin=1)), "the same coin: only one of the two can confirm"
    assert thief.signs(thief.psbt(pay(10_000), coin=1))
    assert not thief.signs(thief.psbt(pay(20_000), coin=2)), "40,500 of 50,000 are booked"
    assert thief.signs(thief.psbt(pay(9_000), coin=2))


def test_the_same_transaction_under_other_sighash_types_or_amounts_is_booked_once() -> None:
    thief = Thief(BUDGET)
    for fee_sats in (500, 501, 502):
        assert thief.signs(thief.psbt(pay(40_000), coin=1, fee_sats=fee_sats))
    assert thief.signs(thief.psbt(pay(8_000), coin=2))
    assert not thief.signs(thief.psbt(pay(8_000), coin=3))


@pytest.mark.parametrize("restarted", [False, True])
def test_no_clock_but_the_owners_refills_a_budget(restarted: bool) -> None:
    thief = Thief(BUDGET)
    world = thief.world
    assert thief.signs(thief.psbt(pay(40_000), coin=1))
    world.now = Now(world.now.wall_ms + 3 * DAY_MS, world.now.monotonic_ms + 1_000)
    if restarted:
        for name in ("node0", "node1"):
            world.stop(name)
        world.now = Now(world.now.wall_ms, 50)
        for name in ("node0", "node1"):
            world.restart(name)
    assert not thief.signs(thief.psbt(pay(40_000), coin=2))
    world.perform("node0", world.node("node0").answer(ClockConfirmed(), world.now, world.entropy()))
    world.perform("node1", world.node("node1").answer(ClockConfirmed(), world.now, world.entropy()))
    assert thief.signs(thief.psbt(pay(40_000), coin=3)), "three days have passed, and the owner says so"


def test_a_recovered_node_signs_nothing_that_has_a_budget_until_its_window_has_passed() -> None:
    thief = Thief(BUDGET)
    world = thief.world
    world.stop("node0")
    world.seats["node0"].disk.append(note(RecoveredKept(world.now.wall_ms, confirmed=False)))
    world.restart("node0")
    world.answer("node0", ClockConfirmed())
    assert thief.judged("node0", thief.psbt(pay(1_000), coin=1)).codes == ("policy-velocity-sum",)
    world.advance(DAY_MS - 60_000)
    assert thief.judged("node0", thief.psbt(pay(1_000), coin=2)).codes == ("policy-velocity-sum",)
    world.advance(60_001)
    assert thief.judged("node0", thief.psbt(pay(1_000), coin=3)).decision is Decision.APPROVE


# The owner's word.


def answer(thief: Thief, subject: Subject, yes: bool) -> None:
    thief.world.answer("node0", Answer(subject.request_id, yes))


def test_a_yes_to_one_spend_is_none_to_another() -> None:
    thief = Thief(ASKS)
    subject, _ = thief.ask("node0", thief.psbt(pay(40_000), coin=1))
    answer(thief, subject, True)
    assert thief.judged("node0", thief.psbt(pay(40_000), coin=1)).decision is Decision.APPROVE
    for other in (
        thief.psbt(pay(40_001), coin=1),
        thief.psbt(pay(40_000), coin=2),
        thief.psbt(pay(40_000), coin=1, locktime=1),
        thief.psbt(pay(40_000), coin=1, change=WalletPath(1, 1)),
    ):
        assert thief.judged("node0", other).decision is Decision.ASK


def test_a_yes_ends_with_the_request_it_was_given_to() -> None:
    """Or a client could keep it, and have the spend signed a year after everybody forgot it."""
    thief = Thief(ASKS)
    psbt = thief.psbt(pay(40_000), coin=1)
    subject, _ = thief.ask("node0", psbt, life_ms=3_600_000)
    answer(thief, subject, True)
    thief.world.advance(3_500_000)
    later, answers = thief.ask("node0", psbt)
    assert answers[0].body.decision is Decision.APPROVE, "the yes still stands"  # type: ignore[union-attr]
    thief.world.advance(200_000)
    assert thief.judged("node0", psbt).decision is Decision.ASK
    again = thief.coordinator.propose("node0", thief.request)
    assert [letter.body.decision for letter in again] == [Decision.ASK]  # type: ignore[union-attr]
    thief.world.restart("node0")
    assert thief.judged("node0", psbt).decision is Decision.ASK
    ticket = thief.world.node("node0").ticket(later.request_id)
    assert ticket is not None
    assert ticket.judgement.decision is Decision.ASK


def test_what_may_be_signed_is_finished_under_the_yes_it_began_with() -> None:
    thief = Thief(ASKS)
    psbt = thief.psbt(pay(40_000), coin=1)
    subject, _ = thief.ask("node0", psbt, life_ms=3_600_000)
    coordinator = thief.coordinator
    asked = thief.request
    coordinator.propose("node1", asked)
    for name in ("node0", "node1"):
        thief.world.answer(name, Answer(subject.request_id, True))
    entries = tuple(coordinator.entry(name, asked) for name in ("node0", "node1"))
    assert isinstance(thief.order("node0", subject, entries).body, PartialSignatures)
    thief.world.advance(2 * 3_600_000)
    verdict = coordinator.propose("node0", asked)[0].body
    assert isinstance(verdict, Verdict)
    assert verdict.decision is Decision.APPROVE


def test_a_no_stays_and_does_not_hide_what_the_policy_has_against_it() -> None:
    thief = Thief(ASKS)
    psbt = thief.psbt(pay(40_000), coin=1)
    subject, _ = thief.ask("node0", psbt)
    answer(thief, subject, False)
    assert thief.judged("node0", psbt).codes == ("policy-owner-no",)
    tight = ASKS.replace("70_000sat", "30_000sat")
    world = thief.world
    world.perform("node0", world.node("node0").answer(PolicyProposed(tight), world.now, world.entropy()))
    assert set(thief.judged("node0", psbt).codes) >= {"policy-owner-no", "policy-amount-sent"}
    world.advance(30 * DAY_MS)
    assert "policy-owner-no" in thief.judged("node0", psbt).codes


# Addresses.


def test_a_node_that_only_heard_the_final_knows_the_used_addresses() -> None:
    """Or the third node, never among the fastest, would refuse all change once the others are a gap ahead."""
    world = PolicedWorld(BUDGET)
    wallet = world.make_wallet()
    path = WalletPath(1, 600)
    coin = Coin(OutPoint(b"\x07" * 32, 0), 100_000, WalletPath(0, 400))
    psbt = build_psbt(wallet.public, coins=[coin], payments=[pay(20_000)], fee_sats=500, change=path)
    view = world.request(wallet, psbt)
    assert world.run(lambda: view.final is not None)
    world.run(ms=10_000)
    assert sorted(len(signed_by(world, name)) for name in world.node_names) == [0, 1, 1]
    for again in (False, True):
        for name in world.node_names:
            if again:
                world.restart(name)
            known = world.node(name).keygen.wallets[wallet.wallet_id]
            assert (known.next_receive, known.next_change) == (401, 601), name


def test_a_recovered_node_knows_the_used_addresses_that_it_was_told() -> None:
    world = PolicedWorld(BUDGET)
    wallet = world.make_wallet()
    world.stop("node0")
    world.seats["node0"].disk.append(note(UsedKept(world.now.wall_ms, 1_200, 7), wallet.wallet_id))
    world.restart("node0")
    known = world.node("node0").keygen.wallets[wallet.wallet_id]
    assert (known.next_receive, known.next_change, known.complete) == (1_200, 7, True)


# Whose policy.


def test_a_wallets_own_policy_is_not_another_wallets() -> None:
    thief = Thief(BUDGET)
    world = thief.world
    other = world_wallet(thief)
    strict = BUDGET.replace("70_000sat", "10_000sat")
    node = world.node("node0")
    world.perform("node0", node.answer(PolicyProposed(strict, other.wallet_id), world.now, world.entropy()))
    for again in (False, True):
        if again:
            world.restart("node0")
        assert thief.judged("node0", thief.psbt(pay(20_000), coin=1)).decision is Decision.APPROVE
        held, thief.wallet = thief.wallet, other
        assert thief.judged("node0", thief.psbt(pay(20_000), coin=2)).codes == ("policy-amount-sent",)
        thief.wallet = held


def world_wallet(thief: Thief) -> Wallet:
    """A second wallet, made while the true coordinator is back for a moment."""
    world = thief.world
    world.restart("coord")
    wallet = world.make_wallet(1, "second")
    world.stop("coord")
    return wallet


def test_a_policy_record_that_no_longer_loads_stops_the_start_in_words() -> None:
    thief = Thief(BUDGET)
    world = thief.world
    world.stop("node0")
    unread = note(kept_policy("schema: 9\n", world.now.wall_ms, version=2))
    world.seats["node0"].disk.append(unread)
    with pytest.raises(
        ValueError, match=r"policy in force \(version 2\) no longer loads: .*schema 1"
    ) as wrong:
        world.restart("node0")
    assert "\n" not in str(wrong.value)
    # Once another holds, nobody reads it any more.
    world.seats["node0"].disk.append(note(kept_policy(BUDGET, world.now.wall_ms, version=3)))
    world.restart("node0")
    assert world.node("node0").policies.profiles.version_for(bytes(32)) == 3


# Memory.


def test_requests_refused_for_ever_leave_an_id_and_a_code() -> None:
    """On disk each is kept, within the quota per hour; in memory, now and after a restart, the last hour's."""
    thief = Thief(BUDGET)
    world = thief.world
    first, _ = thief.ask("node0", thief.psbt(pay(80_000), coin=1))
    old = thief.request
    for hour in range(3):
        for i in range(4):
            assert (
                thief.judged("node0", thief.psbt(pay(80_000), coin=100 * hour + i))
                .codes[0]
                .startswith("policy-")
            )
        world.advance(3_600_001)
    assert thief.signs(thief.psbt(pay(10_000), coin=9))
    for again in (False, True):
        if again:
            world.restart("node0")
        node = world.node("node0")
        assert [ticket.state for ticket in node.signing.tickets.whole.values()] == ["may-be-signed"]
        assert node.ticket(first.request_id) is None
        (verdict,) = thief.coordinator.propose("node0", old)
        assert isinstance(verdict.body, Verdict)
        assert (verdict.body.decision, verdict.body.codes[:1]) == (Decision.REFUSE, ("policy-amount-sent",))
        gone = thief.coordinator.fresh("node0", thief.wallet.wallet_id, first.request_id)
        assert open_inner(gone, Kind.GONE).body == Gone("nonces-closed")
        before = node.head.height
        assert (
            thief.coordinator.tell(
                "node0",
                Kind.FINAL,
                Final(((bytes(64),),), (0, 1), b"x"),
                wallet_id=thief.wallet.wallet_id,
                request_id=first.request_id,
            )
            == []
        )
        assert node.head.height == before, "no complaint: it may be true"


def test_what_waits_for_the_owner_is_not_forgotten() -> None:
    thief = Thief(ASKS)
    subject, _ = thief.ask("node0", thief.psbt(pay(40_000), coin=1))
    for coin in (2, 3):
        thief.world.advance(2 * 3_600_000)
        thief.ask("node0", thief.psbt(pay(40_000), coin=coin))
    answer(thief, subject, True)
    ticket = thief.world.node("node0").ticket(subject.request_id)
    assert ticket is not None
    assert ticket.judgement.decision is Decision.APPROVE
