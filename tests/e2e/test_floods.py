"""Strangers by the thousand at the coordinator's port, and a member gone mad: the others are served all the same.

How much slower is measured by `python -m bench flood`; here it only has to work, and in bounded memory.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash_cluster import NETWORK, CrashCluster, profiles

from bench.flood import flood, flooder_words
from bench.process import resident_mib
from cluster.local import CLIENT, COORDINATOR
from cluster.party import opened
from cluster.storage import DataDir

pytestmark = pytest.mark.slow

STRANGERS = 4_000
MOST_MORE_MIB = 20.0
KNOCKER = Path(__file__).resolve().parents[1] / "flooding.py"


@pytest.fixture
def cluster(enrolled: Path, tmp_path: Path) -> Iterator[CrashCluster]:
    """Everybody runs, and has signed once."""
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        cluster.start(COORDINATOR, *cluster.nodes)
        done = cluster.keygen("w", 2)
        cluster.await_wallet("w", done.need()["descriptor"])
        sign(cluster, "first")
        yield cluster


def sign(cluster: CrashCluster, label: str) -> None:
    psbt = cluster.payment("w", label)
    done = cluster.finish(cluster.begin_sign("w", psbt))
    assert done.code == 0, done
    cluster.verify("w", psbt, done)


def traffic(cluster: CrashCluster) -> Mapping[str, int]:
    found = cluster.ask(COORDINATOR, {"do": "status"})["traffic"]
    assert isinstance(found, dict)
    return found


def await_line(cluster: CrashCluster, node: str) -> None:
    """A node has got through to the coordinator."""
    deadline = time.monotonic() + 60
    while "connected" not in str(cluster.ask(node, {"do": "status"})["links"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def strangers(cluster: CrashCluster, kind: str) -> Iterator[None]:
    """While the block runs, so many connections stand at the door, or are at once opened anew."""
    with opened(DataDir(cluster.datadir(CLIENT), NETWORK)) as party:
        port = party.need_roster().coordinators[0].endpoint.rpartition(":")[2]
    words = [sys.executable, str(KNOCKER), "127.0.0.1", port, str(STRANGERS), kind]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while int(process.stdout.readline().split()[1]) < STRANGERS:
                assert process.poll() is None
            yield
        finally:
            process.stdin.close()
            process.wait(10)


def test_thousands_of_strangers_cost_nobody_anything(cluster: CrashCluster) -> None:
    """One after the other: silent, with a greeting, with frames of 100 MiB; memory is that of all of them."""
    pid = cluster.running[COORDINATOR].pid
    before = resident_mib(pid)
    most = before
    for kind in ("silent", "greeting", "huge"):
        with strangers(cluster, kind):
            if kind == "greeting":
                cluster.stop("phone", kill=True)
                cluster.start("phone")  # whoever comes anew gets in
                await_line(cluster, "phone")
            sign(cluster, kind)
            most = max(most, resident_mib(pid))
            assert len(list(Path(f"/proc/{pid}/fd").iterdir())) < STRANGERS / 2
    print(f"\nthe coordinator's memory: {before:.1f} MiB before, {most:.1f} at most")
    assert most - before < MOST_MORE_MIB


def test_a_member_that_floods_is_put_off_and_the_others_sign(cluster: CrashCluster) -> None:
    cluster.stop("offline")
    pid = cluster.running[COORDINATOR].pid
    before = resident_mib(pid)
    for size in (200, 500_000):
        with flood(flooder_words(cluster, "offline", size)):
            sign(cluster, f"while {size}")
    counted = traffic(cluster)
    assert counted["flooded"] > 200
    assert counted["put_off"] >= 1
    print(f"\nthe coordinator's memory: {before:.1f} MiB before, {resident_mib(pid):.1f} after; {counted}")
    assert resident_mib(pid) - before < 100
    cluster.start("offline")
    await_line(cluster, "offline")
