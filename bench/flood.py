"""What a member that floods the coordinator costs the others: signatures with and without it, turn by turn.

One node of a 2-of-3 is stopped, and a process with its transport key sends letters as fast as it can. Times of quiet
and of flood alternate in one run on one cluster, so that their ratio says something wherever it is measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

from bench.living import living
from bench.table import Table
from cluster.local import LocalCluster
from cluster.party import opened, unseal_seed
from cluster.sealed import passphrase_bytes
from cluster.storage import DataDir

FLOODER = Path(__file__).resolve().parent.parent / "tests" / "flooder.py"
MAD = "offline"
ROUNDS, AT_A_TIME = 3, 200
MAX_RATIO = 2.0


def flooder_words(cluster: LocalCluster, name: str, size: int) -> list[str]:
    """What starts a flood over the line of a stopped node."""
    with opened(DataDir(cluster.datadir(name), "regtest"), "node") as party:
        secret = passphrase_bytes((cluster.root / f"{name}.passphrase").read_text(encoding="utf-8").strip())
        keys = party.keys(unseal_seed(party.place, secret))
        entry = party.need_roster().coordinators[0]
        told = [entry.endpoint, entry.transport.hex(), keys.transport().secret.hex(), str(size)]
    return [sys.executable, str(FLOODER), *told]


@contextmanager
def flood(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """While the block runs, the flood does; it is under way when the block begins."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(10)


def tables() -> Iterator[Table]:
    """One row for each size of letter."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, living(Path(folder) / "cluster") as asker:
        cluster = asker.cluster
        cluster.stop(MAD)
        asker.sign(asker.psbts(5, inputs=1))
        for size in (200, 64 * 1024):
            words = flooder_words(cluster, MAD, size)
            quiet: list[float] = []
            loud: list[float] = []
            for _ in range(ROUNDS):
                quiet += asker.sign(asker.psbts(AT_A_TIME, inputs=1))[0]
                with flood(words):
                    loud += asker.sign(asker.psbts(AT_A_TIME, inputs=1))[0]
            rows.append((f"letters of {size} bytes", mean(quiet), mean(loud), mean(loud) / mean(quiet)))
    yield Table(
        name="flood",
        title="One signature of 2-of-3 while the third node floods the coordinator (means, one input)",
        columns=("flood", "ms without", "ms with", "ratio"),
        rows=tuple(rows),
        notes=(f"Bar: ratio under {MAX_RATIO:.0f}. The flood takes a core of the same machine.",),
    )
