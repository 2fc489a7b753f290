"""A store of state in a directory: on another disk, a stick, or a share that another machine backs up.

One SQLite file with a rollback journal, because a write-ahead log does not work on a share. Several nodes may use one
directory, each in a keyspace of its own. It follows the same rules as a server; what is in it is sealed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.state_store.protocol import (
    ANY_VERSION,
    FIRST_VERSION,
    GLOBAL_VERSION_KEY,
    MAX_KEY_CHARS,
    MAX_PAGE,
    MAX_VALUE_BYTES,
    MAX_VERSION,
    KeyValue,
    KeyVersion,
    NoSuchKey,
    Page,
    StoreDamaged,
    StoreUnavailable,
    VersionConflict,
    check_put,
)

__all__ = ["FILE_NAME", "DirectoryStore"]

FILE_NAME = "state-store.sqlite3"

APPLICATION_ID = 0x41535353
"""Marks the file as ours in its SQLite header (`ASSS`)."""

BUSY_MS = 5_000
"""How long another node that writes into the same directory is waited for."""

_ROLLBACK_JOURNAL = b"\x01\x01"
"""Stands at `_MODE_AT` in a file whose changes go by a rollback journal."""

_MODE_AT = 18

_OF_SEVERAL = bytes.fromhex("d9d505f920a163d7")
"""Ends a journal that is one of several databases', and names the file that lists them all."""

_LAYOUT = (
    """CREATE TABLE object (
    sort_order INTEGER PRIMARY KEY AUTOINCREMENT,
    store_id TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (store_id, key)
)""",
)

_WHOLE_LAYOUT = frozenset((*_LAYOUT, "CREATE TABLE sqlite_sequence(name,seq)"))
"""What stands in the schema: SQLite's own table too, as a name that looks like one of its own proves nothing."""


class DirectoryStore:
    """The objects of one keyspace in a directory; used by the thread that opened it."""

    def __init__(self, directory: Path, store_id: str) -> None:
        """Open the store, making an empty one if the directory has none; StoreUnavailable if there is no directory."""
        self._store_id = store_id
        self._prepared = False
        self.path = directory / FILE_NAME
        if not directory.is_dir():
            raise StoreUnavailable(f"{directory}: there is no such directory; is the disk mounted?")
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            # Kept open: to close it would let go of the locks that SQLite holds on the same file.
            self._file = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {(error.strerror or '').lower()}") from None
        try:
            self._inode = os.fstat(self._file).st_ino
            with self._understood():
                self._connection = self._connected()
                self._prepare()
        except BaseException:
            os.close(self._file)
            raise

    @property
    def where(self) -> str:
        """Where the store is, for people."""
        return str(self.path.parent)

    def get_object(self, key: str) -> KeyValue:
        """The object under a key."""
        with self._understood():
            found = self._version_and_value(key)
        if found is not None:
            return KeyValue(key, *found)
        if key == GLOBAL_VERSION_KEY:
            return KeyValue(key, 0, b"")
        raise NoSuchKey(f"{self.where}: no object {key}")

    def put_objects(
        self,
        transaction_items: Sequence[KeyValue],
        delete_items: Sequence[KeyVersion] = (),
        global_version: int | None = None,
    ) -> None:
        """Write and remove objects, all or none."""
        check_put(transaction_items, delete_items)
        items = list(transaction_items)
        if global_version is not None:
            items.append(KeyValue(GLOBAL_VERSION_KEY, global_version, b""))
        with self._understood(), self._transaction():
            fits = [self._write(item) for item in items] + [self._remove(item) for item in delete_items]
            if not all(fits):
                raise VersionConflict(f"{self.where}: an object has another version than expected")

    def delete_object(self, item: KeyVersion) -> None:
        """Remove an object of this version, if there is one."""
        with self._understood(), self._transaction():
            self._remove(item)

    def list_key_versions(
        self, key_prefix: str = "", page_size: int = MAX_PAGE, page_token: str = ""
    ) -> Page:
        """One page of keys, the newest first."""
        below = int(page_token) if page_token else 2**62
        limit = min(max(page_size, 0), MAX_PAGE)
        with self._understood():
            rows = self._connection.execute(
                "SELECT sort_order, substr(key, 1, ?), version FROM object WHERE store_id = ? AND sort_order < ?"
                " AND key <> ? AND substr(key, 1, ?) = ? ORDER BY sort_order DESC LIMIT ?",
                (
                    MAX_KEY_CHARS + 1,
                    *(self._store_id, below, GLOBAL_VERSION_KEY),
                    *(len(key_prefix), key_prefix, limit + 1),
                ),
            ).fetchall()
            first = None if page_token else self.get_object(GLOBAL_VERSION_KEY).version
        more = 0 < limit < len(rows)
        keys = tuple(KeyVersion(self._key(key), self._version(version)) for _, key, version in rows[:limit])
        return Page(keys, str(rows[limit - 1][0]) if more else "", first)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # Inside.

    def _connected(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES + 64 * 1024)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        return connection

    def _prepare(self) -> None:
        try:
            for statement in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = FULL"):
                self._connection.execute(f"PRAGMA {statement}")
            with self._transaction():
                if not self._connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                    for statement in _LAYOUT:
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            if self._connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise StoreDamaged(f"{self.path}: this is not a state store")
            self._heed_layout()
            self._prepared = True
        except BaseException:
            self._connection.close()
            raise

    def _heed_files(self) -> None:
        """Look before SQLite does: it does what its files say, and whoever has the directory writes them.

        A write-ahead log is mapped into memory, and ends the process once somebody cuts it short. A journal that is
        one of several databases' names one file more, which SQLite removes, wherever it is.
        """
        if os.pread(self._file, 2, _MODE_AT) not in {b"", _ROLLBACK_JOURNAL}:
            raise StoreDamaged(f"{self.path}: this is not a state store, or it was altered")
        journal = self.path.with_name(f"{FILE_NAME}-journal")
        if _end_of(journal, len(_OF_SEVERAL)) == _OF_SEVERAL:
            raise StoreDamaged(
                f"{journal}: this is not of a state store, and names another file; move it away"
            )

    def _heed_layout(self) -> None:
        """A trigger or view of somebody else's is a program of theirs, which may never end."""
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL LIMIT 8"
        found = [row[0] for row in self._connection.execute(query)]
        if len(found) != len(_WHOLE_LAYOUT) or set(found) != _WHOLE_LAYOUT:
            raise StoreDamaged(f"{self.path}: this is not a state store, or it was altered")

    def _version_and_value(self, key: str) -> tuple[int, bytes] | None:
        row = self._connection.execute(
            "SELECT version, value FROM object WHERE store_id = ? AND key = ?", (self._store_id, key)
        ).fetchone()
        if row is None:
            return None
        if not isinstance(row[1], bytes):
            raise StoreDamaged(f"{self.path}: an object is not as it was written")
        return self._version(row[0]), row[1]

    def _key(self, found: object) -> str:
        """A key, if it is one that we could have written: a listing holds many."""
        # Only text comes here: to SQLite no bytes have the prefix that is asked for, not even the empty one.
        if not isinstance(found, str) or len(found) > MAX_KEY_CHARS:
            raise StoreDamaged(f"{self.path}: a key is none")
        return found

    def _version(self, found: object) -> int:
        """A version, if it is one: whoever has the file may put anything in its place."""
        if not isinstance(found, int) or not 0 <= found <= MAX_VERSION:
            raise StoreDamaged(f"{self.path}: a version is none")
        return found

    def _write(self, item: KeyValue) -> bool:
        """Whether the version fits, and it was written."""
        place = (self._store_id, item.key)
        if item.version == ANY_VERSION:
            query = (
                "INSERT INTO object (store_id, key, version, value) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            )
            query += " SET version = excluded.version, value = excluded.value"
            done = self._connection.execute(query, (*place, FIRST_VERSION, item.value))
        elif item.version == 0:
            query = "INSERT INTO object (store_id, key, version, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
            done = self._connection.execute(query, (*place, FIRST_VERSION, item.value))
        else:
            query = "UPDATE object SET version = version + 1, value = ? WHERE store_id = ? AND key = ? AND version = ?"
            done = self._connection.execute(query, (item.value, *place, item.version))
        return done.rowcount == 1

    def _remove(self, item: KeyVersion) -> bool:
        """Whether there was such an object, and it was removed."""
        query = "DELETE FROM object WHERE store_id = ? AND key = ? AND (? = -1 OR version = ?)"
        done = self._connection.execute(query, (self._store_id, item.key, item.version, item.version))
        return done.rowcount == 1

    def _still_there(self) -> None:
        """A file that was removed or replaced would go on taking writes that nobody ever finds."""
        try:
            same = self.path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise StoreUnavailable(f"{self.path}: this file was removed or replaced")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._still_there()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """SQLite's errors in our words: damage is told from a disk that is gone, full, or busy."""
        try:
            self._heed_files()
            if self._prepared:
                self._heed_layout()
            yield
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {(error.strerror or '').lower()}") from None
        except (sqlite3.Error, UnicodeError) as error:
            code = getattr(error, "sqlite_errorname", "") or ""
            if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")) or not code:
                raise StoreDamaged(f"{self.path}: the state store is damaged") from None
            raise StoreUnavailable(f"{self.path}: the disk does not let it be used ({code})") from None


def _end_of(path: Path, size: int) -> bytes:
    """The last bytes of a file; none where there is no such file, or not so many."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    try:
        whole = os.fstat(descriptor).st_size
        return os.pread(descriptor, size, whole - size) if whole >= size else b""
    finally:
        os.close(descriptor)
