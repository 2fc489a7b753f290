"""One behavioural suite for every state store, after the protocol's own: a directory, and a VSS server."""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from state_stores import KINDS, made_store

from cluster.errors import ClusterError
from cluster.state_store import (
    ANY_VERSION,
    DirectoryStore,
    KeyValue,
    KeyVersion,
    NoSuchKey,
    StateStore,
    StoreDamaged,
    StoreUnavailable,
    VersionConflict,
    list_all,
)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    with made_store(request.param, tmp_path) as found:
        yield found


def put(store: StateStore, *items: tuple[str, str, int], version: int | None = None) -> None:
    store.put_objects([KeyValue(key, at, value.encode()) for key, value, at in items], (), version)


def got(store: StateStore, key: str) -> tuple[int, str]:
    found = store.get_object(key)
    assert found.key == key
    return found.version, found.value.decode()


def global_version(store: StateStore) -> int:
    return store.get_object("global_version").version


def test_one_object_is_written_again_and_again(store: StateStore) -> None:
    put(store, ("k1", "k1v1", 0), version=0)
    put(store, ("k1", "k1v2", 1), version=1)
    for at, value in enumerate(("k2v1", "k2v2", "k2v3"), 2):
        put(store, ("k2", value, ANY_VERSION), version=at)
    assert (got(store, "k1"), got(store, "k2")) == ((2, "k1v2"), (1, "k2v3"))
    assert global_version(store) == 5


def test_several_objects_are_written_together(store: StateStore) -> None:
    put(store, ("k1", "k1v1", 0), ("k2", "k2v1", 0), version=0)
    put(store, ("k1", "k1v2", 1), ("k2", "k2v2", 1), version=1)
    assert (got(store, "k1"), got(store, "k2"), global_version(store)) == ((2, "k1v2"), (2, "k2v2"), 2)


@pytest.mark.parametrize("wrong", [0, 2, 7])
def test_another_version_is_a_conflict_and_nothing_is_written(store: StateStore, wrong: int) -> None:
    put(store, ("k1", "k1v1", 0), ("k2", "k2v1", 0), version=0)
    with pytest.raises(VersionConflict):
        put(store, ("k2", "k2v2", 1), ("k1", "k1v2", wrong), version=1)
    with pytest.raises(VersionConflict):
        put(store, ("k3", "k3v1", 1))
    assert (got(store, "k1"), got(store, "k2"), global_version(store)) == ((1, "k1v1"), (1, "k2v1"), 1)


def test_another_global_version_is_a_conflict(store: StateStore) -> None:
    put(store, ("k1", "k1v1", 0), version=0)
    for wrong in (0, 2):
        with pytest.raises(VersionConflict):
            put(store, ("k1", "k1v2", 1), version=wrong)
    assert got(store, "k1") == (1, "k1v1")


def test_without_a_global_version_it_does_not_move(store: StateStore) -> None:
    put(store, ("k1", "k1v1", 0))
    put(store, ("k1", "k1v2", 1))
    assert (got(store, "k1"), global_version(store)) == ((2, "k1v2"), 0)
    assert store.list_key_versions().global_version == 0


def test_writing_and_removing_is_one_transaction(store: StateStore) -> None:
    put(store, ("k1", "k1v1", 0))
    store.put_objects([KeyValue("k2", 0, b"k2v1")], [KeyVersion("k1", 1)])
    assert got(store, "k2") == (1, "k2v1")
    with pytest.raises(NoSuchKey):
        store.get_object("k1")
    for item, gone, at in (
        (KeyValue("k3", 0, b""), KeyVersion("k2", 3), None),
        (KeyValue("k3", 1, b""), KeyVersion("k2", 1), None),
        (KeyValue("k3", 0, b""), KeyVersion("k2", 1), 2),
        (KeyValue("k3", 0, b""), KeyVersion("k4", ANY_VERSION), None),
    ):
        with pytest.raises(VersionConflict):
            store.put_objects([item], [gone], at)
        with pytest.raises(NoSuchKey):
            store.get_object("k3")
        assert got(store, "k2") == (1, "k2v1")
    store.put_objects([], [KeyVersion("k2", ANY_VERSION)])
    assert list_all(store) == ()


def test_removing_is_idempotent_and_looks_at_the_version(store: StateStore) -> None:
    put(store, ("k1", "k1v1", 0))
    store.delete_object(KeyVersion("k1", 2))
    assert got(store, "k1") == (1, "k1v1")
    for version in (1, 1, ANY_VERSION):
        store.delete_object(KeyVersion("k1", version))
    with pytest.raises(NoSuchKey):
        store.get_object("k1")
    put(store, ("k1", "k1v1", 0))
    put(store, ("k1", "k1v2", 1))
    store.delete_object(KeyVersion("k1", ANY_VERSION))
    with pytest.raises(NoSuchKey):
        store.get_object("k1")


def test_a_value_may_be_empty_or_large(store: StateStore) -> None:
    large = bytes(range(256)) * 20_000
    store.put_objects([KeyValue("empty", 0, b""), KeyValue("large", 0, large)])
    assert (store.get_object("empty").value, store.get_object("large").value) == (b"", large)


def test_a_listing_comes_in_pages_the_newest_first(store: StateStore) -> None:
    for start in range(0, 250, 50):
        put(store, *((f"k{i}", "v", 0) for i in range(start, start + 50)), version=start // 50)
    put(store, ("k1", "w", 1), version=5)
    first = store.list_key_versions()
    assert (len(first.key_versions), first.global_version) == (100, 6)
    assert first.key_versions[0] == KeyVersion("k249", 1)
    second = store.list_key_versions(page_token=first.next_page_token)
    assert (len(second.key_versions), second.global_version) == (100, None)
    assert second.key_versions[0] == KeyVersion("k149", 1)
    assert {i.key: i.version for i in list_all(store)} == {f"k{i}": 1 + (i == 1) for i in range(250)}


def test_a_listing_honours_page_size_and_prefix(store: StateStore) -> None:
    put(store, *((f"{i}k", "v", 0) for i in range(20)), ("%k", "v", 0), ("1_", "v", 0), version=0)
    page = store.list_key_versions("1", 5)
    assert len(page.key_versions) == 5
    assert {i.key for i in list_all(store, "1")} == {"1k", "1_", *(f"1{i}k" for i in range(10))}
    assert {i.key for i in list_all(store, "%")} == {"%k"}
    assert len(store.list_key_versions("", 1000).key_versions) == 22
    counted = store.list_key_versions("", 0)
    assert (counted.key_versions, counted.next_page_token, counted.global_version) == ((), "", 1)


def test_of_two_writers_one_wins(store: StateStore) -> None:
    put(store, ("head", "0", 0))
    outcomes = []
    for name in ("a", "b"):
        try:
            put(store, ("head", name, 1))
            outcomes.append(name)
        except VersionConflict:
            pass
    assert outcomes == ["a"]
    assert got(store, "head") == (2, "a")


@pytest.mark.parametrize(
    "items",
    [
        [KeyValue("k", 0, b""), KeyValue("k", 0, b"")],
        [KeyValue(str(i), 0, b"") for i in range(1001)],
        [KeyValue("", 0, b"")],
        [KeyValue("k" * 601, 0, b"")],
        [KeyValue("global_version", 0, b"")],
        [KeyValue("k", 0, bytes(10 * 1024 * 1024 + 1))],
    ],
)
def test_a_write_that_no_store_takes_is_the_callers_slip(store: StateStore, items: list[KeyValue]) -> None:
    with pytest.raises(ValueError):
        store.put_objects(items)
    assert list_all(store) == ()


# Directories.


def test_two_nodes_share_a_directory_and_see_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = DirectoryStore(tmp_path, "one"), DirectoryStore(tmp_path, "two")
    put(one, ("k", "1", 0), version=0)
    with pytest.raises(NoSuchKey):
        two.get_object("k")
    assert (list_all(two), global_version(two)) == ((), 0)
    put(two, ("k", "2", 0))
    assert (got(one, "k"), got(two, "k")) == ((1, "1"), (1, "2"))


def test_two_processes_on_one_keyspace_conflict(tmp_path: Path) -> None:
    won = []

    def write(at: int) -> None:
        store = DirectoryStore(tmp_path, "one")
        for version in range(50):
            try:
                put(store, ("head", f"{at}", version))
                won.append(version)
            except VersionConflict:
                pass

    threads = [threading.Thread(target=write, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(got(DirectoryStore(tmp_path, "one"), "head")[0]))


def test_a_directory_that_is_not_there_is_no_empty_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="mounted"):
        DirectoryStore(tmp_path / "absent", "one")
    assert not (tmp_path / "absent").exists()


def test_a_damaged_directory_says_so(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "one")
    put(store, *((f"k{i}", "v" * 500, 0) for i in range(50)))
    store.close()
    whole = store.path.read_bytes()
    for at in (0, 60, 4096, 4300, 9000, len(whole) - 300):
        for harm in (whole[:at] + bytes(200) + whole[at + 200 :], whole[:at]):
            store.path.write_bytes(harm)
            try:
                hurt = DirectoryStore(tmp_path, "one")
                for item in list_all(hurt):
                    hurt.get_object(item.key)
                hurt.close()
            except ClusterError as error:
                assert isinstance(error, StoreDamaged | StoreUnavailable)
    store.path.write_bytes(b"something else entirely, and long enough to be looked at" * 100)
    with pytest.raises(StoreDamaged):
        DirectoryStore(tmp_path, "one")


@pytest.mark.parametrize("version", ["-1", "'seven'", "x'00'", "1.5", "9223372036854775807"])
def test_a_version_that_is_none_is_damage(tmp_path: Path, version: str) -> None:
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "v", 0))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute(f"UPDATE object SET version = {version}")
    with pytest.raises(StoreDamaged):
        store.get_object("k")
    with pytest.raises(StoreDamaged):
        list_all(store)
    store.close()


def test_a_key_that_is_none_is_damage(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "v", 0))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("UPDATE object SET key = printf('%.*c', 9000000, 'k')")
    with pytest.raises(StoreDamaged, match="a key is none"):
        list_all(store)
    store.close()


def test_a_value_that_is_none_is_damage(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "v", 0))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("UPDATE object SET value = 'v'")
    with pytest.raises(StoreDamaged, match="not as it was written"):
        store.get_object("k")
    store.close()


def test_an_object_whose_key_is_no_text_is_gone(tmp_path: Path) -> None:
    """Bytes equal no text, so it is neither listed nor read: what it was is missed as whatever is gone is."""
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "v", 0))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("UPDATE object SET key = x'6b'")
    with pytest.raises(NoSuchKey):
        store.get_object("k")
    assert list_all(store) == ()
    store.close()


def add_trigger(path: Path, name: str) -> None:
    """As whoever has the file can: under names too that SQLite keeps for itself."""
    text = f"CREATE TRIGGER {name} AFTER UPDATE ON object BEGIN DELETE FROM object WHERE key = 'k'; END"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("INSERT INTO sqlite_master VALUES ('trigger', ?, 'object', 0, ?)", (name, text))
        cookie = raw.execute("PRAGMA schema_version").fetchone()[0]
        raw.execute(f"PRAGMA schema_version = {cookie + 1}")


@pytest.mark.parametrize("name", ["sqlite0", "sqlite_sequence1"])
def test_whoever_has_the_file_adds_nothing_to_its_layout(tmp_path: Path, name: str) -> None:
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "v", 0), ("l", "v", 0))
    add_trigger(store.path, name)
    for act in (lambda: put(store, ("l", "w", 1)), lambda: store.get_object("k"), lambda: list_all(store)):
        with pytest.raises(StoreDamaged, match="not a state store"):
            act()
    with pytest.raises(StoreDamaged, match="not a state store"):
        DirectoryStore(tmp_path, "one")
    store.close()


def test_a_journal_that_names_another_file_takes_it_not_away(tmp_path: Path) -> None:
    """SQLite removes the file that lists the journals of several databases: whoever has the directory names it."""
    victim, place = tmp_path / "seed.sealed", tmp_path / "share"
    victim.write_bytes(b"the seed, sealed")
    place.mkdir()
    store = DirectoryStore(place, "one")
    put(store, ("k", "v", 0))
    name, magic = str(victim).encode(), bytes.fromhex("d9d505f920a163d7")
    header = magic + struct.pack(">IIIII", 0, 0, store.path.stat().st_size // 4096, 512, 4096)
    tail = struct.pack(">I", 2**30 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    (place / "state-store.sqlite3-journal").write_bytes(header.ljust(512, b"\0") + tail)
    for act in (lambda: store.get_object("k"), lambda: list_all(store), lambda: put(store, ("k", "w", 1))):
        with pytest.raises(StoreDamaged, match="names another file"):
            act()
    with pytest.raises(StoreDamaged, match="names another file"):
        DirectoryStore(place, "one")
    assert victim.exists()
    store.close()


def test_a_write_ahead_log_is_not_mapped(tmp_path: Path) -> None:
    """Once somebody cuts it short, to look at it ends the process, and no error is raised."""
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "v", 0))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        with pytest.raises(StoreDamaged, match="altered"):
            put(store, ("k", "w", 1))
        with pytest.raises(StoreDamaged, match="altered"):
            DirectoryStore(tmp_path, "one")
    store.close()


def test_the_file_is_private(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "one")
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_removed_takes_no_more_writes(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "one")
    put(store, ("k", "1", 0))
    store.path.unlink()
    with pytest.raises(StoreUnavailable, match="removed"):
        put(store, ("k", "2", 1))
    DirectoryStore(tmp_path, "one").close()
    with pytest.raises(StoreUnavailable, match="replaced"):
        put(store, ("k", "2", 1))
