"""Every condition of the language, from its table: where it may stand, what it changes there, and when it is unsure."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from policy_cases_base import deny
from policy_cases_conditions import (
    ASKED,
    SIGNED,
    TO_STRANGER,
    TOLD,
    Told,
    at,
    tier,
)
from policy_house import (
    FRIEND,
    NOW_MS,
    OURS,
    STRANGER,
    Broken,
    book,
    booked,
    chain,
    change,
    coin,
    facts,
    output,
    person,
    profile,
    spend,
)

from policy import Book, ClockReading, Facts, Outcome, judge
from policy.condition import LIMITS, WHEN
from policy.conditions import CONDITIONS, said_of
from policy.profile import Clause
from policy.registry import TAGS
from taproot import OutPoint

KEYS = list(CONDITIONS)
OPEN = [key for key in KEYS if TOLD[key].undecided is not None]
LIMITING = [key for key in KEYS if LIMITS in CONDITIONS[key].places]
ANYONE = "- {name: rest, when: {sent_up_to: 100btc}, then: approve}"


def clause(key: str, value: str = "") -> Clause:
    return (
        profile(tier(f"when: {{{key}: {value or TOLD[key].value}}}\n    then: approve")).tiers[0].clauses[0]
    )


def holds(key: str, given: Facts, value: str = "") -> bool | None:
    """What the condition itself says."""
    text = tier(f"when: {{{key}: {value or TOLD[key].value}}}\n    then: approve")
    return said_of(profile(text).tiers[0].clauses[0], profile(text), given).holds


def undecided(key: str) -> Facts:
    found = TOLD[key].undecided
    assert found is not None
    return found


def test_every_condition_has_its_cases() -> None:
    """A new key without facts that flip it fails here."""
    assert list(TOLD) == KEYS
    assert all(condition.places <= {WHEN, LIMITS} for condition in CONDITIONS.values())
    assert {condition.tag for condition in CONDITIONS.values()} < {tag.name for tag in TAGS}


@pytest.mark.parametrize("key", KEYS)
def test_what_it_says(key: str) -> None:
    told: Told = TOLD[key]
    assert holds(key, told.holds) is True
    assert holds(key, told.fails) is False
    if told.undecided is not None:
        assert holds(key, told.undecided) is None


@pytest.mark.parametrize("key", KEYS)
def test_its_example_loads_and_it_is_as_narrow_as_itself(key: str) -> None:
    text = tier(f"when: {{{key}: {CONDITIONS[key].example}}}\n    then: approve")
    lists = "coins: {old-savings: [own/0/5]}\nlimits:"
    text = text.replace("lists:", "lists:\n  blocked: [STRANGER]").replace("limits:", lists)
    made = profile(text).tiers[0].clauses[0]
    assert CONDITIONS[key].narrower(made.value, made.value)


# Where a condition stands, it changes the verdict.


@pytest.mark.parametrize("key", KEYS)
def test_in_a_deny_rule(key: str) -> None:
    told = TOLD[key]
    text = deny(f"when: {{{key}: {told.value}}}").replace("limits:", "zone: Europe/Berlin\nlimits:")
    text = text.replace("{pays_only: [friends, own]}", "{sent_up_to: 100btc}")
    assert judge(profile(text), told.holds).codes == ("policy-deny",)
    assert judge(profile(text), told.fails).outcome is Outcome.APPROVE
    if told.undecided is not None:
        assert "policy-deny" in judge(profile(text), told.undecided).codes


@pytest.mark.parametrize("key", KEYS)
def test_excusing_from_a_deny_rule(key: str) -> None:
    told = TOLD[key]
    text = deny(f"when: {{sent_up_to: 100btc}}\n    unless: {{{key}: {told.value}}}\n    then: freeze")
    text = text.replace("limits:", "zone: Europe/Berlin\nlimits:")
    made = profile(text.replace("{pays_only: [friends, own]}", "{sent_up_to: 100btc}"))
    assert judge(made, told.holds).outcome is Outcome.APPROVE
    found = judge(made, told.fails)
    assert found.codes == ("policy-deny",)
    assert found.freezes
    if told.undecided is not None:
        found = judge(made, told.undecided)
        assert "policy-deny" in found.codes
        assert not found.freezes, "what is not sure is no ground to freeze"


@pytest.mark.parametrize("key", KEYS)
def test_excusing_from_a_tier(key: str) -> None:
    told = TOLD[key]
    made = profile(
        tier(f"when: {{sent_up_to: 100btc}}\n    unless: {{{key}: {told.value}}}\n    then: approve")
    )
    assert judge(made, told.fails).outcome is Outcome.APPROVE
    assert judge(made, told.holds).codes == ("policy-unless",)
    if told.undecided is not None:
        assert "policy-unless" in judge(made, told.undecided).codes


@pytest.mark.parametrize("key", LIMITING)
def test_as_the_limit_of_a_tier(key: str) -> None:
    told, tag = TOLD[key], CONDITIONS[key].tag
    made = profile(
        tier(f"when: {{sent_up_to: 100btc}}\n    limits: {{{key}: {told.value}}}\n    then: approve")
    )
    assert judge(made, told.holds).outcome is Outcome.APPROVE
    assert judge(made, told.fails).codes == (tag,)
    if told.undecided is not None:
        assert tag in judge(made, told.undecided).codes


# What cannot be decided.


@pytest.mark.parametrize("then", ["ask", "refuse", "grant", "freeze", "{wait: {delay: 1h}}"])
@pytest.mark.parametrize("key", OPEN)
def test_a_tier_that_cannot_be_decided_is_not_slipped_past(key: str, then: str) -> None:
    """Or a clock in doubt, or a source that is not there, would make the tier after it approve."""
    told = TOLD[key]
    text = tier(f"when: {{{key}: {told.value}}}\n    then: {then}") + f"  {ANYONE}\n"
    strict, unsure = judge(profile(text), told.holds), judge(profile(text), undecided(key))
    assert strict.outcome > Outcome.APPROVE
    assert judge(profile(text), told.fails).outcome is Outcome.APPROVE
    assert unsure.outcome >= strict.outcome
    assert not unsure.freezes
    assert any("whether that tier fits cannot be decided" in reason.text for reason in unsure.reasons)


@pytest.mark.parametrize("key", OPEN)
def test_a_tier_that_cannot_be_decided_lets_nothing_pass(key: str) -> None:
    told = TOLD[key]
    alone = tier(f"when: {{{key}: {told.value}}}\n    then: approve")
    assert CONDITIONS[key].tag in judge(profile(alone), undecided(key)).codes
    asks = alone + "  - {name: rest, when: {sent_up_to: 100btc}, then: ask}\n"
    assert "policy-tier" not in judge(profile(asks), undecided(key)).codes


def test_the_limits_and_the_quorum_of_a_tier_that_might_fit_hold_too() -> None:
    text = tier(
        "when: {days: [sat]}\n    limits: {sent_up_to: 400_000sat}\n    quorum: {nodes: 3}\n    then: approve"
    )
    made = profile(f"{text}  {ANYONE}\n")
    sunday, doubt = judge(made, at()), judge(made, at(in_doubt=True))
    assert (sunday.outcome, sunday.conditions.need_nodes) == (Outcome.APPROVE, 2)
    assert doubt.codes == ("policy-tier-sent",)
    assert doubt.conditions.need_nodes == 3


@pytest.mark.parametrize("key", KEYS)
def test_a_condition_that_fails_is_undecided(key: str) -> None:
    text = tier(f"when: {{{key}: {TOLD[key].value}}}\n    then: approve")
    broken: dict[str, Any] = {field.name: Broken() for field in fields(Facts)}
    made = profile(text)
    said = said_of(made.tiers[0].clauses[0], made, replace(facts(), **broken))
    assert said.holds is None
    assert "hostile" not in said.text


# What each of them means where that is easily got wrong.


def bumped(*coins: int, fee: int = 1_000, paid: int = 500_000, script: bytes = FRIEND) -> Facts:
    """A spend of these coins that pays the friend."""
    inputs = tuple(coin(number) for number in coins)
    left = 1_000_000 * len(coins) - paid - fee
    return facts(spend(inputs=inputs, fee_sats=fee, outputs=(output(0, paid, script), change(amount=left))))


def test_a_bump_uses_all_coins_of_what_it_replaces_and_pays_more() -> None:
    earlier = book(SIGNED)
    assert holds("bump", replace(bumped(0), book=earlier)) is True
    assert holds("bump", replace(bumped(0, 1), book=earlier)) is True
    assert holds("bump", replace(bumped(1), book=earlier)) is False
    assert holds("bump", replace(bumped(0, fee=500), book=earlier)) is False, "no higher fee"
    assert holds("bump", replace(bumped(0, paid=500_001), book=earlier)) is False
    assert holds("bump", replace(bumped(0, script=STRANGER), book=earlier)) is False


def test_a_chain_of_bumps_cannot_shed_the_first_coin_and_pay_twice() -> None:
    first, second = SIGNED, replace(bumped(0, 1), spend_id=b"\x02" * 32).booking(NOW_MS)
    third = replace(bumped(1, 2, fee=2_000), book=book(first, second))
    assert holds("bump", third) is False, "the first and the third could both confirm"


def test_a_bump_stays_one_once_it_is_booked_itself() -> None:
    mine = bumped(0)
    assert holds("bump", replace(mine, book=book(SIGNED, mine.booking(NOW_MS)))) is True


def test_days_hours_and_dates_go_by_the_profiles_zone() -> None:
    assert holds("days", at(5), "[sun]") is True, "23:46 on Sunday"
    assert holds("days", at(6), "[mon]") is True, "00:46 on Monday"
    # Clocks go forward on 2030-03-31 in Berlin: 20:46 there, 18:46 in Greenwich.
    summer = at(14 * 24)
    assert holds("hours", summer, "19:46-19:47") is True
    assert holds("hours", at(), "22:00-06:00") is False
    assert holds("hours", at(5), "22:00-06:00") is True
    assert holds("hours", at(8), "22:00-06:00") is True
    assert holds("hours", at(12), "22:00-06:00") is False
    assert holds("hours", at(), "00:00-24:00") is True
    midnight = facts(clock=ClockReading(NOW_MS + 18_800_000, in_doubt=False))
    assert holds("before", midnight, "2030-03-18") is False, "00:00:00"
    assert holds("before", replace(midnight, clock=ClockReading(NOW_MS + 18_799_000, False)), "2030-03-18")


def test_pays_any_looks_at_payments_and_at_change_only_where_nothing_is_paid() -> None:
    assert holds("pays_any", facts(), "own") is False
    assert holds("pays_any", facts(spend(outputs=(change(0, 999_000),))), "own") is True
    assert holds("pays_any", facts(spend(outputs=(change(0, 999_000),))), "friends") is False
    assert holds("pays_any", TO_STRANGER, "[friends, STRANGER]") is True


def test_a_recovered_node_does_not_know_whom_it_paid() -> None:
    recovered = book(booked(payments=((FRIEND, 1),))).exhausted(NOW_MS)
    assert holds("paid_before", facts(book=recovered)) is True
    assert holds("paid_before", replace(TO_STRANGER, book=recovered)) is None
    assert holds("paid_before", replace(TO_STRANGER, book=recovered), "false") is None


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_flag_that_is_undecided_stays_so_when_it_is_turned(value: str) -> None:
    assert holds("bump", facts(book=None), value) is None
    assert holds("paid_before", facts(book=None), value) is None


def test_a_clock_in_doubt_makes_nothing_fresh_nor_old() -> None:
    unsure = facts(clock=ClockReading(NOW_MS, in_doubt=True), chain=chain())
    assert holds("tip_within", unsure) is None
    assert holds("coin_age", unsure) is None
    full = replace(unsure, book=book(booked()))
    assert holds("velocity", full) is None, "there may be room by now"
    assert holds("velocity", unsure) is True


def test_no_window_of_a_recovered_node_is_known() -> None:
    assert holds("velocity", facts(book=Book().exhausted(NOW_MS))) is None


def test_a_yes_of_whoever_asks_never_counts() -> None:
    ann, bob = person("ann", "treasurer"), person("bob", "treasurer")
    assert holds("approved_by", replace(ASKED, people=(ann,))) is False
    assert holds("approved_by", replace(ASKED, people=(ann, bob))) is True
    assert holds("approved_by", facts(initiator="ann", people=(ann,))) is False
    assert holds("approved_by", facts(initiator="", people=(bob,))) is None
    assert holds("approved_by", facts(clock=None, people=(bob,))) is None
    twice = replace(ASKED, people=(bob, bob))
    assert holds("approved_by", twice, "{treasurer: 2}") is False, "one person is one"
    both = replace(ASKED, people=(bob, replace(bob, yes=False)))
    assert holds("approved_by", both) is False, "a no stands"


def test_coins_are_known_by_outpoint_and_by_address() -> None:
    odd = facts(spend(inputs=(replace(coin(), outpoint=OutPoint(b"\x77" * 32, 9)),)))
    assert holds("coins_only", odd) is False
    assert holds("coins_only", odd, "own/0/0") is True
    assert holds("coins_only", facts(spend(inputs=(coin(path=None),))), "own/0/0") is False


def test_rates_and_shares_are_never_rounded_in_a_spends_favour() -> None:
    # 1_000sat over 499vB is 2.004sat/vB, and 999sat of 499_999sat just above 0.1998%.
    assert holds("fee_rate_up_to", facts(spend(signed_vsize=499)), "2.004sat/vB") is False
    assert holds("fee_rate_above", facts(spend(signed_vsize=499)), "2.004sat/vB") is True
    assert holds("fee_rate_up_to", facts(spend(signed_vsize=499)), "2.005sat/vB") is True
    assert holds("balance_share_up_to", facts(chain=chain(501_001)), "99.99%") is False
    assert holds("balance_share_above", facts(chain=chain(501_001)), "99.99%") is True
    assert holds("balance_share_up_to", facts(chain=chain(501_000)), "100%") is True
    assert holds("balance_share_up_to", facts(chain=chain(500_999)), "100%") is False
    assert holds("balance_share_above", facts(chain=chain(0)), "1%") is None


def test_the_wallets_own_script_in_a_list_is_no_payment() -> None:
    back = facts(spend(outputs=(change(0, 999_000),)))
    assert holds("pays_only", back, f"'script:{OURS.hex()}'") is False
    assert holds("recipients_above", back) is False
