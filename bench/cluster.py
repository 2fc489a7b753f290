"""Latency and throughput of a whole cluster on loopback, against a floor measured in the same run."""

from __future__ import annotations

from collections.abc import Iterator

from bench.table import Table


def tables() -> Iterator[Table]:
    """Nothing yet: the command has to be there first."""
    yield Table(
        name="cluster",
        title="A whole cluster on loopback",
        columns=("what", "p50 ms", "p99 ms", "floor ms", "ratio", "signatures/s"),
        rows=(),
        notes=("Not measured yet.",),
    )
