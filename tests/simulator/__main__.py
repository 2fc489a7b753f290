"""`make simulate SEEDS=1-1000`: runs seeds in two processes, and stops at the first that is wrong.

The seeds run in order, so that a range that was stopped goes on from the last number shown. `SEEDS=7` runs one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from simulator.seeds import run_seed

PROCESSES = 2
LINE_EVERY_S = 5.0


@dataclass(frozen=True)
class Told:
    """What a process tells of a seed it ran."""

    seed: int
    faulty: str
    requests: int
    finals: int
    faults: Counter[str]
    seconds: float


@dataclass
class Tally:
    """How far a range is."""

    seeds: int = 0
    requests: int = 0
    finals: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, told: Told) -> None:
        self.seeds += 1
        self.requests += told.requests
        self.finals += told.finals
        self.seconds += told.seconds
        self.faults += told.faults

    @property
    def line(self) -> str:
        return (
            f"{self.seeds:_} seeds, {self.requests:_} requests, {self.finals:_} signed, "
            f"{self.faults.total():_} faults, {self.seconds / max(1, self.seeds):.2f} s of CPU a seed"
        )


def seeds_of(text: str) -> range:
    """`7` or `1-1000`."""
    first, _, last = text.partition("-")
    found = range(int(first), int(last or first) + 1)
    if not found or found.start < 0:
        raise ValueError("no seeds")
    return found


def tell(seed: int) -> Told:
    """Run one seed."""
    began = time.process_time()
    try:
        outcome = run_seed(seed)
    except Exception as error:  # a machine that falls over is a violation like any other
        return Told(seed, f"it fell over: {type(error).__name__}: {error}", 0, 0, Counter(), 0.0)
    spent = time.process_time() - began
    return Told(seed, outcome.faulty, outcome.requests, outcome.finals, outcome.faults, spent)


def told_of(seeds: Iterable[int], processes: int = PROCESSES) -> Iterator[Told]:
    """What came of each seed, in order."""
    with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
        try:
            yield from pool.map(tell, seeds, chunksize=2)
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> int:
    """Run a range; 1 at the first violation."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seeds", type=seeds_of, help="7 or 1-1000")
    seeds = parser.parse_args().seeds
    tally, shown_at = Tally(), time.monotonic()
    for told in told_of(seeds):
        if told.faulty:
            print(f"seed {told.seed} violates: {told.faulty}", flush=True)
            print(f"replay it with: make simulate SEEDS={told.seed}", flush=True)
            return 1
        tally.add(told)
        if time.monotonic() - shown_at >= LINE_EVERY_S:
            shown_at = time.monotonic()
            print(f"up to seed {told.seed}: {tally.line}", flush=True)
    print(f"seeds {seeds.start}-{seeds.stop - 1}: no violation; {tally.line}")
    print(", ".join(f"{kind} {count:_}" for kind, count in sorted(tally.faults.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
