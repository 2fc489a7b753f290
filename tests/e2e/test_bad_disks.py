"""A disk that is full, a disk that does not sync, and a file that may not grow: the process stops and says why.

It never goes on as if it had written; nothing that it acknowledged is lost; and once there is room it starts again and
finishes what was open.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_disks import MIB, can_mount, failing_disk, fill, grow, limit_files, small_disk
from crash_cluster import NETWORK, CrashCluster, audit, profiles

from cluster.local import CLIENT, COORDINATOR
from cluster.storage import DataDir, Store

pytestmark = pytest.mark.slow

needs_mounts = pytest.mark.skipif(not can_mount(), reason="only root may mount a small disk")
MEMBERS = ("home", COORDINATOR)


@pytest.fixture
def cluster(enrolled: Path, tmp_path: Path) -> Iterator[CrashCluster]:
    """Five parties with one roster; nobody runs. Once everything has stopped, it is audited."""
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        yield cluster


def make_wallet(cluster: CrashCluster) -> None:
    """Everybody runs and has a wallet; from then on home is needed for every signature."""
    cluster.start(COORDINATOR, *cluster.nodes)
    done = cluster.keygen("w", 2)
    cluster.await_wallet("w", done.need()["descriptor"])
    cluster.stop("offline")


def height(cluster: CrashCluster, name: str) -> int:
    return int(str(cluster.ask(name, {"do": "status"})["records"]))


def stops_and_says_why(cluster: CrashCluster, name: str, *reasons: str) -> None:
    """It ended by itself with the code for what is stored here, and one line that says what failed."""
    process = cluster.running.pop(name)
    assert process.wait(timeout=60) == 3, cluster.log(name)
    assert process.stdout is not None
    process.stdout.close()
    *_, last = cluster.log(name).splitlines()
    assert last.startswith("assent: "), last
    assert "records.sqlite3" in last, last
    assert any(reason in last for reason in reasons), last
    assert "Traceback" not in cluster.log(name)


def until_it_ends(cluster: CrashCluster, name: str) -> tuple[Path, subprocess.Popen[bytes], int]:
    """Ask for one signature after the other until the process ends: the open request, and how many were signed."""
    for number in range(40):
        psbt = cluster.payment("w", f"{name}{number}")
        asking = cluster.begin_sign("w", psbt)
        while asking.poll() is None and cluster.running[name].poll() is None:
            time.sleep(0.05)
        if cluster.running[name].poll() is not None:
            return psbt, asking, number
        cluster.verify("w", psbt, cluster.finish(asking))
    raise AssertionError(f"{name} never ran out of disk")


def goes_on(
    cluster: CrashCluster, name: str, open_request: tuple[Path, subprocess.Popen[bytes], int], before: int
) -> None:
    """It starts again with all that was acknowledged, its peers vouch for that, and the open request is signed."""
    psbt, asking, signed = open_request
    store = Store.open(DataDir(cluster.datadir(name), NETWORK).database)
    kept = store.height
    store.close()
    assert kept >= before + signed
    cluster.start(
        name, "offline"
    )  # without an anchor a node needs two peers to know that its records are the newest
    cluster.verify("w", psbt, cluster.finish(asking))


def a_round(
    cluster: CrashCluster, name: str, break_it: Callable[[], None], mend_it: Callable[[], None]
) -> None:
    before = height(cluster, name)
    break_it()
    open_request = until_it_ends(cluster, name)
    stops_and_says_why(cluster, name, "full", "disk I/O error", "no space", "file too large")
    mend_it()
    goes_on(cluster, name, open_request, before)
    cluster.close()
    print(audit(cluster))


@needs_mounts
@pytest.mark.parametrize("name", MEMBERS)
def test_a_full_disk_stops_a_process_and_loses_nothing(cluster: CrashCluster, name: str) -> None:
    place = cluster.datadir(name)
    with small_disk(place, 6 * MIB):
        make_wallet(cluster)
        filler: list[Path] = []
        a_round(cluster, name, lambda: filler.append(fill(place)), lambda: filler[0].unlink())


@needs_mounts
@pytest.mark.parametrize("name", MEMBERS)
def test_a_sync_that_fails_stops_a_process_and_loses_nothing(
    cluster: CrashCluster, name: str, tmp_path: Path
) -> None:
    below, place = tmp_path / "below", cluster.datadir(name)
    with failing_disk(below, place, 8 * MIB):
        make_wallet(cluster)
        a_round(cluster, name, lambda: exhaust(below), lambda: recover(below))


def exhaust(below: Path) -> None:
    """Whatever is written from now on cannot be synced."""
    os.sync()
    fill(below)


def recover(below: Path) -> None:
    """There is room again."""
    (below / "filler").unlink()
    grow(below, 64 * MIB)


def test_a_file_that_may_not_grow_stops_a_process_and_loses_nothing(cluster: CrashCluster) -> None:
    """A limit of the system's, which needs no root to set: the write itself fails."""
    make_wallet(cluster)
    log = DataDir(cluster.datadir("home"), NETWORK).database.with_name("records.sqlite3-wal")
    pid = cluster.running["home"].pid
    assert cluster.trace("home").stat().st_size < log.stat().st_size  # only the database shall meet the limit
    a_round(cluster, "home", lambda: limit_files(pid, log.stat().st_size), lambda: None)


def test_a_client_keeps_nothing_that_it_could_not_write(cluster: CrashCluster) -> None:
    """Its request leaves only once it is on the disk; without, it says so, and nobody was asked."""
    make_wallet(cluster)
    psbt = cluster.payment("w", "client")
    words = cluster.words(CLIENT, "sign", str(psbt), "--wallet", "w", "--timeout", "20s", passphrase=True)
    limited = 'ulimit -f 8; exec "$@"'  # 4 KiB: less than one page and its head in the log
    done = subprocess.run(["sh", "-c", limited, "sh", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("assent: ")
    assert "records.sqlite3" in last
    counts = cluster.ask(COORDINATOR, {"do": "status"})["requests"]
    assert isinstance(counts, dict)
    assert set(counts.values()) == {0}
