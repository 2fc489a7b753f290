"""A MuSig2 wallet with a participant that is no node: it commits first and signs last, by files, in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cosigner_process
import pytest
from bitcoin_rules import core_accepts, prevouts
from btclib.tx import Tx
from crash_cluster import profiles

from cluster.backup import read_backup
from cluster.local import CLIENT, COORDINATOR, LocalCluster
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, PublicWallet, WalletPath, build_psbt

pytestmark = pytest.mark.slow

SCRIPT = Path(cosigner_process.__file__)


class Cosigner:
    """The process, by its standard streams."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=SCRIPT.parent.parent,
            env={"PYTHONPATH": str(SCRIPT.parent.parent)},
        )

    def does(self, act: str, source: Path, target: Path) -> None:
        """It reads one file and writes another."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{act} {source} {target}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def end(self) -> None:
        """It ends, and its nonces with it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three nodes and an outside co-signer: each two of the four sign, favourite is the co-signer with home."""
    root = tmp_path_factory.mktemp("cosigner") / "c"
    with LocalCluster(root, profiles(), kdf_memory_mib=19) as made:
        made.create()
        made.accept_roster()
        made.start(COORDINATOR, *made.nodes)
        words = ("--scheme", "musig2", "--cosigner", f"core={cosigner_process.expression()}")
        made.make_wallet("shared", 2, *words, "--favourite", "home,core")
        yield made


@pytest.fixture
def cosigner() -> Iterator[Cosigner]:
    made = Cosigner()
    yield made
    made.end()


def public_of(cluster: LocalCluster) -> PublicWallet:
    file = str(cluster.ask("home", {"do": "backup", "wallet": "shared"})["file"])
    return read_backup(file.encode())[1].public


def payment(cluster: LocalCluster, label: str, psbt_version: int) -> Path:
    """Two coins of the wallet, most of it paid back to it."""
    public = public_of(cluster)
    coins = [
        Coin(OutPoint(tagged_hash("e2e/cosigned", label.encode(), bytes([i])), i), 100_000, WalletPath(0, i))
        for i in range(2)
    ]
    psbt = build_psbt(
        public,
        coins=coins,
        payments=[Payment(public.script(WalletPath(0, 1)), 40_000)],
        fee_sats=1_000,
        change=WalletPath(1, 0),
        psbt_version=psbt_version,
    )
    file = cluster.root / f"{label}.psbt"
    file.write_bytes(psbt)
    return file


def committed(cluster: LocalCluster, cosigner: Cosigner, file: Path, quorum: str = "home,core") -> Path:
    """The outsider's nonces are in the file that comes back."""
    exported, back = (file.with_name(f"{file.stem}.{what}.psbt") for what in ("out", "committed"))
    cluster.run(CLIENT, "psbt", "export", str(file), "--with", quorum, "--out", str(exported)).need()
    cosigner.does("commit", exported, back)
    return back


@pytest.mark.parametrize(
    ("psbt_version", "act", "quorum"),
    [(0, "sign", "home,core"), (2, "sign", "home,core"), (2, "join", "home,core"), (2, "sign", "phone,core")],
)
def test_a_cosigner_signs_by_files_alone(
    cluster: LocalCluster, cosigner: Cosigner, psbt_version: int, act: str, quorum: str
) -> None:
    """By the key path with the favourite node, and by their leaf with another one."""
    node = quorum.partition(",")[0]
    away = [] if node == "home" else [name for name in cluster.nodes if name != node]
    file = payment(cluster, f"both-{psbt_version}-{act}-{node}", psbt_version)
    spent = prevouts(file.read_bytes(), public_of(cluster))
    cluster.stop(*away)  # where they can, nodes sign without the co-signer
    back = committed(cluster, cosigner, file, quorum)
    shown = cluster.run(CLIENT, "psbt", "show", str(back)).need()
    assert [one["nonces"] for one in shown["inputs"]] == [1, 1]  # type: ignore[attr-defined]
    half = cluster.run(CLIENT, "sign", str(back), "--timeout", "60s", passphrase=True).need()
    assert (half["state"], half["waits_for"]) == ("cosigning", ["core"])
    assert half["psbt"] == str(back.with_name(f"{back.stem}.cosign.psbt"))
    for more in ((), ("--out", str(file.with_name(f"{file.stem}.twice.psbt")))):
        again = cluster.run(CLIENT, "sign", str(back), "--timeout", "60s", *more, passphrase=True).need()
        assert (again["request_id"], again["state"]) == (half["request_id"], "cosigning")
        assert Path(str(again["psbt"])).read_bytes() == Path(str(half["psbt"])).read_bytes()
    signed = file.with_name(f"{file.stem}.cosigned.psbt")
    cosigner.does(act, Path(str(half["psbt"])), signed)
    words = ("psbt", "import", str(signed), "--out", str(file.with_name(f"{file.stem}.final.psbt")))
    final = cluster.run(CLIENT, *words, passphrase=True).need()
    transaction = bytes.fromhex(str(final["transaction"]))
    assert core_accepts(transaction, spent)
    witness = Tx.parse(transaction).vin[0].script_witness.stack
    assert len(witness) == (1 if quorum == "home,core" else 3)
    assert cluster.ask(node, {"do": "pending"})["pending"] == []
    cluster.start(*away)


def test_without_it_the_nodes_alone_still_sign(cluster: LocalCluster) -> None:
    file = payment(cluster, "alone", 2)
    done = cluster.run(CLIENT, "sign", str(file), "--timeout", "60s", passphrase=True).need()
    transaction = bytes.fromhex(str(done["transaction"]))
    assert core_accepts(transaction, prevouts(file.read_bytes(), public_of(cluster)))


def test_a_cosigner_that_lost_its_nonces_commits_anew(cluster: LocalCluster, cosigner: Cosigner) -> None:
    """The nodes signed for nonces that are gone: with fresh ones it is a new request, and nothing is used twice."""
    file = payment(cluster, "again", 2)
    first = committed(cluster, cosigner, file)
    half = cluster.run(CLIENT, "sign", str(first), "--timeout", "60s", passphrase=True).need()
    cosigner.end()
    another = Cosigner()
    try:
        exported, back, signed = (file.with_name(f"again.{i}.psbt") for i in range(3))
        cluster.run(
            CLIENT, "psbt", "export", str(half["psbt"]), "--with", "home,core", "--out", str(exported)
        ).need()
        another.does("commit", exported, back)
        more = cluster.run(CLIENT, "sign", str(back), "--timeout", "60s", passphrase=True).need()
        assert more["request_id"] != half["request_id"]
        another.does("sign", Path(str(more["psbt"])), signed)
        target = str(file.with_name("again.final.psbt"))
        stale = cluster.run(CLIENT, "psbt", "import", str(half["psbt"]), "--out", target, passphrase=True)
        assert stale.code == 4, stale
        final = cluster.run(CLIENT, "psbt", "import", str(signed), "--out", target, passphrase=True).need()
    finally:
        another.end()
    transaction = bytes.fromhex(str(final["transaction"]))
    assert core_accepts(transaction, prevouts(file.read_bytes(), public_of(cluster)))
