"""The benchmark measures equals: its floor and its rival produce our bytes. Nothing depends on a time."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bench import musig
from bench.crypto import QUORUMS, Rivals, deal
from bench.machines import TimedWorld, sign, spend
from bench.measure import interleaved, percentile
from bench.table import Table, render


@pytest.mark.parametrize(("t", "n"), QUORUMS)
def test_the_floor_does_the_whole_job(t: int, n: int) -> None:
    Rivals(deal(t, n)).check()


@pytest.mark.parametrize("way", musig.WAYS, ids=lambda way: way.name)
def test_the_floor_of_musig2_does_the_whole_job(way: musig.Way) -> None:
    musig.Rivals(way).check()


def test_rivals_take_turns_and_preparation_is_not_timed() -> None:
    log: list[str] = []

    def rival(name: str) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            log.append(f"prepare {name}")
            return lambda: log.append(f"run {name}")

        return prepare

    taken = interleaved({"a": rival("a"), "b": rival("b")}, turns=4)
    assert set(taken) == {"a", "b"}
    assert log.count("run a") == log.count("run b") == 4 + 3
    assert all(log[i].replace("prepare", "run") == log[i + 1] for i in range(0, len(log), 2))
    assert {log[-2], log[-4]} == {"prepare a", "prepare b"}


def test_percentiles() -> None:
    values = [float(i) for i in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)


def test_a_table_is_shown_and_written() -> None:
    table = Table("t", "Title", ("what", "ms"), (("short", 1.234), ("a longer one", None)), ("a note",))
    assert render(table).splitlines() == [
        "Title",
        "",
        "what            ms",
        "------------  ----",
        "short         1.23",
        "a longer one     -",
        "  a note",
    ]
    assert json.loads(json.dumps(table.as_json()))["rows"] == [
        {"what": "short", "ms": 1.234},
        {"what": "a longer one", "ms": None},
    ]


def test_a_cluster_in_memory_is_charged_machine_by_machine() -> None:
    world = TimedWorld()
    wallet = world.make_wallet()
    world.spent_ms.clear()
    sign(world, wallet, spend(wallet, inputs=2, number=7))
    assert set(world.spent_ms) == {"client", "coord", "node0", "node1", "node2"}
    assert all(ms > 0 for ms in world.spent_ms.values())
