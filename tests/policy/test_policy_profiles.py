"""How profiles load: those in configs/, the forms of values, and what the digest is of; and the reference page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from btclib_wallet.descriptors import checksum
from policy_cases_base import head
from policy_house import FRIEND, PROFILE, STRANGER, overlay, profile

from cluster.settings import parse_settings, profile_of_text
from policy import Conditions, Profile
from policy.actions import Action, Ask, Wait
from policy.conditions import CONDITIONS
from policy.profile import ChangeRule, IntentRule
from policy.reading import extends
from policy.reference import reference
from policy.reference_text import EXAMPLE
from policy.registry import TAGS
from policy.setting import SETTINGS
from policy.values import CoinSet, Hours, People
from policy.windows import Calendar, Lifetime, Period, Rolling
from taproot import Network, OutPoint, WalletPath

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
POLICIES = sorted(path for path in CONFIGS.rglob("*.yaml") if "\ntiers:" in path.read_text(encoding="utf-8"))
THREE = ("home", "phone", "offline")
XPUB = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
FIVE = ("treasury", "operations", "security", "audit", "cold")


def shipped(path: Path) -> Profile:
    """A profile of configs/, read with the one beside it that it extends."""
    text = path.read_text(encoding="utf-8")
    base = extends(parse_settings(text, path.name))
    below = "" if base is None else path.with_name(f"{base}.yaml").read_text(encoding="utf-8")
    return profile_of_text(text, str(path), below)


def test_all_policies_are_here() -> None:
    names = {path.relative_to(CONFIGS).as_posix() for path in POLICIES}
    assert names >= {*(f"{name}.yaml" for name in THREE), *(f"enterprise/{name}.yaml" for name in FIVE)}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_shipped_policy_loads(path: Path) -> None:
    made = shipped(path)
    assert made.name == path.stem
    assert made.network is Network.REGTEST


# The forms of the language.


def action(then: str) -> Action:
    return profile(PROFILE.replace("then: approve", f"then: {then}")).tiers[0].then


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("approve", Action()),
        ("refuse", Action(refuse=True)),
        ("freeze", Action(freeze=True)),
        ("grant", Action(grant=True)),
        ("ask", Action(ask=Ask())),
        ("{grant: true}", Action(grant=True)),
        ("{ask: owner}", Action(ask=Ask())),
        ("{ask: {match: true}}", Action(ask=Ask(match=True))),
        ("{ask: {people: {boss: 2}}}", Action(ask=Ask(owner=False, people=People((("boss", 2),))))),
        ("{ask: {distinct: 2, within: 1h}}", Action(ask=Ask(owner=False, distinct=2, within_ms=3_600_000))),
        ("{wait: {delay: 1h}}", Action(wait=Wait(3_600_000))),
        (
            "{ask: owner, wait: {delay: 1h, expires: 2h, cancel: boss}}",
            Action(ask=Ask(), wait=Wait(3_600_000, 7_200_000, ("boss",))),
        ),
    ],
)
def test_actions(written: str, expected: Action) -> None:
    assert action(written) == expected


def when(line: str, top: str = "zone: Europe/Berlin") -> object:
    """The value of the one condition of a tier."""
    made = profile(head(top).replace("{pays_only: [friends, own]}", f"{{{line}}}"))
    return made.tiers[0].clauses[0].value


def test_hours() -> None:
    assert when("hours: 09:00-17:00") == Hours(540, 1020)
    assert when("hours: 22:00-06:00") == Hours(1320, 360)
    assert when("hours: 00:00-24:00") == Hours(0, 1440)


def test_dates_begin_at_midnight_of_the_profiles_zone() -> None:
    assert when("since: 2030-03-17") == 1_899_932_400_000
    assert when("since: 2030-03-17", "zone: UTC") == 1_899_936_000_000


def test_coins() -> None:
    shown = "ab" * 31 + "cd"
    outpoint = OutPoint(bytes.fromhex(shown)[::-1], 3)
    top = f"coins: {{old: ['{shown}:3', own/1/7], older: [old, own/0/0]}}"
    found = when("coins_only: older", top)
    assert found == CoinSet(frozenset({outpoint}), frozenset({WalletPath(1, 7), WalletPath(0, 0)}))


def test_a_descriptor_stands_for_the_addresses_of_its_range() -> None:
    words = f"wpkh({XPUB}/0/*)"
    shop = f"{{descriptor: '{words}#{checksum(words)}', first: 0, last: 9}}"
    made = PROFILE.replace("network: regtest", "network: mainnet").replace("FRIEND", shop)
    assert len(profile_of_text(made).lists["friends"].scripts) == 10


def test_windows() -> None:
    def windows(line: str) -> list[object]:
        made = profile(head("zone: Europe/Berlin").replace("velocity: unlimited", f"velocity: [{line}]"))
        return [one.window for one in made.velocity or ()]

    assert windows("{window: 24h, count: 1}, {window: lifetime, sum: 1btc}") == [
        Rolling(86_400_000),
        Lifetime(),
    ]
    (month,) = windows("{window: month, fees: 1btc}")
    assert isinstance(month, Calendar)
    assert (month.period, month.zone.name) == (Period.MONTH, "Europe/Berlin")


def test_the_other_parts() -> None:
    made = profile(
        head("receive_only: true\nintents: {from: [app, till]}")
        + "    quorum: {nodes: 3}\n    notify: true\n"
        + "change: {nodes: home, people: {boss: 1}, cooldown: 48h, cancel: [audit]}\n"
    )
    assert (made.receive_only.value, made.receive_only.line) == (True, 7)
    assert made.intents == IntentRule(frozenset({"app", "till"}), 8)
    assert profile(head("intents: required")).intents == IntentRule(frozenset(), 7)
    assert (made.tiers[0].quorum, made.tiers[0].notify) == (Conditions(3), True)
    assert made.change == ChangeRule(
        ("home",), People((("boss", 1),)), 48 * 3_600_000, ("audit",), made.change.line
    )
    assert profile().change.cooldown_ms == 24 * 3_600_000


def test_all_scripts_of_lists_count_as_listed_the_bases_too() -> None:
    assert profile(overlay("lists: {more: [STRANGER]}\n"), PROFILE).listed_scripts == {FRIEND, STRANGER}


def test_an_overlay_need_not_fit_limits_that_are_not_its_own() -> None:
    """The base's highest fee holds, not the built-in one that the base replaced."""
    base = PROFILE.replace("  amount:", "  fee: {max: unlimited}\n  amount:")
    assert profile(overlay("limits: {fee: {min: 200_000sat}}\n"), base).base is not None


def test_a_change_of_the_base_changes_the_digest() -> None:
    other = PROFILE.replace("then: approve", "then: ask")
    assert profile(overlay(""), PROFILE).digest != profile(overlay(""), other).digest
    assert profile(overlay(""), PROFILE).digest == profile(overlay(""), "# a comment\n" + PROFILE).digest


@pytest.mark.parametrize(
    "changed",
    [
        head("zone: UTC"), head("receive_only: true"), head("intents: required"), head("intents: {from: app}"),
        head("coins: {frozen: [own/0/1]}"), head("evil_nodes: 0"), PROFILE + "    unless: {locked: true}\n",
        PROFILE + "    limits: {sent_up_to: 1btc}\n", PROFILE + "    notify: true\n",
        PROFILE + "    quorum: {nodes: 3}\n", PROFILE + "    quorum: {roles: home}\n",
        PROFILE + "    quorum: {never_only: [home]}\n", PROFILE + "change: {cooldown: 1h}\n",
        PROFILE + "change: {cooldown: 24h, nodes: home}\n", PROFILE + "change: {cooldown: 24h, people: {boss: 1}}\n",
        PROFILE + "change: {cooldown: 24h, cancel: boss}\n",
        PROFILE.replace("  friends: [FRIEND]", "  friends: [FRIEND]\n  more: [STRANGER]"),
        *(PROFILE.replace("approve", then) for then in (
            "freeze", "grant", "{ask: {match: true}}", "{ask: {within: 1h}}", "{ask: {distinct: 1}}", "refuse",
            "{ask: {people: {boss: 1}}}", "{wait: {delay: 1h}}", "{wait: {delay: 2h}}",
            "{wait: {delay: 1h, expires: 2h}}", "{wait: {delay: 1h, cancel: boss}}",
        )),
    ],
)  # fmt: skip
def test_whatever_means_something_is_in_the_digest(changed: str) -> None:
    assert profile(changed).digest != profile().digest


# The reference page.


def test_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    assert page == reference(), "run `make docs`"


def test_the_reference_page_says_everything() -> None:
    page = reference()
    for word in (
        *(f"`{tag.name}`" for tag in TAGS),
        *(f"`{setting.key}`" for setting in SETTINGS),
        *(f"`{key}`" for key in CONDITIONS),
        *(f"`{condition.example}`" for condition in CONDITIONS.values()),
    ):
        assert word in page, word
    keys = "schema name network extends zone evil_nodes receive_only lists coins baseline limits intents deny tiers"
    for key in (
        *keys.split(),
        "change",
        "tests",
        "unless",
        "then",
        "quorum",
        "notify",
        "within",
        "match",
        "cancel",
    ):
        assert f"`{key}`" in page, key


def test_the_reference_pages_example_loads() -> None:
    made = profile_of_text(EXAMPLE)
    assert [tier.name for tier in made.tiers] == ["small", "larger"]


def test_the_reference_pages_prose_stands_a_sentence_a_line() -> None:
    for line in reference().replace(EXAMPLE, "").splitlines():
        assert "|" in line or not re.search(r"[.!?] [A-Z]", line.split("-->")[-1].lstrip("1234567890. ")), (
            line
        )
        assert len(line) < 120 or "|" in line, line
