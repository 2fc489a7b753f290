"""Who and what a real process does not let in: strangers, a second process, files that are not as they must be."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_cluster import NETWORK, CrashCluster, profiles

from cluster.codec import Mouth
from cluster.driver import system_clock
from cluster.keys import Keys, Seed
from cluster.local import CLIENT, COORDINATOR, Done
from cluster.messages import NO_ID, Body, KeygenRequest, Kind, StatusQuery
from cluster.party import opened, unseal_seed
from cluster.roster import Roster
from cluster.storage import DataDir
from cluster.transport import NodeEndpoint
from cluster.transport.dialer import LinkState

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(enrolled: Path, tmp_path: Path) -> Iterator[CrashCluster]:
    """Five parties with one roster; nobody runs."""
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        yield cluster


def one_line(done: Done, code: int, *parts: str) -> None:
    """It ended so, with one line that says this, the same in the JSON, and no traceback."""
    assert done.code == code, done
    *_, last = done.talk.splitlines()
    assert last.startswith("assent: "), done.talk
    assert all(part in last for part in parts), (last, parts)
    assert done.talk.count("assent: ") == 1
    assert "Traceback" not in done.talk
    error = done.facts["error"]
    assert isinstance(error, dict)
    assert f"assent: {error['text']}" == last
    assert error["exit_code"] == code


def place_of(cluster: CrashCluster, name: str) -> DataDir:
    return DataDir(cluster.datadir(name), NETWORK)


def keys_of(cluster: CrashCluster, name: str) -> Keys:
    passphrase = (cluster.root / f"{name}.passphrase").read_bytes().strip()
    return unseal_seed(place_of(cluster, name), passphrase).keys(NETWORK)


def roster_of(cluster: CrashCluster) -> Roster:
    with opened(place_of(cluster, CLIENT)) as party:
        return party.need_roster()


def dial(cluster: CrashCluster, secret_key: bytes) -> NodeEndpoint:
    entry = roster_of(cluster).coordinators[0]
    return NodeEndpoint(entry.endpoint, entry.transport, secret_key)


def until(endpoint: NodeEndpoint, *states: LinkState) -> LinkState:
    deadline = time.monotonic() + 10
    while endpoint.state not in states:
        assert time.monotonic() < deadline, endpoint.state
        time.sleep(0.02)
    return endpoint.state


def status(cluster: CrashCluster, name: str) -> dict[str, object]:
    return dict(cluster.ask(name, {"do": "status"}))


def test_an_unknown_curve_key_is_refused(cluster: CrashCluster) -> None:
    cluster.start(COORDINATOR)
    before = status(cluster, COORDINATOR)
    endpoint = dial(cluster, secrets.token_bytes(32))
    try:
        assert until(endpoint, LinkState.CONNECTED, LinkState.REFUSED) is LinkState.REFUSED
        assert not endpoint.send(b"letter", bytes(64))
    finally:
        endpoint.close()
    assert status(cluster, COORDINATOR) == before


def test_a_client_of_another_roster_is_told_so(cluster: CrashCluster, tmp_path: Path) -> None:
    """Its own roster names it; the coordinator's does not."""
    cluster.start(COORDINATOR)
    (cluster.root / "mallory.passphrase").touch(mode=0o600)
    (cluster.root / "mallory.passphrase").write_text("mallory's own\n")
    words = ["init", "--name", "mallory", "--network", NETWORK, "--role", "client", "--kdf-memory", "19"]
    cluster.run("mallory", *words, passphrase=True).need()
    file = tmp_path / "roster.json"
    parts = [
        cluster.datadir(name) / NETWORK / "public.json" for name in (*cluster.nodes, COORDINATOR, "mallory")
    ]
    cluster.run("mallory", "roster", "build", "--out", str(file), *map(str, parts)).need()
    cluster.run("mallory", "roster", "accept", str(file), "--yes").need()
    done = cluster.run("mallory", "status", passphrase=True)
    one_line(done, 7, "does not know this device")


def test_a_known_key_with_an_unknown_identity_changes_nothing(cluster: CrashCluster) -> None:
    """Somebody stole a client's transport key, and not its identity key: every letter is a complaint."""
    cluster.start(COORDINATOR, "home")
    roster = roster_of(cluster)
    coordinator = roster.coordinators[0].identity
    stranger = Seed(secrets.token_bytes(32)).keys(NETWORK).identity()
    mouth = Mouth(stranger, roster.cluster_id, secrets.token_bytes(16))
    endpoint = dial(cluster, keys_of(cluster, CLIENT).transport().secret)
    said: list[tuple[Kind, Body]] = [
        (Kind.KEYGEN_REQUEST, KeygenRequest(b"charter")),
        (Kind.STATUS_QUERY, StatusQuery("state")),
    ]
    try:
        assert until(endpoint, LinkState.CONNECTED) is LinkState.CONNECTED
        for kind, body in said:
            letter = mouth.say(
                kind,
                coordinator,
                body,
                wallet_id=NO_ID,
                request_id=NO_ID,
                session_id=NO_ID,
                expires_at_ms=system_clock().wall_ms + 60_000,
            )
            assert endpoint.send(letter.letter, letter.signature)
        deadline = time.monotonic() + 10
        while not (found := status(cluster, COORDINATOR))["complaints"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert endpoint.receive() == []
    finally:
        endpoint.close()
    assert found["complaints"] == [{"about": CLIENT, "code": "letter-signature", "count": len(said)}]
    assert found["wallets"] == []
    assert cluster.pending("home") == []


@pytest.mark.parametrize("name", ["home", COORDINATOR])
def test_a_second_process_on_a_data_directory_is_refused(cluster: CrashCluster, name: str) -> None:
    cluster.start(name)
    role = "node" if name == "home" else COORDINATOR
    second = cluster.run(name, role, "run", passphrase=True)
    one_line(second, 3, "another Assent process works here", "assent status")
    assert status(cluster, name)["role"] == role
    assert cluster.running[name].poll() is None


def test_a_newer_database_is_refused_and_not_touched(cluster: CrashCluster) -> None:
    database = place_of(cluster, "home").database
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    before = database.read_bytes()
    done = cluster.run("home", "node", "run", passphrase=True)
    one_line(done, 3, str(database), "has schema 7", "up to schema 1", "use a newer program")
    assert database.read_bytes() == before


def test_a_missing_database_is_never_an_empty_one(cluster: CrashCluster) -> None:
    database = place_of(cluster, "home").database
    database.rename(database.with_suffix(".away"))
    done = cluster.run("home", "node", "run", passphrase=True)
    one_line(done, 3, str(database), "the database is missing", "assent recover")
    assert not database.exists()


def test_a_coordinator_that_is_down_is_named(cluster: CrashCluster) -> None:
    words = ["keygen", "--name", "w", "--threshold", "2", "--timeout", "2s"]
    done = cluster.run(CLIENT, *words, passphrase=True)
    endpoint = roster_of(cluster).coordinators[0].endpoint
    one_line(done, 7, f"coordinator coordinator at {endpoint} cannot be reached", "does it run")


@pytest.mark.parametrize("name", ["home", COORDINATOR, CLIENT])
def test_a_wrong_passphrase_says_so(cluster: CrashCluster, name: str) -> None:
    (cluster.root / f"{name}.passphrase").write_text("not this one\n")
    before = place_of(cluster, name).database.read_bytes()
    words = {"home": ["node", "run"], COORDINATOR: ["coordinator", "run"], CLIENT: ["status"]}[name]
    done = cluster.run(name, *words, passphrase=True)
    one_line(done, 7, "wrong passphrase for", str(cluster.datadir(name)))
    assert place_of(cluster, name).database.read_bytes() == before


def test_an_owner_with_a_wrong_passphrase_approves_nothing(cluster: CrashCluster) -> None:
    cluster.start(COORDINATOR, *cluster.nodes)
    process = cluster.begin(CLIENT, "keygen", "--name", "w", "--threshold", "2")
    try:
        while not (waiting := cluster.pending("home")):
            assert process.poll() is None
            time.sleep(0.05)
        (cluster.root / "home.passphrase").write_text("not this one\n")
        done = cluster.run("home", "approve", str(waiting[0]["id"]), passphrase=True)
        assert done.code == 7, done
        assert done.talk.splitlines()[-1].startswith("assent: wrong passphrase for")
        assert [entry["state"] for entry in cluster.pending("home")] == ["proposed"]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("file", ["seed", "passphrase", "directory", "database", "config", "note"])
def test_what_others_could_read_is_refused(cluster: CrashCluster, file: str) -> None:
    place = place_of(cluster, "home")
    path, mode = {
        "seed": (place.seed_file, 0o640),
        "passphrase": (cluster.root / "home.passphrase", 0o644),
        "directory": (place.path, 0o750),
        "database": (place.database, 0o660),
        "config": (place.config_file, 0o604),
        "note": (place.database.with_name(f"{place.database.name}.head"), 0o606),
    }[file]
    os.chmod(path, mode)
    done = cluster.run("home", "node", "run", passphrase=True)
    one_line(done, 3, str(path), "chmod")
