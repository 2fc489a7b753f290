"""`make simulate SEEDS=1-1000`: runs seeds in two processes, and stops at the first that is wrong.

The seeds run in order, so that a range that was stopped goes on from the last number shown. `SEEDS=7` runs one.
"""

from __future__ import annotations

import argparse
import sys
import time

from simulator.ranges import Tally, seeds_of, told_of

LINE_EVERY_S = 15.0


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
