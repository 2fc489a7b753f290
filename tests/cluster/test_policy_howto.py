"""The pages on trying a policy and on a receive-only shop: their profiles load, and their cases pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from cluster.cli.commands import _assent
from cluster.cli.policy_history import read_history
from cluster.settings import profile_of_text
from policy.golden import run_cases
from policy.reading_cases import KEYS
from policy.simulate import simulate

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = ("receive-only-shop.md", "try-a-policy.md")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", (HOWTO / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_profile_loads_and_all_its_cases_pass(page: str) -> None:
    found = [profile_of_text(text, page) for text in blocks(page, "yaml")]
    assert found
    for profile in found:
        results = run_cases(profile)
        assert results
        assert [(r.case.name, r.outcome, r.codes) for r in results if not r.passes] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists_with_its_options(page: str) -> None:
    lines = re.findall(r"^    \$ assent (.*)$", (HOWTO / page).read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        command: click.Command = _assent
        words = line.split()
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        known = {option for one in command.params for option in one.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_key_of_a_case_stands_in_the_table() -> None:
    table = [line for line in (HOWTO / "try-a-policy.md").read_text().splitlines() if line.startswith("| `")]
    named = {key for line in table for key in re.findall(r"`([a-z_]+)`", line.split("|")[1])}
    assert named == set(KEYS)


def test_the_history_of_the_page_is_read(tmp_path: Path) -> None:
    [text] = blocks("try-a-policy.md", "json")
    assert json.loads(text)
    (tmp_path / "past.json").write_text(text)
    profile = profile_of_text(blocks("try-a-policy.md", "yaml")[0])
    assert simulate(profile, read_history(tmp_path / "past.json", profile)).events == 1
