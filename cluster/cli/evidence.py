"""`assent evidence`: what this machine can prove of others, and whether what somebody else says holds."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from cluster.cli.call import Call, common
from cluster.cli.output import words_table
from cluster.cli.owner import ask_node
from cluster.cli.setup import read_roster
from cluster.codec import encode
from cluster.errors import AuthenticationError, StateError, UsageError, one_line
from cluster.evidence import Evidence, Finding, NotProven, prove
from cluster.evidence_file import MAX_FILE_BYTES, EvidenceError, read_evidence
from cluster.roster import match_words
from cluster.storage import read_file, write_public

__all__ = ["evidence"]


@click.group()
def evidence() -> None:
    """Prove who broke the protocol, by their own signed letters, and check such a proof."""


@evidence.command("list")
@common
def evidence_list(call: Call) -> None:
    """List what this running node or coordinator has letters of."""
    found = cast("list[dict[str, object]]", ask_node(call.place(), {"do": "evidence"})["evidence"])
    rows = [f"{one['id']}  {one['code']}  {one['role']} {one['about']}" for one in found]
    call.output.give({"evidence": found}, "\n".join(rows) or "nothing is proven of anybody")


@evidence.command("show")
@common
@click.argument("id_", metavar="ID")
def evidence_show(call: Call, *, id_: str) -> None:
    """Show one piece of evidence, and what it proves."""
    reply = ask_node(call.place(), {"do": "evidence", "id": _id(id_)})
    proof = _read(str(reply["file"]).encode(), "the evidence")
    facts: dict[str, object] = {key: value for key, value in reply.items() if key != "file"}
    try:
        finding = prove(proof)
    except NotProven as doubt:
        facts |= {"proven": False, "why": one_line(str(doubt))}
    else:
        facts |= {"proven": True, "why": one_line(finding.why)}
    said = "proven" if facts["proven"] else "NOT proven"
    call.output.give(facts, f"{facts['role']} {facts['about']}, {facts['code']}, {said}: {facts['why']}")


@evidence.command("export")
@common
@click.argument("id_", metavar="ID")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write the file.")
def evidence_export(call: Call, *, id_: str, out: Path) -> None:
    """Write one piece of evidence to a file that anybody can check alone.

    It holds the request, the wallet's public data and the roster: whoever reads it learns every address.
    """
    reply = ask_node(call.place(), {"do": "evidence", "id": _id(id_)})
    write_public(out, str(reply["file"]).encode(), replace=False)
    facts = {key: value for key, value in reply.items() if key != "file"}
    call.output.talk("whoever reads it learns every address of the wallet")
    call.output.give({**facts, "file": str(out)}, str(out))


@evidence.command("verify")
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--roster",
    "roster_file",
    type=click.Path(path_type=Path),
    help="The roster that you know, to be compared with the one in the evidence.",
)
def evidence_verify(call: Call, *, file: Path, roster_file: Path | None) -> None:
    """Check evidence alone, offline: exit code 0 when it holds, 7 when it proves nothing.

    It holds against whoever has the named keys in the roster inside: compare that roster's twelve words with any
    other party, or give the roster that you know with --roster.
    """
    try:
        data = read_file(file, max_bytes=MAX_FILE_BYTES)
    except StateError as error:
        raise UsageError(str(error)) from None
    proof = _read(data, str(file))
    if roster_file is not None and encode(read_roster(roster_file)) != proof.wallet.roster:
        raise AuthenticationError(
            f"{file}: the roster inside is not that of {roster_file}: it proves nothing"
        )
    try:
        finding = prove(proof)
    except NotProven as doubt:
        raise AuthenticationError(f"{file}: not proven: {doubt}") from None
    _give(call, proof, finding, compared=roster_file is not None)


def _give(call: Call, proof: Evidence, finding: Finding, *, compared: bool) -> None:
    words = match_words("roster", proof.wallet.roster)
    if not compared:
        call.output.talk("it holds under the roster with these words; compare them with any other party:")
        call.output.talk(words_table(words))
    call.output.give(
        {
            "holds": True,
            "kind": proof.kind,
            "culprit": finding.name,
            "role": finding.role,
            "identity": finding.culprit.hex(),
            "why": one_line(finding.why),
            "roster_compared": compared,
            "roster_words": list(words),
        },
        f"proven: {finding.role} {finding.name}, {proof.kind}: {one_line(finding.why)}",
    )


def _read(data: bytes, name: str) -> Evidence:
    try:
        return read_evidence(data)
    except EvidenceError as error:
        raise UsageError(f"{name}: {error}") from None


def _id(text: str) -> str:
    wanted = text.lower()
    if not wanted or any(char not in "0123456789abcdef" for char in wanted):
        raise UsageError(f"{one_line(text)}: an id is hex, from `assent evidence list`")
    return wanted
