"""Measuring turn by turn: the rivals of one row take turns, again and again, and medians are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def interleaved(rivals: Mapping[str, Callable[[], Callable[[], object]]], *, turns: int) -> dict[str, float]:
    """The median CPU time of each rival, in microseconds.

    A rival is a function that prepares one turn (not timed) and returns what is timed. In every turn each
    rival runs once, in rotating order, so that a change of clock speed or a busy neighbour meets all alike.
    """
    names = list(rivals)
    taken: dict[str, list[int]] = {name: [] for name in names}
    for turn in range(-max(3, turns // 20), turns):  # the first few warm up
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            timed = rivals[name]()
            started = time.thread_time_ns()
            timed()
            spent = time.thread_time_ns() - started
            if turn >= 0:
                taken[name].append(spent)
    return {name: median(values) / 1000 for name, values in taken.items()}


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of all values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
