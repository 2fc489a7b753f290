"""What a second reader tried against nodes with a policy: each test is an attack that once went through."""

from __future__ import annotations

import pytest
from thief import ASKS, BUDGET, FRIEND, Thief

from cluster.effects import Now
from cluster.messages import Decision, Gone, PartialSignatures
from cluster.owner_says import Answer, ClockConfirmed
from taproot import Payment

MINUTE_MS = 60_000
WAITS = BUDGET.replace("then: approve", "then: {wait: {delay: 20min}}")


def ticked(thief: Thief, node: str = "node0") -> None:
    world = thief.world
    world.perform(node, world.node(node).tick(world.now, world.entropy()))


@pytest.mark.parametrize("restarted", [False, True])
def test_no_delay_runs_while_there_is_nothing_to_cancel(restarted: bool) -> None:
    """A request of one minute began the delay, and the same spend, asked for when it was over, was approved at once."""
    thief = Thief(WAITS)
    psbt = thief.psbt(Payment(FRIEND, 20_000))
    subject, _ = thief.ask("node0", psbt, life_ms=MINUTE_MS)
    thief.world.advance(MINUTE_MS + 1)
    ticked(thief)
    ticket = thief.world.node("node0").ticket(subject.request_id)
    assert ticket is not None
    assert ticket.state == "closed"
    thief.world.advance(20 * MINUTE_MS)
    if restarted:
        thief.world.restart("node0")
        thief.world.advance(20 * MINUTE_MS)
    assert thief.judged("node0", psbt).decision is Decision.WAIT


@pytest.mark.parametrize("restarted", [False, True])
def test_a_delay_goes_on_while_one_request_for_it_is_open(restarted: bool) -> None:
    thief = Thief(WAITS)
    psbt = thief.psbt(Payment(FRIEND, 20_000))
    thief.ask("node0", psbt, life_ms=MINUTE_MS)
    assert thief.judged("node0", psbt).decision is Decision.WAIT
    thief.world.advance(MINUTE_MS + 1)
    ticked(thief)
    if restarted:
        thief.world.restart("node0")
        ticked(thief)  # its clock runs on from what was written down
    thief.world.advance(21 * MINUTE_MS)
    assert thief.judged("node0", psbt).decision is Decision.APPROVE


def test_hours_that_a_node_was_away_count_for_no_delay_that_begins_before_it_knows_of_them() -> None:
    """A coordinator that kept the time from a node began a delay in its past, and then let it hear the time."""
    thief = Thief(WAITS)
    world = thief.world
    world.stop("node0")
    world.advance(60 * MINUTE_MS)
    world.restart("node0")
    psbt = thief.psbt(Payment(FRIEND, 20_000))
    assert thief.judged("node0", psbt).decision is Decision.WAIT
    world.advance(MINUTE_MS)
    world.answer("node0", ClockConfirmed())
    assert thief.judged("node0", psbt).decision is Decision.WAIT
    world.advance(19 * MINUTE_MS)
    assert thief.judged("node0", psbt).decision is Decision.WAIT
    world.advance(MINUTE_MS)
    assert thief.judged("node0", psbt).decision is Decision.APPROVE


def test_a_wall_clock_that_stands_still_keeps_no_yes_fresh() -> None:
    """Set back again and again, it let the policy's time stand still, and a yes for an hour never grew old."""
    thief = Thief(ASKS.replace("then: ask", "then: {ask: {within: 1h}}"))
    psbt = thief.psbt(Payment(FRIEND, 20_000))
    subject, _ = thief.ask("node0", psbt)
    thief.world.answer("node0", Answer(subject.request_id, True))
    assert thief.judged("node0", psbt).decision is Decision.APPROVE
    thief.world.now = Now(thief.world.now.wall_ms, thief.world.now.monotonic_ms + 120 * MINUTE_MS)
    assert thief.judged("node0", psbt).decision is Decision.ASK


def test_nobody_signs_under_another_policy_than_its_verdict_in_the_order_names() -> None:
    """Others may have demanded just that policy; a verdict is shown for a quarter of an hour after it changed."""
    thief = Thief(BUDGET)
    subject, answers = thief.ask("node0", thief.psbt(Payment(FRIEND, 20_000)))
    entries = thief.entries(subject, answers)
    thief.world.propose_policy("node1", BUDGET.replace("max: 5_000sat", "max: 4_000sat"))
    assert thief.order("node1", subject, entries).body == Gone("policy-quorum-policy")
    assert isinstance(thief.order("node0", subject, entries).body, PartialSignatures)
    renewed = (entries[0], thief.coordinator.entry("node1", thief.request))
    assert isinstance(thief.order("node1", subject, renewed).body, PartialSignatures)
