"""`assent demo --json`, run once as a person would, and everything it says checked by somebody else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pbk
import pytest
import wallycore
from bitcoin_rules import core_accepts

from cluster.demo import FRIEND, PAID_SATS, STRANGER
from cluster.local import CLIENT, COORDINATOR, LocalCluster
from cluster.party import unseal_seed
from cluster.regtest import RegtestChain
from cluster.storage import DataDir
from curve import schnorr_verify
from taproot import Network, PublicWallet, address_to_script, read_spend, signing_tasks

pytestmark = pytest.mark.slow

NODES = ("home", "phone", "offline")
FUNDED_SATS = 5_000_000_000


@dataclass
class Ran:
    """One run of the demo: its facts, and what it said to the person."""

    root: Path
    facts: dict[str, Any]
    out: str
    talk: str

    @property
    def transaction(self) -> bytes:
        return bytes.fromhex(self.facts["transaction"])

    @property
    def script(self) -> bytes:
        """What the wallet's first address pays to."""
        return address_to_script(self.facts["address"], Network.REGTEST)

    def place(self, name: str) -> DataDir:
        return DataDir(self.root / name, "regtest")


def demo(root: Path) -> subprocess.CompletedProcess[str]:
    program = LocalCluster(root, {}).program("demo")
    typed = [*program, "demo", "--json", "--dir", str(root)]
    return subprocess.run(
        typed, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL, check=False
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    root = tmp_path_factory.mktemp("demo") / "cluster"
    done = demo(root)
    assert done.returncode == 0, done.stderr
    return Ran(root, json.loads(done.stdout), done.stdout, done.stderr)


def test_its_json_is_one_object_with_these_names(ran: Ran) -> None:
    assert ran.out.count("\n") == 1
    assert set(ran.facts) == {
        "descriptor",
        "address",
        "roster_words",
        "txid",
        "transaction",
        "signature",
        "verdicts",
        "block",
        "refused",
        "seconds",
        "files",
    }
    assert len(ran.facts["roster_words"]) == 12
    assert ran.facts["files"] == str(ran.root)


def test_the_descriptor_gives_the_address_by_another_library(ran: Ran) -> None:
    parsed = wallycore.descriptor_parse(
        ran.facts["descriptor"], None, wallycore.WALLY_NETWORK_BITCOIN_REGTEST, 0
    )
    assert wallycore.descriptor_to_address(parsed, 0, 0, 0, 0) == ran.facts["address"]


def test_bitcoin_core_accepts_the_transaction_and_its_block(ran: Ran) -> None:
    spent = [(ran.script, FUNDED_SATS)]
    assert core_accepts(ran.transaction, spent)
    flipped = bytearray(ran.transaction)
    flipped[-30] ^= 1
    assert not core_accepts(bytes(flipped), spent)
    assert bytes(pbk.Transaction(ran.transaction).txid)[::-1].hex() == ran.facts["txid"]
    with RegtestChain(ran.root / "chain") as chain:
        assert chain.height == ran.facts["block"]["height"]
        assert chain.tip_hex == ran.facts["block"]["hash"]
        assert chain.transactions(chain.height)[1:] == (ran.transaction,)


def test_the_signature_is_bip_340_for_the_output_key_and_this_spend(ran: Ran) -> None:
    signature = bytes.fromhex(ran.facts["signature"])
    read: Any = wallycore.tx_from_bytes(ran.transaction, wallycore.WALLY_TX_FLAG_USE_WITNESS)
    assert bytes(wallycore.tx_get_input_witness(read, 0, 0)) == signature
    psbt = (ran.root / "pay-a-friend.psbt").read_bytes()
    wallet = wallet_of(ran)
    spend = read_spend(psbt, wallet)
    (task,) = signing_tasks(psbt, spend, wallet)
    assert schnorr_verify(ran.script[2:], task.sighash, signature)
    paid = {output.script_pubkey: output.amount_sats for output in spend.outputs}
    assert paid[address_to_script(FRIEND, Network.REGTEST)] == PAID_SATS


def wallet_of(ran: Ran) -> PublicWallet:
    """The public wallet, from the extended key in the descriptor alone."""
    xpub = wallycore.base58check_to_bytes(
        re.search(r"tpub\w+", ran.facts["descriptor"])[0]  # type: ignore[index]
    )
    return PublicWallet.of_key(Network.REGTEST, bytes(xpub[45:78]), bytes(xpub[13:45]))


def test_every_node_says_what_it_thinks_and_all_refuse_the_theft(ran: Ran) -> None:
    paid = {verdict["node"]: verdict for verdict in ran.facts["verdicts"]}
    assert {name: verdict["decision"] for name, verdict in paid.items()} == {
        "home": "approve",
        "phone": "approve",
        "offline": "ask",
    }
    refused = ran.facts["refused"]
    assert refused["exit_code"] == 4
    assert {verdict["node"] for verdict in refused["verdicts"]} == set(NODES)
    for verdict in refused["verdicts"]:
        assert verdict["decision"] == "refuse"
        assert any(reason.startswith("policy-amount-sent: ") for reason in verdict["reasons"])
        assert any(STRANGER in reason for reason in verdict["reasons"])
    assert (ran.root / "pay-a-friend.signed.psbt").exists()
    assert not (ran.root / "pay-a-stranger.signed.psbt").exists()


def test_a_person_sees_numbered_steps_and_where_to_go(ran: Ran) -> None:
    steps = re.findall(r"^\[(\d)/(\d)\] ", ran.talk, re.MULTILINE)
    assert steps == [(str(step), "8") for step in range(1, 9)]
    end = ran.talk[ran.talk.index("[8/8]") :]
    assert str(ran.root) in end
    assert "Try next:" in end
    assert ran.facts["txid"] in ran.talk
    for name in NODES:
        assert f"{name}: refuse" in end
    assert ran.facts["seconds"] < 240


def test_what_it_says_to_try_next_works(ran: Ran) -> None:
    (typed,) = re.findall(r"^  assent (descriptor .*)$", ran.talk, re.MULTILINE)
    program = LocalCluster(ran.root, {}).program("demo")
    done = subprocess.run([*program, *typed.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ran.facts["descriptor"]), done.stderr


def test_it_says_no_secret_and_leaves_no_process(ran: Ran) -> None:
    said = ran.out + ran.talk
    logs = "".join(path.read_text() for path in ran.root.glob("*.log"))
    for name in (*NODES, COORDINATOR, CLIENT):
        passphrase = (ran.root / f"{name}.passphrase").read_bytes().strip()
        seed = unseal_seed(ran.place(name), passphrase)
        for text in (said, logs):
            assert passphrase.decode() not in text
            assert seed.expose().hex() not in text
            assert not any(" ".join(run) in text for run in runs_of(seed.words(), 3))
        assert not ran.place(name).control_socket.exists()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(ran.root).encode() not in process.read_bytes()
        except FileNotFoundError:
            continue  # it ended meanwhile


def runs_of(words: Sequence[str], length: int) -> list[Sequence[str]]:
    return [words[start : start + length] for start in range(len(words) - length + 1)]


def test_a_directory_that_exists_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = demo(tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"assent: --dir {tmp_path}: this exists already; name a directory that does not"
    ]
    assert json.loads(done.stdout)["error"]["exit_code"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
