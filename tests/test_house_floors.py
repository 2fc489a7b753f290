"""The import contracts bite: each is broken once, in a copy of the house."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("curve", "frost", "musig2", "taproot", "policy", "cluster")

FLOORS = "Imports go down only, and taproot, frost and musig2 never meet"
FACTS = "policy sees plain facts: nothing of frost, nothing that parses"
PLAIN = "policy uses taproot's front door and plain values only"
WORLD = "Only the edge of cluster touches the world"
BITCOIN = "Only taproot knows the Bitcoin libraries"
CURVE = "Only curve knows libsecp256k1"
ROOMS = "The rooms of cluster"
NODE = "A node uses nothing of the coordinator"
COORDINATOR = "The coordinator uses nothing of a node, least of all its vault"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and their contracts."""
    place = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    (place / "taproot" / "stranger.py").write_text(
        '"""A module that policy has no business with."""\n', encoding="utf-8"
    )
    return place


def broken(house: Path) -> set[str]:
    """The names of the contracts that do not hold."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=house,
        env=dict(os.environ, PYTHONPATH=str(house), NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"Contracts: \d+ kept, \d+ broken", done.stdout), done.stdout + done.stderr
    return set(re.findall(r"^(.*) BROKEN", done.stdout, re.MULTILINE))


def test_the_house_stands(house: Path) -> None:
    assert broken(house) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"curve": "import frost", "taproot": "import coincurve", "cluster": "import wallycore"},
            {FLOORS, CURVE, BITCOIN},
        ),
        ({"frost": "import taproot"}, {FLOORS}),
        ({"policy": "import frost", "curve": "import time"}, {FACTS, WORLD}),
        ({"policy": "import yaml", "cluster/codec": "import cluster.turn"}, {FACTS, WORLD, ROOMS}),
        ({"cluster/codec": "import socket", "frost": "import secrets"}, {WORLD}),
        ({"policy": "import taproot.stranger"}, {PLAIN}),
        ({"cluster/node_signing": "import cluster.coordinator_keygen"}, {NODE, ROOMS}),
        ({"cluster/coordinator": "import cluster.vault"}, {COORDINATOR}),
    ],
)
def test_a_forbidden_import_is_found(house: Path, changes: dict[str, str], expected: set[str]) -> None:
    before: dict[Path, str] = {}
    for module, line in changes.items():
        path = house / (f"{module}.py" if "/" in module else f"{module}/__init__.py")
        before[path] = path.read_text(encoding="utf-8")
        path.write_text(f"{before[path]}\n{line}\n", encoding="utf-8")
    try:
        assert broken(house) == expected
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
