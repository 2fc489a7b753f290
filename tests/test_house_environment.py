"""The way to an environment: which Python is taken, what is said when none fits, and that a second run does nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment

ROOT = Path(__file__).resolve().parent.parent


def find_python(tmp_path: Path, *, found: dict[str, str], python: str | None = None) -> tuple[int, str, str]:
    """Run tools/find-python on a PATH that holds only these programs, by name and shell text."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, text in found.items():
        program = place / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    script = (
        (ROOT / "tools" / "find-python")
        .read_text(encoding="utf-8")
        .replace(" /usr/bin/python3", " /nowhere/p")
    )
    copy = tmp_path / "find-python"
    copy.write_text(script, encoding="utf-8")
    shell = shutil.which("sh")
    assert shell is not None
    variables = {"PATH": str(place)} | ({"PYTHON": python} if python else {})
    done = subprocess.run([shell, str(copy)], env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_suitable_python_is_taken(tmp_path: Path) -> None:
    code, out, _ = find_python(
        tmp_path, found={"python3": "exit 1", "python3.12": "exit 0", "python3.11": "exit 0"}
    )
    assert (code, out) == (0, "python3.12\n")


def test_no_suitable_python_is_said_with_a_remedy(tmp_path: Path) -> None:
    code, out, err = find_python(tmp_path, found={"python3": "exit 1"})
    assert (code, out) == (1, "")
    assert "needs Python 3.11, 3.12 or 3.13" in err
    assert "make PYTHON=" in err


def test_a_chosen_python_that_does_not_fit_is_not_replaced(tmp_path: Path) -> None:
    code, out, err = find_python(tmp_path, found={"python3": "exit 0", "mine": "exit 1"}, python="mine")
    assert (code, out) == (1, "")
    assert err.startswith("PYTHON=mine is not a Python 3.11")


def test_the_chosen_python_is_really_looked_at(tmp_path: Path) -> None:
    code, out, err = find_python(tmp_path, found={}, python=sys.executable)
    assert (code, out, err) == (0, f"{sys.executable}\n", "")


def test_a_finished_environment_is_left_alone(tmp_path: Path) -> None:
    stamp = tmp_path / "ready"
    stamp.touch()
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "environment.py"), str(stamp)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_failed_step_says_which_and_shows_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    log = tmp_path / "install.log"
    command = [sys.executable, "-c", "print('no such wheel'); raise SystemExit(1)"]
    with pytest.raises(
        environment.SetUpError, match=r"(?s)failed; its last lines \(install.log has all\):.*no such wheel"
    ):
        environment.run(command, log)


def test_packages_are_counted_for_the_progress_line() -> None:
    assert 30 < environment.locked_packages() < 200
