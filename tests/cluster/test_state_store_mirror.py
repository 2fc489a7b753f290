"""The mirror: it follows, falls behind, catches up, says what is wrong, and never holds up the loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from evil_http import evil_http
from mirrored import SEALER, WRITER, copied, put_back, records, write
from state_stores import KINDS, vss_client
from vss_double import VssDouble, fields, vss_double

from cluster.errors import StateError
from cluster.records import Head, Record
from cluster.state_store import DirectoryStore, StateStore, StoreUnavailable
from cluster.state_store import feed as feed_module
from cluster.state_store.mark_file import MarkFile
from cluster.state_store.mirror import Mirror, NoMirror, Patience
from cluster.state_store.reading import look, read_chain
from cluster.state_store.sealing import HEAD_ROLE
from cluster.storage import Store

SOON = Patience(0.01, 0.05)

LARGE = records(1, 8, size=600_000)
"""A record that is written alone."""


class Place:
    """A store of one kind that can be unplugged, and a node's disk beside it."""

    def __init__(self, kind: str, folder: Path, double: VssDouble | None) -> None:
        self.kind = kind
        self.folder = folder
        self.double = double
        self.plugged = True
        (folder / "node").mkdir()
        (folder / "store").mkdir()
        self.marks = MarkFile(folder / "node", SEALER.owner_tag)

    def open(self) -> StateStore:
        if not self.plugged:
            raise StoreUnavailable("unplugged")
        if self.double is None:
            return DirectoryStore(self.folder / "store", "store")
        return vss_client(self.double.url)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "directory":
        yield Place("directory", tmp_path, None)
        return
    with vss_double() as double:
        yield Place("vss", tmp_path, double)


class Loop:
    """What a node's loop does with its store and its mirror."""

    def __init__(
        self, place: Place, of: Sequence[Record] = (), opens: Callable[[], StateStore] | None = None
    ) -> None:
        path = place.folder / "node" / "records.sqlite3"
        self.store = Store.open(path) if path.exists() else Store.create(path)
        self.store.append(of)
        self.told: list[str] = []
        self.mirror = Mirror(
            opens or place.open,
            "there",
            WRITER,
            self.store.head,
            place.marks,
            tell=self.told.append,
            patience=SOON,
        )

    def begin(self, bound_s: float = 5.0) -> Loop:
        try:
            self.mirror.begin(self.store, bound_s)
        except StateError:
            self.store.close()
            raise
        return self

    def commit(self, of: Sequence[Record]) -> None:
        height = self.store.height
        self.store.append(of)
        self.mirror.offer(of, height)
        self.mirror.attend(self.store)

    def until(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        end = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < end, self.facts()
            self.mirror.attend(self.store)
            time.sleep(0.005)

    def in_step(self) -> None:
        self.until(lambda: self.facts()["behind"] == 0)

    def facts(self) -> dict[str, object]:
        found = self.mirror.facts(self.store.height)
        assert found is not None
        return found

    def finding(self) -> str:
        found = self.facts()["finding"]
        return "" if found is None else str(found["code"])  # type: ignore[index]

    def close(self) -> None:
        self.mirror.close()
        self.store.close()


def stored(place: Place) -> list[Record]:
    got: list[Record] = []
    store = place.open()
    read_chain(store, SEALER, lambda batch: got.extend(batch.records))
    store.close()
    return got


def test_what_is_committed_follows(place: Place) -> None:
    loop = Loop(place, records(5)).begin()
    for record in records(60)[5:]:
        loop.commit([record])
    loop.in_step()
    assert stored(place) == records(60)
    assert place.marks.read().head == loop.store.head
    assert (loop.facts()["state"], loop.facts()["trouble"], loop.told) == ("following", "", [])
    loop.close()


def test_the_next_start_goes_on_where_this_one_ended(place: Place) -> None:
    loop = Loop(place, records(30)).begin()
    loop.in_step()
    loop.close()
    loop = Loop(place).begin()
    loop.commit(records(33)[30:])
    loop.in_step()
    loop.close()
    assert stored(place) == records(33)


def test_the_end_waits_a_moment_for_what_is_on_its_way(place: Place) -> None:
    loop = Loop(place).begin()
    loop.commit(records(20))
    loop.close()
    assert stored(place) == records(20)


def test_a_store_that_is_away_is_told_once_and_caught_up_with_in_bounded_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "QUEUE_BYTES", 100_000)
    loop = Loop(place).begin()
    loop.commit(records(3))
    loop.in_step()
    place.plugged = False
    if place.double is not None:
        place.double.answer = lambda path, body: (503, b"")
    else:
        loop.close()
        loop = Loop(place).begin(0.05)
    for record in records(200)[3:]:
        loop.commit([record])
        assert loop.mirror._feed._bytes < 120_000
    loop.until(lambda: bool(loop.told))
    assert loop.facts()["behind"] == 197
    time.sleep(0.2)
    place.plugged = True
    if place.double is not None:
        place.double.answer = lambda path, body: None
    loop.in_step()
    loop.until(lambda: len(loop.told) == 2)
    assert "confirms again" in loop.told[1]
    assert stored(place) == records(200)
    loop.close()


def test_nothing_of_the_store_holds_up_the_loop(tmp_path: Path) -> None:
    """A server that takes everything and answers nothing: a start waits its bound, a commit waits for nothing."""
    with evil_http(lambda line: time.sleep(3)) as url:
        loop = Loop(Place("vss", tmp_path, None), records(100), lambda: vss_client(url, timeout_s=60))
        began = time.monotonic()
        loop.begin(0.3)
        assert time.monotonic() - began < 1
        slowest = 0.0
        for record in records(150)[100:]:
            height = loop.store.height
            loop.store.append([record])
            began = time.monotonic()
            loop.mirror.offer([record], height)
            loop.mirror.attend(loop.store)
            loop.mirror.fill(loop.store)
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.05
        assert loop.facts()["state"] == "looking"
        began = time.monotonic()
        loop.mirror.close(0.2)
        assert time.monotonic() - began < 1
        loop.store.close()


@pytest.mark.parametrize("happened", [True, False])
def test_a_write_whose_answer_was_lost_is_found_to_have_happened(tmp_path: Path, happened: bool) -> None:
    with vss_double() as double:
        place = Place("vss", tmp_path, double)
        loop = Loop(place, records(3)).begin()
        loop.in_step()
        lost: list[str] = []

        def lose(path: str, body: bytes) -> tuple[int, bytes] | None:
            if not path.endswith("putObjects") or len(lost) == 3:
                return None
            lost.append(path)
            if happened and len(lost) == 1:
                double._put(double.only(), fields(body))
            return 502, b"<html>"

        double.answer = lose
        loop.commit(records(10)[3:])
        loop.in_step()
        assert len(lost) == 3
        loop.commit(records(12)[10:])
        loop.in_step()
        assert stored(place) == records(12)
        assert loop.finding() == ""
        loop.close()


# What is found at a start.


def test_each_finding_stops_a_start_and_is_named(place: Place) -> None:
    of = records(30)
    store = place.open()
    write(store, of[:10])
    early = copied(store)
    write(store, of)
    whole = copied(store)
    mark = write(store, of)
    place.marks.write(mark)
    states = {
        "store-stale": early,
        "store-empty": {},
        "store-mixed": {**whole, SEALER.name(HEAD_ROLE): early[SEALER.name(HEAD_ROLE)]},
    }
    for name, objects in states.items():
        put_back(store, objects)
        with pytest.raises(StateError, match=f"^{name}: state store there") as caught:
            Loop(place, () if (place.folder / "node" / "records.sqlite3").exists() else of).begin()
        assert caught.value.exit_code == 3
        assert caught.value.args[0].isprintable()
    put_back(store, whole)
    Loop(place).begin().close()
    (place.folder / "node" / "records.sqlite3").unlink()
    (place.folder / "node" / "records.sqlite3.head").unlink()
    with pytest.raises(StateError, match=r"^store-ahead: .*recover --from-store"):
        Loop(place, of[:20]).begin()
    (place.folder / "node" / "records.sqlite3").unlink()
    (place.folder / "node" / "records.sqlite3.head").unlink()
    with pytest.raises(StateError, match=r"^store-forked: "):
        Loop(place, of[:20] + records(15, 20, mind="b")).begin()
    store.close()


def test_a_disk_that_is_old_is_found_when_the_store_can_be_reached_at_last(place: Place) -> None:
    of = records(30)
    store = place.open()
    write(store, of)
    store.close()
    place.plugged = False
    loop = Loop(place, of[:20]).begin(0.05)
    loop.commit(records(5, 20, mind="b"))
    place.plugged = True
    with pytest.raises(StateError, match=r"^store-ahead"):
        loop.until(lambda: False)
    loop.close()


# What is found while it follows.


def test_another_writer_stops_this_node(place: Place) -> None:
    loop = Loop(place, records(5)).begin()
    loop.in_step()
    store = place.open()
    write(store, records(5) + records(3, 5, mind="b"))
    store.close()
    loop.store.append(records(7)[5:])
    with pytest.raises(StateError, match=r"^store-forked: .*another copy"):
        loop.until(lambda: False)
    loop.close()


def test_another_writer_stops_this_node_however_far_back_its_chain_parts(place: Place) -> None:
    """Further than the batches that are at hand: then that it wrote more often is enough."""
    loop = Loop(place, records(5)).begin()
    loop.in_step()
    store = place.open()
    early = copied(store)
    loop.commit(records(20)[5:])
    loop.in_step()
    put_back(store, early)
    write(store, records(5) + records(3, 5, mind="b"), step=1)
    store.close()
    loop.store.append(records(21)[20:])
    with pytest.raises(StateError, match=r"^store-forked: .*another copy"):
        loop.until(lambda: loop.finding() not in {"", "store-forked"})
    loop.close()


@pytest.mark.parametrize(
    ("theirs", "forked"),
    [
        (records(4, 5, mind="b"), True),
        (records(3, 5, mind="b"), True),
        (records(1, 5, mind="b", size=70_000), True),
        (records(8)[5:], False),
        (records(8)[5:] + LARGE, False),
    ],
    ids=["longer", "as long", "shorter", "ours", "ours and longer"],
)
def test_another_writer_on_an_earlier_state_stops_this_node_though_it_wrote_as_often(
    place: Place, theirs: list[Record], forked: bool
) -> None:
    """The store was put back, and a copy of this node went on from there: head objects of one version, two chains.

    Where it is one chain, the store kept a write of an earlier life back, and stops nobody.
    """
    loop = Loop(place, records(5)).begin()
    loop.in_step()
    store = place.open()
    early = copied(store)
    loop.commit(records(7)[5:])
    loop.in_step()
    put_back(store, early)
    write(store, records(5) + theirs)
    store.close()
    loop.store.append(records(8)[7:] + LARGE)
    if forked:
        with pytest.raises(StateError, match=r"^store-forked: .*another copy"):
            loop.until(lambda: loop.finding() not in {"", "store-forked"})
    else:
        loop.until(lambda: loop.finding() == "store-stale")
    loop.close()


def test_a_batch_that_no_head_names_stops_the_mirror(place: Place) -> None:
    loop = Loop(place, records(5)).begin()
    loop.in_step()
    store = place.open()
    position = look(store, SEALER, Head())[1]
    store.put_objects(WRITER.attempt(position, records(1, 5, size=70_000), 1).items[:1])
    store.close()
    loop.commit(records(1, 5, size=70_000))
    loop.until(lambda: loop.finding() == "store-mixed")
    loop.close()


@pytest.mark.parametrize("name", ["store-stale", "store-empty", "store-damaged", "store-swapped"])
def test_a_store_that_goes_bad_stops_the_mirror_and_not_the_node(place: Place, name: str) -> None:
    loop = Loop(place, records(5)).begin()
    loop.in_step()
    store = place.open()
    early = copied(store)
    loop.commit(records(15)[5:])
    loop.in_step()
    whole = copied(store)
    head = SEALER.name(HEAD_ROLE)
    other = WRITER.sealer.__class__("other", SEALER.sealing_key, SEALER.naming_key)
    kept = whole[head]
    harm = {
        "store-stale": early,
        "store-empty": {},
        "store-damaged": {**early, head: type(kept)(head, 1, kept.value[:-1] + b"!")},
        "store-swapped": {
            **early,
            head: type(kept)(head, 1, other.seal(HEAD_ROLE, 0, b"", os.urandom(24)).value),
        },
    }
    put_back(store, harm[name])
    store.close()
    loop.commit(records(16)[15:])
    loop.until(lambda: loop.finding() == name)
    loop.until(lambda: bool(loop.told))
    for record in records(40)[16:]:
        loop.commit([record])
    assert (loop.facts()["state"], len(loop.told)) == ("halted", 1)
    assert loop.facts()["behind"] == 25
    loop.close()


def test_a_bug_in_the_thread_does_not_pass_for_a_store_that_follows(place: Place) -> None:
    def broken() -> StateStore:
        raise ZeroDivisionError("with a secret in it")

    loop = Loop(place, records(3), broken).begin(0.2)
    loop.until(lambda: bool(loop.told))
    assert loop.facts()["trouble"] == "bug: ZeroDivisionError"
    assert loop.facts()["behind"] == 3
    loop.close()


def test_without_a_store_nothing_happens(tmp_path: Path) -> None:
    none = NoMirror()
    with Store.create(tmp_path / "records.sqlite3") as store:
        none.offer(records(1), 0)
        none.attend(store)
        assert (none.fill(store), none.facts(0)) == (False, None)
