"""The conformance runner itself: what it counts, what it says, how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from conformance.runner import Cases, Run, main, vector_files

ROOT = Path(__file__).resolve().parent.parent


class Sums:
    """A format of our own: {"sums": [[a, b, a+b], ...]}."""

    def cases(self, path: str, text: str) -> Cases | None:
        data = json.loads(text) if path.endswith(".json") else {}
        if "sums" not in data:
            return None

        def check(a: int, b: int, c: int) -> None:
            if a + b != c:
                raise ValueError(f"{a} + {b}\nis not {c}")

        return [(f"sum {i}", partial(check, *row)) for i, row in enumerate(data["sums"])]


def run(directory: Path) -> tuple[int, list[str]]:
    lines: list[str] = []
    return Run([Sums()], lines.append).directory(directory), lines


def write(directory: Path, name: str, content: object) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_passing_run_ends_with_the_count(tmp_path: Path) -> None:
    write(tmp_path, "a.json", {"sums": [[1, 2, 3], [2, 2, 4]]})
    write(tmp_path, "deep/b.json", {"sums": [[0, 0, 0]]})
    assert run(tmp_path) == (0, ["ok a.json: 2", "ok deep/b.json: 1", "3 passed, 0 failed"])


def test_failure_is_named_on_one_line(tmp_path: Path) -> None:
    write(tmp_path, "a.json", {"sums": [[1, 2, 4], [2, 2, 4]]})
    assert run(tmp_path) == (1, ["FAILED a.json: sum 0: ValueError: 1 + 2 is not 4", "1 passed, 1 failed"])


def test_foreign_format_is_listed_and_nothing_run_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, "a.json", {"products": []})
    write(tmp_path, "notes.txt", "not looked at")
    assert run(tmp_path) == (1, ["not run: a.json (no reader)", "0 passed, 0 failed"])


def test_file_without_cases_does_not_count_as_passed(tmp_path: Path) -> None:
    write(tmp_path, "a.json", {"sums": []})
    assert run(tmp_path) == (1, ["not run: a.json (no cases in it)", "0 passed, 0 failed"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON: line 1"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[" * 200_000, "nested too deep"),
        (b"", "not JSON: line 1"),
    ],
)
def test_unreadable_file_is_a_named_failure(tmp_path: Path, content: bytes, says: str) -> None:
    write(tmp_path, "good.json", {"sums": [[1, 1, 2]]})
    (tmp_path / "bad.json").write_bytes(content)
    code, lines = run(tmp_path)
    assert code == 1
    assert lines[0].startswith("FAILED bad.json: ")
    assert says in lines[0]
    assert lines[-1] == "1 passed, 1 failed"


def test_reader_that_breaks_is_a_named_failure(tmp_path: Path) -> None:
    write(tmp_path, "a.json", {"sums": 7})
    code, lines = run(tmp_path)
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")
    assert lines[0].startswith("FAILED a.json: TypeError")


def test_missing_link_target_is_a_named_failure(tmp_path: Path) -> None:
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere.json")
    code, lines = run(tmp_path)
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")


def test_files_come_in_a_stable_order(tmp_path: Path) -> None:
    for name in ("b.json", "a.csv", "z/a.JSON", "c/a.json", "c.txt"):
        write(tmp_path, name, "{}")
    found = [str(path.relative_to(tmp_path)) for path in vector_files(tmp_path)]
    assert found == ["a.csv", "b.json", "c/a.json", "z/a.JSON"]


@pytest.mark.parametrize("arguments", [[], [""], ["/does/not/exist"], ["a", "b"], [__file__]])
def test_bad_directory_is_one_line_and_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_the_command_runs_the_real_readers(tmp_path: Path) -> None:
    write(tmp_path, "foreign.json", {"no": "format of ours"})
    done = subprocess.run(
        [sys.executable, "-m", "conformance", str(tmp_path)],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "not run: foreign.json (no reader)\n0 passed, 0 failed\n"
