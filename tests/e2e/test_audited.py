"""A whole cluster of real processes with transcripts, one of them killed: what it leaves passes the audit."""

from __future__ import annotations

from pathlib import Path

import pytest
from overheard import Overheard
from spends import STRANGER, payment

from cluster.backup import read_backup
from cluster.local import CLIENT, COORDINATOR

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
        code, found = cluster.judged()
        assert code == 0, found
        checked = {rule["rule"]: rule["checked"] for rule in found["rules"]}  # type: ignore[attr-defined]
        assert checked["N2"] >= 6
        assert checked["N4"] >= 6
        assert cluster.judged("phone")[0] == 3
