"""Copies of a database: one kept as it was before it is migrated, and what an interrupted attempt leaves behind."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from cluster.errors import StateError
from cluster.storage.files import fsync_directory, move

__all__ = ["keep_copy", "remove_with_logs"]


def keep_copy(path: Path, connection: sqlite3.Connection, version: int) -> None:
    """Keep the database as it was beside the one about to be migrated; an earlier copy is not overwritten."""
    kept = path.with_name(f"{path.name}.schema-{version}")
    beside = path.with_name(f".{kept.name}.{os.getpid()}.new")
    try:
        if kept.exists():
            return
        remove_with_logs(beside)
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(beside)) as target:
            connection.backup(target)
        descriptor = os.open(beside, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        move(beside, kept, replace=False)
        fsync_directory(path.parent)
    except OSError as error:
        raise StateError(f"{kept}: cannot keep a copy before migrating ({error.strerror})") from None
    finally:
        remove_with_logs(beside)


def remove_with_logs(path: Path) -> None:
    """Clear away what an interrupted attempt left."""
    for leftover in _with_logs(path):
        leftover.unlink(missing_ok=True)


def _with_logs(path: Path) -> Iterable[Path]:
    return (
        path,
        path.with_name(path.name + "-wal"),
        path.with_name(path.name + "-shm"),
        path.with_name(path.name + "-journal"),
    )
