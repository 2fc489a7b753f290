"""How a change of a policy is shown: what loosens first where others wrote it, and nothing that moves the cursor."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.cli.commands import run
from cluster.cli.policy_changes import change_shown


def change(*, own: bool) -> dict[str, object]:
    changes = [
        {"direction": "tighter", "path": "a", "line": 3, "text": "less \x1b[2J of it"},
        {"direction": "same", "path": "b", "line": 0, "text": "other words"},
        {"direction": "looser", "path": "c", "line": 9, "text": "more of it"},
        {"direction": "both", "path": "d", "line": 0, "text": "who knows"},
    ]
    return {
        "id": "ab" * 32,
        "node": "home",
        "wallet": "vault\u202e",
        "version": 2,
        "state": "pending",
        "own": own,
        "direction": "both",
        "changes": changes,
        "consents": ["home"],
        "missing": ["the owner of phone"],
        "can": ["cancel"],
    }


def test_of_anothers_change_what_loosens_comes_first() -> None:
    rows = change_shown(change(own=False)).splitlines()
    assert rows == [
        f"change {'ab' * 32}",
        "  home, vault\\u202e: version 2, pending",
        "  looser: more of it (line 9)",
        "  both: who knows",
        "  tighter: less \\x1b[2J of it (line 3)",
        "  same: other words",
        "  you may: assent policy cancel abababababababab",
    ]


def test_ones_own_stands_in_the_order_of_the_file() -> None:
    rows = change_shown(change(own=True)).splitlines()
    assert [row.split(":")[0].strip() for row in rows[2:6]] == ["tighter", "same", "looser", "both"]
    assert rows[6:8] == ["  agreed: home", "  still missing: the owner of phone"]


@pytest.mark.parametrize("words", [["changes"], ["consent", "ab" * 8], ["cancel", "ab" * 8]])
def test_without_a_data_directory_each_says_so(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", *words, "--datadir", str(tmp_path / "none")]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("word", ["abcd", "zz" * 8, "ab" * 33])
def test_a_person_gives_an_id_that_is_none(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pass").write_text("correct horse\n")
    Path("pass").chmod(0o600)
    ready = ["--datadir", "ann", "--passphrase-file", "pass"]
    made = ["init", "--role", "person", "--name", "ann", "--person-role", "treasurer", "--kdf-memory", "19"]
    assert run([*made, *ready]) == 0
    capsys.readouterr()
    for command in ("consent", "cancel"):
        assert run(["policy", command, word, *ready]) == 2
        assert "at least 8 hex digits" in capsys.readouterr().err
        assert run(["policy", command, "ab" * 8, *ready]) == 3
        assert "roster accept" in capsys.readouterr().err
