"""A profile and a verdict in prose: every condition, setting, action and tag has its words, with lines and numbers."""

from __future__ import annotations

import pytest

from cluster.settings import profile_of_text
from policy import TAGS, Judgement, Outcome, Profile, Reason, judge
from policy.advice import ADVICE, advice
from policy.conditions import CONDITIONS
from policy.explaining import explain
from policy.golden import CaseResult, run_cases
from policy.prose import explain_profile
from policy.prose_words import CONDITION_WORDS, SETTING_WORDS
from policy.quorum import NO_DEMANDS
from policy.setting import SETTINGS

FRIEND = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
HEAD = f"""\
schema: 1
name: home
network: regtest
zone: Europe/Berlin
lists: {{friends: [{FRIEND}]}}
"""
OPEN = "limits: {amount: {sent: unlimited}, velocity: unlimited}\n"
ALL = "tiers: [{name: all, when: {pays_only: [friends, own]}, then: approve}]\n"


def profile(rest: str) -> Profile:
    return profile_of_text(HEAD + rest)


def said(rest: str) -> list[str]:
    """The sentences, each with its line."""
    return [f"{one.line}: {one.text}" for one in explain_profile(profile(rest))]


def only(rest: str, case: str) -> CaseResult:
    return run_cases(profile(f"{rest}tests: [{{name: it, {case}}}]\n"))[0]


def told(rest: str, case: str) -> str:
    """A case's verdict in prose."""
    found = only(rest, case)
    return "\n".join(explain(found.judgement, profile(rest), found.facts))


# Nothing is without words.


def test_every_condition_has_words_and_they_come_from_its_value() -> None:
    assert set(CONDITION_WORDS) == set(CONDITIONS)
    coins = "coins: {old-savings: [own/0/5]}\n"
    lists = HEAD.replace("}}", "}").replace("lists: {friends", "lists: {blocked: [own], friends")
    for key, condition in CONDITIONS.items():
        text = f"{coins}{OPEN}tiers: [{{name: it, when: {{{key}: {condition.example}}}, then: approve}}]\n"
        made = profile_of_text(lists + text)
        clause = made.tiers[0].clauses[0]
        words = CONDITION_WORDS[key](clause.value, made.zone)
        assert not words[0].isupper(), key
        assert "None" not in words, key
        if condition.example == "true":
            assert words != CONDITION_WORDS[key](0, made.zone), key


def test_every_setting_has_a_sentence_with_its_value() -> None:
    assert set(SETTING_WORDS) == {setting.key for setting in SETTINGS}
    assert all(sentence.count("{}") == 1 for sentence in SETTING_WORDS.values())


def test_every_tag_has_advice_and_it_never_fails() -> None:
    assert set(ADVICE) == {tag.name for tag in TAGS}
    made = profile(OPEN + ALL)
    facts = only(OPEN + ALL, "pay: {friends: 1btc}, expect: approve").facts
    for tag in TAGS:
        for line in (0, 1, 7):
            text = advice(Reason(tag.name, line, "tier `all`: why", Outcome.REFUSE), made, facts)
            assert text, tag.name
            assert "cannot be said" not in text, tag.name


# The profile.


def test_a_tier_is_a_sentence_for_each_action() -> None:
    def tier(when: str, then: str) -> str:
        return said(f"{OPEN}tiers: [{{name: t, when: {{{when}}}, {then}}}]\n")[-6].partition("`t`: ")[2]

    cold = "policies: {cold: " + "ab" * 32 + "}"
    to = "pays_only: friends, sent_up_to: 1_000_000sat"
    assert tier(to, "then: approve") == "Pays up to 1_000_000sat to `friends` by itself."
    assert tier(to, "then: ask") == "Asks the owner before it pays up to 1_000_000sat to `friends`."
    assert tier(to, "then: refuse") == "Refuses to pay up to 1_000_000sat to `friends`."
    assert tier(to, "then: freeze") == "Freezes the wallet when asked to pay up to 1_000_000sat to `friends`."
    assert tier(to, "then: grant") == "Pays up to 1_000_000sat to `friends` under a grant of the owner's."
    assert tier(
        to, "then: {ask: {owner: true, people: {treasurer: 2, security: 1}, within: 2h, match: true}}"
    ) == (
        "Asks the owner (with the number that the asking device shows) and 1 person of role security and 2 people of "
        "role treasurer before it pays up to 1_000_000sat to `friends`. A yes counts for 2h."
    )
    assert tier(to, "then: {ask: {distinct: 3}}").startswith("Asks 3 different people in all before it pays")
    assert tier(to, "then: {ask: {match: true}, wait: {delay: 24h, expires: 4d, cancel: [security]}}") == (
        "Asks the owner (with the number that the asking device shows) and lets 24h pass before it pays up to "
        "1_000_000sat to `friends`. It is over 4d after the wait began. Meanwhile whoever has role security may "
        "cancel it."
    )
    assert (
        tier("fee_up_to: 500sat", "then: approve") == "Signs a spend by itself, if the fee is at most 500sat."
    )
    assert tier("round_trip: true, inputs_above: 3", "then: approve") == (
        "Moves coins back to this wallet by itself, if it uses more coins than 3."
    )
    assert tier("sent_above: 1btc", "unless: {asked_by: desk}, then: approve, notify: true") == (
        "Pays more than 100_000_000sat by itself, unless the client that asks is desk. The owner is told."
    )
    assert tier(
        to,
        f"then: approve, quorum: {{nodes: 3, roles: [home], never_only: [phone, offline], {cold}}}",
    ).endswith(
        "At least 3 nodes sign together. Home must be among them. Never only offline and phone together. Cold signs "
        "only under policy abababababababab."
    )


def test_all_parts_of_a_profile_are_told_with_their_lines() -> None:
    text = f"""\
evil_nodes: 1
receive_only: true
coins: {{frozen: [own/0/1, own/0/2]}}
intents: {{from: [phone-app]}}
baseline: {{max_inputs: 20}}
limits:
  amount: {{sent: 0.5btc}}
  fee: {{max: unlimited}}
  velocity:
    - {{window: 24h, sum: 0.4btc, count: 40}}
    - {{window: month, fees: 1_000sat, recipients: 3, per: initiator}}
deny:
  - {{name: nights, when: {{hours: 22:00-06:00}}, unless: {{pays_only: own}}, then: freeze, notify: true}}
tiers:
  - {{name: t, when: {{pays_only: [friends, {FRIEND}]}}, limits: {{total_up_to: 1btc}}, then: approve}}
change: {{nodes: [home, phone], people: {{security: 1}}, cooldown: 48h, cancel: [audit]}}
"""
    found = said(text)
    for sentence in (
        "3: `home` is a policy for regtest.",
        "0: Days and hours are those of Europe/Berlin.",
        "0: Limits for the wallet hold even if 1 node of it is evil.",
        "7: It is for receiving only: it refuses every spend, whatever else stands here.",
        "0: The coins under `coins.frozen` (2 entries) are never spent.",
        "9: It comes with an intent for exactly it, signed beforehand by phone-app and not used before.",
        "10: A spend uses at most 20 coins.",
        "0: A spend has at most 250 outputs. (by default)",
        "12: Others receive at most 50_000_000sat by one spend.",
        "13: There is no limit to the highest fee of one spend.",
        "15: Over time: at most 40_000_000sat and 40 spends per 24h.",
        "16: Over time: at most 1_000sat of fees and 3 recipients per month (Europe/Berlin) for each "
        "initiator.",
        "18: `nights`: Freezes the wallet if the time of day is within 22:00-06:00, unless it pays only this wallet. "
        "The owner is told.",
        f"20: 1. `t`: Pays to `friends` or {FRIEND} by itself.",
        "20:    If it comes to `t`, it is refused unless with the fee there leaves at most 100_000_000sat.",
        "0: Whatever fits none of these is refused.",
        "21: To loosen anything, the owner of the node with role home, the owner of the node with role phone and 1 "
        "person of role security must agree, and then 48h must pass; every node hears of it. Whoever has role audit "
        "may cancel it.",
    ):
        assert sentence in found, (sentence, found)


def test_an_overlay_is_told_with_its_base_and_each_part_says_whose_it_is() -> None:
    base = HEAD.replace("name: home", "name: house") + OPEN + ALL
    overlay = "schema: 1\nname: home\nnetwork: regtest\nextends: house\nlimits: {fee: {max: 1_000sat}}\n"
    parts = {(one.part, one.line, one.text) for one in explain_profile(profile_of_text(overlay, base=base))}
    assert ("Every spend", 5, "The fee is at most 1_000sat.") in parts
    assert ("In this order (`house`)", 7, "1. `all`: Pays to `friends` or this wallet by itself.") in parts
    assert not any(part == "In this order" for part, _, _ in parts)


# The verdict.

VELOCITY = (
    "limits: {amount: {sent: unlimited}, velocity: [{window: 24h, sum: 2btc, count: 9, fees: 10_000sat}]}\n"
)


def test_a_full_window_says_how_much_still_fits_and_when_there_is_room() -> None:
    text = told(VELOCITY + ALL, "pay: {friends: 0.7btc}, spent: {ago: 21h, amount: 0.5btc}, expect: refuse")
    assert text.startswith(
        "refused, by policy home (1 reason)\nrefuse: the last 24h would come to 120_000_608sat"
    )
    assert "[policy-velocity-sum, line 6]" in text
    assert (
        "what would change it: at most 49_999_700sat now, fee included; room again in about 3 hours, or raise `sum` "
        "of that window (line 6)"
    ) in text


def test_a_single_payment_above_the_nodes_part_is_not_told_to_wait() -> None:
    text = told(VELOCITY + ALL, "pay: {friends: 1.5btc}, expect: refuse")
    assert "what would change it: at most 100_000_000sat now, fee included, or raise" in text


@pytest.mark.parametrize(
    ("rest", "case", "change"),
    [
        ("limits: {amount: {sent: 1btc}, velocity: unlimited}\n" + ALL, "pay: {friends: 1.5btc}",
         "send at most 100_000_000sat (50_000_000sat less), or raise limits.amount.sent (line 6)"),
        (OPEN + ALL.replace("approve", "ask"), "pay: {friends: 1btc}", "a yes of the owner (`assent approve`)"),
        (OPEN + ALL.replace("approve", "{ask: {match: true}}"), "pay: {friends: 1btc}, owner: true",
         "a yes of the owner with the number"),
        (OPEN + ALL.replace("approve", "{ask: {people: {treasurer: 2}}}"),
         "pay: {friends: 1btc}, people: {treasurer: 1}",
         "a yes of 2 people of role treasurer; so far 1 of 2 of role treasurer"),
        (OPEN + ALL.replace("approve", "{ask: {distinct: 3}}"), "pay: {friends: 1btc}, people: {treasurer: 1}",
         "a yes of 2 more people, none of them whoever asks"),
        (OPEN + ALL.replace("approve", "{wait: {delay: 24h}}"), "pay: {friends: 1btc}, waited: 22h",
         "wait about 2 hours; all checks run again then"),
        (OPEN + ALL, "pay: {stranger: 1btc}", "tier `all` fits if it pays only `friends` or this wallet (line 7)"),
        (OPEN + ALL.replace("own]", "own], sent_up_to: 1btc"), "pay: {friends: 1.2btc}",
         "others receive at most 100_000_000sat: 20_000_000sat less than it is (line 7)"),
        (OPEN + "deny: [{name: big, when: {sent_above: 1btc}, unless: {asked_by: desk}}]\n" + ALL,
         "pay: {friends: 1.2btc}", "it is spared if the client that asks is desk; else nothing overrides rule `big`"),
        (OPEN + ALL.replace("own]", "own], confirmations: 6"), "pay: {friends: 1btc}",
         "give this node a source for the chain, or take `confirmations` out (line 7)"),
        (OPEN + ALL.replace("own]", "own], hours: 09:00-11:00"), "pay: {friends: 1btc}",
         "the time of day is within 09:00-11:00"),
        (OPEN + ALL.replace("own]", "own], hours: 09:00-11:00"), "pay: {friends: 1btc}, in_doubt: true",
         "confirm the clock (`assent clock confirm`)"),
        (OPEN + ALL.replace("approve", "refuse"), "pay: {friends: 1btc}", "tier `all` decides so (line 7)"),
        (OPEN + ALL.replace("approve", "approve, unless: {data: true}").replace("data:", "carries_data:"),
         "pay: {friends: 1btc}, data: true, change: true", "tier `all` fits"),
        (OPEN + ALL.replace("approve", "approve, quorum: {roles: [home]}"),
         "pay: {friends: 1btc}, wallet: {nodes: [phone, cold], threshold: 2}", "add role home to the quorum"),
        ("receive_only: true\n" + OPEN + ALL, "pay: {friends: 1btc}", "a policy that is not receive-only (line 6)"),
        (OPEN + ALL, "pay: {friends: 1btc}, frozen: true", "the owner thaws the wallet (`assent thaw`)"),
        (OPEN + ALL, "pay: {friends: 1btc}, owner: false", "the owner takes the no back"),
        (OPEN + ALL.replace("approve", "grant"), "pay: {friends: 1btc}", "a grant of the owner's for exactly whom"),
    ],
)  # fmt: skip
def test_a_reason_says_what_would_change_it(rest: str, case: str, change: str) -> None:
    text = told(rest, f"{case}, expect: refuse")
    assert change in text, text


def test_an_approval_says_what_it_asks_of_those_who_sign() -> None:
    text = told(
        OPEN + ALL.replace("approve", "approve, quorum: {nodes: 3, roles: [home]}"),
        "pay: {friends: 1btc}, expect: approve",
    )
    assert text.splitlines() == [
        "approved, by policy home",
        "approve: tier `all` approves [policy-tier, line 7]",
        "of those who sign: At least 3 nodes sign together. Home must be among them.",
    ]


def test_a_reason_says_which_of_two_files_its_line_is_of() -> None:
    base = HEAD.replace("name: home", "name: house") + OPEN + ALL.replace("approve", "ask")
    overlay = (
        "schema: 1\nname: home\nnetwork: regtest\nextends: house\nlimits: {amount: {sent: 0.5btc}}\n"
        "tests: [{name: a, pay: {friends: 1btc}, expect: refuse}]\n"
    )
    both = profile_of_text(overlay, base=base)
    [found] = run_cases(both)
    text = "\n".join(explain(found.judgement, both, found.facts))
    assert "[policy-amount-sent, line 5 of home]" in text
    assert "raise limits.amount.sent (line 5)" in text
    assert "[policy-ask, line 7 of house]" in text


def test_advice_that_fails_says_so_and_nothing_of_why() -> None:
    found = only(OPEN + ALL, "pay: {friends: 1btc}, expect: approve")
    odd = Judgement(
        Outcome.REFUSE,
        (Reason("policy-unheard-of", 3, "odd", Outcome.REFUSE),),
        NO_DEMANDS,
        bytes(32),
        None,
        (),
    )
    assert "it cannot be said (KeyError)" in "\n".join(explain(odd, profile(OPEN + ALL), found.facts))


def test_the_same_facts_are_judged_as_the_case_says() -> None:
    found = only(OPEN + ALL, "pay: {friends: 1btc}, expect: approve")
    assert judge(profile(OPEN + ALL), found.facts).outcome is Outcome.APPROVE
