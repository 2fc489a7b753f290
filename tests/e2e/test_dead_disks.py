"""Real nodes with state stores: a disk dies and comes back, an old disk does not, and a store dies unmourned."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from crash_cluster import PROFILE
from vss_double import VssDouble, vss_double

from cluster.local import CLIENT, COORDINATOR, Done, LocalCluster
from cluster.party import unseal_seed
from cluster.records import Record
from cluster.storage import DataDir, Store
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, PublicWallet, WalletPath, build_psbt

pytestmark = pytest.mark.slow
NETWORK = "regtest"
WALLET = "savings"
UNLIMITED = "velocity: unlimited"
LIMITED = "velocity: [{window: 24h, sum: 100btc, count: 4_000}]"


class Stored(LocalCluster):
    """Three nodes: home keeps its state in a directory, phone at a VSS server, offline nowhere."""

    def with_store(self, name: str, *lines: str) -> None:
        file = self.place(name).config_file
        file.write_text(file.read_text() + "state_store:\n" + "".join(f"  {line}\n" for line in lines))

    def with_anchor(self, name: str) -> None:
        """So that a node of a 2-of-3 starts with only one of the others there."""
        file = self.place(name).config_file
        file.write_text(file.read_text() + f"anchor: {self.root / name}.anchor\n")

    def place(self, name: str) -> DataDir:
        return DataDir(self.datadir(name), NETWORK)

    def passphrase(self, name: str) -> bytes:
        return (self.root / f"{name}.passphrase").read_bytes().strip()

    def words_file(self, name: str) -> Path:
        file = self.root / f"{name}.words"
        file.write_text(" ".join(unseal_seed(self.place(name), self.passphrase(name)).words()))
        file.chmod(0o600)
        return file

    def in_step(self, name: str) -> Mapping[str, object]:
        return self.store_is(name, behind=0)

    def store_is(self, name: str, **wanted: object) -> Mapping[str, object]:
        end = time.monotonic() + 20
        while True:
            store = self.ask(name, {"do": "status"})["state_store"]
            assert isinstance(store, dict)
            if all(store[key] == value for key, value in wanted.items()):
                return store
            assert time.monotonic() < end, store
            time.sleep(0.05)

    def brought_back(self, name: str, where: str) -> Mapping[str, object]:
        """The node's disk is lost; what `assent recover --from-store` says of the new one."""
        words = self.words_file(name)
        shutil.rmtree(self.datadir(name))
        typed = ("recover", "--from-store", where, "--words-file", str(words), "--kdf-memory", "19")
        return self.run(name, *typed, passphrase=True).need()

    def heads_are(self, name: str, **wanted: object) -> Mapping[str, object]:
        end = time.monotonic() + 30
        while True:
            heads = self.ask(name, {"do": "status"})["heads"]
            assert isinstance(heads, dict)
            if all(heads[key] == value for key, value in wanted.items()):
                return heads
            assert time.monotonic() < end, heads
            time.sleep(0.05)

    def quarantine_of(self, name: str) -> dict[str, int]:
        end = time.monotonic() + 30
        while True:
            heads = self.heads_are(name)
            found = heads["quarantine"]
            if isinstance(found, dict):
                return found
            assert time.monotonic() < end, heads
            time.sleep(0.05)

    def pay(self, label: str) -> Done:
        from cluster.backup import read_backup

        file = str(self.ask(COORDINATOR, {"do": "backup", "wallet": WALLET})["file"])
        public: PublicWallet = read_backup(file.encode())[1].public
        coin = Coin(OutPoint(tagged_hash("e2e/coin", label.encode()), 0), 100_000, WalletPath(0, 0))
        pay = Payment(public.script(WalletPath(0, 1)), 40_000)
        psbt = build_psbt(public, coins=[coin], payments=[pay], fee_sats=1_000, change=WalletPath(1, 0))
        target = self.root / f"{label}.psbt"
        target.write_bytes(psbt)
        return self.run(CLIENT, "sign", str(target), "--wallet", WALLET, "--timeout", "30s", passphrase=True)

    def refuses_to_start(self, name: str) -> tuple[int, str]:
        typed = self.words(name, "node", "run", passphrase=True)
        done = subprocess.run(typed, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stderr.decode()

    def records(self, name: str) -> list[Record]:
        with Store.open(self.place(name).database) as store:
            return list(store.read())


@pytest.fixture(scope="module")
def double() -> Iterator[VssDouble]:
    with vss_double() as one:
        yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, double: VssDouble) -> Iterator[Stored]:
    text = {name: PROFILE.format(name=name, then="approve") for name in ("home", "phone", "offline")}
    text["home"] = text["home"].replace(LIMITED, UNLIMITED)
    assert UNLIMITED in text["home"]
    with Stored(tmp_path_factory.mktemp("stored") / "cluster", text, kdf_memory_mib=19) as made:
        made.create()
        (made.root / "store").mkdir()
        made.with_store("home", f"path: {made.root / 'store'}")
        made.with_store("phone", "kind: vss", f"url: {double.url}")
        for name in made.nodes:
            made.with_anchor(name)
        made.accept_roster()
        made.start(COORDINATOR, *made.nodes)
        made.make_wallet(WALLET, 2)
        for name in made.nodes:
            made.heads_are(name, settled=True)
        made.pay("first").need()
        yield made


@pytest.fixture
def cluster(made: Stored) -> Stored:
    """All of it running, whatever the test before left."""
    made.start(*(name for name in (COORDINATOR, *made.nodes) if name not in made.running))
    for name in made.nodes:
        made.heads_are(name, settled=True)
    return made


def test_a_dead_disk_comes_back_from_either_store(cluster: Stored, double: VssDouble) -> None:
    cluster.run("phone", "freeze").need()
    before = {name: cluster.run(name, "policy", "show").need() for name in ("home", "phone")}
    heads = {name: cluster.in_step(name)["confirmed"] for name in before}
    cluster.stop("home", "phone", kill=True)
    for name, where in (("home", str(cluster.root / "store")), ("phone", double.url)):
        old = cluster.records(name)
        facts = cluster.brought_back(name, where)
        assert (facts["name"], facts["wallets"], facts["records"]) == (name, [WALLET], heads[name])
        assert cluster.records(name) == old
        checked = cluster.run(name, "store", "check", passphrase=True).need()
        assert (checked["good"], checked["behind"], checked["compared_with"]) == (True, 0, "disk")
    cluster.start("home", "phone")
    for name in heads:
        assert cluster.run(name, "policy", "show").need() == before[name]
        cluster.heads_are(name, settled=True, lineage=0)
        cluster.in_step(name)
    wallets = cluster.ask("phone", {"do": "wallets"})["wallets"]
    assert isinstance(wallets, list)
    assert [(one["stage"], bool(one["frozen"])) for one in wallets] == [("complete", True)]
    # Its peers have vouched, so phone knows what it has spent, and its budget is not used up.
    cluster.stop("offline")
    cluster.run("phone", "thaw", "--yes", passphrase=True).need()
    cluster.pay("second").need()


def test_a_store_that_lags_brings_back_a_node_that_its_peers_quarantine(
    cluster: Stored, double: VssDouble
) -> None:
    cluster.heads_are("phone", settled=True)
    cluster.in_step("phone")
    double.answer = lambda path, body: (503, b"")
    cluster.stop("offline")
    cluster.pay("third").need()
    cluster.start("offline")
    store = cluster.store_is("phone", state="following")
    assert store["trouble"]
    assert store["behind"] != 0
    time.sleep(6)  # it tells its peers where it stands
    cluster.stop("phone", kill=True)
    double.answer = lambda path, body: None
    cluster.brought_back("phone", double.url)
    cluster.start("phone")
    quarantine = cluster.quarantine_of("phone")
    # As far as it had come, or beyond: a start adds a record, and at the same height it is another one.
    assert quarantine["records_seen"] >= quarantine["records_here"]
    cluster.run("phone", "quarantine", "end", "--yes", passphrase=True).need()
    assert cluster.heads_are("phone", settled=True)["lineage"] != 0
    cluster.in_step("phone")
    # What was signed meanwhile is not known here: the budget counts as used up, and home alone is no quorum.
    cluster.stop("offline")
    refused = cluster.pay("fourth")
    assert refused.code != 0
    assert "policy-velocity" in str(refused.facts) + refused.talk


def test_a_store_that_dies_stops_no_signature_and_is_written_anew(cluster: Stored) -> None:
    cluster.in_step("home")
    cluster.stop("phone")
    shutil.rmtree(cluster.root / "store")
    cluster.pay("sixth").need()
    store = cluster.store_is("home", state="following")
    assert store["behind"] != 0
    (cluster.root / "store").mkdir()
    cluster.pay("seventh").need()
    finding = cluster.store_is("home", state="halted")["finding"]
    assert isinstance(finding, dict)
    assert finding["code"] == "store-empty"
    cluster.pay("eighth").need()
    shown = subprocess.run(cluster.words("home", "status"), capture_output=True, text=True, check=True).stdout
    assert "NOT FOLLOWED: store-empty" in shown
    cluster.stop("home")
    code, said = cluster.refuses_to_start("home")
    assert (code, "store-empty" in said) == (3, True)
    renewed = cluster.run("home", "store", "renew", "--yes", passphrase=True).need()
    assert renewed["records"] == len(cluster.records("home"))
    cluster.start("home")
    cluster.in_step("home")
    running = cluster.run("home", "store", "check", passphrase=True).need()
    assert (running["good"], running["compared_with"]) == (True, "note")
    shown_facts = cluster.run("home", "store", "show", passphrase=True).need()
    assert (shown_facts["kind"], shown_facts["foreign_objects"]) == ("directory", 0)


def test_an_old_disk_beside_its_store_never_starts(cluster: Stored, tmp_path: Path) -> None:
    cluster.in_step("home")
    cluster.stop("home")
    shutil.copytree(cluster.datadir("home"), tmp_path / "old")
    cluster.start("home")
    cluster.heads_are("home", settled=True)
    cluster.pay("fifth").need()
    cluster.in_step("home")
    cluster.stop("home")
    shutil.rmtree(cluster.datadir("home"))
    shutil.copytree(tmp_path / "old", cluster.datadir("home"))
    code, said = cluster.refuses_to_start("home")
    assert code == 3
    assert "store-ahead: state store" in said
    assert "Traceback" not in said
    checked = cluster.run("home", "store", "check", passphrase=True)
    assert (checked.code, checked.facts["finding"]["code"]) == (3, "store-ahead")  # type: ignore[index]
    refused = cluster.run("home", "store", "renew", "--yes", passphrase=True)
    assert (refused.code, "store-ahead" in refused.talk) == (3, True)
