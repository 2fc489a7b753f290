"""Real processes, real disks: an older copy of a node's whole disk, with its peers up, and with an anchor elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from crash_cluster import NETWORK, CrashCluster, profiles

from cluster.local import CLIENT, COORDINATOR
from cluster.storage import DataDir

pytestmark = pytest.mark.slow

FILES = ("records.sqlite3", "records.sqlite3-wal", "records.sqlite3.head")


@pytest.fixture
def cluster(enrolled: Path, tmp_path: Path) -> Iterator[CrashCluster]:
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        cluster.start(COORDINATOR, *cluster.nodes)
        yield cluster


def copy(cluster: CrashCluster, name: str, to: Path) -> None:
    """What a backup of the disk of a node that is stopped has; one of a killed node has its log too."""
    place = DataDir(cluster.datadir(name), NETWORK).path
    to.mkdir(exist_ok=True)
    for file in FILES:
        if (place / file).exists():
            shutil.copy2(place / file, to / file)


def put_back(cluster: CrashCluster, name: str, saved: Path) -> None:
    place = DataDir(cluster.datadir(name), NETWORK).path
    for file in FILES:
        (place / file).unlink(missing_ok=True)
        if (saved / file).exists():
            shutil.copy2(saved / file, place / file)


def heads(cluster: CrashCluster, name: str) -> dict[str, object]:
    return cast("dict[str, object]", cluster.ask(name, {"do": "status"})["heads"])


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def signed(cluster: CrashCluster, label: str) -> bool:
    psbt = cluster.payment("vault", label)
    done = cluster.run(CLIENT, "sign", str(psbt), "--wallet", "vault", "--timeout", "20s", passphrase=True)
    return done.code == 0


def records(cluster: CrashCluster, name: str) -> int:
    """How many records a node has now: after a signature reached the client, some are still to come."""
    return cast("int", cluster.ask(name, {"do": "status"})["records"])


def knows_of(cluster: CrashCluster, name: str, peer: str) -> object:
    """How many records a node has heard that a peer has."""
    peers = cast("list[dict[str, object]]", heads(cluster, name)["peers"])
    return next(one.get("records") for one in peers if one["name"] == peer)


def test_a_whole_disk_put_back_is_quarantined_until_its_owner_ends_it(
    cluster: CrashCluster, tmp_path: Path
) -> None:
    cluster.make_wallet("vault", 2)
    assert signed(cluster, "one")
    cluster.stop("home", kill=True)
    copy(cluster, "home", tmp_path / "saved")
    cluster.start("home")
    until(lambda: heads(cluster, "home")["settled"] is True)
    assert signed(cluster, "two")
    until(lambda: knows_of(cluster, "phone", "home") == records(cluster, "home"))
    cluster.stop("home", kill=True)
    put_back(cluster, "home", tmp_path / "saved")
    cluster.start("home")
    until(lambda: heads(cluster, "home")["quarantine"] is not None)
    kept = cast("dict[str, object]", heads(cluster, "home")["quarantine"])
    assert kept["seen_by"] in {"phone", "offline"}
    assert cast("int", kept["records_here"]) < cast("int", kept["records_seen"])
    shown = cluster.run("home", "quarantine", "show").need()
    assert shown["quarantine"] == kept
    assert "code='rollback'" in cluster.log("home")
    cluster.stop("offline")
    assert not signed(cluster, "three"), "one of two is in quarantine"
    cluster.start("offline")
    until(lambda: heads(cluster, "offline")["settled"] is True)
    assert cluster.run("home", "quarantine", "end", "--yes", passphrase=True).need()["lineage"] != 0
    assert heads(cluster, "home")["settled"] is True
    cluster.stop("home")
    cluster.start("home")
    until(lambda: heads(cluster, "home")["settled"] is True)


def test_with_an_anchor_elsewhere_a_node_starts_alone_and_an_older_disk_does_not(
    cluster: CrashCluster, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    anchor = elsewhere / "home.anchor"
    config = DataDir(cluster.datadir("home"), NETWORK).config_file
    with config.open("a") as file:
        file.write(f"anchor: {anchor}\n")
    cluster.stop("home")
    cluster.start("home")
    until(anchor.exists)
    cluster.make_wallet("vault", 2)
    assert signed(cluster, "one")
    cluster.stop("home", kill=True)
    copy(cluster, "home", tmp_path / "saved")
    cluster.stop("offline")
    cluster.start("home")
    until(lambda: heads(cluster, "home")["settled"] is True, 10)
    assert heads(cluster, "home")["anchor"] == "intact at this start"
    assert signed(cluster, "two"), "alone with one peer"
    newest = records(cluster, "home")
    cluster.stop("home", "phone", COORDINATOR, kill=True)
    put_back(cluster, "home", tmp_path / "saved")
    cluster.start("home")
    kept = cast("dict[str, object]", heads(cluster, "home")["quarantine"])
    assert kept["seen_by"] == "the anchor"
    assert cast("int", kept["records_seen"]) >= newest
    cluster.stop("home")
    anchor.write_bytes(anchor.read_bytes()[:-1] + b"\0")
    (tmp_path / "other").mkdir()
    put_back(cluster, "home", tmp_path / "saved")
    cluster.start("home")
    assert "another node's" in str(heads(cluster, "home")["anchor"])
    assert heads(cluster, "home")["settled"] is False, "it waits for its peers"
