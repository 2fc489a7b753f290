"""Files written whole or not at all, and private files that nobody else may have read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cluster.errors import ConfigError, StateError

__all__ = [
    "MAX_FILE_BYTES",
    "read_private",
    "write_private",
    "read_file",
    "write_public",
    "check_private_file",
    "check_private_directory",
    "fsync_directory",
]

MAX_FILE_BYTES = 1024 * 1024
"""No file of ours that is read whole is larger than this."""


def read_private(path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file that only its owner can read.

    Raises:
        StateError: it is missing, not a plain file, too large, or others can read or write it.
    """
    return _read(path, max_bytes, private=True)


def read_file(path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a plain file with nothing secret in it; StateError if missing, no file or too large."""
    return _read(path, max_bytes, private=False)


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        StateError: it exists and `replace` is False, or the disk refuses.
    """
    _write(path, data, 0o600, replace=replace)


def write_public(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file that anyone may read (a roster, a signed PSBT), whole or not at all; errors as `write_private`."""
    _write(path, data, 0o644, replace=replace)


def check_private_file(path: Path) -> None:
    """Raises StateError unless this is a plain file of ours that nobody else can read or write."""
    try:
        _check(path, os.stat(path), directory=False)
    except OSError as error:
        raise StateError(f"{path}: {_reason(error)}") from None


def check_private_directory(path: Path) -> None:
    """Raises StateError unless this is a directory of ours that nobody else can enter."""
    try:
        _check(path, os.stat(path), directory=True)
    except OSError as error:
        raise StateError(f"{path}: {_reason(error)}") from None


def fsync_directory(path: Path) -> None:
    """Make names created in a directory survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, found: os.stat_result, *, directory: bool) -> None:
    if directory != stat.S_ISDIR(found.st_mode) or not (directory or stat.S_ISREG(found.st_mode)):
        raise StateError(f"{path}: this is not a {'directory' if directory else 'plain file'}")
    if found.st_uid != os.geteuid():
        raise StateError(f"{path}: this belongs to another user")
    if found.st_mode & 0o077:
        wanted = "700" if directory else "600"
        raise StateError(
            f"{path}: others may open this (mode {stat.S_IMODE(found.st_mode):o}); do `chmod {wanted}`"
        )


def _read(path: Path, max_bytes: int, *, private: bool) -> bytes:
    try:
        # O_NONBLOCK: a FIFO put in its place must not hold the process.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StateError(f"{path}: {_reason(error)}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise StateError(f"{path}: this is not a plain file")
        if private:
            _check(path, found, directory=False)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise StateError(f"{path}: {_reason(error)}") from None
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise StateError(f"{path}: larger than {max_bytes} bytes")
    return data


def _write(path: Path, data: bytes, mode: int, *, replace: bool) -> None:
    """Write beside the place, sync, then move there, so that no reader and no crash ever sees half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            move(beside, path, replace=replace)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        raise StateError(f"{path}: this exists already, and is not overwritten") from None
    except OSError as error:
        raise StateError(f"{path}: {_reason(error)}") from None


def move(source: Path, target: Path, *, replace: bool) -> None:
    """Give a file its name, durably; FileExistsError if the name is taken and `replace` is False."""
    if replace:
        os.replace(source, target)
    else:
        os.link(source, target)
        source.unlink()
    fsync_directory(target.parent)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def environment_path(name: str, value: str) -> Path:
    """An absolute path from an environment variable; ConfigError for a relative one (XDG forbids it)."""
    path = Path(value)
    if not path.is_absolute():
        raise ConfigError(f"{name} is '{value}', which is not an absolute path")
    return path
