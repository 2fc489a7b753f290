"""Audits of a run that the simulator made, and of what somebody made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from world import TestIdentity

from cluster.cli.commands import run
from cluster.public_part import PublicPart, write_public_part
from cluster.records import Record
from cluster.storage import Store, read_chain

SEED = 22
"""A run with many signatures and faults, and nobody who lies."""

Edit = Callable[[list[Record]], list[Record]]


def files(place: Path, *suffixes: str) -> list[str]:
    return [str(f) for f in sorted(place.iterdir()) if f.suffix in (suffixes or (".sqlite3", ".transcript"))]


def audited(paths: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str], str]:
    """The exit code, each rule's outcome, and all that was printed."""
    capsys.readouterr()
    code = run(["audit", "--json", *paths])
    out, err = capsys.readouterr()
    facts = json.loads(out)
    return code, {rule["rule"]: rule["outcome"] for rule in facts["rules"]}, out + err


def rewritten(place: Path, name: str, edit: Edit) -> None:
    """Alter a database as whoever holds its disk would: every hash and the note anew."""
    file = place / f"{name}.sqlite3"
    records = edit([row.record for row in read_chain(file).rows])
    for old in place.glob(f"{name}.sqlite3*"):
        old.unlink()
    store = Store.create(file)
    store.append(records)
    store.close()


def datadirs(place: Path) -> list[str]:
    """The databases as they lie in data directories, each with its public part."""
    found = []
    for file in sorted(place.glob("*.sqlite3")):
        folder, identity = place / file.stem, TestIdentity(file.stem)
        folder.mkdir()
        shutil.copy(file, folder / "records.sqlite3")
        is_node = file.stem.startswith("node")
        keys = (bytes([2]) + bytes([i]) * 32 for i in (1, 2)) if is_node else ()
        host, signing = ((key,) for key in keys) if is_node else ((), ())
        part = PublicPart(
            1, "regtest", "node" if is_node else "coordinator", file.stem, identity.public, bytes(32),
            host, signing, ("role",) if is_node else (), "" if is_node else "tcp://127.0.0.1:5555", "",
        )  # fmt: skip
        (folder / "public.json").write_bytes(write_public_part(part, identity))
        found.append(str(folder))
    return found
