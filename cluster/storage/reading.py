"""Reads a chain of records without touching it: from a copy, so that not even SQLite's own files beside it change."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import StateError
from cluster.records import Head, Record
from cluster.storage.files import read_private
from cluster.storage.store import (
    APPLICATION_ID,
    MAX_BODY_BYTES,
    SCHEMA_VERSION,
    connect,
    layout_is_ours,
    prepare,
    table_is_ours,
)
from cluster.storage.witness import NOTE_BYTES, Witness

__all__ = ["StoredChain", "StoredRow", "read_chain"]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as it stands, with the hashes beside it; only its types were checked."""

    height: int
    record: Record
    prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class StoredChain:
    """A whole database as it stands: its rows, the head in the note beside it, and whether its tables are ours.

    There are no rows where they do not stand in our table.
    """

    rows: tuple[StoredRow, ...]
    noted: Head
    layout_is_ours: bool


def read_chain(path: Path) -> StoredChain:
    """Everything in a database, whatever became of it; nothing beside it is written.

    The database must not be in use: a copy that is made while somebody writes may be torn, and is then refused.

    Raises:
        StateError: it is missing, no database of ours, of another schema, or damaged.
    """
    noted = _noted(path)
    with tempfile.TemporaryDirectory(prefix="assent-audit-") as name:
        copy = Path(name) / "records.sqlite3"
        try:
            shutil.copyfile(path, copy)
            log = path.with_name(path.name + "-wal")
            if log.exists():
                shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        except OSError as error:
            raise StateError(f"{path}: {(error.strerror or '').lower()}") from None
        copy.chmod(0o600)
        try:
            with closing(connect(copy)) as connection:
                return _read(path, connection, noted)
        except (sqlite3.Error, UnicodeError) as error:
            reason = "its text is unreadable" if isinstance(error, UnicodeError) else error
            raise StateError(f"{path}: the database is damaged ({reason}), or in use") from None


def _noted(path: Path) -> Head:
    note = Witness.beside(path)
    return Witness.head_in(read_private(note, max_bytes=NOTE_BYTES + 1)) if note.exists() else Head()


def _read(path: Path, connection: sqlite3.Connection, noted: Head) -> StoredChain:
    prepare(connection)
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StateError(f"{path}: this is not a database of Assent")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise StateError(f"{path}: has schema {version}, and this program audits schema {SCHEMA_VERSION}")
    if not table_is_ours(connection):
        return StoredChain((), noted, layout_is_ours=False)
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise StateError(f"{path}: the database is damaged, or in use")
    return StoredChain(tuple(_rows(path, connection)), noted, layout_is_ours(connection))


def _rows(path: Path, connection: sqlite3.Connection) -> Iterator[StoredRow]:
    query = "SELECT height, wallet_id, kind, body, prev, hash FROM record ORDER BY height"
    for height, wallet_id, kind, body, prev, stated in connection.execute(query):
        if not (
            isinstance(height, int)
            and isinstance(kind, str)
            and all(isinstance(one, bytes) for one in (wallet_id, body, prev, stated))
            and len(body) <= MAX_BODY_BYTES
        ):
            raise StateError(f"{path}: record {height} is not made as records are; the database was altered")
        yield StoredRow(height, Record(kind, wallet_id, body), prev, stated)
