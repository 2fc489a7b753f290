"""Changes of a node's policy: tightening holds at once; loosening waits for everybody it needs, and for time."""

from __future__ import annotations

import pytest
from changing import (
    HEAD,
    HOUR_MS,
    OWNER_ALONE,
    WITH_NODES,
    WITH_PEOPLE,
    ChangingWorld,
    looser,
    tighter,
)
from policed import kept_policy

from cluster.change_records import ChangeEnded, ChangeHeard, ChangeProposed, ConsentKept
from cluster.changes import MAX_A_DAY
from cluster.journal import PolicyKept, note
from cluster.messages import PolicyChange
from cluster.owner_policies import changes_shown
from cluster.owner_says import Answer, NothingToAnswer
from cluster.records import NO_WALLET
from policy.diff import Direction

DAY_MS = 24 * HOUR_MS


def codes(world: ChangingWorld, name: str = "node0") -> list[str]:
    return [entry.code for entry in world.kept(name, ChangeEnded) if isinstance(entry, ChangeEnded)]


# The owner alone.


def test_the_first_profile_and_a_tighter_one_hold_at_once() -> None:
    world = ChangingWorld()
    assert world.version() == 1
    step = world.propose_policy("node0", tighter(OWNER_ALONE))
    assert [
        record.kind for record in step.remember if "policy" in record.kind or "change" in record.kind
    ] == ["policy"]
    assert (world.limit(), world.version()) == ("40_000sat", 2)
    first, second = (one for one in world.kept("node0", PolicyKept) if isinstance(one, PolicyKept))
    assert (second.previous, second.policy_ms) == (first.digest, world.now.wall_ms)
    world.propose_policy("node0", tighter(OWNER_ALONE).replace("sat}", "sat}  # the same"))
    assert world.version() == 3, "a text that means the same is another version"
    assert not world.propose_policy(
        "node0", tighter(OWNER_ALONE).replace("sat}", "sat}  # the same")
    ).remember


@pytest.mark.parametrize("rule", ["nodes: [vault]", "people: {treasurer: 9}", "people: {nobody: 1}"])
def test_a_rule_that_nobody_could_meet_is_not_taken(rule: str) -> None:
    world = ChangingWorld()
    locked = tighter(OWNER_ALONE).replace("{cooldown", f"{{{rule}, cooldown")
    with pytest.raises(NothingToAnswer, match="nothing could ever be loosened again: the roster lacks"):
        world.propose_policy("node0", locked)
    assert (world.limit(), world.version()) == ("50_000sat", 1)


def test_a_looser_profile_waits_for_its_cooldown_and_then_takes_force_by_itself() -> None:
    world = ChangingWorld()
    pending = world.loosen()
    assert world.limit() == "50_000sat"
    world.wait(DAY_MS - HOUR_MS)
    assert (world.limit(), codes(world)) == ("50_000sat", [])
    world.wait(HOUR_MS)
    assert (world.limit(), world.version(), codes(world)) == ("60_000sat", 2, ["in-force"])
    assert world.node("node0").policies.own.pending == {}
    world.restart("node0")
    assert (world.limit(), world.version()) == ("60_000sat", 2)
    world.run(ms=100)
    assert [world.heard(name).ended for name in ("node1", "node2")] == ["in-force"] * 2
    assert pending.terms.version == 2


def test_it_wakes_when_the_cooldown_is_over_and_not_much_later() -> None:
    world = ChangingWorld()
    pending = world.loosen()
    world.wait(DAY_MS - 2 * HOUR_MS)
    left = pending.since_ms + DAY_MS - world.now.wall_ms
    world.advance(left - 100)
    world.perform("node0", world.node("node0").tick(world.now, world.entropy()))
    assert world.seats["node0"].wake_at_ms == world.now.monotonic_ms + 100
    assert world.run(lambda: world.limit() == "60_000sat", ms=150)


def test_what_is_both_looser_and_tighter_waits() -> None:
    world = ChangingWorld()
    both = looser(OWNER_ALONE).replace("velocity: unlimited", "velocity: [{window: 24h, count: 5}]")
    world.propose_policy("node0", both)
    own = world.node("node0").policies.own
    assert own.diff(world.pending()).direction is Direction.BOTH
    assert world.limit() == "50_000sat"


def test_an_easier_rule_of_change_waits_for_the_rule_in_force() -> None:
    world = ChangingWorld(WITH_NODES)
    world.propose_policy("node0", OWNER_ALONE)
    world.wait(47 * HOUR_MS)
    assert world.pending().terms.version == 2
    rule = world.node("node0").policies.own.standing(world.pending(), world.now.wall_ms).rule
    assert (rule.nodes, rule.cooldown_ms) == (("role1",), 48 * HOUR_MS)


def test_a_profile_that_does_not_load_or_is_for_another_network_changes_nothing() -> None:
    world = ChangingWorld()
    node = world.node("node0")
    for bad in (
        "",
        "schema: 1",
        OWNER_ALONE + "surprise: 1\n",
        looser(OWNER_ALONE).replace("regtest", "signet"),
    ):
        with pytest.raises(NothingToAnswer):
            world.propose_policy("node0", bad)
    with pytest.raises(NothingToAnswer, match="no such wallet"):
        world.propose_policy("node0", OWNER_ALONE, b"\x01" * 32)
    assert (node.policies.own.pending, world.version()) == ({}, 1)


# The clock.


def test_a_clock_set_forwards_does_not_shorten_the_cooldown() -> None:
    world = ChangingWorld()
    world.loosen()
    world.jump(2 * DAY_MS)
    world.wait(60_000)
    assert world.limit() == "50_000sat"
    world.confirm_clock()
    world.wait(DAY_MS - HOUR_MS)
    assert world.limit() == "50_000sat", "not even where the owner swears to it"
    world.wait(2 * HOUR_MS)
    assert world.limit() == "60_000sat"


def test_a_hundred_confirmations_a_little_ahead_gain_nothing() -> None:
    world = ChangingWorld()
    world.loosen()
    for _ in range(100):
        world.jump(110_000)
        world.confirm_clock()
    world.wait(DAY_MS - HOUR_MS)
    assert world.limit() == "50_000sat"


def test_a_clock_in_doubt_stops_the_cooldown_and_a_clock_set_back_shortens_nothing() -> None:
    world = ChangingWorld()
    world.loosen()
    world.jump(-DAY_MS)
    world.wait(DAY_MS - HOUR_MS)
    assert world.limit() == "50_000sat"
    world.jump(30 * DAY_MS)
    world.wait(2 * DAY_MS)
    assert world.limit() == "50_000sat"
    assert world.node("node0").policies.own.standing(world.pending(), 0).in_doubt


def test_a_restart_keeps_the_change_and_shortens_nothing() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    world.say("node1", pending.terms.id, True)
    world.stop("node0")
    world.advance(3 * DAY_MS)
    world.restart("node0")
    again = world.pending()
    assert (again.terms, again.agreed) == (pending.terms, pending.agreed)
    world.wait(2 * DAY_MS)
    assert world.limit() == "50_000sat", "the clock is in doubt"
    world.confirm_clock()
    world.run(ms=10_000)
    assert world.limit() == "50_000sat", "what the machine did not live through does not count"
    world.wait(48 * HOUR_MS)
    assert world.limit() == "60_000sat"


def test_a_restart_after_a_confirmation_remembers_what_it_cost() -> None:
    world = ChangingWorld()
    world.loosen()
    world.jump(2 * DAY_MS)
    world.confirm_clock()
    since_ms = world.pending().since_ms
    world.restart("node0")
    assert world.pending().since_ms == since_ms > world.pending().terms.since_ms + DAY_MS


def test_nothing_is_proposed_by_a_clock_in_doubt_but_anything_is_tightened() -> None:
    world = ChangingWorld()
    world.restart("node0")
    with pytest.raises(NothingToAnswer, match="clock confirm"):
        world.propose_policy("node0", looser(OWNER_ALONE))
    world.propose_policy("node0", tighter(OWNER_ALONE))
    assert world.limit() == "40_000sat"


# Whose consent.


def test_a_looser_profile_needs_the_consents_that_the_one_in_force_names() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    world.wait(3 * DAY_MS)
    own = world.node("node0").policies.own
    standing = own.standing(pending, world.now.wall_ms)
    assert (standing.missing, standing.wait_ms, world.limit()) == (("the owner of role1",), 0, "50_000sat")
    [question] = [one for one in world.node("node1").questions(world.now) if one.subject == pending.terms.id]
    assert any("50_000sat" in line and "60_000sat" in line for line in question.lines)
    assert world.node("node2").questions(world.now) == ()
    world.say("node1", pending.terms.id, True)
    assert (world.limit(), codes(world)) == ("60_000sat", ["in-force"])
    assert world.node("node1").questions(world.now) == ()


def test_only_who_is_named_may_agree() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    with pytest.raises(NothingToAnswer, match="role2 no say"):
        world.say("node2", pending.terms.id, True)
    with pytest.raises(NothingToAnswer, match="own change"):
        world.say("node0", pending.terms.id, True)
    for author in ("node2", "client", "coord"):
        world.relay("node0", world.consent(world.identity(author), pending.terms.id))
    assert pending.agreed == {world.identity("node0").public}
    assert world.complaints("node0") == ["change-role", "change-stranger"]


def test_people_agree_and_cancel_by_letters_of_their_own() -> None:
    world = ChangingWorld(WITH_PEOPLE)
    ann, bob = world.identity("ann"), world.identity("bob")
    pending = world.loosen(policy=WITH_PEOPLE)
    world.hand_over("coord", bob, world.consent(bob, pending.terms.id))
    assert "change-role" in world.complaints("node0"), "bob may cancel, and not agree"
    world.hand_over("coord", ann, world.consent(ann, pending.terms.id))
    assert ann.public in pending.agreed
    world.wait(HOUR_MS)
    assert world.limit() == "60_000sat"
    world.propose_policy("node0", looser(WITH_PEOPLE).replace("60_000sat", "70_000sat"))
    world.run(ms=100)
    world.hand_over("coord", bob, world.consent(bob, world.pending().terms.id, False))
    assert codes(world) == ["in-force", "cancelled"]


def test_a_consent_is_for_one_change_of_one_node_about_one_wallet() -> None:
    world = ChangingWorld(WITH_NODES)
    wallet = world.make_wallet()
    pending = world.loosen(policy=WITH_NODES)
    world.say("node1", pending.terms.id, True)
    [consent] = [one for one in world.kept("node0", ConsentKept) if isinstance(one, ConsentKept)]
    world.say("node0", pending.terms.id, False)
    world.propose_policy("node0", looser(WITH_NODES))
    world.propose_policy("node0", looser(WITH_NODES), wallet.wallet_id)
    world.propose_policy("node2", looser(WITH_NODES))
    world.run(ms=100)
    for name in ("node0", "node2"):
        world.relay(name, consent.letter)
        for one in world.node(name).policies.own.pending.values():
            assert one.agreed == {world.identity(name).public}
    assert world.complaints("node2") == ["change-node"]
    # The right change, said to be about another wallet.
    other = world.node("node0").policies.own.pending[wallet.wallet_id]
    world.relay("node0", world.consent(world.identity("node1"), other.terms.id))
    assert world.complaints("node0") == ["change-wallet"]
    world.relay("node0", world.consent(world.identity("node1"), b"\x07" * 32))
    assert world.complaints("node0") == ["change-wallet"]
    assert [code for _, code in world.node("node0").complaints.dropped] == ["change-unknown"]


def test_a_repeated_consent_is_written_down_once() -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    for _ in range(3):
        world.say("node1", pending.terms.id, True)
    assert len(world.kept("node0", ConsentKept)) == 1


# Cancelling.


@pytest.mark.parametrize("name", ["node0", "node1", "node2"])
def test_whoever_may_cancels_at_once_and_for_good(name: str) -> None:
    world = ChangingWorld(WITH_NODES)
    pending = world.loosen(policy=WITH_NODES)
    world.say("node1", pending.terms.id, True)
    world.say(name, pending.terms.id, False)
    assert codes(world) == ["cancelled"]
    [ended] = world.kept("node0", ChangeEnded)
    assert isinstance(ended, ChangeEnded)
    assert ended.by == world.identity(name).public
    for again in world.node_names:
        with pytest.raises(NothingToAnswer, match="cancelled"):
            world.answer(again, Answer(pending.terms.id, True))
    world.restart("node0")
    world.confirm_clock()
    world.wait(3 * DAY_MS)
    assert world.limit() == "50_000sat"


def test_nobody_else_cancels() -> None:
    world = ChangingWorld(OWNER_ALONE)
    pending = world.loosen()
    for name in ("node1", "node2"):
        with pytest.raises(NothingToAnswer, match="no say"):
            world.say(name, pending.terms.id, False)
    for author in (world.identity("node1"), world.identity("ann")):
        world.hand_over("coord", author, world.consent(author, pending.terms.id, False))
    assert codes(world) == []
    assert "change-role" in world.complaints("node0")


# One at a time, over one profile.


def test_a_new_proposal_replaces_the_pending_one() -> None:
    world = ChangingWorld(WITH_NODES)
    first = world.loosen(policy=WITH_NODES)
    world.say("node1", first.terms.id, True)
    world.wait(47 * HOUR_MS)
    world.propose_policy("node0", looser(WITH_NODES).replace("60_000sat", "70_000sat"))
    world.run(ms=100)
    second = world.pending()
    assert (codes(world), second.terms.version) == (["replaced"], 2)
    assert second.agreed == {world.identity("node0").public}, "nobody agreed to this one"
    world.wait(2 * HOUR_MS)
    assert world.limit() == "50_000sat", "its cooldown is its own"
    assert world.heard("node1").state == "pending"
    assert world.heard("node1").terms.id == second.terms.id


def test_a_tightening_overtakes_what_is_pending() -> None:
    world = ChangingWorld()
    world.loosen()
    world.propose_policy("node0", tighter(OWNER_ALONE))
    assert (world.limit(), codes(world)) == ("40_000sat", ["overtaken"])
    world.run(ms=100)
    world.wait(2 * DAY_MS)
    assert (world.limit(), world.version()) == ("40_000sat", 2)
    assert world.heard("node1").state == "overtaken"


def test_a_change_for_one_wallet_is_overtaken_by_the_profile_for_all_that_it_was_compared_with() -> None:
    world = ChangingWorld()
    wallet = world.make_wallet()
    world.propose_policy("node0", looser(OWNER_ALONE), wallet.wallet_id)
    world.propose_policy("node0", tighter(OWNER_ALONE))
    assert codes(world) == ["overtaken"]
    world.propose_policy("node0", HEAD.replace("50_000sat", "30_000sat"), wallet.wallet_id)
    assert (world.limit("node0", wallet.wallet_id), world.limit()) == ("30_000sat", "40_000sat")
    world.propose_policy("node0", OWNER_ALONE.replace("50_000sat", "35_000sat"))
    assert world.limit("node0", wallet.wallet_id) == "30_000sat", "it has its own by now"
    versions = [one.version for one in world.kept("node0", PolicyKept) if isinstance(one, PolicyKept)]
    assert versions == [1, 2, 1, 3]


def test_a_profile_of_one_wallet_is_no_way_around_the_one_for_all() -> None:
    world = ChangingWorld()
    wallet = world.make_wallet()
    world.propose_policy("node0", looser(OWNER_ALONE), wallet.wallet_id)
    assert world.limit("node0", wallet.wallet_id) == "50_000sat"
    world.wait(DAY_MS)
    assert (world.limit("node0", wallet.wallet_id), world.limit()) == ("60_000sat", "50_000sat")


def test_proposals_are_bounded_by_the_day() -> None:
    world = ChangingWorld()
    for number in range(MAX_A_DAY):
        world.propose_policy("node0", looser(OWNER_ALONE).replace("60_000sat", f"{60 + number}_000sat"))
    with pytest.raises(NothingToAnswer, match="within a day"):
        world.propose_policy("node0", looser(OWNER_ALONE))
    world.restart("node0")
    world.confirm_clock()
    with pytest.raises(NothingToAnswer, match="within a day"):
        world.propose_policy("node0", looser(OWNER_ALONE))
    assert len(world.kept("node0", ChangeProposed)) == MAX_A_DAY


def test_texts_that_no_letter_could_carry_are_refused_before_anything_is_written() -> None:
    world = ChangingWorld()
    long = "# " + "x" * 258_000 + "\n"
    with pytest.raises(NothingToAnswer, match="256 KiB"):
        world.propose_policy("node0", looser(OWNER_ALONE) + long * 2)
    world.propose_policy("node0", OWNER_ALONE + long)
    with pytest.raises(NothingToAnswer, match="announced"):
        world.propose_policy("node0", looser(OWNER_ALONE) + long)
    assert world.node("node0").policies.own.pending == {}
    world.propose_policy("node0", looser(OWNER_ALONE))
    world.run(ms=100)
    assert world.heard("node1").state == "pending"


# An overlay and its base.


def test_the_rule_of_a_base_holds_for_its_overlay_too() -> None:
    world = ChangingWorld(OWNER_ALONE)
    overlay = (
        "schema: 1\nname: over\nnetwork: regtest\nextends: changing\nlimits:\n  amount: {sent: 20_000sat}\n"
    )
    world.propose_policy("node0", overlay, base=WITH_NODES)
    kept = world.node("node0").policies.profiles.in_force(bytes(32))
    assert kept is not None
    assert (kept.base, world.limit()) == (WITH_NODES, "20_000sat")
    world.propose_policy("node0", overlay.replace("20_000sat", "30_000sat"), base=WITH_NODES)
    world.run(ms=100)
    standing = world.node("node0").policies.own.standing(world.pending(), world.now.wall_ms)
    assert (standing.rule.nodes, standing.rule.cooldown_ms) == (("role1",), 48 * HOUR_MS)
    assert standing.missing == ("the owner of role1",)
    world.say("node1", world.pending().terms.id, True)
    world.wait(48 * HOUR_MS)
    assert world.limit() == "30_000sat"
    world.restart("node0")
    assert world.limit() == "30_000sat"


def heard_letter(world: ChangingWorld, name: str) -> ChangeHeard:
    entry = world.kept(name, ChangeHeard)[-1]
    assert isinstance(entry, ChangeHeard)
    return entry


def test_everybody_hears_of_a_change_and_reads_it_for_themselves() -> None:
    world = ChangingWorld()
    pending = world.loosen()
    for name in ("node1", "node2"):
        heard = world.heard(name)
        assert heard.terms == pending.terms
        [change] = world.node(name).policies.heard.reading(heard).diff.changes
        assert (change.direction, change.path) == (Direction.LOOSER, "limits.amount.sent")
        assert isinstance(heard.change, PolicyChange)
        world.restart(name)
        assert world.heard(name).terms == pending.terms
    assert heard_letter(world, "node1").letter.letter


def test_time_that_peers_vouch_for_counts_though_the_machine_was_off() -> None:
    world = ChangingWorld()
    world.make_wallet()
    world.loosen()
    world.stop("node0")
    world.advance(DAY_MS + HOUR_MS)
    world.restart("node0")
    assert world.limit() == "50_000sat"
    assert world.run(lambda: world.limit() == "60_000sat", ms=60_000)


# What another program, or a command at rest, wrote.


def test_a_profile_that_was_set_at_rest_overtakes_what_was_pending() -> None:
    world = ChangingWorld()
    pending = world.loosen()
    world.stop("node0")
    world.seats["node0"].disk.append(note(kept_policy(tighter(OWNER_ALONE), world.now.wall_ms, version=2)))
    world.restart("node0")
    assert (world.limit(), codes(world)) == ("40_000sat", ["overtaken"])
    assert pending.terms.id in world.node("node0").policies.own.ended


def test_a_pending_text_that_no_longer_loads_never_takes_force() -> None:
    world = ChangingWorld()
    wallet = world.make_wallet()
    base = world.node("node0").policies.profiles.digest_for(NO_WALLET)
    now_ms = world.now.wall_ms
    world.stop("node0")
    for number, (text, wallet_id) in enumerate(
        (("schema: 9\n", NO_WALLET), (looser(OWNER_ALONE), wallet.wallet_id))
    ):
        version = 2 - number
        entry = ChangeProposed(now_ms, version, base, b"\x01" * 32, now_ms, bytes(32), text, "")
        world.seats["node0"].disk.append(note(entry, wallet_id))
    world.restart("node0")
    shown = changes_shown(world.node("node0"), world.now.wall_ms)
    assert {one["direction"] for one in shown} == {"unreadable", "looser"}
    world.confirm_clock()
    world.wait(DAY_MS + HOUR_MS)
    assert codes(world) == ["unreadable", "unreadable"]
    assert world.limit() == "50_000sat"
