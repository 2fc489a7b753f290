from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import ConfigError, StateError
from cluster.storage import DataDir, read_file, read_private, write_private, write_public

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def datadir(tmp_path: Path) -> DataDir:
    made = DataDir.locate(tmp_path / "node", "regtest")
    made.create()
    return made


@pytest.mark.parametrize(
    ("datadir", "environ", "expected"),
    [
        (None, {"HOME": "/h"}, "/h/.local/share/assent/regtest"),
        (None, {"HOME": "/h", "XDG_DATA_HOME": ""}, "/h/.local/share/assent/regtest"),
        (None, {"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/assent/regtest"),
        (Path("/d"), {"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/d/regtest"),
    ],
)
def test_where_it_is(datadir: Path | None, environ: dict[str, str], expected: str) -> None:
    assert DataDir.locate(datadir, "regtest", environ).path == Path(expected)


@pytest.mark.parametrize("name", ["HOME", "XDG_DATA_HOME"])
def test_a_relative_environment_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        DataDir.locate(None, "regtest", {"HOME": "/h", name: "relative"})


def test_networks_are_apart(tmp_path: Path) -> None:
    paths = {
        DataDir.locate(tmp_path, network).path for network in ("mainnet", "testnet4", "signet", "regtest")
    }
    assert len(paths) == 4


def test_create_is_private(datadir: DataDir) -> None:
    for path in (datadir.root, datadir.path, datadir.backup_dir):
        assert path.stat().st_mode & 0o777 == 0o700
    datadir.open()


def test_create_changes_nothing_that_is_there(datadir: DataDir) -> None:
    datadir.create()  # an empty one may be made again
    write_private(datadir.seed_file, b"sealed")
    with pytest.raises(StateError, match="exists already"):
        datadir.create()
    assert read_private(datadir.seed_file) == b"sealed"


def test_only_create_creates(tmp_path: Path) -> None:
    missing = DataDir.locate(tmp_path / "x", "regtest")
    with pytest.raises(StateError, match="assent init"):
        missing.open()
    with pytest.raises(StateError):
        missing.lock()
    assert list(tmp_path.iterdir()) == []


def test_create_where_nobody_may_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match="cannot be made"):
        DataDir.locate(tmp_path / "file", "regtest").create()


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o701])
def test_others_in_the_directory_are_refused(datadir: DataDir, mode: int) -> None:
    datadir.path.chmod(mode)
    with pytest.raises(StateError, match="chmod 700"):
        datadir.open()


def test_another_owner_is_refused(datadir: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.storage.files.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StateError, match="another user"):
        datadir.open()


def test_second_lock_is_refused_and_the_first_can_be_let_go(datadir: DataDir) -> None:
    with datadir.lock(), pytest.raises(StateError, match="another Assent process"):
        datadir.lock()
    with datadir.lock() as lock:
        lock.release()
        datadir.lock().release()


HOLDER = """
import sys
from pathlib import Path
from cluster.storage import DataDir
lock = DataDir.locate(Path(sys.argv[1]), "regtest").lock()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_killed(datadir: DataDir) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(datadir.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StateError, match="another Assent process"):
        datadir.lock()
    holder.kill()
    holder.wait()
    datadir.lock().release()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_that_others_can_open_is_refused(datadir: DataDir, mode: int) -> None:
    write_private(datadir.seed_file, b"x")
    datadir.seed_file.chmod(mode)
    with pytest.raises(StateError, match="chmod 600"):
        read_private(datadir.seed_file)
    assert read_file(datadir.seed_file) == b"x"


def test_writing(tmp_path: Path) -> None:
    secret, public = tmp_path / "s", tmp_path / "p"
    previous = os.umask(0)
    try:
        write_private(secret, b"one")
        write_public(public, b"two")
    finally:
        os.umask(previous)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert public.stat().st_mode & 0o777 == 0o644
    write_private(secret, b"three")
    assert read_private(secret) == b"three"
    with pytest.raises(StateError, match="exists already"):
        write_private(secret, b"four", replace=False)
    assert read_private(secret) == b"three"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p", "s"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    write_private(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cluster.storage.files.os.fsync", full)
    with pytest.raises(StateError, match="no space left"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_reading_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "large").write_bytes(bytes(11))
    (tmp_path / "large").chmod(0o600)
    for path, says in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "not a plain file"),
        (tmp_path / "fifo", "not a plain file"),
    ):
        with pytest.raises(StateError, match=says):
            read_private(path)
    with pytest.raises(StateError, match="larger than 10"):
        read_private(tmp_path / "large", max_bytes=10)
