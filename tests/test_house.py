"""The house itself: what stands in the tree, how it is named, and that nothing foreign crept in."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tools import adr_index

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PYTHONS = [(3, 11), (3, 12), (3, 13)]

# The only places a reader is sent to. No package index stands anywhere: the user's own settings choose it.
KNOWN_HOSTS = {"github.com", "keepachangelog.com", "semver.org", "json-schema.org", "www.apache.org"}
LOCAL = re.compile(
    r"^(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|example\.(com|org|net)|.*\.example|.*\.invalid)$"
)
# Split, so that this file does not find itself.
FOREIGN = [
    "/" + "root/",
    "/" + "work/",
    "/home/" + "runner",
    "BEGIN " + "OPENSSH PRIVATE KEY",
    "BEGIN " + "PRIVATE KEY",
    "extra-index" + "-url",
    "index" + "-url http",
    "<<<<<" + "<< ",
    ">>>>>" + ">> ",
]


def tracked() -> list[Path]:
    """The files that git knows and that are still there."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """Name and text of every tracked file that is text."""
    found = []
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" not in raw:
            found.append((str(path.relative_to(ROOT)), raw.decode("utf-8")))
    return found


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "test",
        "test-fast",
        "check",
        "conformance",
        "bench",
        "lock",
        "env",
        "clean",
        "distclean",
        "help",
    ],
)
def test_make_target_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert target in phony[1].split()


def test_ci_ends_with_the_tests() -> None:
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert "set -euo pipefail" in steps
    assert [line for line in steps if line.startswith("make ")] == [
        "make env",
        "make check",
        "make conformance VECTORS=../shared/vectors",
        "make test",
    ]
    assert steps[-1] == "make test"


def test_supported_pythons_are_said_once_and_the_same() -> None:
    project = PROJECT["project"]
    assert project["requires-python"] == ">=3.11"
    said = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert said == [f"{major}.{minor}" for major, minor in PYTHONS]
    finder = (ROOT / "tools" / "find-python").read_text(encoding="utf-8")
    assert f"{PYTHONS[0]} <= sys.version_info[:2] <= {PYTHONS[-1]}" in finder
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"
    assert PROJECT["tool"]["mypy"]["python_version"] == "3.11"


def test_the_application_is_not_meant_for_an_index() -> None:
    # Its packages have plain names; see docs/adr/0004.
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def test_no_foreign_words() -> None:
    found = [f"{name}: {word}" for name, text in texts() for word in FOREIGN if word in text]
    assert found == []


def test_links_lead_only_to_known_places() -> None:
    hosts = [
        (name, host.lower())
        for name, text in texts()
        for host in re.findall(r"https?://([A-Za-z0-9.\[\]:-]+?)(?::\d+)?(?=[/\s\"'`)>,;]|$)", text)
    ]
    assert [(n, h) for n, h in hosts if h.rstrip(".") not in KNOWN_HOSTS and not LOCAL.match(h)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_typed_and_has_a_front_door(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    door = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(door), f"{package}/__init__.py says what the package is and is not"
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    surprising = [node.lineno for node in door.body if not isinstance(node, allowed)]
    assert surprising == [], f"{package}/__init__.py does more than open the door"


def test_modules_of_tests_have_names_of_their_own() -> None:
    modules = [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]
    assert [path for path in modules if path.name == "__init__.py"] == []
    counted = Counter(path.name for path in modules if path.name.startswith("test_"))
    assert [name for name, times in counted.items() if times > 1] == []


def test_every_decision_is_listed_with_its_title() -> None:
    folder = ROOT / "docs" / "adr"
    assert adr_index.faults(folder) == []
    assert (folder / "README.md").read_text(encoding="utf-8") == adr_index.index(folder), "run `make docs`"


def test_a_decision_with_a_bad_name_or_title_is_noticed(tmp_path: Path) -> None:
    for name in ("0001-good.md", "0001-twice.md", "2-short.md", "0003-Title.md"):
        (tmp_path / name).write_text(f"# {name[:4]} Title\n", encoding="utf-8")
    (tmp_path / "0004-untitled.md").write_text("Title\n", encoding="utf-8")
    assert [fault.split(":")[0] for fault in adr_index.faults(tmp_path)] == [
        "0001-twice.md",
        "0003-Title.md",
        "0004-untitled.md",
        "2-short.md",
    ]


def test_every_configuration_file_is_loaded_by_a_test() -> None:
    configs = ROOT / "configs"
    files = sorted(path.name for path in configs.rglob("*") if path.is_file())
    said = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    # A test either names the file or walks the folder.
    walks = re.search(r"""CONFIGS\.r?glob\(""", said) is not None
    assert [name for name in files if name not in said and not walks] == []


def test_files_end_with_one_newline_and_have_no_tabs_or_carriage_returns() -> None:
    wrong = []
    for name, text in texts():
        if name.startswith("tests/vectors/"):
            continue
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            wrong.append(f"{name}: end of file")
        if "\r" in text or ("\t" in text and name != "Makefile"):
            wrong.append(f"{name}: tab or carriage return")
    assert wrong == []


def test_shell_scripts_are_executable() -> None:
    for name in (".ci/run", "tools/find-python"):
        assert (ROOT / name).stat().st_mode & 0o111, name
