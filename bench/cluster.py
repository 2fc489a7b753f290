"""Latency and throughput of a whole cluster on loopback, against a floor measured in the same run.

Three node processes and a coordinator, made and started by the commands, with durable writes, CURVE and policies that
run every rule and approve. Cluster and floor take turns, piece by piece, so that a busy neighbour meets both.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.crypto import Rivals, deal
from bench.floor import Echo, Floor, Ledger, Seals, crypto_ms, echoing
from bench.living import NODES, THRESHOLD, Asker, living
from bench.measure import percentile
from bench.observed import Commits, Sizes, observed
from bench.table import Cell, Table

N = len(NODES)


@dataclass(frozen=True, slots=True)
class Load:
    """One row: what is asked, how much of it, and in how many pieces."""

    name: str
    inputs: int
    in_flight: int
    count: int
    pieces: int


LOADS = (
    Load("alone, 1 input", 1, 1, 20, 8),
    Load("16 in flight, 1 input", 1, 16, 64, 6),
    Load("alone, 100 inputs", 100, 1, 3, 5),
)


class Row:
    """One load on the cluster and on the floor, piece by piece."""

    def __init__(self, load: Load, asker: Asker, echo: Echo, ledger: Ledger, sizes: Sizes) -> None:
        self.load = load
        self._asker, self._echo, self._ledger = asker, echo, ledger
        self._rivals = Rivals(deal(THRESHOLD, N))
        self._seals = Seals(sizes, t=THRESHOLD, n=N)
        self.floor = Floor()
        self.taken: list[float] = []
        self.rates: list[float] = []
        asker.sign(asker.psbts(3, inputs=load.inputs))
        echo.run(5)

    def piece(self) -> None:
        """Some of the cluster, some of the floor."""
        load = self.load
        taken, rate = self._asker.sign(
            self._asker.psbts(load.count, inputs=load.inputs), in_flight=load.in_flight
        )
        self.taken += taken
        self.rates.append(rate)
        letters = self._echo.run(max(load.count, 10), in_flight=load.in_flight)
        commits = self._ledger.run(10, shared_by=load.in_flight)
        crypto, seals = zip(*(self._crypto_ms() for _ in range(10)), strict=True)
        self.floor.add(letters, commits, crypto, seals)

    def _crypto_ms(self) -> tuple[float, float]:
        """BIP 445 and Ed25519: alone, the nodes work side by side; with many at once, all of it on all cores."""
        signer, closing = crypto_ms(self._rivals, inputs=self.load.inputs)
        client, coordinator, judging, signing = self._seals.run()
        if self.load.in_flight == 1:
            return signer + closing, client + coordinator + judging + signing
        share = self.load.in_flight / min(os.cpu_count() or 1, N + 2)
        seals = client + coordinator + N * judging + THRESHOLD * signing
        return share * (THRESHOLD * signer + closing), share * seals

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The row as it is shown."""
        p50 = median(self.taken)
        return (
            self.load.name,
            p50,
            percentile(self.taken, 0.99),
            median(self.rates),
            *self.floor.parts,
            self.floor.ms,
            p50 / self.floor.ms,
        )


def tables() -> Iterator[Table]:
    """One row a load."""
    paths = {load.inputs: observed(inputs=load.inputs, t=THRESHOLD, n=N) for load in LOADS}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with living(root / "cluster") as asker:
            rows = tuple(_measured(load, asker, root, *paths[load.inputs]).cells for load in LOADS)
    yield Table(
        name="cluster",
        title="A whole 2-of-3 cluster on loopback: from the request to the verified transaction (milliseconds)",
        columns=(
            "load",
            "p50",
            "p99",
            "signed/s",
            "letters",
            "commits",
            "BIP 445",
            "Ed25519",
            "floor",
            "p50/floor",
        ),
        rows=rows,
        notes=(
            "floor: the letters that the client waits for, echoed over the same sockets; the commits in series;",
            "the bare C calls of the path, for the partial signatures and for the letters. Nothing is read or judged.",
            "With 16 in flight, 16 share each commit of the floor, and all cores share the crypto of all 16.",
        ),
    )


def _measured(load: Load, asker: Asker, root: Path, sizes: Sizes, commits: Commits) -> Row:
    ledger = Ledger(root / f"floor-{load.inputs}-{load.in_flight}.sqlite", commits)
    try:
        with echoing(sizes, t=THRESHOLD, n=N) as echo:
            row = Row(load, asker, echo, ledger, sizes)
            for _ in range(load.pieces):
                row.piece()
            return row
    finally:
        ledger.close()
