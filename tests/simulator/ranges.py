"""Ranges of seeds: run in several processes, told in order, and counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from simulator.seeds import run_seed

PROCESSES = 2


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
