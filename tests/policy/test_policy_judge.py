"""The judgement as a whole: fail-closed, what a yes answers, the order of rules, overlays, budgets, and the words."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import permutations
from typing import Any

import pytest
from policy_cases_actions import then
from policy_cases_base import deny, head
from policy_cases_grants import GRANT, INTENT, used
from policy_house import (
    HOUR_MS,
    NO,
    NOW_MS,
    PROFILE,
    ROLES,
    STRANGER,
    YES,
    Broken,
    booked,
    chain,
    change,
    coin,
    facts,
    output,
    overlay,
    person,
    profile,
    spend,
    wallet,
)

from policy import Book, Booking, ClockReading, Facts, Outcome, describe, judge
from policy.actions import Action
from policy.profile import Clause, Deny, Tier
from policy.registry import RULES, TAGS
from policy.setting import SETTINGS
from policy.values import Destinations
from policy.velocity import evil_nodes, node_part
from taproot import OutPoint

DAY = 24 * HOUR_MS

# Named cases.

LIMITED = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 2_000_000sat, count: 4}]")


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"fee_sats": 200_000, "outputs": (output(), change(1, 300_000))}, "policy-fee-max"),
        ({"has_annex": True}, "policy-annex"),
        ({"outputs": (output(0, 999_000),)}, None),
    ],
)
def test_a_yes_overrides_no_other_rule(changes: dict[str, object], tag: str | None) -> None:
    asks = profile(LIMITED.replace("then: approve", "then: ask"))
    found = judge(asks, facts(spend(**changes), owner_said=YES))
    if tag is None:
        assert found.outcome is Outcome.APPROVE
    else:
        assert found.outcome is Outcome.REFUSE
        assert tag in found.codes


def test_a_yes_refills_no_budget() -> None:
    asks = profile(LIMITED.replace("then: approve", "then: ask"))
    book = Book().with_booking(Booking(b"\x01" * 32, NOW_MS - 1, 600_000, (OutPoint(b"\x44" * 32, 0),)))
    assert judge(asks, facts(book=book, owner_said=YES)).codes == ("policy-velocity-sum",)


def test_every_reason_is_given() -> None:
    bad = spend(
        has_annex=True,
        version=9,
        inputs=(coin(sighash_type=3, sequence=1),),
        outputs=(output(script=STRANGER), change(1, 1)),
    )
    codes = judge(profile(), facts(bad)).codes
    assert {
        "policy-annex",
        "policy-version",
        "policy-sighash",
        "policy-sequence",
        "policy-sums",
        "policy-dust",
    } <= set(codes)
    assert "policy-destination" in codes


def test_the_order_of_deny_rules_means_nothing() -> None:
    text = PROFILE + "deny:\n"
    rules = [f"  - name: r{n}\n    when: {{sent_above: {n}00_000sat}}\n" for n in (1, 3, 9)]
    made = [profile(text + "".join(order)) for order in permutations(rules)]
    assert len({p.digest for p in made}) == 1
    assert {judge(p, facts()).codes for p in made} == {("policy-deny",)}


def test_the_first_tier_that_fits_decides() -> None:
    ask_first = PROFILE.replace(
        "tiers:\n", "tiers:\n  - name: first\n    when: {sent_up_to: 600_000sat}\n    then: ask\n"
    )
    assert judge(profile(ask_first), facts()).outcome is Outcome.ASK
    ask_last = PROFILE + "  - name: last\n    when: {sent_up_to: 600_000sat}\n    then: ask\n"
    assert judge(profile(ask_last), facts()).outcome is Outcome.APPROVE


def broken_clause(key: str) -> tuple[Clause, ...]:
    """A clause whose check raises: a value of the wrong kind, which no file can bring about."""
    return (Clause(key, Destinations(frozenset()), 7),)


def test_what_cannot_be_decided_fails_closed() -> None:
    denied = replace(profile(), deny=(Deny("broken", broken_clause("sent_above"), 7),))
    assert judge(denied, facts()).codes == ("policy-deny",)
    tiers = (Tier("broken", broken_clause("sent_up_to"), (), Action(), 7),)
    assert judge(replace(profile(), tiers=tiers), facts()).codes == ("policy-tier-sent",)
    limited = tuple(replace(tier, limits=broken_clause("sent_up_to")) for tier in profile().tiers)
    assert judge(replace(profile(), tiers=limited), facts()).codes == ("policy-tier-sent",)
    # A deny rule of which one part surely does not hold is decided, whatever the other part is.
    sure = (Clause("total_above", 10**9, 8), *broken_clause("sent_above"))
    assert judge(replace(profile(), deny=(Deny("d", sure, 7),)), facts()).outcome is Outcome.APPROVE
    odd_wallet = judge(profile(LIMITED), facts(wallet=wallet(n=1, t=2)))
    assert set(odd_wallet.codes) == {"policy-velocity-sum", "policy-velocity-count", "policy-quorum-nodes"}


def test_facts_without_a_source_refuse() -> None:
    assert set(judge(profile(LIMITED), facts(book=None)).codes) == {
        "policy-velocity-sum",
        "policy-velocity-count",
    }
    timed = spend(locktime=1_600_000_000)
    assert set(judge(profile(), facts(timed, clock=None)).codes) == {"policy-booking", "policy-locktime"}


def test_a_spend_that_pays_nobody_needs_own() -> None:
    to_self = spend(outputs=(change(0, 999_000),))
    assert judge(profile(), facts(to_self)).outcome is Outcome.APPROVE
    friends_only = profile(PROFILE.replace("[friends, own]", "friends"))
    assert judge(friends_only, facts(to_self)).codes == ("policy-destination",)
    assert judge(friends_only, facts()).outcome is Outcome.APPROVE


@pytest.mark.parametrize("bare", [b"\x21\x02" + b"\x79" * 32 + b"\xac", b"\x51", b"\x00\x14"])
def test_a_deny_of_anyone_is_not_slipped_by_a_script_without_an_address(bare: bytes) -> None:
    """What is undecidable for a tier does not fit; for a deny rule it holds."""
    text = PROFILE.replace("{pays_only: [friends, own]}", "{sent_up_to: 1btc}") + (
        "deny:\n  - name: caution\n    when: {pays_any: anyone, sent_above: 400_000sat}\n"
    )
    paid = spend(outputs=(output(0, 500_000, bare, address=None, script_type="nonstandard"), change()))
    assert judge(profile(text), facts(paid)).codes == ("policy-deny",)


def test_anyone_is_no_script_without_an_address() -> None:
    anyone = profile(PROFILE.replace("[friends, own]", "anyone"))
    assert judge(anyone, facts(spend(outputs=(output(script=STRANGER), change())))).outcome is Outcome.APPROVE
    data = output(1, 0, b"\x6a\x01x", address=None, script_type="nulldata")
    assert judge(anyone, facts(spend(outputs=(output(0, 999_000), data)))).codes == ("policy-destination",)


# The wallet's limit and the node's part.


@pytest.mark.parametrize(
    ("n", "t", "written", "f", "part"),
    [
        (3, 2, None, 1, 50), (5, 3, None, 1, 50), (2, 2, None, 0, 100), (10, 7, None, 1, 66), (1, 1, None, 0, 100),
        (3, 1, None, 0, 33), (3, 3, None, 1, 100),
        (5, 3, 2, 2, 33), (5, 3, 9, 2, 33), (5, 3, 0, 0, 60), (2, 2, 1, 1, 100),
    ],
)  # fmt: skip
def test_part_of_the_wallets_limit(n: int, t: int, written: int | None, f: int, part: int) -> None:
    made = replace(profile(), evil_nodes=written)
    assert evil_nodes(made, wallet(n=n, t=t)) == f
    assert node_part(100, made, wallet(n=n, t=t)) == part


@pytest.mark.parametrize(
    ("named", "f", "part"),
    [("", 1, 50), ("leaves: [pair]\n", 1, 50), ("leaves: [solo]\n", 0, 33), ("leaves: [pair, solo]\n", 0, 33),
     ("leaves: [heirs]\n", 0, 33), ("leaves: [other]\n", 1, 50)],
)  # fmt: skip
def test_a_leaf_that_needs_fewer_nodes_makes_the_part_smaller(named: str, f: int, part: int) -> None:
    """Only where this profile lets it be used: what one node signs alone is counted by one node alone."""
    made = profile(re.sub(r"leaves: .*\n", named, PROFILE))
    leafy = replace(wallet(n=3, t=2), leaves=(("solo", 1), ("pair", 2), ("heirs", 0)))
    assert (evil_nodes(made, leafy), node_part(100, made, leafy)) == (f, part)


def test_a_payment_above_the_part_says_that_waiting_is_no_use() -> None:
    made = profile(LIMITED.replace("2_000_000sat", "1_000_000sat"))
    reason = judge(made, facts()).reasons[0]
    assert reason.tag == "policy-velocity-sum"
    assert reason.line == 9
    assert "this spend alone takes 501_000sat" in reason.text
    assert "this node's part is 500_000sat of the wallet's 1_000_000sat per 24h" in reason.text
    assert "2-of-3, 1 assumed evil" in reason.text
    assert "waiting does not help" in reason.text


def test_a_full_window_says_when_there_is_room() -> None:
    book = Book().with_booking(
        Booking(b"\x01" * 32, NOW_MS - DAY // 2, 600_000, (OutPoint(b"\x44" * 32, 0),))
    )
    text = judge(profile(LIMITED), facts(book=book)).reasons[0].text
    assert "the last 24h would come to 1_101_000sat" in text
    assert text.endswith("room again in about 12 hours")
    doubt = (
        judge(profile(LIMITED), facts(book=book, clock=ClockReading(NOW_MS, in_doubt=True))).reasons[0].text
    )
    assert "nobody has confirmed it" in doubt


def test_a_replacement_is_not_paid_for_twice() -> None:
    mine = facts()
    book = Book().with_booking(Booking(b"\x01" * 32, NOW_MS - 1, 600_000, (mine.spend.inputs[0].outpoint,)))
    assert judge(profile(LIMITED), replace(mine, book=book)).outcome is Outcome.APPROVE
    again = (
        Book()
        .with_booking(mine.booking(NOW_MS - 5))
        .with_booking(Booking(b"\x01" * 32, NOW_MS - 1, 499_000, (OutPoint(b"\x44" * 32, 0),)))
    )
    assert judge(profile(LIMITED), replace(mine, book=again)).outcome is Outcome.APPROVE


def test_a_recovered_node_signs_nothing_that_has_a_budget() -> None:
    recovered = facts(book=Book().exhausted(NOW_MS))
    found = judge(profile(LIMITED), recovered)
    assert set(found.codes) == {"policy-velocity-sum", "policy-velocity-count"}
    assert "recovered" in found.reasons[0].text
    later = replace(recovered, clock=ClockReading(NOW_MS + DAY, in_doubt=False))
    assert judge(profile(LIMITED), later).outcome is Outcome.APPROVE


# Words.


def test_what_the_owner_is_asked() -> None:
    asks = judge(profile(PROFILE.replace("then: approve", "then: ask")), facts())
    assert asks.question == describe(facts().spend)
    assert asks.question == (
        "pay 500_000sat to bcrt1p11111111",
        "back to this wallet: 499_000sat",
        "fee: 1_000sat, 6.493sat/vB, 0.2% of what is sent",
        "leaves the wallet in all: 501_000sat (regtest)",
    )


def test_nothing_from_outside_can_repaint_a_reason() -> None:
    nasty = output(0, 500_000, STRANGER, address="bc1\x1b[2J\u202e\n1_000_000")
    text = judge(profile(), facts(spend(outputs=(nasty, change())))).reasons[0].text
    assert text.isascii()
    assert text.isprintable()
    assert "\\x1b[2J\\u202e\\n" in text


def test_conditions_are_t_nodes_by_default() -> None:
    found = judge(profile(), facts(wallet=wallet(n=5, t=3)))
    assert (found.conditions.need_nodes, found.conditions.roles) == (3, ())


def test_digest_is_of_the_meaning() -> None:
    same = [
        PROFILE,
        "# a comment\n" + PROFILE,
        PROFILE.replace("[friends, own]", "[own, friends]"),
        PROFILE.replace("friends", "mates"),
        PROFILE.replace("[friends, own]", "[FRIEND, own]"),
        PROFILE.replace("limits:", "limits:\n  fee: {max: 100_000sat}"),
        PROFILE.replace("limits:", "limits:\n  fee: {max: 0.001btc}"),
    ]
    assert len({profile(text).digest for text in same}) == 1
    other = [
        PROFILE.replace("name: home", "name: away"),
        PROFILE.replace("[friends, own]", "[friends]"),
        PROFILE.replace("then: approve", "then: ask"),
        PROFILE.replace("limits:", "evil_nodes: 1\nlimits:"),
        PROFILE.replace("limits:", "limits:\n  fee: {max: 100_001sat}"),
        PROFILE.replace("sent: unlimited", "sent: 1btc"),
        LIMITED,
    ]
    digests = {profile(text).digest for text in (PROFILE, *other)}
    assert len(digests) == len(other) + 1
    assert all(len(digest) == 32 for digest in digests)


# Every setting, and every other part of a profile, changes a verdict.

TWO = facts(spend(inputs=(coin(0), coin(1)), outputs=(output(), change(amount=1_499_000))))
FLIPS: dict[str, tuple[str, Facts]] = {
    "baseline.max_inputs": ("1", TWO),
    "baseline.max_outputs": ("1", facts()),
    "baseline.max_vsize": ("100vB", facts()),
    "baseline.max_version": ("1", facts()),
    "baseline.max_locktime_height": ("100", facts(spend(locktime=101))),
    "baseline.min_output": ("499_001sat", facts()),
    "limits.fee.max": ("999sat", facts()),
    "limits.fee.min": ("1_001sat", facts()),
    "limits.fee.max_rate": ("6sat/vB", facts()),
    "limits.fee.min_rate": ("7sat/vB", facts()),
    "limits.fee.max_share": ("0.1%", facts()),
    "limits.amount.sent": ("499_999sat", facts()),
    "limits.amount.total": ("500_999sat", facts()),
    "limits.amount.output": ("499_999sat", facts()),
    "limits.amount.share": ("5%", facts(chain=chain())),
    "limits.amount.keep": ("0.1btc", facts(chain=chain())),
    "limits.pace.min_blocks": ("6", facts(chain=chain(), book=Book.of([booked(height=999)]))),
}


def with_setting(key: str, value: str) -> str:
    """The usual profile with one setting written."""
    group, name = key.rsplit(".", 1)
    if group == "limits.amount":
        sent = value if name == "sent" else "unlimited"
        return PROFILE.replace(
            "{sent: unlimited}", f"{{sent: {sent}{'' if name == 'sent' else f', {name}: {value}'}}}"
        )
    if group == "baseline":
        return head(f"baseline: {{{name}: {value}}}")
    return PROFILE.replace("  amount:", f"  {group.removeprefix('limits.')}: {{{name}: {value}}}\n  amount:")


@pytest.mark.parametrize("key", [setting.key for setting in SETTINGS])
def test_every_setting_changes_a_verdict(key: str) -> None:
    value, given = FLIPS[key]
    assert judge(profile(), given).outcome is Outcome.APPROVE
    found = judge(profile(with_setting(key, value)), given)
    assert found.outcome is Outcome.REFUSE
    assert next(tag for tag in TAGS if tag.name == found.codes[0]).settings[0].key == key
    mine = with_setting(key, value).replace("friends: [FRIEND]", "mates: [FRIEND]")
    in_overlay = overlay(mine.split("network: regtest\n")[1])
    assert judge(profile(in_overlay, PROFILE), given).codes == found.codes


# What breaks.


USES_ALL = profile(
    head("zone: UTC\nintents: required")
    .replace("sent: unlimited", "sent: unlimited, keep: 1sat")
    .replace(
        "{pays_only: [friends, own]}", "{pays_only: [friends, own], listed_for: 1h, asked_by_role: boss}"
    )
    .replace("then: approve", "then: {ask: {owner: true, people: {treasurer: 1}}, wait: {delay: 1h}}")
)
ALL_KNOWN = facts(
    chain=chain(),
    intent=INTENT,
    owner_said=YES,
    people=(person("ann", "treasurer"),),
    waiting_since_ms=NOW_MS - HOUR_MS,
    initiator_person="bob",
    initiator_roles=("boss",),
    listed_since_ms={output().script_pubkey: NOW_MS - HOUR_MS},
    grants=(GRANT,),
    wallet=wallet(roles=ROLES, me="home"),
    book=used(1_000_000),
)


def test_the_profile_that_uses_every_fact_approves() -> None:
    assert judge(USES_ALL, ALL_KNOWN).outcome is Outcome.APPROVE


@pytest.mark.parametrize("name", [field.name for field in fields(Facts)])
def test_a_fact_that_breaks_is_a_refusal_and_never_an_error(name: str) -> None:
    change_: dict[str, Any] = {name: Broken()}
    broken = replace(ALL_KNOWN, **change_)
    for made in (USES_ALL, profile(deny("when: {bump: true}").replace("own]", "anyone]"))):
        found = judge(made, broken)
        if made is USES_ALL:
            assert found.outcome is Outcome.REFUSE
            assert found.booking is None
        assert all("hostile" not in reason.text for reason in found.reasons)
        assert not (found.asks_owner and found.outcome is Outcome.REFUSE)


def test_a_rule_that_raises_refuses_citing_itself() -> None:
    text = (
        head("intents: required\ncoins: {frozen: [own/0/9]}")
        .replace("sent: unlimited", "sent: 1btc, total: 1btc, output: 1btc, share: 50%, keep: 1sat")
        .replace(
            "velocity: unlimited", "velocity: [{window: 1h, sum: 1btc, count: 9, fees: 1btc, recipients: 9}]"
        )
        .replace("  amount:", "  fee: {min: 1sat}\n  pace: {min_blocks: 1}\n  amount:")
    )
    broken: dict[str, Any] = {field.name: Broken() for field in fields(Facts)}
    found = judge(profile(text), Facts(**broken))
    assert found.outcome is Outcome.REFUSE
    # The first looks at no fact, the second only whether there is an intent.
    silent = {"policy-receive-only", "policy-intent"}
    assert {tag.name for tag in RULES} - silent <= set(found.codes)
    assert {reason.text for reason in found.reasons if reason.tag == "policy-sums"} == {
        "cannot be decided (RuntimeError)"
    }


def test_what_the_owner_is_asked_cannot_be_said() -> None:
    """Then nobody is asked, and the outcome is a refusal."""
    odd = facts(spend(outputs=(output(index=0), change(address=None, script_pubkey="no bytes"))))
    nameless = replace(odd, spend=replace(odd.spend, network=None))  # type: ignore[arg-type]
    found = judge(profile(then("ask")), nameless)
    assert found.outcome is Outcome.REFUSE
    assert not found.asks_owner
    assert not found.question


# Overlays.


def codes(text: str, given: Facts, base: str = PROFILE) -> tuple[str, ...]:
    return judge(profile(text, base), given).codes


def test_an_overlay_that_says_nothing_is_its_base() -> None:
    for given in (
        facts(),
        facts(frozen="by hand"),
        facts(spend(outputs=(output(script=STRANGER), change()))),
    ):
        assert codes(overlay(""), given) == judge(profile(), given).codes
        assert judge(profile(overlay(""), PROFILE), given).outcome is judge(profile(), given).outcome


def test_of_an_overlay_and_its_base_the_stricter_wins() -> None:
    tiers = "tiers:\n  - {name: all, when: {pays_only: anyone}, then: WORD}\n"
    for word, base, expected in [
        ("approve", PROFILE, Outcome.APPROVE),
        ("ask", PROFILE, Outcome.ASK),
        ("approve", then("ask"), Outcome.ASK),
        ("ask", then("{wait: {delay: 1h}}"), Outcome.WAIT),
        ("refuse", PROFILE, Outcome.REFUSE),
        ("approve", then("refuse"), Outcome.REFUSE),
    ]:
        found = judge(profile(overlay(tiers.replace("WORD", word)), base), facts())
        assert found.outcome is expected
    both = judge(profile(overlay(tiers.replace("WORD", "ask")), then("{wait: {delay: 1h}}")), facts())
    assert both.asks_owner
    assert both.wait_until_ms == NOW_MS + HOUR_MS


def test_an_overlay_loosens_nothing() -> None:
    base = PROFILE.replace("sent: unlimited", "sent: 400_000sat") + "receive_only: true\n"
    loose = "limits: {amount: {sent: unlimited}, velocity: unlimited}\nreceive_only: false\n"
    assert codes(overlay(loose), facts(), base) == ("policy-receive-only", "policy-amount-sent")


def test_an_overlay_knows_the_lists_coins_zone_and_evil_nodes_of_its_base() -> None:
    base = head("zone: Europe/Berlin\nevil_nodes: 0\ncoins: {old: [own/0/0], frozen: [own/0/9]}")
    rest = "deny:\n  - {name: never, when: {pays_any: friends, days: [sun], coins_any: old}}\n"
    made = profile(overlay(rest), base)
    assert judge(made, facts()).codes == ("policy-deny",)
    assert (made.evil_nodes, made.lists, made.coins) == (0, {}, {})
    mine = profile(overlay("coins: {frozen: [own/0/0]}\n"), base)
    assert judge(mine, facts()).codes == ("policy-coin-frozen",)
    assert judge(mine, facts(spend(inputs=(coin(9),)))).codes == ("policy-coin-frozen",)
    # Its own number of evil nodes decides its own windows.
    window = "limits: {velocity: [{window: 24h, sum: 1_002_000sat}]}\n"
    assert judge(profile(overlay(window), base), facts()).outcome is Outcome.APPROVE
    assert codes(overlay("evil_nodes: 1\n" + window.replace("1_002", "1_001")), facts(), base) == (
        "policy-velocity-sum",
    )


def test_a_reason_of_the_base_says_so() -> None:
    base = PROFILE.replace("sent: unlimited", "sent: 400_000sat")
    assert (
        judge(profile(overlay(""), base), facts())
        .reasons[0]
        .text.startswith("home: others receive 500_000sat")
    )


def test_two_layers_never_use_two_grants_at_once() -> None:
    """A spend is booked under one; the other would never be used up."""
    first = replace(GRANT, must_sign="", payments=10)
    other = replace(first, id=b"\x5b" * 32)
    given = facts(wallet=wallet(roles=ROLES), grants=(first, other), book=used(160_000))
    tiers = "tiers:\n  - {name: all, when: {pays_only: anyone}, then: grant}\n"
    # The base's part of the first grant is too small by now, and the overlay's is not.
    found = judge(profile(overlay("evil_nodes: 0\n" + tiers), then("grant")), given)
    assert found.codes == ("policy-grant",)
    assert "two different grants" in found.reasons[0].text


def test_demands_add_up_over_layers_and_no_further_than_a_verdict_can_tell() -> None:
    given = facts(wallet=wallet(roles=ROLES, me="home"))
    tier = "tiers:\n  - {name: all, when: {pays_only: anyone}, then: approve, quorum: {roles: [home]}}\n"
    made = profile(overlay(tier), f"{PROFILE}    quorum: {{nodes: 3, never_only: [phone, offline]}}\n")
    found = judge(made, given).conditions
    assert (found.need_nodes, found.roles, found.never_only) == (
        3,
        ("home",),
        (frozenset({"phone", "offline"}),),
    )
    made = profile()
    for name in "abc":
        sets = f"{{never_only: [[{name}], [{name}, x]]}}"
        rule = f"tiers:\n  - {{name: all, when: {{pays_only: anyone}}, then: approve, quorum: {sets}}}\n"
        made = replace(profile(overlay(rule), PROFILE), name=name, base=made)
    assert judge(made, given).codes == ("policy-quorum-nodes",)
    assert "more is demanded" in judge(made, given).reasons[0].text


def test_a_no_stands_whatever_the_tiers_say() -> None:
    assert judge(profile(), facts(owner_said=NO)).codes == ("policy-owner-no",)
