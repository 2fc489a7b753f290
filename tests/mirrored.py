"""A chain of records as a node's disk holds it and as a state store does, and a store put back to what it was."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cluster.keys import Seed
from cluster.records import Head, Record
from cluster.state_store import ANY_VERSION, KeyValue, KeyVersion, StateStore, list_all
from cluster.state_store.mark import Mark
from cluster.state_store.reading import look
from cluster.state_store.sealing import Sealer
from cluster.state_store.writing import Writer

CLUSTER = b"c" * 32
WALLET = b"w" * 32
KEYS = Seed(b"\x01" * 32).keys("regtest")
SEALER = Sealer.of(KEYS, "store")
WRITER = Writer(SEALER, CLUSTER, 1, os.urandom)


def records(count: int, start: int = 0, size: int = 9000, mind: str = "a") -> list[Record]:
    return [
        Record("verdict", WALLET, f"{mind}{i}".encode().ljust(size, b"."))
        for i in range(start, start + count)
    ]


class Disk:
    """A chain as a disk would hold it."""

    def __init__(self, of: Sequence[Record]) -> None:
        self.heads = [Head()]
        for record in of:
            self.heads.append(self.heads[-1].after([record]))

    @property
    def head(self) -> Head:
        return self.heads[-1]

    def hash_at(self, height: int) -> bytes:
        return self.heads[height].hash


def write(store: StateStore, of: Sequence[Record], step: int = 4, writer: Writer = WRITER) -> Mark:
    """Mirror these records, some at a time, after what the store holds already."""
    position = look(store, writer.sealer, Head())[1]
    for at in range(position.end.height, len(of), step):
        attempt = writer.attempt(position, of[at : at + step], 1)
        store.put_objects(attempt.items)
        position = attempt.position
    return Mark(position.head_version, position.end)


def copied(store: StateStore) -> dict[str, KeyValue]:
    return {item.key: store.get_object(item.key) for item in list_all(store)}


def put_back(store: StateStore, objects: dict[str, KeyValue], *keys: str) -> None:
    """An earlier state of some objects (all by default), with their earlier versions."""
    for key in keys or (*{item.key for item in list_all(store)}, *objects):
        store.delete_object(KeyVersion(key, ANY_VERSION))
        if key in objects:
            kept = objects[key]
            for version in range(kept.version):
                store.put_objects([KeyValue(key, version, kept.value)])
