"""The parts for bad days: the rescue that a freeze leaves open, how long others may freeze, how often nodes drill."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import policy_edits
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from policy_house import (
    FRIEND,
    NO,
    NOW_MS,
    PROFILE,
    STRANGER,
    YES,
    facts,
    output,
    overlay,
    person,
    profile,
    spend,
)

from policy import Book, Facts, Judgement, Outcome, Profile, ProfileError, judge
from policy.actions import Action, Ask, Wait
from policy.diff import Direction, compare
from policy.profile import RescueRule, Written
from policy.prose import explain_profile
from policy.rescuing import is_rescue
from policy.values import Destinations, People
from taproot import SpendOutput
from taproot.spend import LeafFacts

RESCUE = "rescue: {to: STRANGER, fee: 50_000sat}\n"
WITH = PROFILE + RESCUE
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def sweep(fee_sats: int = 1_000, **more: object) -> Facts:
    """Everything to the rescue, while the wallet is frozen."""
    made = spend(outputs=(output(0, 1_000_000 - fee_sats, STRANGER),), fee_sats=fee_sats)
    return facts(made, frozen="eva froze it", **more)


def said(text: str, given_facts: Facts, base: str = "") -> tuple[Outcome, tuple[str, ...]]:
    found = judge(profile(text, base), given_facts)
    return found.outcome, found.codes


# What goes through while frozen, and what does not.


def test_a_rescue_goes_through_a_freeze_with_the_owners_yes() -> None:
    assert said(PROFILE, sweep(owner_said=YES))[0] is Outcome.REFUSE
    assert said(WITH, sweep()) == (Outcome.ASK, ("policy-ask",))
    found = judge(profile(WITH), sweep(owner_said=YES))
    assert found.outcome is Outcome.APPROVE
    assert found.policy_digest == profile(WITH).digest
    assert found.booking is not None
    assert found.booking.leaving_sats == 1_000_000
    assert said(WITH, sweep(owner_said=NO)) == (Outcome.REFUSE, ("policy-owner-no",))


@pytest.mark.parametrize(
    ("outputs", "what"),
    [
        ((output(0, 499_000, STRANGER), output(1, 500_000, FRIEND)), "somebody beside it"),
        ((output(0, 499_000, STRANGER), output(1, 500_000, b"\x51\x20" + b"\x33" * 32)), "change"),
        ((output(0, 999_000, FRIEND),), "only a friend"),
    ],
)  # fmt: skip
def test_whatever_is_no_whole_sweep_stays_frozen(outputs: tuple[SpendOutput, ...], what: str) -> None:
    frozen = facts(spend(outputs=outputs), frozen="eva froze it", owner_said=YES)
    assert not is_rescue(profile(WITH), frozen.spend), what
    assert "policy-frozen" in said(WITH, frozen)[1]


def test_the_rescue_has_a_fee_cap_of_its_own() -> None:
    dear = WITH.replace("amount:", "fee: {max: 2_000sat}\n  amount:")
    assert said(dear, sweep(50_000, owner_said=YES))[0] is Outcome.APPROVE
    assert said(dear, sweep(50_001, owner_said=YES)) == (Outcome.REFUSE, ("policy-fee-max",))


def test_no_budget_amount_or_intent_stands_against_it() -> None:
    text = WITH.replace("{sent: unlimited}", "{sent: 10_000sat}").replace(
        "velocity: unlimited", "velocity: [{window: 24h, sum: 10_000sat}]"
    )
    text = text.replace("limits:", "intents: required\nlimits:", 1)
    rebuilt = Book().exhausted(NOW_MS - HOUR_MS)
    assert said(text, sweep(owner_said=YES, book=rebuilt))[0] is Outcome.APPROVE
    assert said(text.replace(RESCUE, ""), sweep(owner_said=YES, book=rebuilt))[0] is Outcome.REFUSE


def test_deny_rules_and_the_baseline_stand_against_it() -> None:
    never = WITH + "deny:\n  - {name: never, when: {pays_any: STRANGER}}\n"
    assert said(never, sweep(owner_said=YES)) == (Outcome.REFUSE, ("policy-deny",))
    dust = facts(spend(outputs=(output(0, 100, STRANGER),), fee_sats=999_900), owner_said=YES)
    assert said(WITH.replace("50_000sat", "1btc"), dust) == (Outcome.REFUSE, ("policy-dust",))


def test_no_leaf_no_frozen_coin_and_no_strangers_coin_goes_that_way() -> None:
    asked = sweep(owner_said=YES)
    assert said(WITH, asked)[0] is Outcome.APPROVE
    [coin] = asked.spend.inputs
    by_leaf = replace(asked.spend, leaf=LeafFacts("heirs", 0, 0, 1, 1))
    assert "policy-leaf" in said(WITH, replace(asked, spend=by_leaf))[1]
    stranger = replace(asked.spend, inputs=(replace(coin, path=None),))
    assert said(WITH, replace(asked, spend=stranger)) == (Outcome.REFUSE, ("policy-coins-ours",))
    held = WITH + f'coins: {{frozen: ["{coin.outpoint}"]}}\n'
    assert said(held, asked) == (Outcome.REFUSE, ("policy-coin-frozen",))
    assert said(WITH + "receive_only: true\n", asked) == (Outcome.REFUSE, ("policy-receive-only",))


def test_a_deny_rule_that_freezes_still_does() -> None:
    text = WITH + "deny:\n  - {name: never, when: {pays_any: STRANGER}, then: freeze, notify: true}\n"
    found = judge(profile(text), replace(sweep(owner_said=YES), frozen=""))
    assert found.freezes
    assert len(found.notices) == 1


def test_it_may_ask_for_more_than_the_owner() -> None:
    text = WITH.replace(
        "50_000sat}", "50_000sat, then: {ask: {owner: true, people: {board: 1}}, wait: {delay: 1h}}}"
    )
    assert said(text, sweep(owner_said=YES))[0] is Outcome.WAIT
    waited = sweep(owner_said=YES, waiting_since_ms=NOW_MS - HOUR_MS)
    assert said(text, waited) == (Outcome.ASK, ("policy-ask-people",))
    assert said(text, replace(waited, people=(person("eva", "board"),)))[0] is Outcome.APPROVE


def test_what_a_tier_lets_pass_it_still_does() -> None:
    text = WITH.replace("friends, own", "friends, own, STRANGER")
    thawed = replace(sweep(), frozen="")
    assert said(text, thawed)[0] is Outcome.APPROVE


# One file over another.


def test_an_overlay_may_narrow_the_rescue_and_never_add_one() -> None:
    none = overlay("tiers: [{name: all, when: {pays_only: anyone}, then: approve}]\n")
    assert said(none, sweep(owner_said=YES), WITH)[0] is Outcome.APPROVE
    cheap = overlay("rescue: {to: STRANGER, fee: 1_000sat}\n")
    assert said(cheap, sweep(1_000, owner_said=YES), WITH)[0] is Outcome.APPROVE
    assert said(cheap, sweep(1_001, owner_said=YES), WITH)[0] is Outcome.REFUSE
    elsewhere = overlay("rescue: {to: FRIEND, fee: 50_000sat}\n")
    assert said(elsewhere, sweep(owner_said=YES), WITH)[0] is Outcome.REFUSE
    with pytest.raises(ProfileError, match="has no rescue"):
        profile(cheap, PROFILE)


# What does not load.


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rescue: {to: own, fee: 1_000sat}", "must be addresses of another wallet"),
        ("rescue: {to: anyone, fee: 1_000sat}", "must be addresses of another wallet"),
        ("rescue: {to: STRANGER}", "write the highest fee"),
        ("rescue: {fee: 1_000sat}", "write the address"),
        ("rescue: {to: STRANGER, fee: 1_000sat, then: approve}", "must ask the owner"),
        ("rescue: {to: STRANGER, fee: 1_000sat, then: {ask: {people: {board: 1}}}}", "must ask the owner"),
        ("rescue: {to: STRANGER, fee: 1_000sat, then: {grant: true, ask: owner}}", "must ask the owner"),
        ("freeze: {by_others_up_to: 31d}", "more than 30d"),
        ("freeze: {}", "by_others_up_to"),
        ("drills: {a_day: 0}", "zero"),
        ("drills: never", "write keys here"),
    ],
)  # fmt: skip
def test_what_does_not_load(line: str, why: str) -> None:
    with pytest.raises(ProfileError, match=why):
        profile(f"{PROFILE}{line}\n")


# Which way a change goes.


CHANGES = {
    "a rescue": ("", RESCUE, Direction.LOOSER),
    "a dearer one": (RESCUE, RESCUE.replace("50_000", "60_000"), Direction.LOOSER),
    "elsewhere": (RESCUE, RESCUE.replace("STRANGER", "FRIEND"), Direction.BOTH),
    "with the number": (
        RESCUE, RESCUE.replace("sat}", "sat, then: {ask: {match: true}}}"), Direction.TIGHTER,
    ),
    "after a while": (
        RESCUE, RESCUE.replace("sat}", "sat, then: {ask: owner, wait: {delay: 1h}}}"), Direction.TIGHTER,
    ),
    "others freeze for longer": ("", "freeze: {by_others_up_to: 96h}\n", Direction.TIGHTER),
    "others freeze for less": ("", "freeze: {by_others_up_to: 1h}\n", Direction.LOOSER),
    "the default in words": ("", "freeze: {by_others_up_to: 72h}\n", Direction.SAME),
    "fewer drills": ("", "drills: {a_day: 2}\n", Direction.TIGHTER),
    "no drills": ("drills: {a_day: 2}\n", "drills: none\n", Direction.TIGHTER),
    "more drills": ("", "drills: {a_day: 11}\n", Direction.LOOSER),
}  # fmt: skip
REVERSE = {
    Direction.TIGHTER: Direction.LOOSER, Direction.LOOSER: Direction.TIGHTER,
    Direction.SAME: Direction.SAME, Direction.BOTH: Direction.BOTH,
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_which_way_a_change_goes(what: str) -> None:
    before, after, direction = CHANGES[what]
    old, new = profile(PROFILE + before), profile(PROFILE + after)
    assert compare(old, new).direction is direction
    assert compare(new, old).direction is REVERSE[direction]
    assert len(compare(old, new).changes) == (direction is not Direction.SAME)


RULES = st.none() | st.builds(
    RescueRule,
    st.sampled_from([Destinations(frozenset({STRANGER})), Destinations(frozenset({STRANGER, FRIEND}))]),
    st.sampled_from([500, 1_000, 90_000]),
    st.sampled_from([
        Action(ask=Ask()), Action(ask=Ask(match=True)), Action(ask=Ask(people=People((("board", 1),)))),
        Action(ask=Ask(), wait=Wait(HOUR_MS)),
    ]),
)  # fmt: skip
SWEEPS = st.builds(
    sweep,
    st.sampled_from([500, 1_000, 1_001, 80_000]),
    owner_said=st.sampled_from([None, YES, NO, replace(YES, matched=True)]),
    waiting_since_ms=st.sampled_from([None, NOW_MS - 2 * HOUR_MS]),
    people=st.sampled_from([(), (person("eva", "board"),)]),
)


def approves_more(after: Judgement, before: Judgement) -> bool:
    return after.outcome < before.outcome


@given(st.integers(0, 2**40), RULES, RULES, SWEEPS, st.booleans())
def test_what_is_called_tighter_never_lets_more_through(
    seed: int, was: RescueRule | None, now: RescueRule | None, given_facts: Facts, frozen: bool
) -> None:
    r = Random(seed)
    made = replace(policy_edits.profile(r), base=None)
    old, new = replace(made, rescue=was), replace(policy_edits.edited(r, made), rescue=now)
    direction = compare(old, new).direction
    event(direction.value)
    known = given_facts if frozen else replace(given_facts, frozen="")
    before, after = judge(old, known), judge(new, known)
    if direction in {Direction.SAME, Direction.TIGHTER}:
        assert not approves_more(after, before), compare(old, new).changes
    if direction in {Direction.SAME, Direction.LOOSER}:
        assert not approves_more(before, after), compare(old, new).changes


# In words.


def test_it_is_told_in_words() -> None:
    texts = [
        one.text for one in explain_profile(profile(WITH + "drills: none\nfreeze: {by_others_up_to: 1h}\n"))
    ]
    assert any(
        text.startswith("Asks the owner before it pays everything that it spends to") for text in texts
    )
    assert any("for up to 1h, once in 30d" in text for text in texts)
    assert any("no drills" in text for text in texts)


def test_defaults_and_layers() -> None:
    plain = profile(PROFILE)
    assert (plain.others_freeze_ms, plain.drills_a_day) == (3 * DAY_MS, 10)
    over = replace(profile(overlay(""), PROFILE), freeze_ms=Written(4 * DAY_MS), drills=Written(3))
    assert (over.others_freeze_ms, over.drills_a_day) == (4 * DAY_MS, 3)
    milder: Profile = replace(over, freeze_ms=Written(HOUR_MS), drills=Written(20))
    assert (milder.others_freeze_ms, milder.drills_a_day) == (3 * DAY_MS, 10)
