"""What a command says: data on stdout, talk on stderr, one line for every failure.

With `--json` the data is exactly one JSON object on stdout, whatever happens; the talk stays on stderr. Strings
from outside are printed through `foreign`, so that none can repaint what stands around it.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping, Sequence

from cluster.errors import ClusterError, one_line

__all__ = ["Facts", "Output", "foreign", "report_bug", "report_error", "words_table"]

Facts = Mapping[str, object]
"""What a command found out, as JSON will say it: names are stable, amounts are integers in sat, bytes are hex."""


class Output:
    """Where one command speaks."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.given = False

    def talk(self, text: str = "") -> None:
        """Say something to the person: stderr, never data."""
        print(text, file=sys.stderr, flush=True)

    def give(self, facts: Facts, text: str) -> None:
        """Hand over the data, once: `facts` as JSON or `text` as lines; an empty text prints nothing."""
        if self.given:
            raise RuntimeError("a command gives its data once")
        self.given = True
        if self.as_json:
            print(json.dumps(facts, ensure_ascii=True), flush=True)
        elif text:
            print(text, flush=True)


def report_error(output: Output, error: ClusterError) -> int:
    """Print a failure as one line (and, with `--json`, as an object if no data was given); its exit code."""
    print(f"assent: {error}", file=sys.stderr, flush=True)
    if output.as_json and not output.given:
        output.give(
            {"error": {"kind": type(error).__name__, "text": str(error), "exit_code": error.exit_code}}, ""
        )
    return error.exit_code


def report_bug(output: Output, error: BaseException, *, debug: bool) -> int:
    """Print what should not have happened: one line, the traceback only on demand; exit code 1."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" in {frame.name} ({frame.filename}:{frame.lineno})" for frame in place)
    # The text of an unexpected exception may hold anything, so only its type is shown.
    line = one_line(f"bug: {type(error).__name__}{where}; please report it (--debug shows more)")
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    print(f"assent: {line}", file=sys.stderr, flush=True)
    if output.as_json and not output.given:
        output.give({"error": {"kind": "bug", "text": line, "exit_code": 1}}, "")
    return 1


def foreign(text: str) -> str:
    """A string that somebody else wrote, on one line, in quotes, with nothing in it that moves the cursor."""
    return f"“{one_line(text)}” (unverified)"


def words_table(words: Sequence[str]) -> str:
    """Twelve words as three lines of four, numbered."""
    cells = [f"{place:2}. {word:<9}" for place, word in enumerate(words, 1)]
    rows = ["".join(cells[start : start + 4]).rstrip() for start in range(0, len(cells), 4)]
    return "\n".join(f"    {row}" for row in rows)
