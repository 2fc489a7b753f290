"""What a signer process costs before its first letter: resident memory, and the time until it is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.table import Cell, Table

ROOT = Path(__file__).resolve().parent.parent
TURNS = 5

# Each step loads one floor more; the difference is what that floor costs.
STEPS = (
    ("Python alone", "pass"),
    ("+ curve, frost", "import curve, frost"),
    ("+ taproot", "import curve, frost, taproot"),
    ("+ policy", "import curve, frost, taproot, policy"),
    ("+ command", "import curve, frost, taproot, policy, cluster.cli"),
)
PROBE = """
import re
print(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def start(code: str) -> tuple[float, float] | None:
    """Milliseconds of wall clock and resident MiB of a process that imports this; None if it cannot."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{PROBE}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    spent = (time.perf_counter() - started) * 1000
    return (spent, int(done.stdout) / 1024) if done.returncode == 0 else None


def tables() -> Iterator[Table]:
    """Memory and time after importing each floor."""
    rows: list[tuple[Cell, ...]] = []
    for name, code in STEPS:
        runs = [run for run in (start(code) for _ in range(TURNS)) if run is not None]
        if runs:
            rows.append((name, median(ms for ms, _ in runs), median(mib for _, mib in runs)))
        else:
            rows.append((name, None, None))
    yield Table(
        name="process",
        title="A process after importing each floor (median of whole processes)",
        columns=("loaded", "ms", "MiB resident"),
        rows=tuple(rows),
        notes=(
            "Bars of a signer process: under 70 MiB after start, ready in under 1500 ms without the KDF.",
        ),
    )
