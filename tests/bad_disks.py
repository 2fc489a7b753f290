"""Disks that fill up or fail to sync, for real: small file systems of their own, and a limit on a process' files.

Only root may mount; who cannot, learns so from `can_mount`.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

MIB = 1024 * 1024


def run(*words: str) -> bool:
    """Run a command of the system's; whether it did what it should."""
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@cache
def can_mount() -> bool:
    """Whether this process may mount a file system, over a loop device too."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("mount", "umount", "mkfs.ext4"))):
        return False
    place = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        with failing_disk(place / "back", place / "front", 2 * MIB):
            return True
    except OSError:
        return False
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def small_disk(at: Path, size: int) -> Iterator[None]:
    """A directory becomes a file system of this size, with the same files in it; it says so when it is full."""
    kept = at.with_name(f"{at.name}.kept")
    at.rename(kept)
    at.mkdir(mode=0o700)
    if not run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(at)):
        raise OSError("cannot mount")
    try:
        shutil.copytree(kept, at, dirs_exist_ok=True, copy_function=shutil.copy2)
        yield
    finally:
        run("umount", "-l", str(at))


@contextmanager
def failing_disk(below: Path, at: Path, size: int) -> Iterator[None]:
    """A file system that promises more than there is below it: writes succeed, and the sync fails once `size` is used.

    The disk below is given more with `grow`.
    """
    below.mkdir()
    at.mkdir(mode=0o700, exist_ok=True)
    kept = list(at.iterdir())
    if not run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(below)):
        raise OSError("cannot mount")
    try:
        image = below / "image"
        with image.open("wb") as file:
            file.truncate(64 * MIB)
        made = run("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", "-E", "root_owner=0:0", str(image))
        moved = below / "moved"
        moved.mkdir()
        if not made or not run("mount", "-o", "loop", str(image), str(moved)):
            raise OSError("cannot mount")
        for path in kept:
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, moved / path.name)
        os.sync()
        run("umount", str(moved))
        if not run("mount", "-o", "loop", str(image), str(at)):
            raise OSError("cannot mount")
        at.chmod(0o700)
        shutil.rmtree(at / "lost+found", ignore_errors=True)
        yield
    finally:
        run("umount", "-l", str(at))
        run("umount", "-l", str(below))


def grow(below: Path, size: int) -> None:
    """Give the disk below a failing one so much."""
    assert run("mount", "-o", f"remount,size={size}", str(below))


def fill(place: Path) -> Path:
    """Use up a file system with one file, to the last byte."""
    file = place / "filler"
    with suppress(OSError), file.open("wb", buffering=0) as out:
        for size in (MIB, 4096, 1):
            with suppress(OSError):
                while True:
                    out.write(bytes(size))
    return file


def limit_files(pid: int, size: int) -> None:
    """Let no file of a running process grow beyond this any more; -1 takes it back."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))
