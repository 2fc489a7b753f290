"""What the linter says of one profile: each remark provoked, with its place, its severity and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from policy_house import NOW_MS, PROFILE, profile, wallet

from cluster.cli.policy_tools import read_profiles
from policy.lint import Known, Severity, lint
from policy.remarks import Names

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SHIPPED = [
    [CONFIGS / f"{name}.yaml" for name in ("home", "phone", "offline")],
    [
        CONFIGS / "enterprise" / f"{name}.yaml"
        for name in ("treasury", "operations", "security", "audit", "cold")
    ],
]
KNOWN = Known(
    wallet(roles=("home", "phone", "offline")),
    Names(frozenset({"home", "phone", "offline"}), frozenset({"desk"}), {"treasurer": 2}),
    NOW_MS,
    7 * 86_400_000,
)
E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
TIERS = PROFILE.partition("tiers:\n")[0] + "tiers:\n"
LIMITED = "  velocity: [{window: 24h, sum: 1btc}]"
GOOD = (
    (PROFILE + "change: {cooldown: 48h, nodes: [phone]}\n")
    .replace("  velocity: unlimited", LIMITED)
    .replace("[friends, own]}", "[friends, own], sent_up_to: 0.1btc}")
)


def tier(name: str, rest: str) -> str:
    return f"  - {{name: {name}, {rest}}}\n"


def deny(rest: str) -> str:
    return f"deny: [{{name: never, {rest}}}]\n"


@dataclass(frozen=True, slots=True)
class Odd:
    what: str
    text: str
    severity: Severity
    path: str
    says: str


ODD = [
    Odd("shadowed by a milder one", TIERS + tier("a", "when: {pays_only: [anyone, own]}, then: approve")
        + tier("b", "when: {pays_only: friends, sent_up_to: 1sat}, then: ask"), E, "tiers[1]", "never decides"),
    Odd("shadowed by a stricter one", TIERS + tier("a", "when: {pays_only: [anyone, own]}, then: ask")
        + tier("b", "when: {pays_only: friends}, then: approve"), W, "tiers[1]", "never decides"),
    Odd("shadowed with unless", TIERS
        + tier("a", "when: {pays_only: anyone}, unless: {sent_above: 5sat}, then: ask")
        + tier("b", "when: {pays_only: friends}, unless: {sent_above: 4sat}, then: approve"), W, "tiers[1]",
        "never decides"),
    Odd("contradicting amounts", TIERS + tier("a", "when: {sent_above: 2sat, sent_up_to: 2sat}, then: ask"), E,
        "tiers[0].when.sent_up_to", "fits nothing"),
    Odd("contradicting dates", "zone: UTC\n" + TIERS
        + tier("a", "when: {before: 2031-01-01, since: 2032-01-01}, then: ask"), E, "tiers[0].when.before",
        "fits nothing"),
    Odd("contradicting places", TIERS + tier("a", "when: {pays_only: friends, pays_any: STRANGER}, then: ask"), E,
        "tiers[0].when.pays_only", "fits nothing"),
    Odd("deny that never holds", GOOD + deny("when: {round_trip: true, sent_above: 5sat}"), E,
        "deny[0].when.round_trip", "never holds"),
    Odd("tier's limit below its band", TIERS
        + tier("a", "when: {sent_above: 5sat}, limits: {sent_up_to: 5sat}, then: ask"), E,
        "tiers[0].limits.sent_up_to", "refuses whatever fits it"),
    Odd("excused always", TIERS
        + tier("a", "when: {pays_only: friends}, unless: {pays_only: [friends, own]}, then: ask"), E,
        "tiers[0].unless", "never applies"),
    Odd("a day in the past", "zone: UTC\n" + TIERS + tier("a", "when: {before: 2029-01-01}, then: ask"), W,
        "tiers[0].when.before", "fits nothing any more"),
    Odd("a day that has come", "zone: UTC\n" + TIERS + tier("a", "when: {since: 2029-01-01}, then: ask"), N,
        "tiers[0].when.since", "always holds"),
    Odd("limit below the band", TIERS.replace("{sent: unlimited}", "{sent: 5sat}")
        + tier("a", "when: {sent_above: 5sat}, then: ask"), E, "tiers[0].when.sent_above", "can never approve"),
    Odd("limit within the band", GOOD.replace("{sent: unlimited}", "{sent: 0.05btc}"), N,
        "tiers[0].when.sent_up_to", "the top of `everyday` is refused"),
    Odd("denied wholly", GOOD + deny("when: {pays_any: anyone}").replace("pays_any", "pays_only").replace(
        "anyone", "[anyone, own]"), E, "tiers[0]", "denies all of it"),
    Odd("unused list", GOOD.replace("lists:\n", "lists:\n  foes: [STRANGER]\n"), W, "lists.foes", "used by no rule"),
    Odd("unused coins", GOOD + f"coins: {{old: ['{'ab' * 32}:0']}}\n", W, "coins.old", "used by no rule"),
    Odd("hours", "zone: UTC\n" + TIERS + tier("a", "when: {hours: '09:00-17:00'}, then: ask"), N,
        "tiers[0].when.hours", "while the clock is in doubt"),
    Odd("calendar", GOOD.replace("24h", "day, zone: UTC"), N, "limits.velocity", "while the clock is in doubt"),
    Odd("chain in a tier", TIERS + tier("a", "when: {confirmations: 6}, then: ask"), W,
        "tiers[0].when.confirmations", "never fits"),
    Odd("chain in a tier's limits", TIERS + tier("a", "when: {pays_only: own}, limits: {keeps: 5sat}, then: ask"), W,
        "tiers[0].limits.keeps", "refuses"),
    Odd("chain in a deny", GOOD + deny("when: {balance_share_above: 10%}"), W, "deny[0].when.balance_share_above",
        "refuses whatever"),
    Odd("chain in a limit", GOOD.replace("{sent: unlimited}", "{sent: unlimited, share: 10%}"), E,
        "limits.amount.share", "every spend is refused"),
    Odd("more with less", TIERS + tier("a", "when: {pays_only: [friends, own], sent_up_to: 5sat}, then: ask")
        + tier("b", "when: {pays_only: [friends, own], sent_up_to: 9sat}, then: approve"), W, "tiers[1]",
        "lets more pass with less"),
    Odd("no window", PROFILE, W, "limits.velocity", "nothing bounds what leaves"),
    Odd("no window but people", PROFILE.replace("then: approve", "then: ask"), N, "limits.velocity", "only people's"),
    Odd("a window without a sum", PROFILE.replace("  velocity: unlimited", "  velocity: [{window: 24h, count: 5}]"),
        W, "limits.velocity", "no window limits the sum"),
    Odd("a part too small", GOOD.replace("sum: 1btc", "sum: 0.1btc"), W, "limits.velocity",
        "more than 5_000_000sat is refused"),
    Odd("evil nodes", GOOD + "evil_nodes: 5\n", N, "evil_nodes", "counts as 1"),
    Odd("waits too long", TIERS + tier("a", "when: {pays_only: own}, then: {wait: {delay: 7d}}"), E,
        "tiers[0].then.wait.delay", "a request lives"),
    Odd("waits beyond", TIERS + tier("a", "when: {pays_only: own}, then: {wait: {delay: 1d, expires: 8d}}"), N,
        "tiers[0].then.wait.expires", "decides nothing"),
    Odd("asks beyond", TIERS + tier("a", "when: {pays_only: own}, then: {ask: {within: 8d}}"), N,
        "tiers[0].then.ask.within", "decides nothing"),
    Odd("a yes too old", TIERS
        + tier("a", "when: {pays_only: own}, then: {ask: {within: 1h}, wait: {delay: 2h}}"), W,
        "tiers[0].then.ask.within", "too old"),
    Odd("no change rule", PROFILE, N, "change", "the owner alone"),
    Odd("short cooldown", PROFILE + "change: {cooldown: 5min}\n", W, "change.cooldown", "too short"),
    Odd("grant alone", TIERS + tier("a", "when: {pays_only: friends}, then: grant"), N, "tiers[0].then", "no grant"),
    Odd("silent freeze", GOOD + deny("when: {sent_above: 9btc}, then: freeze"), N, "deny[0]", "silently"),
    Odd("silent freeze of a tier", TIERS + tier("a", "when: {pays_only: friends}, then: freeze"), N, "tiers[0].then",
        "silently"),
    Odd("deny beyond the limit", GOOD.replace("{sent: unlimited}", "{sent: 1btc}") + deny("when: {sent_above: 1btc}"),
        N, "deny[0]", "adds nothing"),
    Odd("distinct for nothing", TIERS
        + tier("a", "when: {pays_only: own}, then: {ask: {people: {treasurer: 2}, distinct: 2}}"), N,
        "tiers[0].then.ask.distinct", "decides nothing"),
    Odd("too many nodes", GOOD.replace("then: approve", "then: approve\n    quorum: {nodes: 4}"), E,
        "tiers[0].quorum.nodes", "4 nodes of 3"),
    Odd("nodes anyway", GOOD.replace("then: approve", "then: approve\n    quorum: {nodes: 2}"), N,
        "tiers[0].quorum.nodes", "decides nothing"),
    Odd("unknown role", GOOD.replace("then: approve", "then: approve\n    quorum: {roles: [vault]}"), E,
        "tiers[0].quorum.roles", "no node has the role vault"),
    Odd("never at all", GOOD.replace("then: approve",
        "then: approve\n    quorum: {never_only: [home, phone, offline]}"), E, "tiers[0].quorum.never_only",
        "all roles"),
    Odd("never for nothing", GOOD.replace("then: approve", "then: approve\n    quorum: {never_only: [vault, cold]}"),
        W, "tiers[0].quorum.never_only", "decides nothing"),
    Odd("unknown client", GOOD.replace("{pays_only", "{asked_by: till, pays_only"), W, "tiers[0].when.asked_by",
        "does not know `till`"),
    Odd("unknown device", GOOD + "intents: {from: [till]}\n", W, "intents.from", "no client `till`"),
    Odd("too few people", TIERS + tier("a", "when: {pays_only: own}, then: {ask: {people: {treasurer: 3}}}"), E,
        "tiers[0].then.ask.people", "can never be met"),
    Odd("nobody to cancel", TIERS
        + tier("a", "when: {pays_only: own}, then: {wait: {delay: 1h, cancel: [board]}}"), W,
        "tiers[0].then.wait.cancel", "nobody has the role"),
    Odd("approved by too many", TIERS + tier("a", "when: {approved_by: {board: 1}}, then: approve"), E,
        "tiers[0].when.approved_by", "can never be met"),
    Odd("change by a stranger", PROFILE + "change: {cooldown: 48h, nodes: [vault]}\n", E, "change.nodes",
        "nothing can ever be loosened"),
    Odd("cancel by nobody", PROFILE + "change: {cooldown: 48h, cancel: [board]}\n", W, "change.cancel", "nobody has"),
    Odd("receive only with tiers", GOOD + "receive_only: true\n", N, "tiers", "decide nothing"),
    Odd("no tiers", PROFILE.partition("tiers:")[0], W, "tiers", "everything is refused"),
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.what)
def test_remark(odd: Odd) -> None:
    found = lint(profile(odd.text), KNOWN)
    hits = [remark for remark in found if remark.path == odd.path and odd.says in remark.text]
    assert hits, found
    assert hits[0].severity is odd.severity
    assert hits[0].mend
    assert hits[0].text.isprintable()


def test_a_good_profile_gets_no_remark() -> None:
    assert lint(profile(GOOD), KNOWN) == ()


@pytest.mark.parametrize("files", SHIPPED, ids=["three", "five"])
def test_shipped_profiles_have_no_error(files: list[Path]) -> None:
    roles = tuple(path.stem for path in files)
    known = Known(
        wallet(n=len(files), t=2 + (len(files) > 3), roles=roles), now_ms=NOW_MS, request_ms=7 * 86_400_000
    )
    for made in read_profiles(files, None):
        assert [remark for remark in lint(made, known) if remark.severity is not N] == []


def test_exceptions_before_a_rule_are_no_mistake() -> None:
    text = GOOD.replace(
        "tiers:\n", "tiers:\n  - {name: mixed, when: {pays_any: STRANGER, sent_up_to: 5sat}, then: ask}\n"
    )
    assert lint(profile(text), KNOWN) == ()


def test_falling_from_approve_to_ask_is_no_mistake() -> None:
    text = GOOD.replace(
        "change:", tier("more", "when: {pays_only: friends, sent_up_to: 0.2btc}, then: ask") + "change:"
    )
    assert lint(profile(text), KNOWN) == ()


def test_an_overlay_leaves_limits_to_its_base() -> None:
    text = "schema: 1\nname: mine\nnetwork: regtest\nextends: home\ndeny: [{name: never, when: {carries_data: true}}]\n"
    assert lint(profile(text, PROFILE), KNOWN) == ()
