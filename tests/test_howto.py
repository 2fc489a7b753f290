"""docs/howto/: every command exists with its options, every profile and piece of one loads, every link leads on."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import click
import pytest
from msgspec.structs import replace
from outside import Outsiderly
from shipped import CONFIGS, NAMES
from world import World

from cluster.charter import Charter, check_charter
from cluster.charter_text import Shape, Template
from cluster.charter_words import charter_lines
from cluster.cli.commands import _assent
from cluster.errors import UsageError
from cluster.roster import RosterError
from cluster.settings import parse_settings, profile_of_text
from policy import Outcome
from policy.golden import run_cases
from policy.tree import Mapping
from taproot import Network

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


WALLETS = [(page, line) for page in PAGES for line in commands(page) if line.startswith("wallet create")]
NODES = ("home", "phone", "offline")


def charter_of(line: str) -> tuple[Charter, World]:
    """What the nodes of the tutorial are asked to agree to by such a command."""
    command, words = found(shlex.split(line))
    given = command.make_context("assent", words).params
    members = tuple(given["members"].split(",")) if given["members"] else NODES
    cosigners, heirs = (tuple(map(with_key, given[option])) for option in ("cosigner", "heir"))
    kind = (given["scheme"], given["threshold"], given["favourite"])
    template = Template(*kind, cosigners, heirs, given["leaf"])
    parts = template.parts(members, {})
    shape = Shape(given["scheme"], given["threshold"] or len(members) + parts.cosigning, parts)
    world = World(n=len(members))
    made = replace(
        world.charter(),
        scheme=shape.scheme,
        spec=shape.spec,
        t=shape.threshold,
        outsiders=parts.outsiders,
        favourite=shape.favourite(len(members)),
        leaves=parts.leaves,
    )
    return made, world


def with_key(text: str) -> str:
    """`NAME=[origin]tpub...` with a whole key."""
    name, _, key = text.partition("=")
    assert key.endswith("]tpub...")
    origin = key.removesuffix("tpub...")
    whole = dataclasses.replace(Outsiderly(name).key, depth=origin.count("/"), number=1 << 31)
    return f"{name}={origin}{whole.xpub(Network.REGTEST)}"


@pytest.mark.parametrize(("page", "line"), WALLETS)
def test_every_wallet_can_be_made(page: str, line: str) -> None:
    charter, world = charter_of(line)
    check_charter(charter, world.roster)
    assert charter_lines(charter, world.roster) or not (charter.leaves or charter.outsiders)


def test_a_wallet_that_cannot_be_made_is_noticed() -> None:
    assert len(WALLETS) >= 5
    charter, world = charter_of("wallet create --name a --scheme musig2 --favourite home,phone,offline")
    with pytest.raises(RosterError):
        check_charter(charter, world.roster)
    with pytest.raises(UsageError):
        charter_of("wallet create --name a --leaf 'a=and_v(v:pk(home),older(400d))'")


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
    assert keys <= {
        "lists",
        "tiers",
        "change",
        "deny",
        "intents",
        "coins",
        "zone",
        "rescue",
        "freeze",
        "drills",
    }, keys
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
