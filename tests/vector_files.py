"""Where the vectors are, and how a test module runs a conformance reader over them."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

OWN = Path(__file__).parent / "vectors"
OFFICIAL = Path(
    os.environ.get("ASSENT_BIP_VECTORS")
    or Path(__file__).resolve().parents[2] / "shared" / "vectors" / "official"
)

Cases = list[tuple[str, Callable[[], None]]]


def parameters(reader: Callable[[str, str], Cases | None], files: Iterable[Path]) -> list[Any]:
    """One pytest parameter per case; a file that the reader does not know is an error, not a pass."""
    found = []
    for file in files:
        cases = reader(str(file), file.read_text())
        assert cases, f"no cases in {file}"
        found += [pytest.param(run, id=f"{file.stem}: {name}") for name, run in cases]
    return found


def official(folder: str) -> list[Path]:
    """The BIP's own files of one folder; none where a clone comes without them."""
    return sorted(path for path in (OFFICIAL / folder).glob("*") if path.suffix in {".json", ".csv"})


def skip_without_official(folder: str) -> pytest.MarkDecorator:
    """For the official cases of a folder: skipped, saying so, only where the folder does not exist."""
    absent = not (OFFICIAL / folder).is_dir()
    return pytest.mark.skipif(absent, reason=f"no official vectors in {OFFICIAL / folder}")
