"""Writes docs/adr/README.md: what a record is, and the list of all of them. `make docs` runs it; a test compares."""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "adr"
FILE = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
HEAD = """\
# Decisions

One page each: context, options, decision, what it costs.
Number 0001 says why and how; `make docs` writes this list.

"""


def faults(folder: Path) -> list[str]:
    """What is wrong with the names and first lines of the records; one line each."""
    found = []
    numbers: dict[str, str] = {}
    for path in sorted(path for path in folder.glob("*.md") if path.name != "README.md"):
        name = FILE.fullmatch(path.name)
        if name is None:
            found.append(f"{path.name}: the name is not NNNN-title-in-small-letters.md")
            continue
        if name[1] in numbers:
            found.append(f"{path.name}: {numbers[name[1]]} has this number already")
        numbers[name[1]] = path.name
        if not path.read_text(encoding="utf-8").startswith(f"# {name[1]} "):
            found.append(f"{path.name}: the first line is not `# {name[1]} Title`")
    return found


def index(folder: Path) -> str:
    """The whole text of README.md."""
    lines = []
    for path in sorted(path for path in folder.glob("*.md") if path.name != "README.md"):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})\n")
    return HEAD + "".join(lines)


def main() -> int:
    """Write the list; 1 if a record has a bad name or title."""
    found = faults(FOLDER)
    for fault in found:
        print(f"docs/adr/{fault}", file=sys.stderr)
    if not found:
        (FOLDER / "README.md").write_text(index(FOLDER), encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
