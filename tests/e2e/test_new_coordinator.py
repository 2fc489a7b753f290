"""The coordinator is destroyed in mid-request: its words and the roster make another, and the request ends."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from crash_cluster import NETWORK, CrashCluster, audit, profiles

from cluster.codec import open_inner
from cluster.journal import RequestKept, read
from cluster.local import CLIENT, COORDINATOR
from cluster.messages import Kind
from cluster.party import unseal_seed
from cluster.storage import DataDir, Store

pytestmark = pytest.mark.slow


def words_of(cluster: CrashCluster, name: str) -> Path:
    """A party's 24 words in a private file, as its owner has them on paper."""
    place = DataDir(cluster.datadir(name), NETWORK)
    seed = unseal_seed(place, (cluster.root / f"{name}.passphrase").read_bytes().strip())
    file = cluster.root / f"{name}.words"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(" ".join(seed.words()))
    return file


def requests_of(cluster: CrashCluster, name: str) -> set[bytes]:
    """The ids of all requests on a party's disk."""
    with Store.open(DataDir(cluster.datadir(name), NETWORK).database) as store:
        entries = [read(record) for record in store.read()]
    kept = [entry for entry in entries if isinstance(entry, RequestKept)]
    return {open_inner(entry.request, Kind.REQUEST).header.request_id for entry in kept}


def test_a_new_coordinator_with_an_empty_database_ends_the_same_request(
    enrolled: Path, tmp_path: Path
) -> None:
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        cluster.start(COORDINATOR, *cluster.nodes)
        assert cluster.keygen("vault", 2).code == 0
        cluster.stop("phone", "offline")
        process = cluster.begin(CLIENT, "sign", str(cluster.payment("vault", "a")), "--timeout", "100s")
        deadline = time.monotonic() + 60
        while not any("request" in line for line in cluster.trace("home").read_text().splitlines()):
            assert time.monotonic() < deadline, cluster.log("home")
            time.sleep(0.05)
        words = words_of(cluster, COORDINATOR)
        cluster.stop(COORDINATOR, kill=True)
        shutil.rmtree(cluster.datadir(COORDINATOR))

        # What the owner types on the new machine.
        rebuilt = cluster.run(
            COORDINATOR,
            *("recover", "--role", "coordinator", "--name", COORDINATOR, "--yes", "--kdf-memory", "19"),
            *("--roster", str(root / "roster.json"), "--words-file", str(words)),
            passphrase=True,
        )
        assert rebuilt.need()["role"] == "coordinator"
        cluster.start(COORDINATOR, "phone", "offline")
        done = cluster.finish(process)
        assert done.code == 0, (done.talk, cluster.log(COORDINATOR))
        assert done.need()["state"] == "final"
        assert cluster.run("home", "evidence", "list").need() == {"evidence": []}
        assert cluster.run(COORDINATOR, "evidence", "list").need() == {"evidence": []}
        status = cluster.run(CLIENT, "status", passphrase=True).need()
        assert json.loads(json.dumps(status["coordinators"]))[0]["link"] == "connected"
        cluster.close()
        [asked] = requests_of(cluster, CLIENT)
        assert requests_of(cluster, COORDINATOR) == {asked}
        assert asked.hex() == done.facts["request_id"]
        print(audit(cluster, whole=False))
        code, report = cluster.judged()
        rules = {one["rule"]: one for one in report["rules"]}  # type: ignore[attr-defined]
        assert (code, report["violated"]) == (3, False), report
        assert "its database was lost, and begins anew" in rules["N5"]["not_proven"][0]


def test_a_spare_coordinator_ends_what_the_first_began(tmp_path: Path) -> None:
    """Two in the roster: the first is killed for good in mid-request, and nobody has to do anything."""
    with CrashCluster(tmp_path / "c", profiles(), kdf_memory_mib=19, spares=("spare",)) as cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, "spare", *cluster.nodes)
        assert cluster.keygen("vault", 2).code == 0
        psbt = cluster.payment("vault", "a")
        cluster.stop("phone", "offline")
        process = cluster.begin(CLIENT, "sign", str(psbt), "--timeout", "100s")
        deadline = time.monotonic() + 60
        while not any("request" in line for line in cluster.trace("home").read_text().splitlines()):
            assert time.monotonic() < deadline, cluster.log("home")
            time.sleep(0.05)
        cluster.stop(COORDINATOR, kill=True)
        cluster.start("phone", "offline")
        done = cluster.finish(process)
        assert done.code == 0, (done.talk, cluster.log("spare"))
        links = cluster.run(CLIENT, "status", passphrase=True).need()["coordinators"]
        assert {one["name"]: one["link"] for one in links} == {  # type: ignore[attr-defined]
            COORDINATOR: "connecting",
            "spare": "connected",
        }
        cluster.close()
        assert requests_of(cluster, "spare") == requests_of(cluster, CLIENT)


def test_what_makes_no_coordinator_is_said_in_one_line(enrolled: Path, tmp_path: Path) -> None:
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        words = words_of(cluster, COORDINATOR)
        roster = str(root / "roster.json")
        base = ("recover", "--role", "coordinator", "--yes", "--kdf-memory", "19", "--words-file", str(words))
        for name, more, code, said in (
            (COORDINATOR, ("--name", COORDINATOR, "--roster", roster), 3, "exists already"),
            ("new", ("--name", "home", "--roster", roster), 2, "no coordinator home"),
            ("new", ("--name", COORDINATOR), 2, "--roster"),
            ("new", ("--name", COORDINATOR, "--roster", str(words)), 3, "words"),
        ):
            if name == "new":
                shutil.copy(root / "home.passphrase", root / "new.passphrase")
            done = cluster.run(name, *base, *more, passphrase=True)
            assert (done.code, said in done.talk + json.dumps(done.facts)) == (code, True), done
        others = words_of(cluster, "home")
        base = (*base[:-1], str(others))
        done = cluster.run("new", *base, "--name", COORDINATOR, "--roster", roster, passphrase=True)
        assert done.code == 3
        assert "not those of coordinator" in json.dumps(done.facts) + done.talk
        assert not cluster.datadir("new").exists()
