"""docs/howto/approve-as-a-person.md says what is so: its policy loads, and its commands exist as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from company import HEAD

from cluster.cli.commands import run
from cluster.cli.owner import approve, refuse
from cluster.cli.people import requests
from cluster.cli.setup import init, roster_accept
from cluster.settings import profile_of_text

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "approve-as-a-person.md").read_text(encoding="utf-8")
COMMANDS: dict[tuple[str, ...], click.Command] = {
    ("init",): init,
    ("roster", "accept"): roster_accept,
    ("requests",): requests,
    ("approve",): approve,
    ("refuse",): refuse,
}


def test_its_policy_loads() -> None:
    (tiers,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    profile = profile_of_text(HEAD[: HEAD.index("tiers:")] + tiers)
    assert [tier.name for tier in profile.tiers] == ["wages", "larger"]


@pytest.mark.parametrize("line", re.findall(r"^\$ assent (.*)$", PAGE, re.MULTILINE))
def test_its_commands_are_understood(line: str) -> None:
    words = shlex.split(line)
    for name, command in COMMANDS.items():
        if tuple(words[: len(name)]) == name:
            command.make_context("assent", words[len(name) :])
            return
    raise AssertionError(f"no such command: {line}")


def test_a_command_for_a_person_at_another_party_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["requests", "--datadir", str(tmp_path)]) == 3
    assert "assent init" in capsys.readouterr().err
