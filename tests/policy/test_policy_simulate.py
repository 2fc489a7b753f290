"""A history under a draft: how often it would have said what, the surprises, and budgets that are the draft's own."""

from __future__ import annotations

from cluster.settings import profile_of_text
from policy import Outcome, Profile
from policy.cases import Case
from policy.golden import run_case
from policy.simulate import Event, event_of, simulate

FRIEND = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
HEAD = f"schema: 1\nname: home\nnetwork: regtest\nlists: {{friends: [{FRIEND}]}}\n"
ALL = "tiers: [{name: all, when: {pays_only: [friends, own]}, then: approve}]\n"
TESTS = """\
tests:
  wallet: 2-of-2
  cases:
    - {name: one, at: 2027-01-04 10:00, pay: {friends: 0.6btc}, expect: approve}
    - {name: two, at: 2027-01-04 11:00, pay: {friends: 0.3btc}, expect: approve}
    - {name: three, at: 2027-01-04 12:00, pay: {friends: 0.6btc}, expect: approve}
    - {name: four, at: 2027-01-05 10:00, pay: {friends: 0.6btc}, expect: approve}
    - {name: five, at: 2027-01-05 11:00, pay: {stranger: 0.1btc}, expect: refuse}
"""


def profile(limits: str = "amount: {sent: unlimited}, velocity: unlimited", tiers: str = ALL) -> Profile:
    return profile_of_text(f"{HEAD}limits: {{{limits}}}\n{tiers}{TESTS}")


def history(made: Profile, signed: bool = True) -> list[Event]:
    """What was said by the policy that the cases come from, and everything approved was signed."""
    found = []
    for number, case in enumerate(made.tests):
        said = run_case(made, case).outcome
        found.append(event_of(made, case, number, said=said, signed=signed and said is Outcome.APPROVE))
    return found


def test_the_same_policy_says_the_same() -> None:
    report = simulate(profile(), history(profile()))
    assert report.events == 5
    assert report.said == report.would == {Outcome.APPROVE: 4, Outcome.REFUSE: 1}
    assert report.surprises == ()


def test_a_refused_spend_takes_nothing_of_the_drafts_own_budget() -> None:
    """Of 1 btc a day: 0.6 and 0.3 fit, the third does not, and the fourth, 22 hours after it, is no victim of it."""
    draft = profile("amount: {sent: unlimited}, velocity: [{window: 23h, sum: 1btc}]")
    report = simulate(draft, history(profile()))
    assert report.would == {Outcome.APPROVE: 3, Outcome.REFUSE: 2}
    [surprise] = report.surprises
    assert (surprise.id, surprise.said, surprise.would) == ("three", Outcome.APPROVE, Outcome.REFUSE)
    assert surprise.codes == ("policy-velocity-sum",)
    assert "would come to" in surprise.reasons[0]
    assert surprise.lines[0] == "pay 60_000_000sat to friends"
    assert surprise.signed


def test_what_was_not_signed_costs_a_draft_that_only_asks_nothing() -> None:
    asks = ALL.replace("then: approve", "then: ask")
    draft = profile("amount: {sent: unlimited}, velocity: [{window: 24h, sum: 1btc}]", asks)
    unsigned = simulate(draft, history(profile(), signed=False))
    assert unsigned.would == {Outcome.ASK: 4, Outcome.REFUSE: 1}
    signed = simulate(draft, history(profile()))
    assert signed.would == {Outcome.ASK: 3, Outcome.REFUSE: 2}


def test_the_strictest_surprises_come_first_and_time_decides_the_order() -> None:
    tiers = (
        "deny: [{name: small, when: {sent_up_to: 0.3btc}, unless: {pays_any: anyone, sent_up_to: 0.2btc}}]\n"
        "tiers:\n"
        "  - {name: friends, when: {pays_only: friends}, then: ask}\n"
        "  - {name: rest, when: {pays_only: anyone}, then: approve}\n"
    )
    events = history(profile())
    report = simulate(profile(tiers=tiers), events[::-1])
    assert [(one.id, one.would) for one in report.surprises] == [
        ("two", Outcome.REFUSE),
        ("one", Outcome.ASK),
        ("three", Outcome.ASK),
        ("four", Outcome.ASK),
        ("five", Outcome.APPROVE),
    ]


def test_two_events_of_one_case_are_two_spends() -> None:
    made = profile("amount: {sent: unlimited}, velocity: [{window: 24h, count: 1}]")
    case: Case = made.tests[0]
    events = [event_of(made, case, number, said=Outcome.APPROVE, signed=True) for number in range(2)]
    assert simulate(made, events).would == {Outcome.APPROVE: 1, Outcome.REFUSE: 1}
