"""Runs a directory of test vectors: every *.json and *.csv, each by the first reader that knows its format.

A reader is a module beside this one with `cases(path, text) -> list of (name, thunk) | None`: None says
"not my format", a thunk raises when its case fails. The run ends with exactly one line `N passed, M failed`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

NOT_READERS = {"__main__", "runner"}
SUFFIXES = {".json", ".csv"}

Cases = list[tuple[str, Callable[[], None]]]


class Reader(Protocol):
    """One vector format."""

    def cases(self, path: str, text: str) -> Cases | None:
        """The cases of this file, or None when it is of another format."""


class NotReadable(Exception):
    """A file that ends in .json or .csv and is not what its name says."""


def readers() -> list[Reader]:
    """Every reader in this folder; one that cannot be imported stops the run, never skips."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in NOT_READERS)
    return [importlib.import_module(f"conformance.{name}") for name in names]


def vector_files(directory: Path) -> Iterator[Path]:
    """The vector files below a directory, in a stable order; OSError names a folder that cannot be listed."""

    def unreadable(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(directory, onerror=unreadable):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files) if Path(name).suffix.lower() in SUFFIXES)


def read_text(path: Path) -> str:
    """The text of a vector file; NotReadable unless it is UTF-8, and JSON when its name says so."""
    try:
        text = path.read_bytes().decode("utf-8")
        if path.suffix.lower() == ".json":
            json.loads(text)
    except OSError as bad:
        raise NotReadable(bad.strerror or str(bad)) from bad
    except UnicodeDecodeError as bad:
        raise NotReadable(f"not UTF-8 at byte {bad.start}") from bad
    except json.JSONDecodeError as bad:
        raise NotReadable(f"not JSON: line {bad.lineno}: {bad.msg}") from bad
    except RecursionError as bad:
        raise NotReadable("not JSON that can be read: nested too deep") from bad
    return text


def find_cases(path: Path, text: str, known: Sequence[Reader]) -> Cases | None:
    """The cases by the first reader that knows the format; None when none does."""
    for reader in known:
        found = reader.cases(str(path), text)
        if found is not None:
            return found
    return None


def one_line(failure: BaseException) -> str:
    """What went wrong, on one line of bounded length."""
    text = " ".join(str(failure).split())
    return f"{type(failure).__name__}: {text}"[:300] if text else type(failure).__name__


class Run:
    """Counts and prints; `out` takes one line at a time."""

    def __init__(self, known: Sequence[Reader], out: Callable[[str], None]) -> None:
        self.known = known
        self.out = out
        self.passed = 0
        self.failed = 0

    def fail(self, where: str, failure: BaseException) -> None:
        self.failed += 1
        self.out(f"FAILED {where}: {one_line(failure)}")

    def file(self, path: Path, shown: str) -> None:
        """Run one file's cases, or say why not."""
        try:
            found = find_cases(path, read_text(path), self.known)
        except Exception as failure:
            self.fail(shown, failure)
            return
        if found is None:
            self.out(f"not run: {shown} (no reader)")
            return
        before = self.passed
        for name, thunk in found:
            try:
                thunk()
            except Exception as failure:
                self.fail(f"{shown}: {name}", failure)
            else:
                self.passed += 1
        if not found:
            self.out(f"not run: {shown} (no cases in it)")
        elif self.passed - before == len(found):
            self.out(f"ok {shown}: {len(found)}")

    def directory(self, directory: Path) -> int:
        """Run all files below a directory; the exit code is 0 only if something ran and nothing failed."""
        try:
            for path in vector_files(directory):
                self.file(path, str(path.relative_to(directory)))
        except OSError as unreadable:
            self.fail(str(unreadable.filename), NotReadable(unreadable.strerror or str(unreadable)))
        self.out(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def main(arguments: Sequence[str]) -> int:
    """`python -m conformance DIR`: 0 all passed, 1 something failed or nothing ran, 2 no such directory."""
    if len(arguments) != 1 or not arguments[0]:
        print("usage: make conformance VECTORS=DIR", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    if not directory.is_dir():
        print(
            f"conformance: {directory} is not a directory; say make conformance VECTORS=DIR", file=sys.stderr
        )
        return 2
    return Run(readers(), lambda line: print(line, flush=True)).directory(directory)
