"""Budgets as they stand: the numbers of the rules themselves, and when room returns, in every kind of window."""

from __future__ import annotations

import pytest

from cluster.settings import profile_of_text
from policy import Outcome, Profile, judge
from policy.budgets import Budget, budgets
from policy.golden import facts_of, run_cases

HOUR_MS = 3_600_000
FRIEND = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"


def profile(windows: str, case: str, then: str = "then: approve") -> Profile:
    return profile_of_text(
        f"schema: 1\nname: home\nnetwork: regtest\nzone: UTC\nlists: {{friends: [{FRIEND}]}}\n"
        f"limits: {{amount: {{sent: unlimited}}, velocity: [{windows}]}}\n"
        f"tiers: [{{name: all, when: {{pays_only: [friends, own]}}, {then}}}]\n"
        f"tests: [{{name: it, wallet: 2-of-2, pay: {{friends: 1_000sat}}, expect: approve, {case}}}]\n"
    )


def stands(made: Profile) -> list[Budget]:
    facts = facts_of(made, made.tests[0])
    assert facts.clock is not None
    assert facts.book is not None
    return list(budgets(made, facts.wallet, facts.clock, facts.book, ("client", "desk")))


SPENT = "spent: [{ago: 20h, amount: 100_000sat, to: friends}, {ago: 3h, amount: 50_000sat, to: friends}]"


def test_each_measure_of_a_window_has_its_numbers() -> None:
    made = profile("{window: 24h, sum: 1_000_000sat, count: 5, fees: 1_000sat, recipients: 3}", SPENT)
    found = {one.measure.key: (one.used, one.left, one.part) for one in stands(made)}
    assert found == {
        "sum": (150_600, 849_400, 1_000_000),
        "count": (2, 3, 5),
        "fees": (600, 400, 1_000),
        "recipients": (1, 2, 3),
    }


def test_a_rolling_window_gives_back_the_oldest_first() -> None:
    made = profile("{window: 24h, sum: 1_000_000sat, count: 5, recipients: 3}", SPENT)
    back = {one.measure.key: (one.more_ms, one.all_ms) for one in stands(made)}
    assert back["sum"] == back["count"] == (4 * HOUR_MS, 21 * HOUR_MS)
    # The same payee was paid twice: only when the second spend leaves does a recipient come back.
    assert back["recipients"] == (21 * HOUR_MS, 21 * HOUR_MS)


@pytest.mark.parametrize(
    ("window", "more", "left"),
    [("day", 12 * HOUR_MS, 949_700), ("lifetime", None, 849_400), ("2h", None, 1_000_000)],
)
def test_other_windows_give_back_in_their_own_way(window: str, more: int | None, left: int) -> None:
    [one] = stands(profile(f"{{window: {window}, sum: 1_000_000sat}}", SPENT))
    assert (one.more_ms, one.left) == (more, left)


def test_after_a_recovery_nothing_is_left_until_the_window_has_passed() -> None:
    [one] = stands(profile("{window: 24h, sum: 1_000_000sat}", "recovered: 10h"))
    assert (one.exhausted, one.left, one.more_ms) == (True, 0, 14 * HOUR_MS)
    assert one.bar == "[....................]"
    assert "counts as used up since the recovery" in one.lines()[1]


def test_while_the_clock_is_in_doubt_nothing_comes_back() -> None:
    [one] = stands(profile("{window: 24h, sum: 1_000_000sat}", f"{SPENT}, in_doubt: true"))
    assert (one.more_ms, one.all_ms) == (None, None)


def test_limits_per_initiator_and_recipient_are_shown_for_those_known() -> None:
    made = profile(
        "{window: 24h, count: 5, per: initiator}, {window: 24h, sum: 1_000_000sat, per: recipient}", SPENT
    )
    client, desk, friends = stands(made)
    assert (client.whose, client.used) == ("asked for by client", 2)
    assert (desk.whose, desk.used) == ("asked for by desk", 0)
    assert friends.whose.startswith("to friends 5120")
    assert friends.used == 150_000


def test_a_tiers_own_limit_and_a_bases_are_shown_too() -> None:
    made = profile(
        "{window: 24h, sum: 1_000_000sat}", SPENT, "limits: {velocity: {window: 7d, count: 9}}, then: approve"
    )
    assert [(one.rule, one.measure.key) for one in stands(made)] == [("", "sum"), ("all", "count")]
    overlay = profile_of_text(
        "schema: 1\nname: mine\nnetwork: regtest\nextends: home\nlimits: {velocity: [{window: 1h, count: 1}]}\n"
        "tests: [{name: it, wallet: 2-of-2, pay: {own: 1_000sat}, expect: approve}]\n",
        base=f"schema: 1\nname: home\nnetwork: regtest\nlists: {{friends: [{FRIEND}]}}\n"
        "limits: {amount: {sent: unlimited}, velocity: [{window: 24h, count: 4}]}\n"
        "tiers: [{name: all, when: {pays_only: own}, then: approve}]\n",
    )
    assert [(one.profile, one.part) for one in stands(overlay)] == [("mine", 1), ("home", 4)]


@pytest.mark.parametrize("more", [0, 1])
def test_what_is_left_is_what_the_judge_lets_pass_to_the_satoshi(more: int) -> None:
    windows = "{window: 24h, sum: 1_000_000sat}"
    [one] = stands(profile(windows, SPENT))
    pays = one.left - 500 + more
    case = SPENT + f", fee: 500sat, pay: {{friends: {pays}sat}}"
    made = profile_of_text(
        f"schema: 1\nname: home\nnetwork: regtest\nlists: {{friends: [{FRIEND}]}}\n"
        f"limits: {{amount: {{sent: unlimited}}, velocity: [{windows}]}}\n"
        "tiers: [{name: all, when: {pays_only: friends}, then: approve}]\n"
        f"tests: [{{name: it, wallet: 2-of-2, expect: approve, {case}}}]\n"
    )
    [found] = run_cases(made)
    assert found.outcome is (Outcome.REFUSE if more else Outcome.APPROVE)
    assert judge(made, found.facts).outcome is found.outcome
