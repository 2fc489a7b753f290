"""`assent audit`: judges a whole run from files; it needs no data directory, no passphrase and no running process."""

from __future__ import annotations

from pathlib import Path

import click

from cluster.audit import ChainFile, Finding, Report, Row, Run, SpokenFile, Unreadable, audit
from cluster.cli.output import Output
from cluster.errors import Misbehaviour, StateError, one_line
from cluster.party import own_identity_beside
from cluster.settings import profile_of_texts
from cluster.storage import MAX_TRANSCRIPT_BYTES, read_chain, read_private
from cluster.transcripts import TRANSCRIPT_HEAD, read_transcript

__all__ = ["audit_command", "report_of"]


@click.command("audit")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--debug", is_flag=True, help="Show a traceback when the program is at fault.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def audit_command(output: Output, as_json: bool, debug: bool, files: tuple[Path, ...]) -> None:
    """Judge a run by six rules, from databases and transcripts of the whole cluster.

    FILES are databases (`records.sqlite3`, or the directory it is in) of all nodes and coordinators, and what
    `assent node run --transcript` and `assent coordinator run --transcript` wrote. Stop the processes first, or
    name copies. Exit code 0: all rules hold; 8: somebody broke one; 3: something could not be proven.
    """
    del debug  # read from the arguments
    output.as_json = as_json
    report = report_of(files)
    lines = [one_line(line) for line in report.lines]
    output.give(_facts(report), "\n".join(lines))
    if report.violated:
        rules = ", ".join(result.rule for result in report.results if result.findings)
        raise Misbehaviour(f"the run violates {rules}; each line above names whose, where and how")
    if not report.proven:
        raise StateError("not everything could be proven; the lines above say what is missing")


def report_of(files: tuple[Path, ...]) -> Report:
    """What an audit of these files finds; StateError when they cannot be read, or are of no one run."""
    chains, spoken = [], []
    for path in files:
        file = _database(path) if path.is_dir() else path
        if _is_transcript(file):
            spoken.append(_transcript(file))
        else:
            chains.append(_chain(file))
    try:
        run = Run.of(chains, spoken, profile_of_texts)
    except Unreadable as unreadable:
        raise StateError(str(unreadable)) from None
    return audit(run)


def _database(directory: Path) -> Path:
    """The records in a data directory, of one network or of a party that knows only one."""
    name = "records.sqlite3"
    found = [file for file in (directory / name, *sorted(directory.glob(f"*/{name}"))) if file.exists()]
    if len(found) != 1:
        what = f"there are several: {', '.join(map(str, found))}" if found else f"no {name} here"
        raise StateError(
            f"{directory}: {what}; name the directory of one network, such as {directory}/regtest"
        )
    return found[0]


def _is_transcript(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(TRANSCRIPT_HEAD)) == TRANSCRIPT_HEAD
    except OSError as error:
        raise StateError(f"{file}: {(error.strerror or '').lower()}") from None


def _transcript(file: Path) -> SpokenFile:
    try:
        return SpokenFile(str(file), read_transcript(read_private(file, max_bytes=MAX_TRANSCRIPT_BYTES)))
    except ValueError as error:
        raise StateError(f"{file}: {error}") from None


def _chain(file: Path) -> ChainFile:
    stored = read_chain(file)
    rows = tuple(Row(row.height, row.record, row.prev, row.hash) for row in stored.rows)
    altered = "" if stored.layout_is_ours else "its tables are not those of its schema; it was altered"
    return ChainFile(str(file), rows, stored.noted, altered, own_identity_beside(file))


def _facts(report: Report) -> dict[str, object]:
    return {
        "violated": report.violated,
        "proven": report.proven,
        "rules": [
            {
                "rule": result.rule,
                "outcome": result.outcome,
                "checked": result.checked,
                "findings": [_finding(finding) for finding in result.findings],
                "not_proven": list(result.gaps),
                "notes": list(result.notes),
            }
            for result in report.results
        ],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "party": finding.party,
        "file": finding.file,
        "record": finding.height,
        "request": finding.request_id.hex() or None,
        "text": finding.text,
    }
