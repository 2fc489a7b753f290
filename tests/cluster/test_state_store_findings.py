"""What a store shows, told from what it should: each finding by its name, on both kinds of stores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrored import CLUSTER, KEYS, SEALER, WALLET, WRITER, Disk, copied, put_back, records, write
from state_stores import KINDS, made_store

from cluster.codec import encode
from cluster.keys import Seed
from cluster.records import Head, Record
from cluster.state_store import (
    DirectoryStore,
    KeyValue,
    StateStore,
    VersionConflict,
)
from cluster.state_store.batches import BATCH_BYTES, Batch, Position
from cluster.state_store.findings import Code, Finding, StoreFault, judge
from cluster.state_store.mark import Mark, decode_mark, encode_mark
from cluster.state_store.protocol import MAX_VALUE_BYTES
from cluster.state_store.reading import look, read_chain
from cluster.state_store.sealing import HEAD_ROLE, Sealer, batch_role, default_store_id, padded_size
from cluster.state_store.writing import Writer


def found(store: StateStore, disk: Disk, mark: Mark) -> Finding | None:
    try:
        seen, _ = look(store, SEALER, disk.head)
    except StoreFault as fault:
        return fault.finding
    return judge(seen, disk.head, disk.hash_at, mark, CLUSTER)


def code(store: StateStore, disk: Disk, mark: Mark) -> Code:
    finding = found(store, disk, mark)
    assert finding is not None
    line = finding.line(store.where)
    assert line.startswith(finding.code.value)
    assert store.where in line
    assert line.isprintable()
    return finding.code


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    with made_store(request.param, tmp_path) as one:
        yield one


def test_a_store_that_follows_is_none_of_these(store: StateStore) -> None:
    of = records(40)
    assert found(store, Disk(of), Mark()) is None
    mark = write(store, of[:30])
    assert found(store, Disk(of[:30]), mark) is None
    assert found(store, Disk(of), mark) is None
    assert found(store, Disk(of), Mark()) is None  # the note was lost
    mark = write(store, of)
    assert mark.head == Disk(of).head
    seen: list[Batch] = []
    chain = read_chain(store, SEALER, seen.append)
    assert [record for batch in seen for record in batch.records] == of
    assert (chain.head.height, chain.head.batches, len(seen)) == (40, len(seen), len(seen))
    assert len(seen) > 5


def test_stale_all_of_an_earlier_state(store: StateStore) -> None:
    of = records(40)
    write(store, of[:20])
    earlier = copied(store)
    mark = write(store, of)
    put_back(store, earlier)
    assert code(store, Disk(of), mark) is Code.STALE
    # Without the note, an earlier state is a store that lags.
    assert found(store, Disk(of), Mark()) is None


def test_ahead_an_older_disk(store: StateStore) -> None:
    of = records(40)
    mark = write(store, of)
    for height in (0, 1, 5, 6, 7, 14, 20, 38, 39):
        assert code(store, Disk(of[:height]), Mark()) is Code.AHEAD
    assert code(store, Disk(of[:39]), mark) is Code.AHEAD


def test_ahead_an_older_disk_beside_a_store_put_back(store: StateStore) -> None:
    """The note alone remembers then."""
    of = records(40)
    write(store, of[:20])
    earlier = copied(store)
    mark = write(store, of)
    put_back(store, earlier)
    assert code(store, Disk(of[:30]), mark) is Code.AHEAD


def test_mixed_objects_of_two_times(store: StateStore) -> None:
    of = records(40)
    write(store, of[:18])
    earlier = copied(store)
    mark = write(store, of[:20])
    later = copied(store)
    changed = [key for key, kept in later.items() if earlier.get(key) != kept]
    assert len(changed) == 2
    for key in changed:
        put_back(store, earlier, key)
        assert code(store, Disk(of), mark) is Code.MIXED
        put_back(store, later, key)
    assert found(store, Disk(of), mark) is None


def test_mixed_an_object_under_another_name_or_version(store: StateStore) -> None:
    of = records(40)
    mark = write(store, of)
    whole = copied(store)
    head, first = SEALER.name(HEAD_ROLE), SEALER.name(batch_role(0))
    put_back(store, {**whole, head: KeyValue(head, whole[head].version, whole[first].value)})
    assert code(store, Disk(of), mark) is Code.MIXED
    put_back(store, {**whole, head: KeyValue(head, whole[head].version + 1, whole[head].value)})
    assert code(store, Disk(of), mark) is Code.MIXED


def test_mixed_a_last_batch_that_was_written_without_its_head(store: StateStore) -> None:
    """The same records under a version that the head object does not name: the next write would conflict."""
    of = records(20)
    mark = write(store, of)
    last, version = (position := look(store, SEALER, Head())[1]).last, position.last_version
    store.put_objects([SEALER.seal(batch_role(last.index), version, encode(last), os.urandom(24))])
    assert code(store, Disk(of), mark) is Code.MIXED


def test_mixed_a_batch_in_the_middle(store: StateStore) -> None:
    """A genuine batch of an earlier time, where a start does not look: the check of all does."""
    of = records(40)
    write(store, of[:4], step=1)
    earlier = copied(store)
    mark = write(store, of)
    put_back(store, earlier, SEALER.name(batch_role(0)))
    assert found(store, Disk(of), mark) is None
    with pytest.raises(StoreFault) as caught:
        read_chain(store, SEALER, lambda batch: None)
    assert caught.value.finding.code is Code.MIXED


def test_forked_another_copy_wrote(store: StateStore) -> None:
    of, other = records(20), records(40)[:20] + records(20, 20, mind="b")
    mark = write(store, of)
    mine = of + records(10, 20)
    write(store, other)
    assert code(store, Disk(mine), mark) is Code.FORKED  # the store went further
    assert code(store, Disk(of + records(30, 20)), mark) is Code.FORKED  # the disk went further
    assert code(store, Disk(of), mark) is Code.AHEAD  # all of it lies on the store's chain


def test_forked_two_writers_at_once_conflict(store: StateStore) -> None:
    of = records(10)
    write(store, of)
    position = look(store, SEALER, Head())[1]
    one = WRITER.attempt(position, records(1, 10, mind="a"), 1)
    two = WRITER.attempt(position, records(1, 10, mind="b"), 1)
    store.put_objects(one.items)
    with pytest.raises(VersionConflict):
        store.put_objects(two.items)
    assert look(store, SEALER, Head())[1] == one.position


@pytest.mark.parametrize("alone", [True, False])
def test_swapped_another_nodes(store: StateStore, alone: bool) -> None:
    of = records(20)
    other = Writer(Sealer.of(Seed(b"\x02" * 32).keys("regtest"), "store"), CLUSTER, 1, os.urandom)
    mark = Mark(3, Disk(of).head)
    write(store, of, writer=other)
    if not alone:
        # Under our names, as somebody who saw them could.
        theirs = copied(store)
        swap = {other.sealer.name(role): SEALER.name(role) for role in (HEAD_ROLE, batch_role(0))}
        put_back(
            store, {swap.get(k, k): KeyValue(swap.get(k, k), o.version, o.value) for k, o in theirs.items()}
        )
    assert code(store, Disk(of), mark) is Code.SWAPPED
    assert code(store, Disk(of), Mark()) is Code.SWAPPED


def test_swapped_another_store_of_the_same_node(store: StateStore) -> None:
    of = records(20)
    write(store, of, writer=Writer(Sealer.of(KEYS, "another"), CLUSTER, 1, os.urandom))
    assert code(store, Disk(of), Mark()) is Code.SWAPPED


def test_swapped_another_cluster_of_the_same_seed(store: StateStore) -> None:
    of = records(20)
    write(store, of, writer=Writer(SEALER, b"d" * 32, 1, os.urandom))
    assert code(store, Disk(of), Mark()) is Code.SWAPPED


def test_empty_what_was_written_is_gone(store: StateStore) -> None:
    of = records(20)
    mark = write(store, of)
    put_back(store, {})
    assert code(store, Disk(of), mark) is Code.EMPTY
    assert found(store, Disk(of), Mark()) is None


def test_damaged_in_any_object_and_at_any_place(store: StateStore) -> None:
    of = records(20)
    mark = write(store, of)
    whole = copied(store)
    last = SEALER.name(batch_role(look(store, SEALER, Head())[1].last.index))
    for key in (SEALER.name(HEAD_ROLE), last):
        value = whole[key].value
        for at in (0, 12, 30, 60, 68, 69, 92, 100, len(value) - 1):
            harm = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
            put_back(store, {**whole, key: KeyValue(key, whole[key].version, harm)}, key)
            # The owner's tag says whose it is before anything is opened.
            assert code(store, Disk(of), mark) is (Code.SWAPPED if 13 <= at < 29 else Code.DAMAGED)
        for harm in (b"", value[:40], value[:-1], value + b"\0"):
            put_back(store, {**whole, key: KeyValue(key, whole[key].version, harm)}, key)
            assert code(store, Disk(of), mark) is Code.DAMAGED
        put_back(store, whole, key)
    assert found(store, Disk(of), mark) is None


def test_damaged_an_object_is_gone(store: StateStore) -> None:
    of = records(20)
    mark = write(store, of)
    whole = copied(store)
    for key in whole:
        put_back(store, {}, key)
        if key == SEALER.name(HEAD_ROLE):
            assert code(store, Disk(of), mark) is Code.DAMAGED
        else:
            with pytest.raises(StoreFault) as caught:
                read_chain(store, SEALER, lambda batch: None)
            assert caught.value.finding.code is Code.DAMAGED
        put_back(store, whole, key)


def test_only_ahead_and_forked_are_about_this_node() -> None:
    assert {code for code in Code if Finding(code, "").fatal} == {Code.AHEAD, Code.FORKED}


class Overtaken(DirectoryStore):
    """A store into which somebody writes between two reads of ours."""

    before_read: Callable[[int], None] = staticmethod(lambda count: None)
    reads = 0

    def get_object(self, key: str) -> KeyValue:
        self.reads += 1
        self.before_read(self.reads)
        return super().get_object(key)


@pytest.mark.parametrize("at", range(1, 5))
def test_one_process_may_read_while_another_writes(tmp_path: Path, at: int) -> None:
    of = records(30)
    store = Overtaken(tmp_path, "store")
    write(DirectoryStore(tmp_path, "store"), of[:10])
    store.before_read = lambda count: (
        None if count != at else (write(DirectoryStore(tmp_path, "store"), of), None)[1]
    )
    got: list[Record] = []
    chain = read_chain(store, SEALER, lambda batch: got.extend(batch.records))
    assert got == of[: chain.head.height]
    assert chain.head.height == (30 if at <= 2 else 10)


# Without a store.


def test_the_store_never_sees_a_field_nor_a_size_nor_a_name_twice() -> None:
    secret = b"bcrt1qpayee-and-much-else"
    one = WRITER.attempt(Position(), [Record("signed", WALLET, secret * 3)], 1)
    two = WRITER.attempt(Position(), [Record("signed", WALLET, secret * 90)], 1)
    assert [item.key for item in one.items] == [item.key for item in two.items]
    assert {len(item.value) for item in (*one.items, *two.items)} == {69 + 24 + 4096 + 16}
    for item in one.items:
        assert not any(word in item.value for word in (secret, WALLET, CLUSTER, b"signed"))
        assert len(item.key) == 64
    again = WRITER.attempt(Position(), [Record("signed", WALLET, secret * 3)], 1)
    assert all(a.value[69:93] != b.value[69:93] for a, b in zip(one.items, again.items, strict=True))
    other = Sealer.of(KEYS, "another")
    assert {other.name(HEAD_ROLE), other.name(batch_role(0))}.isdisjoint(item.key for item in one.items)
    assert default_store_id(KEYS) == default_store_id(Seed(b"\x01" * 32).keys("regtest"))
    assert default_store_id(KEYS) != default_store_id(Seed(b"\x01" * 32).keys("signet"))


def test_sizes_are_powers_of_two() -> None:
    assert [padded_size(n) for n in (0, 4088, 4089, 60_000, 65_528, 65_529)] == [
        4096,
        4096,
        8192,
        65536,
        65536,
        131072,
    ]


def test_the_largest_record_fits_into_an_object() -> None:
    largest = Record("k" * 64, WALLET, bytes(4 * 1024 * 1024))
    attempt = WRITER.attempt(Position(), [largest], 1)
    assert max(len(item.value) for item in attempt.items) <= MAX_VALUE_BYTES


@given(sizes=st.lists(st.integers(0, 3 * BATCH_BYTES), min_size=1, max_size=30), step=st.integers(1, 7))
def test_batches_hold_every_record_once_in_order(sizes: list[int], step: int) -> None:
    of = [Record("kind", WALLET, bytes([i % 256]) * size) for i, size in enumerate(sizes)]
    position, kept = Position(), dict[int, Batch]()
    versions = dict[int, int]()
    for at in range(0, len(of), step):
        written, position = position.after(of[at : at + step])
        for batch, replaces in written:
            assert versions.get(batch.index, 0) == replaces
            versions[batch.index] = replaces + 1
            kept[batch.index] = batch
        assert versions[position.last.index] == position.last_version
        assert position.batches == len(kept)
    assert [record for index in sorted(kept) for record in kept[index].records] == of
    assert position.end == Head().after(of)
    for batch in kept.values():
        assert len(batch.kept) == 1 or sum(len(one.body) for one in batch.kept) <= BATCH_BYTES


@given(st.binary(max_size=100))
def test_a_mark_that_is_not_whole_says_nothing(data: bytes) -> None:
    assert decode_mark(data, b"t" * 16) == Mark()


def test_a_mark_makes_the_round_and_is_about_one_store() -> None:
    mark = Mark(7, Head(3, b"h" * 32))
    data = encode_mark(mark, b"t" * 16)
    assert decode_mark(data, b"t" * 16) == mark
    assert decode_mark(data, b"u" * 16) == Mark()
    assert decode_mark(data[:-1], b"t" * 16) == Mark()


@given(st.binary(max_size=300), st.integers(0, 2**40))
def test_no_object_crashes_the_opener(value: bytes, version: int) -> None:
    for data in (value, SEALER.seal(HEAD_ROLE, 0, b"x", bytes(24)).value[:69] + value):
        with pytest.raises(StoreFault):
            SEALER.open(HEAD_ROLE, KeyValue("k", version, data))
