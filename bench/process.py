"""What a signer process costs before its first letter: resident memory, and the time until it is ready.

`assent node run` is timed as a whole, from before its start to its ready line, and the key derivation of the same
cost is timed beside it in a process of its own, turn by turn; their difference is the start without the derivation.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.living import made
from bench.table import Cell, Table
from cluster.local import LocalCluster
from cluster.sealed import DEFAULT_COST, MINIMUM_COST, KdfCost

ROOT = Path(__file__).resolve().parent.parent
TURNS = 5
MAX_MIB, MAX_MS = 70, 1500

# Each step loads one floor more; the difference is what that floor costs.
STEPS = (
    ("Python alone", "pass"),
    ("+ curve, frost", "import curve, frost"),
    ("+ taproot", "import curve, frost, taproot"),
    ("+ policy", "import curve, frost, taproot, policy"),
    ("+ a node's runtime", "import curve, frost, taproot, policy, cluster.cli, cluster.runtime"),
)
PROBE = """
import re
print(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
DERIVE = """
import time
from nacl.pwhash import argon2id
started = time.perf_counter()
argon2id.kdf(32, b"a passphrase", bytes(16), opslimit={passes}, memlimit={memory_kib} * 1024)
print((time.perf_counter() - started) * 1000)
"""


def printed(code: str) -> str:
    """What a fresh Python process prints that runs this."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def imported(code: str) -> tuple[float, float]:
    """Milliseconds of wall clock and resident MiB of a process that imports this and ends."""
    started = time.perf_counter()
    resident = int(printed(f"{code}\n{PROBE}")) / 1024
    return (time.perf_counter() - started) * 1000, resident


def derivation_ms(cost: KdfCost) -> float:
    """One key derivation in a fresh process, without that process's own start."""
    return float(printed(DERIVE.format(passes=cost.passes, memory_kib=cost.memory_kib)))


def resident_mib(pid: int) -> float:
    """What a running process holds in memory now."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def started(cluster: LocalCluster, name: str) -> tuple[float, float]:
    """Milliseconds from the start of a party to its ready line, and resident MiB a moment later."""
    began = time.perf_counter()
    cluster.start(name)
    taken = (time.perf_counter() - began) * 1000
    time.sleep(0.3)
    resident = resident_mib(cluster.running[name].pid)
    cluster.stop(name)
    return taken, resident


def run_rows(cost: KdfCost) -> Iterator[tuple[Cell, ...]]:
    """One node, started again and again, with this cost of the key derivation."""
    memory_mib = cost.memory_kib // 1024
    with (
        tempfile.TemporaryDirectory() as folder,
        made(Path(folder) / "cluster", names=("home",), kdf_memory_mib=memory_mib) as cluster,
    ):
        started(cluster, "home")  # warms the files
        runs = [(*started(cluster, "home"), derivation_ms(cost)) for _ in range(TURNS)]
    whole, resident, derived = (median(column) for column in zip(*runs, strict=True))
    without = median(total - derivation for total, _, derivation in runs)
    yield (f"assent node run, {memory_mib} MiB derivation", whole, derived, without, resident)


def tables() -> Iterator[Table]:
    """Memory and time of a node, and after importing each floor."""
    rows: list[tuple[Cell, ...]] = []
    for name, code in STEPS:
        runs = [imported(code) for _ in range(TURNS)]
        rows.append((name, median(ms for ms, _ in runs), None, None, median(mib for _, mib in runs)))
    for cost in (MINIMUM_COST, DEFAULT_COST):
        rows += run_rows(cost)
    yield Table(
        name="process",
        title="A signer process from its start to its ready line (medians of whole processes)",
        columns=("process", "ms", "derivation ms", "ms without it", "MiB resident"),
        rows=tuple(rows),
        notes=(
            f"Bars: under {MAX_MIB} MiB resident after the start, ready in under {MAX_MS} ms without the derivation.",
            "The upper rows are processes that import one floor more, and end.",
        ),
    )
