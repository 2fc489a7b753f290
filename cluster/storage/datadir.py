"""The data directory: where everything of one party on one network is, who may enter, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from cluster.errors import StateError
from cluster.storage.files import check_private_directory, environment_path, fsync_directory

__all__ = ["DataDir", "DataDirLock"]


class DataDirLock:
    """Held while a process works on a data directory; the system lets go of it however the process ends."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next process in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> DataDirLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class DataDir:
    """One party's directory for one network, with the names of what is in it.

    `create` makes it, and only `assent init` calls that; `open` demands that it is there and private.
    """

    __slots__ = ("network", "path", "root")

    def __init__(self, root: Path, network: str) -> None:
        self.root = root
        self.network = network
        self.path = root / network

    @classmethod
    def locate(cls, datadir: Path | None, network: str, environ: Mapping[str, str] | None = None) -> DataDir:
        """The directory a person means: `--datadir`, else `$XDG_DATA_HOME/assent`, else `~/.local/share/assent`.

        Nothing is read or made. Raises ConfigError for a relative path in the environment.
        """
        environ = os.environ if environ is None else environ
        if datadir is not None:
            return cls(Path(os.path.abspath(datadir.expanduser())), network)
        data_home = environ.get("XDG_DATA_HOME", "")
        if data_home:
            return cls(environment_path("XDG_DATA_HOME", data_home) / "assent", network)
        home = environ.get("HOME", "")
        base = environment_path("HOME", home) if home else Path.home()
        return cls(base / ".local" / "share" / "assent", network)

    @property
    def seed_file(self) -> Path:
        """The sealed seed."""
        return self.path / "seed.sealed"

    @property
    def database(self) -> Path:
        """The chain of records."""
        return self.path / "records.sqlite3"

    @property
    def roster_file(self) -> Path:
        """The roster in force, as exact bytes."""
        return self.path / "roster"

    @property
    def config_file(self) -> Path:
        """What the owner set."""
        return self.path / "config.yaml"

    @property
    def policy_file(self) -> Path:
        """The owner's proposed policy; the one in force is a record."""
        return self.path / "policy.yaml"

    @property
    def backup_dir(self) -> Path:
        """Recovery data and descriptors, to be copied elsewhere."""
        return self.path / "backup"

    @property
    def control_socket(self) -> Path:
        """Where the owner's commands reach the running process."""
        return self.path / "control.sock"

    @property
    def lock_file(self) -> Path:
        """Locked by the process that works here."""
        return self.path / "lock"

    def create(self) -> None:
        """Make the directory and those above it, private to its owner; StateError if something is in it."""
        try:
            for directory in (self.root, self.path, self.backup_dir):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in (self.seed_file, self.database):
                if file.exists():
                    raise StateError(f"{file}: this exists already; nothing was changed")
            check_private_directory(self.path)
            fsync_directory(self.path)
            fsync_directory(self.root)
        except OSError as error:
            raise StateError(f"{self.path}: cannot be made ({(error.strerror or '').lower()})") from None

    def open(self) -> None:
        """Raises StateError unless the directory is there and nobody else can enter it."""
        if not self.path.is_dir():
            raise StateError(
                f"{self.path}: no data directory here; `assent init` makes one, `--datadir` names another"
            )
        check_private_directory(self.path)

    def lock(self) -> DataDirLock:
        """Keep every other process out until this one ends; StateError if one is in already."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateError(f"{self.lock_file}: {(error.strerror or '').lower()}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StateError(
                f"{self.path}: another Assent process works here; stop it, or use `assent status` to talk to it"
            ) from None
        return DataDirLock(descriptor)
