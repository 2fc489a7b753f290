"""Golden cases in a profile's file: each of their keys tells, and what is not understood does not load."""

from __future__ import annotations

import pytest

from cluster.settings import SettingsError, profile_of_text
from policy import Outcome, Profile
from policy.explaining import explained
from policy.golden import CaseResult, run_case, run_cases

FRIEND = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
OTHER = "bcrt1qpzkfkf0usl6dmp2tatykfrg5rrt7re5cm3tygg"
COIN = "ab" * 32 + ":0"
DIGEST = "cd" * 32

HEAD = f"""\
schema: 1
name: home
network: regtest
zone: Europe/Berlin
lists:
  friends: [{FRIEND}]
coins:
  old: ["{COIN}", own/0/5]
"""
LIMITS = "limits: {amount: {sent: unlimited}, velocity: unlimited}\n"
APPROVE = "tiers: [{name: all, when: {pays_only: [friends, own]}, then: approve}]\n"


def tier(rest: str, when: str = "pays_only: [friends, own]") -> str:
    return f"tiers: [{{name: one, when: {{{when}}}, {rest}}}]\n"


def only(text: str, case: str, head: str = HEAD) -> CaseResult:
    """The result of the one case of a profile."""
    return run_cases(profile_of_text(f"{head}{text}tests:\n  - {{name: it, {case}}}\n"))[0]


def test_cases_are_no_part_of_the_digest_and_of_what_is_equal() -> None:
    bare = profile_of_text(HEAD + LIMITS + APPROVE)
    with_case = profile_of_text(
        HEAD + LIMITS + APPROVE + "tests: [{name: a, pay: {friends: 1btc}, expect: approve}]\n"
    )
    assert bare.digest == with_case.digest
    assert bare == with_case
    assert bare.tests == ()
    assert len(with_case.tests) == 1


# Each key: the rules, a case that is approved, and what turns it into something else with this tag.
KEYS: dict[str, tuple[str, str, str, str]] = {
    "pay": (LIMITS + APPROVE, "pay: {friends: 1btc}", "pay: {stranger: 1btc}", "policy-destination"),
    "pay-list": (
        LIMITS + tier("limits: {recipients_up_to: 1}, then: approve", "pays_only: anyone"),
        "pay: [{to: stranger, amount: 1btc}, {to: stranger, amount: 1btc}]",
        "pay: [{to: stranger, amount: 1btc}, {to: stranger-1, amount: 1btc}]",
        "policy-recipients",
    ),
    "pay-address": (LIMITS + APPROVE, f"pay: {{{FRIEND}: 1btc}}", f"pay: {{{OTHER}: 1btc}}", "policy-destination"),
    "fee": (
        LIMITS.replace("{amount", "{fee: {max: 5_000sat}, amount") + APPROVE,
        "pay: {friends: 1btc}, fee: 5_000sat", "pay: {friends: 1btc}, fee: 5_001sat", "policy-fee-max",
    ),
    "rate": (
        LIMITS.replace("{amount", "{fee: {max_rate: 9sat/vB}, amount") + APPROVE,
        "pay: {friends: 1btc}, rate: 9sat/vB", "pay: {friends: 1btc}, rate: 10sat/vB", "policy-fee-rate-max",
    ),
    "inputs": (
        "baseline: {max_inputs: 3}\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, inputs: 3", "pay: {friends: 1btc}, inputs: 4", "policy-inputs",
    ),
    "inputs-named": (
        LIMITS + tier("then: approve", "coins_only: old"),
        "pay: {friends: 1btc}, inputs: [old]", "pay: {friends: 1btc}", "policy-coins",
    ),
    "inputs-path": (
        LIMITS + tier("then: approve", "coins_only: own/0/5"),
        "pay: {friends: 1btc}, inputs: own/0/5", f"pay: {{friends: 1btc}}, inputs: '{COIN}'", "policy-coins",
    ),
    "change": (
        "baseline: {max_outputs: 1}\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, change: false", "pay: {friends: 1btc}", "policy-outputs",
    ),
    "data": (
        LIMITS + tier("then: approve", "carries_data: false"),
        "pay: {friends: 1btc}", "pay: {friends: 1btc}, data: true", "policy-data",
    ),
    "locktime": (
        "baseline: {max_locktime_height: 900_000}\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, locktime: 900_000", "pay: {friends: 1btc}, locktime: 900_001", "policy-locktime",
    ),
    "replaceable": (
        LIMITS + tier("then: approve", "replaceable: true"),
        "pay: {friends: 1btc}", "pay: {friends: 1btc}, replaceable: false", "policy-replaceable",
    ),
    "at": (
        LIMITS + tier("then: approve", "hours: 09:00-17:00, days: [tue]"),
        "pay: {friends: 1btc}, at: 2026-11-24 09:00", "pay: {friends: 1btc}, at: 2026-11-24 17:00", "policy-hours",
    ),
    "wallet": (
        LIMITS.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 2btc}]") + APPROVE,
        "pay: {friends: 1btc}, wallet: 2-of-2", "pay: {friends: 1btc}, wallet: 2-of-3", "policy-velocity-sum",
    ),
    "wallet-roles": (
        LIMITS + tier("then: approve, quorum: {roles: [home]}"),
        "pay: {friends: 1btc}, wallet: {nodes: [home, phone], threshold: 2, me: home}",
        "pay: {friends: 1btc}, wallet: {nodes: [phone, offline], threshold: 2}", "policy-quorum-roles",
    ),
    "client": (
        LIMITS + tier("then: approve", "asked_by: [desk]"),
        "pay: {friends: 1btc}, client: desk", "pay: {friends: 1btc}, client: other", "policy-initiator",
    ),
    "client-roles": (
        LIMITS + tier("then: approve", "asked_by_role: [treasurer]"),
        "pay: {friends: 1btc}, client: {person: alice, roles: [treasurer]}",
        "pay: {friends: 1btc}, client: {person: alice, roles: [clerk]}", "policy-initiator-role",
    ),
    "owner": (LIMITS + tier("then: ask"), "pay: {friends: 1btc}, owner: true", "pay: {friends: 1btc}", "policy-ask"),
    "owner-no": (
        LIMITS + APPROVE, "pay: {friends: 1btc}", "pay: {friends: 1btc}, owner: false", "policy-owner-no"
    ),
    "owner-ago": (
        LIMITS + tier("then: {ask: {within: 1h}}"),
        "pay: {friends: 1btc}, owner: {ago: 1h}", "pay: {friends: 1btc}, owner: {ago: 2h}",
        "policy-ask",
    ),
    "owner-number": (
        LIMITS + tier("then: {ask: {match: true}}"),
        "pay: {friends: 1btc}, owner: {number: true}", "pay: {friends: 1btc}, owner: true",
        "policy-ask-number",
    ),
    "people": (
        LIMITS + tier("then: {ask: {people: {treasurer: 2}}}"),
        "pay: {friends: 1btc}, people: {treasurer: 2}", "pay: {friends: 1btc}, people: {treasurer: 1}",
        "policy-ask-people",
    ),
    "people-named": (
        LIMITS + tier("then: {ask: {distinct: 2}}"),
        "pay: {friends: 1btc}, people: {alice: [treasurer], bob: [clerk]}",
        "pay: {friends: 1btc}, people: {alice: [treasurer, clerk]}", "policy-ask-distinct",
    ),
    "against": (
        LIMITS + tier("then: {ask: {people: {treasurer: 1}}}"),
        "pay: {friends: 1btc}, people: {treasurer: 1}",
        "pay: {friends: 1btc}, people: {treasurer: 1}, against: {treasurer: 1}", "policy-person-no",
    ),
    "waited": (
        LIMITS + tier("then: {wait: {delay: 24h}}"),
        "pay: {friends: 1btc}, waited: 24h", "pay: {friends: 1btc}, waited: 23h", "policy-wait",
    ),
    "spent": (
        LIMITS.replace("velocity: unlimited", "velocity: [{window: 24h, count: 2}]") + APPROVE,
        "pay: {friends: 1btc}, spent: [{ago: 24h, amount: 1btc}]",
        "pay: {friends: 1btc}, spent: [{ago: 23h, amount: 1btc}]", "policy-velocity-count",
    ),
    "spent-to": (
        LIMITS + tier("then: approve", "paid_before: true"),
        "pay: {friends: 1btc}, spent: {ago: 1h, amount: 1btc, to: friends}",
        "pay: {friends: 1btc}, spent: {ago: 1h, amount: 1btc}", "policy-recipient-new",
    ),
    "spent-fee": (
        LIMITS.replace("velocity: unlimited", "velocity: [{window: 24h, fees: 2_000sat}]") + APPROVE,
        "pay: {friends: 1btc}, spent: {ago: 1h, amount: 1btc, fee: 600sat}",
        "pay: {friends: 1btc}, spent: {ago: 1h, amount: 1btc, fee: 700sat}", "policy-velocity-fees",
    ),
    "spent-client": (
        LIMITS.replace("velocity: unlimited", "velocity: [{window: 24h, count: 2, per: initiator}]") + APPROVE,
        "pay: {friends: 1btc}, spent: {ago: 1h, amount: 1btc, client: desk}",
        "pay: {friends: 1btc}, spent: {ago: 1h, amount: 1btc, client: client}", "policy-velocity-count",
    ),
    "spent-replaced": (
        LIMITS + tier("then: approve", "bump: true"),
        "pay: {friends: 1btc}, spent: {ago: 1h, replaced: true, fee: 200sat}",
        "pay: {friends: 1btc}, spent: {ago: 1h, replaced: true, fee: 400sat}", "policy-bump",
    ),
    "chain-balance": (
        LIMITS.replace("sent: unlimited", "sent: unlimited, keep: 1btc") + APPROVE,
        "pay: {friends: 1btc}, chain: {balance: 3btc}", "pay: {friends: 1btc}, chain: {balance: 2btc}",
        "policy-amount-keep",
    ),
    "chain-tip-age": (
        LIMITS + tier("then: approve", "tip_within: 2h"),
        "pay: {friends: 1btc}, chain: {tip_age: 2h}", "pay: {friends: 1btc}, chain: {tip_age: 3h}",
        "policy-tip-fresh",
    ),
    "chain-confirmations": (
        LIMITS + tier("then: approve", "confirmations: 6"),
        "pay: {friends: 1btc}, chain: {confirmations: 6}", "pay: {friends: 1btc}, chain: {confirmations: 5}",
        "policy-confirmations",
    ),
    "chain-coin-age": (
        LIMITS + tier("then: approve", "coin_age: 2d"),
        "pay: {friends: 1btc}, chain: {coin_age: 2d}", "pay: {friends: 1btc}, chain: {coin_age: 47h}",
        "policy-coin-age",
    ),
    "chain-tip": (
        LIMITS.replace("velocity: unlimited", "velocity: unlimited, pace: {min_blocks: 6}") + APPROVE,
        "pay: {friends: 1btc}, chain: {tip: 800_000}, spent: {ago: 1h, amount: 1btc}",
        "pay: {friends: 1btc}, chain: {tip: 800_000}, spent: {ago: 59min, amount: 1btc}", "policy-blocks-between",
    ),
    "listed": (
        LIMITS + tier("then: approve", "listed_for: 24h"),
        "pay: {friends: 1btc}, listed: 24h", "pay: {friends: 1btc}, listed: 23h", "policy-list-age",
    ),
    "in_doubt": (
        LIMITS + tier("then: approve", "hours: 00:00-24:00"),
        "pay: {friends: 1btc}", "pay: {friends: 1btc}, in_doubt: true", "policy-hours",
    ),
    "recovered": (
        LIMITS.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 9btc}]") + APPROVE,
        "pay: {friends: 1btc}, recovered: 25h", "pay: {friends: 1btc}, recovered: 23h", "policy-velocity-sum",
    ),
    "frozen": (LIMITS + APPROVE, "pay: {friends: 1btc}", "pay: {friends: 1btc}, frozen: true", "policy-frozen"),
    "intent": (
        "intents: {from: [app]}\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, intent: app", "pay: {friends: 1btc}, intent: other", "policy-intent-device",
    ),
    "intent-pay": (
        "intents: required\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, intent: {device: app, pay: {friends: 1btc}}",
        "pay: {friends: 1btc}, intent: {device: app, pay: {friends: 2btc}}", "policy-intent-match",
    ),
    "intent-fee": (
        "intents: required\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, fee: 500sat, intent: {device: app, max_fee: 500sat}",
        "pay: {friends: 1btc}, fee: 501sat, intent: {device: app, max_fee: 500sat}", "policy-intent-fee",
    ),
    "intent-expired": (
        "intents: required\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, intent: app", "pay: {friends: 1btc}, intent: {device: app, expired: true}",
        "policy-intent-expired",
    ),
    "intent-spent": (
        "intents: required\n" + LIMITS + APPROVE,
        "pay: {friends: 1btc}, intent: app", "pay: {friends: 1btc}, intent: {device: app, spent: true}",
        "policy-intent-spent",
    ),
    "grants": (
        LIMITS + tier("then: grant"),
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: friends, up_to: 1btc}",
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: stranger, up_to: 1btc}", "policy-grant",
    ),
    "grants-up-to": (
        LIMITS + tier("then: grant"),
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: friends, up_to: 1btc}",
        "pay: {friends: 1btc}, wallet: 2-of-3, grants: {to: friends, up_to: 1btc}", "policy-grant-sum",
    ),
    "grants-payments": (
        LIMITS + tier("then: grant"),
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: friends, up_to: 9btc, payments: 2}, "
        "spent: {ago: 1h, amount: 1btc, to: friends, grant: 1}",
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: friends, up_to: 9btc, payments: 1}, "
        "spent: {ago: 1h, amount: 1btc, to: friends, grant: 1}", "policy-grant-count",
    ),
    "grants-expired": (
        LIMITS + tier("then: grant"),
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: friends, up_to: 1btc, left: 1h}",
        "pay: {friends: 1btc}, wallet: 2-of-2, grants: {to: friends, up_to: 1btc, expired: true}",
        "policy-grant-expired",
    ),
    "grants-must-sign": (
        LIMITS + tier("then: grant"),
        "pay: {friends: 1btc}, wallet: {nodes: [home, phone, offline], threshold: 2}, "
        "grants: {to: friends, up_to: 1btc, must_sign: home}",
        "pay: {friends: 1btc}, wallet: {nodes: [home, phone, offline], threshold: 2}, "
        "grants: {to: friends, up_to: 1btc, must_sign: cold}", "policy-grant",
    ),
    "quorum": (
        LIMITS + tier("then: approve, quorum: {never_only: [phone, offline]}"),
        "pay: {friends: 1btc}, quorum: [phone, home]", "pay: {friends: 1btc}, quorum: [phone, offline]",
        "policy-quorum-never",
    ),
    "quorum-policy": (
        LIMITS + tier(f"then: approve, quorum: {{policies: {{home: {DIGEST}}}}}"),
        f"pay: {{friends: 1btc}}, quorum: [phone, {{role: home, policy: {DIGEST}}}]",
        "pay: {friends: 1btc}, quorum: [phone, home]", "policy-quorum-policy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_a_case_tells(key: str) -> None:
    rules, good, bad, tag = KEYS[key]
    fine = only(rules, f"{good}, expect: approve")
    assert fine.passes, (fine.outcome, fine.judgement.reasons)
    wrong = only(
        rules,
        f"{bad}, expect: {'ask' if '-ask' in tag else 'wait' if tag == 'policy-wait' else 'refuse'}, tag: {tag}",
    )
    assert wrong.passes, (wrong.outcome, wrong.codes)
    told = explained(wrong.judgement, profile_of_text(HEAD + rules), wrong.facts)
    for one in told:
        assert bool(one.advice) is (one.outcome is not Outcome.APPROVE), one
        assert "cannot be said" not in one.advice, one


def test_a_case_fails_when_outcome_or_tag_is_another() -> None:
    assert not only(LIMITS + APPROVE, "pay: {friends: 1btc}, expect: refuse").passes
    other = only(
        LIMITS + APPROVE, "pay: {stranger: 1btc}, expect: refuse, tag: [policy-destination, policy-deny]"
    )
    assert not other.passes
    assert other.missing == ("policy-deny",)


def test_what_all_cases_share_stands_once_and_a_case_may_say_otherwise() -> None:
    text = (
        HEAD
        + LIMITS.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 2btc}]")
        + APPROVE
        + "tests:\n  wallet: 2-of-2\n  at: 2026-11-24 10:30\n  client: desk\n  cases:\n"
        "    - {name: shared, pay: {friends: 1btc}, expect: approve}\n"
        "    - {name: its own, pay: {friends: 1btc}, wallet: 2-of-3, expect: refuse}\n"
    )
    profile: Profile = profile_of_text(text)
    first, second = run_cases(profile)
    assert first.passes
    assert second.passes
    assert first.facts.initiator == "desk"
    assert first.case.at_ms == second.case.at_ms == 1_795_512_600_000


def test_without_a_word_of_it_a_case_is_on_a_monday_noon_with_a_sensible_fee() -> None:
    found = only(LIMITS + APPROVE, "pay: {friends: 1btc}, expect: approve").facts
    assert found.clock is not None
    assert found.clock.now_ms % 86_400_000 == 11 * 3_600_000
    assert found.spend.fee_sats == 2 * found.spend.signed_vsize == 308
    dear = only(
        LIMITS.replace("{amount", "{fee: {min: 4_000sat, min_rate: 9sat/vB}, amount") + APPROVE,
        "pay: {friends: 1btc}, expect: approve",
    )
    assert dear.passes
    assert dear.facts.spend.fee_sats == 4_000


def test_a_base_is_judged_with_the_cases_of_its_overlay() -> None:
    base = HEAD.replace("name: home", "name: house") + LIMITS + tier("then: ask")
    overlay = (
        "schema: 1\nname: home\nnetwork: regtest\nextends: house\n"
        "tests: [{name: a, pay: {stranger: 1btc}, expect: refuse, tag: policy-destination}]\n"
    )
    profile = profile_of_text(overlay, base=base)
    assert run_case(profile, profile.tests[0]).outcome is Outcome.REFUSE
    assert run_case(profile, profile.tests[0]).passes


FAULTS = {
    "expect: approved, pay: {friends: 1btc}": "`approved` is no outcome",
    "pay: {friends: 1btc}": "is missing; write one of approve",
    "expect: approve": "is missing; write whom it pays",
    "expect: approve, pay: {}": "pays nobody",
    "expect: approve, pay: {anyone: 1btc}": "write `stranger`",
    "expect: approve, pay: {enemies: 1btc}": "nor a known list",
    "expect: approve, pay: {friends: 5}": "has no unit",
    "expect: approve, pay: {friends: 1btc}, tag: policy-denied": "did you mean `policy-deny`?",
    "expect: approve, pay: {friends: 1btc}, tag: nonsense": "docs/policy.md lists them",
    "expect: approve, pay: {friends: 1btc}, fees: 1sat": "did you mean `fee`?",
    "expect: approve, pay: {friends: 1btc}, fee: 1sat, rate: 1sat/vB": "not both",
    "expect: approve, pay: {friends: 1btc}, at: 2026-13-01 10:00": "is no moment",
    "expect: approve, pay: {friends: 1btc}, at: tomorrow": "is no moment",
    "expect: approve, pay: {friends: 1btc}, wallet: 4-of-3": "cannot be",
    "expect: approve, pay: {friends: 1btc}, wallet: big": "is no wallet",
    "expect: approve, pay: {friends: 1btc}, wallet: {nodes: [a, b], threshold: 2, me: c}": "none of the nodes",
    "expect: approve, pay: {friends: 1btc}, client: {roles: [x]}": "are a person's",
    "expect: approve, pay: {friends: 1btc}, owner: yes": "yes",
    "expect: approve, pay: {friends: 1btc}, people: treasurer": "HOW MANY",
    "expect: approve, pay: {friends: 1btc}, spent: [{ago: 2h}]": "says not how much",
    "expect: approve, pay: {friends: 1btc}, spent: [{ago: 2h, replaced: true, amount: 1btc}]": "leave these out",
    "expect: approve, pay: {friends: 1btc}, spent: [{amount: 1btc}]": "is missing; write how long ago",
    "expect: approve, pay: {friends: 1btc}, quorum: [{role: home, policy: ab}]": "is not 64 hex digits",
    "expect: approve, pay: {friends: 1btc}, inputs: 0": "zero is not a limit",
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_faulty_case_does_not_load_and_the_error_names_its_line(case: str) -> None:
    with pytest.raises(SettingsError) as caught:
        only(LIMITS + APPROVE, case)
    assert FAULTS[case] in str(caught.value)
    assert ":12:" in str(caught.value), str(caught.value)
