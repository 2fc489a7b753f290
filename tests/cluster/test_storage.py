from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.errors import StateError, StorageFault
from cluster.records import GENESIS, Head, Record
from cluster.storage import MAX_BODY_BYTES, Store
from cluster.storage import store as module

WALLET = b"w" * 32
ROOT = Path(__file__).resolve().parents[2]


def records(count: int, start: int = 0) -> list[Record]:
    return [Record("verdict", WALLET, f"body {i}".encode()) for i in range(start, start + count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite3"


@pytest.fixture
def filled(path: Path) -> Path:
    with Store.create(path) as store:
        store.append(records(100))
    return path


@pytest.fixture
def raw(filled: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(filled, isolation_level=None)
    yield connection
    connection.close()


def refused(path: Path) -> str:
    """Opening fails with one line; nothing that was there is changed."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StateError) as caught:
        Store.open(path)
    said = str(caught.value)
    assert said.splitlines() == [said]
    assert str(path) in said
    if before is not None:
        assert path.read_bytes() == before
    return said


def test_goes_round(path: Path) -> None:
    with Store.create(path) as store:
        assert (store.height, store.head) == (0, Head(0, GENESIS))
        assert list(store.read()) == []
        head = store.append(records(3))
        assert head == Head().after(records(3)) == store.head
        assert store.append([]) == head
        store.append(records(2, 3))
    with Store.open(path) as store:
        assert list(store.read()) == records(5)
        assert store.head == Head().after(records(5))
        assert store.height == 5
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, path.name + ".head"]
    assert path.with_name(path.name + ".head").stat().st_mode & 0o777 == 0o600


def test_settings_are_in_force(path: Path) -> None:
    with Store.create(path) as store:
        for pragma, value in (
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("locking_mode", "exclusive"),
            ("trusted_schema", 0),
            ("user_version", 1),
        ):
            assert store._connection.execute(f"PRAGMA {pragma}").fetchone()[0] == value


def test_absent_is_not_empty(path: Path) -> None:
    assert "missing" in refused(path)
    assert not path.exists()
    path.touch(0o600)
    assert "not a database of Assent" in refused(path)


def test_create_never_overwrites(filled: Path) -> None:
    before = filled.read_bytes()
    with pytest.raises(StateError, match="exists already"):
        Store.create(filled)
    assert filled.read_bytes() == before
    assert sorted(p.name for p in filled.parent.iterdir()) == [filled.name, filled.name + ".head"]


def test_an_interrupted_create_leaves_no_chain_and_is_repeated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "move", stop)
        with pytest.raises(KeyboardInterrupt):
            Store.create(path)
    assert not path.exists()
    Store.create(path).close()


def test_create_where_nobody_may_write(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be made"):
        Store.create(tmp_path / "missing" / "records.sqlite3")


def test_open_to_others_is_refused(filled: Path) -> None:
    filled.chmod(0o640)
    assert "others may open this" in refused(filled)


def test_a_second_opener_is_refused(filled: Path) -> None:
    with Store.open(filled), pytest.raises(StateError, match="another process"):
        Store.open(filled)


def test_ill_formed_records_are_not_written(path: Path) -> None:
    with Store.create(path) as store:
        for bad in (
            Record("", WALLET, b""),
            Record("k" * 65, WALLET, b""),
            Record("é", WALLET, b""),
            Record("k\n", WALLET, b""),
            Record("k", WALLET[1:], b""),
            Record("k", WALLET, bytes(MAX_BODY_BYTES + 1)),
        ):
            with pytest.raises(ValueError):
                store.append([*records(1), bad])
        assert store.height == 0
        store.append([Record("k", WALLET, bytes(MAX_BODY_BYTES))])
    with Store.open(path) as store:
        assert len(next(store.read()).body) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET body = x'00' WHERE height = 3",
        "DELETE FROM record WHERE height = 99",
        "INSERT INTO record SELECT height + 5, wallet_id, kind, body, prev, hash FROM record WHERE height = 99",
        "INSERT INTO record SELECT -1, wallet_id, kind, body, prev, hash FROM record WHERE height = 0",
    ],
)
def test_sql_cannot_change_what_is_written(raw: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET body = x'00' WHERE height = 3",
        "UPDATE record SET kind = 'other' WHERE height = 3",
        "UPDATE record SET wallet_id = zeroblob(32) WHERE height = 0",
        "UPDATE record SET hash = zeroblob(32) WHERE height = 99",
        "UPDATE record SET prev = randomblob(32) WHERE height = 0",
        "DELETE FROM record WHERE height = 0",
        "DELETE FROM record WHERE height = 10",
        "UPDATE record SET height = height + 100 WHERE height = 99",
        "UPDATE record SET kind = CAST(x'ff' AS TEXT) WHERE height = 5",
    ],
)
def test_an_altered_chain_is_found(filled: Path, raw: sqlite3.Connection, statement: str) -> None:
    triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        raw.execute(f"DROP TRIGGER {name}")
    raw.execute(statement)
    for _, sql in triggers:
        raw.execute(sql)
    raw.close()
    said = refused(filled)
    assert "altered" in said or "damaged" in said


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER record_is_never_changed",
        "CREATE TABLE other (x)",
        "CREATE VIEW other AS SELECT 1",
        "CREATE TRIGGER other AFTER INSERT ON record BEGIN SELECT 1; END",
        "CREATE INDEX other ON record (kind)",
    ],
)
def test_a_foreign_layout_is_refused(filled: Path, raw: sqlite3.Connection, statement: str) -> None:
    raw.execute(statement)
    raw.close()
    assert "altered" in refused(filled)


def test_another_programs_database_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    path.chmod(0o600)
    assert "not a database of Assent" in refused(path)


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + bytes(4080), os.urandom(5000)])
def test_garbage_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    refused(path)


def test_not_a_file(path: Path) -> None:
    path.mkdir(0o700)
    assert "not a plain file" in refused(path)


@pytest.mark.parametrize("kept", [1, 100, 4096, 5000, 8192, 12288])
def test_a_cut_off_file_is_refused(filled: Path, kept: int) -> None:
    whole = filled.read_bytes()
    assert len(whole) > kept
    filled.write_bytes(whole[:kept])
    refused(filled)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_found_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    source, target = tmp_path / "source.sqlite3", tmp_path / "target.sqlite3"
    if not source.exists():
        with Store.create(source) as store:
            store.append(records(20))
    changed = bytearray(source.read_bytes())
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    target.write_bytes(changed)
    target.chmod(0o600)
    try:
        with Store.open(target) as store:
            assert list(store.read()) == records(20)
    except StateError:
        pass


def test_an_older_copy_is_noticed(filled: Path) -> None:
    older = filled.read_bytes()
    with Store.open(filled) as store:
        store.append(records(1, 100))
    newest = filled.read_bytes()
    filled.write_bytes(older)
    assert "101 records were here before" in refused(filled)
    filled.write_bytes(newest)
    Store.open(filled).close()


def test_another_chain_of_the_same_length_is_noticed(filled: Path, tmp_path: Path) -> None:
    with Store.create(tmp_path / "other.sqlite3") as other:
        other.append(records(150, 1))
    filled.write_bytes((tmp_path / "other.sqlite3").read_bytes())
    assert "another or older copy" in refused(filled)


@pytest.mark.parametrize("harm", ["removed", "damaged"])
def test_a_lost_log_is_noticed(path: Path, harm: str) -> None:
    # What `kill -9` leaves: committed records that are only in the -wal file.
    Store.create(path).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    writer.wait()
    writer.stdout.close()
    log = path.with_name(path.name + "-wal")
    if harm == "removed":
        log.unlink()
    else:
        raw = bytearray(log.read_bytes())
        raw[40] ^= 1
        log.write_bytes(raw)
    assert "older copy with 0" in refused(path)


@pytest.mark.parametrize("content", [b"", b"x", bytes(48), bytes(500)])
def test_a_note_that_was_cut_off_does_not_stop_the_chain(filled: Path, content: bytes) -> None:
    # After a loss of power it may be anything; the chain itself was synced.
    note = filled.with_name(filled.name + ".head")
    for lost in (lambda: note.write_bytes(content), note.unlink):
        lost()
        with Store.open(filled) as store:
            assert store.height == 100
    note.chmod(0o666)
    assert "others may open" in refused(filled).replace(".head", "")


def test_a_new_chain_forgets_the_note_of_the_old_one(filled: Path) -> None:
    filled.unlink()
    with Store.create(filled) as store:
        assert store.height == 0


def test_a_newer_schema_is_refused_with_both_versions(filled: Path, raw: sqlite3.Connection) -> None:
    raw.execute("PRAGMA user_version = 7")
    raw.close()
    said = refused(filled)
    assert "schema 7" in said
    assert "schema 1" in said


def old_database(path: Path) -> None:
    """A made-up schema 0: the same table under another name."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {module.APPLICATION_ID}")
    connection.execute("CREATE TABLE old (height INTEGER PRIMARY KEY, wallet_id, kind, body)")
    connection.executemany(
        "INSERT INTO old VALUES (?, ?, ?, ?)",
        [(i, r.wallet_id, r.kind, r.body) for i, r in enumerate(records(5))],
    )
    connection.close()
    path.chmod(0o600)


def from_0_to_1(connection: sqlite3.Connection) -> None:
    rows = connection.execute("SELECT height, wallet_id, kind, body FROM old ORDER BY height").fetchall()
    connection.execute("DROP TABLE old")
    for statement in module._LAYOUT:
        connection.execute(statement)
    head = Head()
    for height, wallet_id, kind, body in rows:
        after = head.after([Record(kind, wallet_id, body)])
        connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
            (height, wallet_id, kind, body, head.hash, after.hash),
        )
        head = after


def test_an_older_schema_is_copied_and_migrated(path: Path) -> None:
    old_database(path)
    assert "schema 0" in refused(path)
    with Store.open(path, migrations={0: from_0_to_1}) as store:
        assert list(store.read()) == records(5)
    copy = path.with_name(path.name + ".schema-0")
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as kept:
        assert kept.execute("SELECT count(*) FROM old").fetchone() == (5,)
    kept.close()
    with Store.open(path) as store:
        assert store.height == 5


def test_a_failed_migration_changes_nothing(path: Path) -> None:
    old_database(path)

    def fails(connection: sqlite3.Connection) -> None:
        from_0_to_1(connection)
        connection.execute("INSERT INTO missing VALUES (1)")

    with pytest.raises(StateError):
        Store.open(path, migrations={0: fails})
    with Store.open(path, migrations={0: from_0_to_1}) as store:
        assert list(store.read()) == records(5)


def test_a_failed_write_poisons_the_store(path: Path) -> None:
    store = Store.create(path)
    store.append(records(2))
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageFault, match="start again"):
        store.append(records(1))
    store._connection.execute("PRAGMA query_only = OFF")
    for use in (lambda: store.append(records(1)), lambda: list(store.read()), lambda: store.append([])):
        with pytest.raises(StorageFault, match="no longer usable"):
            use()
    store.close()
    with Store.open(path) as again:
        assert again.height == 2


def test_a_full_disk_poisons_the_store(path: Path) -> None:
    store = Store.create(path)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFault):
        store.append([Record("k", WALLET, bytes(100_000))])
    with pytest.raises(StorageFault):
        store.append(records(1))
    store.close()
    with Store.open(path) as again:
        assert again.height == 0


def test_a_closed_store_is_not_used(path: Path) -> None:
    store = Store.create(path)
    store.close()
    store.close()
    with pytest.raises(StorageFault, match="closed"):
        store.append(records(1))


WRITER = """
import sys
from pathlib import Path
from cluster.records import Record
from cluster.storage import Store
with Store.open(Path(sys.argv[1])) as store:
    while True:
        first = store.height
        store.append([Record("k", b"w" * 32, str(i).encode() * 50) for i in range(first, first + 3)])
        print(store.height, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05])
def test_kill_9_loses_nothing_committed(path: Path, delay: float) -> None:
    Store.create(path).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(delay)
    writer.send_signal(signal.SIGKILL)
    said = [int(line) for line in (first + writer.stdout.read()).split()]
    writer.wait()
    with Store.open(path) as store:
        assert store.height >= said[-1]
        assert store.height % 3 == 0  # all of a step or nothing
        assert [r.body for r in store.read()] == [str(i).encode() * 50 for i in range(store.height)]
        store.append(records(1))


def test_many_records_open_in_reasonable_time(path: Path) -> None:
    with Store.create(path) as store:
        for start in range(0, 20_000, 5_000):
            store.append([Record("verdict", WALLET, bytes(300))] * 5_000)
            assert store.height == start + 5_000
    started = time.perf_counter()
    with Store.open(path) as store:
        assert store.height == 20_000
    assert time.perf_counter() - started < 5  # it takes about 0.2 s; this only finds a quadratic slip


def test_a_chain_is_read_from_any_height_and_knows_where_it_stood(filled: Path) -> None:
    with Store.open(filled) as store:
        for height in (0, 1, 63, 64, 99, 100):
            assert list(store.read(height)) == records(100)[height:]
            assert store.hash_at(height) == Head().after(records(height)).hash
        for height in (-1, 101):
            with pytest.raises(ValueError, match="never held"):
                store.hash_at(height)
