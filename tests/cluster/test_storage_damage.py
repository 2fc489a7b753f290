"""A database, log or head note that is cut short or has a flipped bit: noticed each time, or it changes nothing."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from cluster.errors import StateError
from cluster.records import NO_WALLET, Record
from cluster.storage import Store

DAMAGES = int(os.environ.get("ASSENT_DAMAGES", "150"))
NAMES = ("records.sqlite3", "records.sqlite3-wal", "records.sqlite3.head")


def killed(place: Path, commits: int, *, checkpoint: bool) -> list[Record]:
    """The files as a kill -9 leaves them: a log that nobody put into the database, or only a part of it."""
    live = place / "live"
    live.mkdir()
    random = Random(commits)
    records = [Record("note", NO_WALLET, random.randbytes(random.randrange(900))) for _ in range(commits * 2)]
    with Store.create(live / NAMES[0]) as store:
        for at in range(0, len(records), 2):
            store.append(records[at : at + 2])
            if checkpoint and at == len(records) // 2:
                store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for name in NAMES:
            shutil.copy(live / name, place / name)
    return records


def outcome(place: Path, records: list[Record]) -> str:
    try:
        with Store.open(place / NAMES[0]) as store:
            assert list(store.read()) == records, "an altered or shorter chain was taken for the newest"
    except StateError:
        return "noticed"
    return "harmless"


def damage(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    if random.random() < 0.5:
        path.write_bytes(data[: random.randrange(len(data))])
        return "cut"
    at = random.randrange(len(data))
    data[at] ^= 1 << random.randrange(8)
    path.write_bytes(data)
    return "flipped"


@pytest.mark.slow
@pytest.mark.patient
def test_each_truncation_and_each_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    sources = []
    for commits, checkpoint in ((40, False), (40, True), (3, False)):
        source = tmp_path / f"{commits}-{checkpoint}"
        source.mkdir()
        sources.append((source, killed(source, commits, checkpoint=checkpoint)))
    for seed in range(DAMAGES):
        random = Random(seed)
        source, records = sources[seed % len(sources)]
        place = tmp_path / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name in NAMES:
            shutil.copy(source / name, place / name)
        name = random.choices(NAMES, (4, 10, 1))[0]
        how = damage(place / name, random)
        counts[name, how, outcome(place, records)] += 1
    assert counts.total() == DAMAGES
    assert counts[NAMES[1], "cut", "noticed"] > 0
    assert counts[NAMES[1], "flipped", "noticed"] > 0
    for key, count in sorted(counts.items()):
        print(*key, count)


def test_undamaged_files_read_whole(tmp_path: Path) -> None:
    records = killed(tmp_path, 5, checkpoint=True)
    assert outcome(tmp_path, records) == "harmless"


def test_a_log_cut_at_any_commit_is_noticed(tmp_path: Path) -> None:
    """What SQLite itself drops without a word: everything after a whole commit."""
    records = killed(tmp_path, 8, checkpoint=False)
    log = (tmp_path / NAMES[1]).read_bytes()
    frame = 4096 + 24
    for frames in range((len(log) - 32) // frame):
        place = tmp_path / f"cut-{frames}"
        place.mkdir()
        for name in NAMES:
            shutil.copy(tmp_path / name, place / name)
        (place / NAMES[1]).write_bytes(log[: 32 + frames * frame])
        assert outcome(place, records) == "noticed", frames
