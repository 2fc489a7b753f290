"""The chain of records on disk: append-only, each holding the hash of the one before, committed before it counts.

SQLite with a write-ahead log and full syncs. One process at a time; `DataDir.lock` and an exclusive database
lock both see to it. An older copy put in this one's place is whole in itself: the note beside it (`witness`)
finds honest mistakes, and peers, who heard height and head in Hello, find the rest.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType

from cluster.errors import StateError, StorageFault
from cluster.records import GENESIS, Head, Record, record_hash
from cluster.storage.copying import keep_copy, remove_with_logs
from cluster.storage.files import check_private_file, move
from cluster.storage.witness import Witness

__all__ = ["APPLICATION_ID", "MAX_BODY_BYTES", "SCHEMA_VERSION", "Migration", "Store"]

APPLICATION_ID = 0x41535354
"""Marks the file as ours in its SQLite header (`ASST`)."""

SCHEMA_VERSION = 1
"""The layout that this program reads and writes."""

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The largest body of a record."""

MAX_KIND_BYTES = 64
"""The longest kind of a record."""

Migration = Callable[[sqlite3.Connection], None]
"""Brings a database from one schema to the next, inside a transaction that is open already."""

MIGRATIONS: Mapping[int, Migration] = {}
"""The way from each older schema to the one after it; schema 1 is the first."""

_LAYOUT = (
    f"""CREATE TABLE record (
    height INTEGER PRIMARY KEY CHECK (height >= 0),
    wallet_id BLOB NOT NULL CHECK (typeof(wallet_id) = 'blob' AND length(wallet_id) = 32),
    kind TEXT NOT NULL CHECK (typeof(kind) = 'text' AND length(kind) BETWEEN 1 AND {MAX_KIND_BYTES}),
    body BLOB NOT NULL CHECK (typeof(body) = 'blob' AND length(body) <= {MAX_BODY_BYTES}),
    prev BLOB NOT NULL CHECK (typeof(prev) = 'blob' AND length(prev) = 32),
    hash BLOB NOT NULL CHECK (typeof(hash) = 'blob' AND length(hash) = 32)
)""",
    """CREATE TRIGGER record_is_never_changed BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'records are never changed'); END""",
    """CREATE TRIGGER record_is_never_removed BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'records are never removed'); END""",
    """CREATE TRIGGER record_follows_the_last BEFORE INSERT ON record
WHEN NEW.height IS NOT (SELECT coalesce(max(height) + 1, 0) FROM record)
BEGIN SELECT RAISE(ABORT, 'records are only added at the end'); END""",
)

_Row = tuple[int, bytes, str, bytes, bytes, bytes]


class Store:
    """An open chain of records.

    After any error while writing or reading the store is *poisoned*: whether the last records were committed is
    unknown, every later call raises StorageFault, and the process must end and read again.
    """

    __slots__ = ("_connection", "_fault", "_head", "_witness", "path")

    def __init__(self, path: Path, connection: sqlite3.Connection, head: Head, witness: Witness) -> None:
        """Use `create` or `open`."""
        self._witness = witness
        self.path = path
        self._connection = connection
        self._head = head
        self._fault = ""

    @classmethod
    def create(cls, path: Path) -> Store:
        """Make an empty chain; only `assent init` and `assent recover` do. StateError if the file exists."""
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            remove_with_logs(beside)
            os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            with closing(connect(beside)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                for statement in _LAYOUT:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
            if not path.exists():
                Witness.beside(path).unlink(missing_ok=True)
            # A link cannot take the place of a chain that is already there.
            move(beside, path, replace=False)
        except FileExistsError:
            raise StateError(f"{path}: this exists already; nothing was changed") from None
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{path}: cannot be made ({error})") from None
        finally:
            remove_with_logs(beside)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, migrations: Mapping[int, Migration] = MIGRATIONS) -> Store:
        """Open a chain and verify all of it.

        Raises:
            StateError: it is missing (an absent chain is never an empty one), open to others, in use, damaged,
                altered, or of a newer schema.
        """
        if not path.exists():
            raise StateError(
                f"{path}: the database is missing; restore it, or start anew with `assent recover`"
            )
        check_private_file(path)
        connection = connect(path)
        try:
            prepare(connection)
            found = _checked_version(path, connection, migrations)
            _claim(path, connection)
            if found < SCHEMA_VERSION:
                _migrate(path, connection, found, migrations)
            _check_layout(path, connection)
            witness = Witness(path)
        except (sqlite3.Error, UnicodeError) as error:
            # Damage can reach SQLite's own error texts, which Python then cannot decode.
            connection.close()
            raise _unreadable(path, error) from None
        except BaseException:
            connection.close()
            raise
        try:
            head = _verified(path, connection, witness.read() if found == SCHEMA_VERSION else Head())
            witness.write(head)
        except BaseException as error:
            witness.close()
            connection.close()
            if isinstance(error, (sqlite3.Error, UnicodeError, OSError)):
                raise _unreadable(path, error) from None
            raise
        return cls(path, connection, head, witness)

    @property
    def head(self) -> Head:
        """How many records there are, and the hash of the last."""
        return self._head

    @property
    def height(self) -> int:
        """How many records there are."""
        return self._head.height

    def append(self, records: Sequence[Record]) -> Head:
        """Write records after the last, all or none, on the disk before this returns; the new head.

        Raises:
            ValueError: a record is not well-formed; nothing was written.
            StorageFault: the outcome is unknown; the process must end.
        """
        self._live()
        if not records:
            return self._head
        head, rows = self._rows(records)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
            self._witness.write(head)
        except BaseException as error:
            self._poison(error)
            if isinstance(error, Exception):
                raise StorageFault(
                    f"{self.path}: writing failed ({error}); start again, it is read anew"
                ) from None
            raise
        self._head = head
        return head

    def read(self, first: int = 0) -> Iterator[Record]:
        """All records in order from the one at height `first`, in bounded pieces; StorageFault if the disk fails."""
        self._live()
        try:
            for _, wallet_id, kind, body, _, _ in _stream(self._connection, first):
                yield Record(kind, wallet_id, body)
        except (sqlite3.Error, UnicodeError) as error:
            self._poison(error)
            raise StorageFault(f"{self.path}: reading failed ({error}); start again") from None

    def hash_at(self, height: int) -> bytes:
        """The hash that the chain had when it held so many records; ValueError when it never did."""
        self._live()
        if not 0 <= height <= self.height:
            raise ValueError(f"this chain never held {height} records")
        query = "SELECT hash FROM record WHERE height = ?"
        try:
            found = self._connection.execute(query, (height - 1,)).fetchone()
        except sqlite3.Error as error:
            self._poison(error)
            raise StorageFault(f"{self.path}: reading failed ({error}); start again") from None
        return bytes(found[0]) if found else GENESIS

    def close(self) -> None:
        """Let go of the database; harmless twice."""
        if not self._fault:
            self._fault = "it was closed"
        self._connection.close()
        self._witness.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _live(self) -> None:
        if self._fault:
            raise StorageFault(f"{self.path}: no longer usable: {self._fault}")

    def _poison(self, error: BaseException) -> None:
        self._fault = f"an earlier write or read failed ({error})"

    def _rows(self, records: Sequence[Record]) -> tuple[Head, list[_Row]]:
        head = self._head
        rows: list[_Row] = []
        for record in records:
            if len(record.wallet_id) != 32 or len(record.body) > MAX_BODY_BYTES:
                raise ValueError("a record has a wallet id of 32 bytes and a body of at most 4 MiB")
            if not (
                record.kind.isascii() and record.kind.isprintable() and 0 < len(record.kind) <= MAX_KIND_BYTES
            ):
                raise ValueError("the kind of a record is 1 to 64 printable ASCII characters")
            prev = head.hash
            head = Head(head.height + 1, record_hash(prev, head.height, record))
            rows.append((head.height - 1, record.wallet_id, record.kind, record.body, prev, head.hash))
        return head, rows


def connect(path: Path) -> sqlite3.Connection:
    """Open the file as it must be used; never makes one."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0
    )
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BODY_BYTES + 64 * 1024)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Set what must be set before the first read: trust nothing in the file, share it with nobody, sync all."""
    for statement in (
        "PRAGMA trusted_schema = OFF",
        "PRAGMA cell_size_check = ON",
        "PRAGMA foreign_keys = ON",
        "PRAGMA recursive_triggers = ON",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA synchronous = FULL",
        "PRAGMA fullfsync = ON",
        "PRAGMA checkpoint_fullfsync = ON",
        "PRAGMA temp_store = MEMORY",
    ):
        connection.execute(statement)


def _claim(path: Path, connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, and keep every other process out."""
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal" or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise StateError(
            f"{path}: this file system gives no write-ahead log; keep the data directory on a local disk"
        )
    # EXCLUSIVE takes effect with the first write transaction; take it now, not with the first record.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def _checked_version(path: Path, connection: sqlite3.Connection, migrations: Mapping[int, Migration]) -> int:
    """The schema of a database that is ours and that this program can read; changes nothing."""
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found != APPLICATION_ID:
        raise StateError(f"{path}: this is not a database of Assent")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StateError(
            f"{path}: has schema {version}, and this program reads up to schema {SCHEMA_VERSION}; use a newer program"
        )
    if any(older not in migrations for older in range(version, SCHEMA_VERSION)):
        raise StateError(f"{path}: has schema {version}, and this program reads schema {SCHEMA_VERSION} only")
    return version


def _migrate(
    path: Path, connection: sqlite3.Connection, found: int, migrations: Mapping[int, Migration]
) -> None:
    """Copy, then bring up to date in one transaction."""
    keep_copy(path, connection, found)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for version in range(found, SCHEMA_VERSION):
            migrations[version](connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _check_layout(path: Path, connection: sqlite3.Connection) -> None:
    """A table, trigger or view that we did not make could change what a query means."""
    if not layout_is_ours(connection):
        raise StateError(f"{path}: its tables are not those of schema {SCHEMA_VERSION}; it was altered")


def layout_is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the tables and triggers are those of this schema, and nothing else is there."""
    return {row[0] for row in connection.execute("SELECT sql FROM sqlite_master LIMIT 64")} == set(_LAYOUT)


def table_is_ours(connection: sqlite3.Connection) -> bool:
    """Whether records stand in the table of this schema and in no view, whatever else was altered.

    Only then may rows be read: else whoever wrote the file has a query of theirs run, that may never end.
    """
    query = "SELECT sql FROM sqlite_master WHERE type <> 'trigger' LIMIT 64"
    return [row[0] for row in connection.execute(query)] == [_LAYOUT[0]]


def _verified(path: Path, connection: sqlite3.Connection, seen: Head) -> Head:
    """Walk the whole chain, which must pass through the head that was `seen` before."""
    report = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if report != "ok":
        raise StateError(
            f"{path}: the database is damaged; restore a copy or start anew with `assent recover`"
        )
    head = Head()
    passed = seen == head
    for height, wallet_id, kind, body, prev, stated in _stream(connection):
        expected = _next_hash(head, wallet_id, kind, body)
        if (height, prev, stated) != (head.height, head.hash, expected):
            raise StateError(
                f"{path}: record {head.height} does not follow the one before it; the chain was altered"
            )
        head = Head(height + 1, stated)
        passed = passed or head == seen
    if not passed:
        raise StateError(
            f"{path}: {seen.height} records were here before, and this is another or older copy with {head.height}; "
            "bring the newest back with its -wal file, or start anew with `assent recover`"
        )
    return head


def _next_hash(head: Head, wallet_id: object, kind: object, body: object) -> bytes:
    if not (isinstance(wallet_id, bytes) and isinstance(kind, str) and isinstance(body, bytes)):
        return b""
    return record_hash(head.hash, head.height, Record(kind, wallet_id, body))


def _stream(connection: sqlite3.Connection, first: int = 0) -> Iterator[_Row]:
    cursor = connection.cursor()
    try:
        query = (
            "SELECT height, wallet_id, kind, body, prev, hash FROM record WHERE height >= ? ORDER BY height"
        )
        cursor.execute(query, (first,))
        while rows := cursor.fetchmany(64):
            yield from rows
    finally:
        # A reading that an error cut short may be cleared away after the connection, and must not complain then.
        with suppress(sqlite3.ProgrammingError):
            cursor.close()


def _unreadable(path: Path, error: Exception) -> StateError:
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StateError(f"{path}: another process has this database open")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StateError(f"{path}: the disk does not let the database be used ({error})")
    reason = "its text is unreadable" if isinstance(error, UnicodeError) else error
    return StateError(
        f"{path}: the database is damaged ({reason}); restore a copy or start anew with `assent recover`"
    )
