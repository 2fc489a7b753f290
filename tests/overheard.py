"""A cluster of real processes that write transcripts, and what `assent audit` says of the files they leave."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from cluster.local import CLIENT, COORDINATOR, LocalCluster


class Overheard(LocalCluster):
    """A cluster whose processes write transcripts."""

    def words(self, name: str, *words: str, passphrase: bool = False) -> list[str]:
        """What a person types who wants a run audited."""
        typed = super().words(name, *words, passphrase=passphrase)
        return [*typed, "--transcript", str(self.transcript(name))] if words[-1] == "run" else typed

    def transcript(self, name: str) -> Path:
        """Where a party's transcript is."""
        return self.root / f"{name}.transcript"

    def judged(self, *without: str) -> tuple[int, dict[str, object]]:
        """The exit code and the answer of `assent audit` over everybody's files, or all but these."""
        parties = [name for name in (*self.nodes, COORDINATOR, *self.spares) if name not in without]
        files = [str(self.datadir(name) / "regtest") for name in parties]
        files += [str(self.transcript(name)) for name in parties if self.transcript(name).exists()]
        typed = [*self.program(CLIENT), "audit", "--json", *files]
        done = subprocess.run(typed, capture_output=True, timeout=300, check=False)
        return done.returncode, json.loads(done.stdout)
