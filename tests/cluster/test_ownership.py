"""The start-up check of who owns our package names, in processes with strangers' packages beside ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cluster.ownership import DISTRIBUTION, PACKAGES

ROOT = Path(__file__).resolve().parent.parent.parent
SAY = "from cluster.ownership import ownership_fault; print(ownership_fault())"
ASK = f"import sys; sys.path += sys.argv[1:]; {SAY}"


def ask(*behind: Path, before: tuple[Path, ...] = ()) -> str:
    """The answer in a fresh process, with directories behind or before ours on the path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if before:
        environment["PYTHONPATH"] = os.pathsep.join(map(str, before))
    done = subprocess.run(
        [sys.executable, "-c", ASK, *map(str, behind)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def stranger(place: Path, name: str, files: tuple[str, ...], top_level: str | None = None) -> Path:
    """A site directory with one other distribution in it."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")
    if top_level is not None:
        (info / "top_level.txt").write_text(top_level, encoding="utf-8")
    for file in files:
        path = place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    return place


def test_this_installation_is_ours() -> None:
    assert ask() == "None"


def test_packages_are_those_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert list(PACKAGES) == project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert project["project"]["name"] == DISTRIBUTION


@pytest.mark.parametrize(
    "file", ["policy/__init__.py", "policy.py", "policy.cpython-311-x86_64-linux-gnu.so"]
)
def test_stranger_behind_us_on_the_path_is_named(tmp_path: Path, file: str) -> None:
    answer = ask(stranger(tmp_path, "rbac-policy", (file,)))
    assert answer.startswith(
        "the package name 'policy' also belongs to the installed distribution rbac-policy 1.0"
    )


def test_stranger_known_only_by_its_top_level_file_is_named(tmp_path: Path) -> None:
    assert "'frost'" in ask(stranger(tmp_path, "foxsec", (), top_level="frost\n"))


def test_a_deeper_file_of_that_name_is_no_claim(tmp_path: Path) -> None:
    assert (
        ask(stranger(tmp_path, "boto", ("boto/policy.py", "policyx/__init__.py", "policy_of/a.py"))) == "None"
    )


def test_shadowing_directory_without_metadata_is_named(tmp_path: Path) -> None:
    (tmp_path / "curve").mkdir()
    (tmp_path / "curve" / "__init__.py").write_text("", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import curve; sys.path.pop(0);"
        "from cluster.ownership import ownership_fault; print(ownership_fault())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"'curve' comes from {tmp_path}" in done.stdout, done.stderr


def test_another_distribution_called_assent_is_named(tmp_path: Path) -> None:
    answer = ask(stranger(tmp_path, "assent", ("assent/__init__.py",)))
    assert answer == f"the installed 'assent' is in {tmp_path}, and this code in {ROOT}: keep only one"


def test_running_without_installing_is_refused() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {SAY}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd="/", capture_output=True, text=True, check=False
    )
    assert "runs without being installed" in done.stdout, done.stderr
