"""What configs/ ships: golden cases pass, lint finds nothing to mend, the sets hold what they promise."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest
from shipped import CONFIGS, ENTERPRISE, NAMES, PERSONAL, file_of, shipped

from cluster.cli.commands import run
from cluster.tickets import MAX_REQUEST_LIFE_MS
from policy import Outcome, Profile, WalletFacts
from policy.exposure import Survey, survey
from policy.golden import reasons_for, run_cases
from policy.lint import Known, Remark, Severity, lint
from policy.lint_set import lint_set

BTC = 100_000_000
NOW_MS = int(datetime(2027, 1, 4, 11, tzinfo=UTC).timestamp()) * 1000
ANYONE = "a stranger"
HOWTO = CONFIGS.parent / "docs" / "howto"
NOTES = {
    "offline limits.velocity": "its owner looks at every single spend",
    "inheritance limits.velocity": "so does this one's",
    "enterprise/base deny[0].unless.days": "after a restart it waits for its peers' clocks, as it should",
    "subscription tiers[0].then": "that is what the tier is for",
}
"""What lint has to note of the shipped files, and why it stays so."""


def threshold(roles: tuple[str, ...]) -> int:
    return len(roles) // 2 + 1


def wallet_of(name: str, profile: Profile) -> WalletFacts | None:
    """The wallet that a file is for, where it belongs to a set."""
    for roles in (PERSONAL, ENTERPRISE):
        if name in map(file_of, roles):
            t = threshold(roles)
            return WalletFacts(True, "wallet", profile.network, len(roles), t, 20, (1, 1), roles)
    return None


def test_all_files_are_here() -> None:
    assert set(NAMES) == {
        *map(file_of, (*PERSONAL, *ENTERPRISE)), "enterprise/base", "inheritance", "intents", "shop", "subscription",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_golden_cases(name: str) -> None:
    results = run_cases(shipped(name))
    wrong = {r.case.name: (r.outcome.name, [f"{why.tag}: {why.text}" for why in reasons_for(r)])
             for r in results if not r.passes}  # fmt: skip
    assert wrong == {}
    assert len(results) >= 2
    # A refusal for another reason than the one that was meant is no test of the rule.
    assert [r.case.name for r in results if r.case.expect is Outcome.REFUSE and not r.case.tags] == []
    assert any(r.case.expect is not Outcome.REFUSE for r in results) or name == "shop"


@pytest.mark.parametrize("name", NAMES)
def test_lint_finds_nothing_to_mend(name: str) -> None:
    profile = shipped(name)
    known = Known(wallet_of(name, profile), now_ms=NOW_MS, request_ms=MAX_REQUEST_LIFE_MS)
    found = lint(profile, known)
    assert [remark for remark in found if remark.severity is not Severity.NOTE] == []
    assert [remark for remark in found if f"{name} {remark.path}" not in NOTES] == []


def test_each_note_is_still_there_to_be_explained() -> None:
    seen = {f"{name} {r.path}" for name in NAMES for r in lint(shipped(name), Known(now_ms=NOW_MS))}
    assert seen == set(NOTES)


def test_the_command_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`assent policy test` and `assent policy lint`, as a person gives them."""
    files = [str(CONFIGS / f"{name}.yaml") for name in NAMES]
    assert run(["policy", "test", *files, "--json"]) == 0
    shown = capsys.readouterr().out
    assert all(case.name in shown for name in NAMES for case in shipped(name).tests)
    assert run(["policy", "lint", *(str(CONFIGS / f"{role}.yaml") for role in PERSONAL)]) == 0


# The sets.


@cache
def surveyed(roles: tuple[str, ...]) -> Survey:
    """Who can sign what, computed once."""
    profiles = {role: shipped(file_of(role)) for role in roles}
    return survey(profiles, threshold=threshold(roles), now_ms=NOW_MS)


@pytest.mark.parametrize("roles", [PERSONAL, ENTERPRISE], ids=["personal", "enterprise"])
def test_a_set_has_nothing_to_mend(roles: tuple[str, ...]) -> None:
    found: tuple[Remark, ...] = lint_set({role: shipped(file_of(role)) for role in roles}, surveyed(roles))
    assert found == ()


@pytest.mark.parametrize("roles", [PERSONAL, ENTERPRISE], ids=["personal", "enterprise"])
def test_nothing_ever_goes_to_a_stranger(roles: tuple[str, ...]) -> None:
    found = surveyed(roles)
    assert all(band.asked == () for band in found.bands if band.place.name == ANYONE)
    assert {loss.sats for loss in found.losses if loss.place == ANYONE} == {0}


@pytest.mark.parametrize(
    ("roles", "place"), [(PERSONAL, "rescue"), (ENTERPRISE, "vault")], ids=["personal", "enterprise"]
)
def test_the_rescue_works_after_any_loss(roles: tuple[str, ...], place: str) -> None:
    """And always takes people: no quorum moves anything there by itself."""
    found = surveyed(roles)
    assert (found.rescue.always, found.rescue.gap) == ((place,), "")
    assert all(band.alone == band.waiting == () for band in found.bands if band.place.name == place)


def signs(roles: tuple[str, ...], place: str, sats: int) -> tuple[set[str], set[str]]:
    """The quorums that pay so much there: by themselves (after a delay at most), and with every yes."""
    (band,) = [
        band
        for band in surveyed(roles).bands
        if band.place.name == place and band.above < sats and (band.up_to is None or sats <= band.up_to)
    ]

    def words(quorums: tuple[frozenset[str], ...]) -> set[str]:
        return {"+".join(role for role in roles if role in quorum) for quorum in quorums}

    return words(band.waiting), words(band.asked)


def test_who_signs_what_of_the_personal_set() -> None:
    """As docs/howto/README.md says."""
    both = {"home+phone", "home+offline"}
    assert signs(PERSONAL, "friends", BTC // 100) == ({"home+phone"}, both)
    assert signs(PERSONAL, "friends", BTC // 10) == (set(), both)
    assert signs(PERSONAL, "friends", BTC) == (set(), {"home+offline"})
    assert signs(PERSONAL, "friends", BTC + 1) == (set(), set())
    assert signs(PERSONAL, "rescue", 1_000 * BTC) == (set(), {*both, "phone+offline"})


def test_who_signs_what_of_the_enterprise_set() -> None:
    """As docs/howto/enterprise-3-of-5.md says."""
    alone, asked = signs(ENTERPRISE, "suppliers", 2 * BTC)
    assert alone == {"treasury+operations+audit"}
    assert len(asked) == 9, "all ten threes but treasury, operations and cold, who control nothing"
    assert "treasury+operations+cold" not in asked
    assert signs(ENTERPRISE, "suppliers", 10 * BTC) == (set(), {"treasury+security+audit+cold"})
    assert signs(ENTERPRISE, "suppliers", 10 * BTC + 1) == (set(), set())
    assert len(signs(ENTERPRISE, "vault", 1_000 * BTC)[1]) == 10


@pytest.mark.parametrize(
    ("roles", "most"),
    [
        (PERSONAL, {("home",): 10_000_000, ("phone",): 55_000_000, ("offline",): 208_000_000}),
        (ENTERPRISE, {("treasury",): 15 * BTC, ("operations",): 15 * BTC, ("security",): 15 * BTC,
                      ("audit",): 15 * BTC, ("cold",): 20 * BTC}),
    ],
    ids=["personal", "enterprise"],
)  # fmt: skip
def test_the_worst_day_with_a_device_stolen(roles: tuple[str, ...], most: dict[tuple[str, ...], int]) -> None:
    """To listed payees only, and without anybody's yes."""
    found = {
        loss.stolen: loss.sats
        for loss in surveyed(roles).losses
        if str(loss.window) == "24h" and not loss.place
    }
    assert found == most


def test_the_readme_shows_what_who_can_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    block = text.split("$ assent policy who-can ")[1].split("```")[0].splitlines()
    files = [str(CONFIGS.parent / name) for name in block[0].split()]
    assert run(["policy", "who-can", *files]) == 0
    told = capsys.readouterr().out.splitlines()
    shown = [line for line in block[1:] if line]
    assert shown
    assert [line for line in shown if line not in told] == []


def test_the_pages_quote_what_is_computed() -> None:
    """docs/howto/dead-phone.md and enterprise-3-of-5.md."""
    pages = {
        page: (HOWTO / f"{page}.md").read_text(encoding="utf-8")
        for page in ("dead-phone", "enterprise-3-of-5")
    }
    for page, roles, stolen in (("dead-phone", PERSONAL, "phone"), ("enterprise-3-of-5", ENTERPRISE, "cold")):
        (loss,) = [
            loss
            for loss in surveyed(roles).losses
            if (loss.stolen, str(loss.window), loss.place) == ((stolen,), "24h", "")
        ]
        assert f"in 24h: {loss.sats:_}; to an address of his own: nothing" in pages[page]
    (kept,) = [kept for kept in surveyed(PERSONAL).kept if kept.lost == ("phone",)]
    assert dict(kept.places)["friends"] == BTC
    assert f"without phone: friends up to {BTC:_}; rescue everything" in pages["dead-phone"]
