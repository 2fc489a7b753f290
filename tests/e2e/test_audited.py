"""A whole cluster of real processes with transcripts, one of them killed: what it leaves passes the audit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from spends import STRANGER, payment

from cluster.backup import read_backup
from cluster.local import CLIENT, COORDINATOR, LocalCluster

pytestmark = pytest.mark.slow

POLICY = f"""\
schema: 1
name: audited
network: regtest
lists:
  payees: ["script:{STRANGER.hex()}"]
limits:
  amount: {{sent: 90_000sat}}
  velocity: [{{window: 24h, sum: 300_000sat}}]
  fee: {{max: 5_000sat, max_share: unlimited}}
tiers:
  - {{name: payees, when: {{pays_only: [payees, own]}}, then: approve}}
"""


class Overheard(LocalCluster):
    """A cluster whose processes write transcripts."""

    def words(self, name: str, *words: str, passphrase: bool = False) -> list[str]:
        typed = super().words(name, *words, passphrase=passphrase)
        return [*typed, "--transcript", str(self.transcript(name))] if words[-1] == "run" else typed

    def transcript(self, name: str) -> Path:
        return self.root / f"{name}.transcript"

    def audit(self, *without: str) -> tuple[int, dict[str, object]]:
        parties = [name for name in (*self.nodes, COORDINATOR) if name not in without]
        files = [str(self.datadir(name) / "regtest") for name in parties]
        files += [str(self.transcript(name)) for name in parties]
        typed = [*self.program(CLIENT), "audit", "--json", *files]
        done = subprocess.run(typed, capture_output=True, timeout=60, check=False)
        return done.returncode, json.loads(done.stdout)


def test_real_processes_leave_a_run_that_passes(tmp_path: Path) -> None:
    profiles = dict.fromkeys(("home", "phone", "offline"), POLICY)
    with Overheard(tmp_path / "c", profiles, kdf_memory_mib=19) as cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, *cluster.nodes)
        cluster.make_wallet("vault", 2)
        _, wallet = read_backup((cluster.root / "home.vault.json").read_bytes())[:2]
        for label in ("one", "two", "three"):
            file = tmp_path / f"{label}.psbt"
            file.write_bytes(payment(wallet, script=STRANGER, label=label))
            cluster.run(CLIENT, "sign", str(file), "--timeout", "60s", passphrase=True).need()
            if label == "one":
                cluster.stop("phone", kill=True)
                cluster.start("phone")
        cluster.close()
        code, found = cluster.audit()
        assert code == 0, found
        checked = {rule["rule"]: rule["checked"] for rule in found["rules"]}  # type: ignore[attr-defined]
        assert checked["N2"] >= 6
        assert checked["N4"] >= 6
        assert cluster.audit("phone")[0] == 3
