"""docs/howto/: every command exists with its options, every profile and piece of one loads, every link leads on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from shipped import CONFIGS, NAMES

from cluster.cli.commands import _assent
from cluster.settings import parse_settings, profile_of_text
from policy import Outcome
from policy.golden import run_cases
from policy.tree import Mapping

HOWTO = Path(__file__).resolve().parent.parent / "docs" / "howto"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(HOWTO.glob("*.md"))}
ADDRESS = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
OTHER = "bcrt1qpzkfkf0usl6dmp2tatykfrg5rrt7re5cm3tygg"
HEAD = """\
schema: 1
name: page
network: regtest
limits:
  amount: {sent: unlimited}
  velocity: unlimited
"""
LISTS = f"lists: {{friends: [{ADDRESS}], payees: [{ADDRESS}]}}\n"
TIERS = "tiers:\n  - {name: all, when: {pays_only: anyone}, then: ask}\n"


def blocks(page: str, kind: str = "") -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """What stands after a prompt."""
    return re.findall(r"^ *\$ assent (.*)$", PAGES[page], re.MULTILINE)


def mentioned(page: str) -> list[str]:
    """Commands in the text, which may leave things out: at least two words, or one that is a command."""
    return re.findall(r"`assent ([a-z-]+(?: [^`]*)?)`", PAGES[page])


PROFILES = [(page, text) for page in PAGES for text in blocks(page, "yaml")]


def test_the_pages_of_the_issue_are_there() -> None:
    assert set(PAGES) >= {
        "README.md", "allow-a-payee.md", "raise-a-limit.md", "enterprise-3-of-5.md", "receive-only-shop.md",
        "subscription-grant.md", "dead-phone.md",
    }  # fmt: skip


def test_the_index_names_every_page_and_every_profile() -> None:
    index = PAGES["README.md"]
    assert [page for page in PAGES if page != "README.md" and f"({page})" not in index] == []
    assert [name for name in NAMES if f"{name.rpartition('/')[2]}.yaml" not in index] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page])
    assert [link for link in links if "://" not in link and not (HOWTO / link).exists()] == []
    files = re.findall(r"configs/([a-z/0-9-]+\.yaml)", PAGES[page])
    assert [file for file in files if not (CONFIGS / file).exists()] == []


# Commands.


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words name, and what is left for it."""
    command: click.Command = _assent
    while isinstance(command, click.Group) and words:
        inner = command.get_command(click.Context(command), words[0])
        assert inner is not None, f"assent has no command {words[0]}"
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in PAGES for line in commands(page)])
def test_every_command_is_understood(page: str, line: str) -> None:
    command, words = found(shlex.split(line, comments=True))
    assert not isinstance(command, click.Group)
    if "--help" not in words:
        command.make_context("assent", words)


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in PAGES for line in mentioned(page)])
def test_every_command_that_is_mentioned_exists(page: str, line: str) -> None:
    command, words = found(shlex.split(line))
    known = {option for one in command.params for option in one.opts}
    assert [word for word in words if word.startswith("--") and word not in known] == []


# Profiles.


@pytest.mark.parametrize(("page", "text"), PROFILES)
def test_every_profile_loads_and_so_does_every_piece_of_one(page: str, text: str) -> None:
    whole = text.startswith("schema:")
    made = profile_of_text(text if whole else completed(text), page)
    results = run_cases(made)
    assert [r.case.name for r in results if not r.passes] == []
    assert results or not whole


def completed(text: str) -> str:
    """A piece of a profile with what it leaves out; a payee that is only hinted at is somebody."""
    text = re.sub(r"bcrt1[a-z]*\.\.\.", OTHER, text)
    tree = parse_settings(text, "piece")
    assert isinstance(tree, Mapping)
    keys = {entry.key for entry in tree.entries}
    assert keys <= {"lists", "tiers", "change", "deny", "intents", "coins", "zone"}, keys
    return HEAD + ("" if "lists" in keys else LISTS) + ("" if "tiers" in keys else TIERS) + text


def test_a_page_with_a_slip_is_noticed() -> None:
    with pytest.raises(AssertionError):
        found(["polcy", "set"])
    command, words = found(["policy", "set", "home.yaml", "--walet", "savings"])
    with pytest.raises(click.UsageError):
        command.make_context("assent", words)
    with pytest.raises(ValueError, match="nods"):
        profile_of_text(completed("change: {nods: [phone], cooldown: 24h}\n"))


def test_the_outcomes_of_the_cases_are_not_all_one() -> None:
    whole = [profile_of_text(text, page) for page, text in PROFILES if text.startswith("schema:")]
    assert {case.expect for profile in whole for case in profile.tests} == set(Outcome)
