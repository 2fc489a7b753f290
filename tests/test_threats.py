"""Every test that docs/threats.md names exists, and so does every file."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_test_named_exists() -> None:
    text = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 30
    assert {name for name in named if f"def {name}(" not in code} == set()


def test_every_file_named_exists() -> None:
    text = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`((?:tests|cluster|policy|taproot)/[\w/]+\.py)`", text))
    assert files
    assert {name for name in files if not (ROOT / name).exists()} == set()


def test_every_row_names_a_test() -> None:
    lines = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8").splitlines()
    rows = [
        line
        for line in lines
        if line.startswith("|") and not line.startswith("|---") and "shown by" not in line
    ]
    assert len(rows) > 100
    assert [row for row in rows if not re.search(r"`(test_\w+|tests/[\w/]+\.py)`", row)] == []
