"""Bad days with real processes: a disk dies, a person freezes, every disk burns, and two word sheets are enough."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from bitcoin_rules import core_accepts
from spends import STRANGER, payment

from cluster.backup import qr_parts, read_backup
from cluster.local import CLIENT, COORDINATOR, NETWORK, Done, LocalCluster
from cluster.party import unseal_seed
from cluster.storage import Anchor, DataDir
from taproot import Network, WalletPath, address_to_script

pytestmark = pytest.mark.slow

PLACE = "bcrt1qsf800p6p285u338hc0yzr589mftr5s9m9wknx2"
POLICY = f"""\
schema: 1
name: home
network: regtest
lists:
  payees: ["script:{STRANGER.hex()}"]
limits:
  amount: {{sent: 90_000sat}}
  velocity: [{{window: 24h, sum: 100_000sat}}]
  fee: {{max: 5_000sat, max_share: unlimited}}
tiers:
  - name: small
    when: {{pays_only: [payees, own]}}
    then: approve
rescue: {{to: {PLACE}, fee: 50_000sat}}
"""
NODES = ("home", "phone", "offline")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def words_of(cluster: LocalCluster, name: str) -> str:
    """The sheet that the owner wrote."""
    place = DataDir(cluster.datadir(name), NETWORK)
    return " ".join(unseal_seed(place, f"the passphrase of {name}".encode()).words())


def read_anchor(cluster: LocalCluster, name: str, file: Path) -> tuple[int, int]:
    """How far, and in which lineage, a node's anchor vouches for its records."""
    seed = unseal_seed(DataDir(cluster.datadir(name), NETWORK), f"the passphrase of {name}".encode())
    found = Anchor(file, seed.keys(NETWORK).anchor_key()).read()
    assert found.head is not None, found.fault
    return found.head.height, found.lineage


def scan(wallet_json: Path, file: Path) -> list[tuple[bytes, int]]:
    """What Bitcoin Core's scantxoutset would print of two coins of the wallet, and what they are."""
    _, wallet = read_backup(wallet_json.read_bytes())
    coins = [
        (wallet.public.script(WalletPath(0, 3)), 250_000),
        (wallet.public.script(WalletPath(1, 0)), 50_000),
    ]
    unspents = [
        {
            "txid": bytes([i + 1]).hex() * 32, "vout": i, "scriptPubKey": script.hex(),
            "amount": sats / 100_000_000, "height": 100 + i, "desc": "tr(...)",
        }
        for i, (script, sats) in enumerate(coins)
    ]  # fmt: skip
    file.write_text(
        json.dumps({"success": True, "unspents": unspents, "total_amount": 0.003}), encoding="utf-8"
    )
    return coins


def frozen(cluster: LocalCluster, name: str) -> str:
    wallets = cluster.ask(name, {"do": "status"})["wallets"]
    assert isinstance(wallets, list)
    return str(wallets[0]["frozen"])


def approve_rescue(cluster: LocalCluster, *names: str, code: int = 0) -> None:
    """Each owner looks at what waits, and says yes; the command ends with this code."""
    for name in names:
        for _ in range(200):
            found = [entry for entry in cluster.pending(name) if entry["kind"] == "request"]
            if found:
                break
            time.sleep(0.1)
        assert found, (cluster.root / f"{name}.log").read_text(encoding="utf-8")[-2_000:]
        assert found[0]["sent_sats"] == 300_000 - int(str(found[0]["fee_sats"]))
        done = cluster.run(name, "approve", str(found[0]["id"]), "--yes", passphrase=True)
        assert done.code == code, done


def test_a_person_freezes_every_disk_burns_and_two_sheets_rescue_everything(tmp_path: Path) -> None:
    cluster = LocalCluster(
        tmp_path / "c", dict.fromkeys(NODES, POLICY), kdf_memory_mib=19, people={"eva": ("security",)}
    )
    with cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, *NODES)
        cluster.make_wallet("vault", 2)
        backup_file = tmp_path / "printed.txt"
        backup, wallet = read_backup((cluster.root / "home.vault.json").read_bytes())
        backup_file.write_text("\n".join(qr_parts(backup)), encoding="utf-8")
        coins = scan(cluster.root / "home.vault.json", tmp_path / "scan.json")
        drilled(cluster, backup_file)
        person_freezes(cluster, tmp_path, payment(wallet, script=STRANGER))
        rescued_by_a_client(cluster, tmp_path)
        sheets = {name: words_of(cluster, name) for name in ("home", "offline")}
    shutil.rmtree(cluster.root)
    transaction = rescued(tmp_path, sheets, backup_file)
    assert core_accepts(transaction, coins)
    assert address_to_script(PLACE, Network.REGTEST) in transaction


def drilled(cluster: LocalCluster, backup_file: Path) -> None:
    """Every share signs and the printed copy fits; then a node is away, and the drill says which."""
    before = cluster.run(CLIENT, "status", passphrase=True).need()["wallets"]
    assert isinstance(before, list)
    assert before[0]["drill_due"]
    done = cluster.run(CLIENT, "drill", "--backup", str(backup_file), passphrase=True)
    assert done.code == 0, done
    assert done.facts["nodes"] == dict.fromkeys(NODES, "signs")
    after = cluster.run(CLIENT, "status", passphrase=True).need()["wallets"]
    assert isinstance(after, list)
    assert not after[0]["drill_due"]
    node = cluster.ask("offline", {"do": "status"})["wallets"]
    assert isinstance(node, list)
    assert not node[0]["drill_due"]
    cluster.stop("phone")
    short = cluster.run(CLIENT, "drill", passphrase=True)
    assert short.code == 6
    assert "phone: NO ANSWER" in short.talk
    cluster.start("phone")


def person_freezes(cluster: LocalCluster, tmp_path: Path, psbt: bytes) -> None:
    done = cluster.run("eva", "freeze", "--for", "2d", passphrase=True)
    assert done.code == 0, done
    assert "home: frozen, 48h00min left" in done.talk
    assert "eva froze it" in frozen(cluster, "phone")
    file = tmp_path / "wages.psbt"
    file.write_bytes(psbt)
    refused = cluster.run(CLIENT, "sign", str(file), "--timeout", "30s", passphrase=True)
    assert refused.code == 4
    assert "policy-frozen" in refused.talk
    thaw = cluster.run("home", "thaw", "--yes", passphrase=True)
    assert thaw.code == 3
    assert "nobody can end that" in thaw.talk + str(thaw.facts)
    everywhere = cluster.run("phone", "freeze", "--everywhere", passphrase=True)
    assert everywhere.code == 0, everywhere
    assert "offline: frozen, 72h00min left" in everywhere.talk


def rescued_by_a_client(cluster: LocalCluster, tmp_path: Path) -> None:
    """While all of it is frozen, the client and two owners can still send everything to the rescue, and only there."""
    words = ("rescue", "--coins", str(tmp_path / "scan.json"), "--fee-rate", "2sat/vB")
    nowhere = cluster.run(CLIENT, *words, passphrase=True)
    assert nowhere.code == 2
    assert "--to" in str(nowhere.facts)
    other = cluster.run(
        CLIENT, *words, "--to", f"script:{STRANGER.hex()}", "--timeout", "20s", passphrase=True
    )
    assert other.code == 4, other
    asking = cluster.begin(CLIENT, *words, "--to", PLACE, "--timeout", "60s")
    approve_rescue(cluster, "home", "offline")
    done = cluster.finish(asking)
    assert done.code == 0, done


def rescued(tmp_path: Path, sheets: Mapping[str, str], backup_file: Path) -> bytes:
    """Two nodes from their sheets and the printed backup, on new machines; the finished transaction."""
    names = tuple(sheets)
    new = LocalCluster(tmp_path / "new", dict.fromkeys(names, POLICY), kdf_memory_mib=19)
    new.root.mkdir()
    with new:
        for name in names:
            (new.root / f"{name}.passphrase").write_text("another\n", encoding="utf-8")
            sheet = new.root / f"{name}.words"
            sheet.write_text(sheets[name], encoding="utf-8")
            for private in (sheet, new.root / f"{name}.passphrase"):
                private.chmod(0o600)
            new.run(
                name, "recover", "--network", NETWORK, "--backup", str(backup_file), "--name", name, "--yes",
                "--words-file", str(sheet), "--kdf-memory", "19", passphrase=True,
            ).need()  # fmt: skip
        where = f"tcp://127.0.0.1:{free_port()}"
        new.start(*names, more=("--rescue", f"home={where}"))
        for name in names:
            profile = new.root / f"{name}.yaml"
            profile.write_text(POLICY, encoding="utf-8")
            new.run(name, "policy", "set", str(profile), passphrase=True).need()
            # Of a 2-of-3 one peer is left, and two would have to vouch for what is lost: the owner does.
            new.run(name, "quarantine", "end", "--yes", passphrase=True).need()
        asking = new.begin(
            "home", "rescue", "--coins", str(tmp_path / "scan.json"), "--fee-rate", "5sat/vB",
            "--listen", where, "--timeout", "90s",
        )  # fmt: skip
        approve_rescue(new, *names)
        done = new.finish(asking)
        assert done.code == 0, done
        assert (done.facts["coins"], done.facts["left"]) == (2, 0)
        return bytes.fromhex(str(done.facts["transaction"]))


def test_a_person_says_yes_to_a_rescue_that_a_node_gathers(tmp_path: Path) -> None:
    asks = POLICY.replace("50_000sat}", "50_000sat, then: {ask: {owner: true, people: {treasurer: 1}}}}")
    people = {"ann": ("treasurer",)}
    with LocalCluster(
        tmp_path / "c", dict.fromkeys(NODES, asks), kdf_memory_mib=19, people=people
    ) as cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, *NODES)
        cluster.make_wallet("vault", 2)
        coins = scan(cluster.root / "home.vault.json", tmp_path / "scan.json")
        cluster.run("ann", "requests", passphrase=True).need()  # from here on her device knows the wallet
        for name in (COORDINATOR, *NODES):
            cluster.stop(name)
        where = f"tcp://127.0.0.1:{free_port()}"
        cluster.start(*NODES, more=("--rescue", f"home={where}"))
        asking = cluster.begin(
            "home", "rescue", "--coins", str(tmp_path / "scan.json"), "--fee-rate", "5sat/vB",
            "--listen", where, "--timeout", "90s",
        )  # fmt: skip
        approve_rescue(cluster, "home", "offline", code=5)  # their yes is kept, and a treasurer's is asked
        there = ("--rescue", f"home={where}")
        listed = cluster.run("ann", "requests", *there, passphrase=True).need()["requests"]
        assert isinstance(listed, list)
        said = cluster.run("ann", "approve", str(listed[0]["id"]), "--yes", *there, passphrase=True)
        assert said.code == 0, said
        done = cluster.finish(asking)
        assert done.code == 0, done
        assert core_accepts(bytes.fromhex(str(done.facts["transaction"])), coins)


def sign(cluster: LocalCluster, tmp_path: Path, psbt: bytes, name: str) -> Done:
    file = tmp_path / f"{name}.psbt"
    file.write_bytes(psbt)
    return cluster.run(CLIENT, "sign", str(file), "--timeout", "40s", passphrase=True)


def test_a_disk_dies_the_rest_signs_and_words_with_a_peers_copy_bring_the_node_back(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "c", dict.fromkeys(NODES, POLICY), kdf_memory_mib=19) as cluster:
        cluster.create()
        cluster.accept_roster()
        cluster.start(COORDINATOR, *NODES)
        cluster.make_wallet("vault", 2)
        _, wallet = read_backup((cluster.root / "home.vault.json").read_bytes())
        sheet = cluster.root / "phone.words"
        sheet.write_text(words_of(cluster, "phone"), encoding="utf-8")
        sheet.chmod(0o600)
        cluster.stop("phone", kill=True)
        shutil.rmtree(cluster.datadir("phone"))
        alone = sign(cluster, tmp_path, payment(wallet, script=STRANGER, label="alone"), "alone")
        assert alone.code == 0, alone
        # Its owner asks a peer for the backup, and rebuilds it.
        copy, anchor = tmp_path / "copy.json", tmp_path / "key" / "phone.anchor"
        anchor.parent.mkdir(mode=0o700)
        cluster.run("home", "backup", "show", "--wallet", "vault", "--out", str(copy)).need()
        cluster.run(
            "phone", "recover", "--network", NETWORK, "--backup", str(copy), "--name", "phone", "--yes",
            "--words-file", str(sheet), "--kdf-memory", "19", "--anchor", str(anchor), passphrase=True,
        ).need()  # fmt: skip
        assert read_anchor(cluster, "phone", anchor) == (0, 0), "it vouches for nothing before the peers have"
        cluster.start("phone")
        profile = cluster.root / "phone.policy.yaml"
        cluster.run("phone", "policy", "set", str(profile), passphrase=True).need()
        for _ in range(30):  # its peers vouch for it first
            drill = cluster.run(CLIENT, "drill", "--backup", str(copy), passphrase=True)
            if "rollback-unproven" not in str(drill.facts):
                break
            time.sleep(1)
        assert drill.facts["nodes"] == dict.fromkeys(NODES, "signs"), drill  # the same share
        height, lineage = read_anchor(cluster, "phone", anchor)
        assert (height > 5, lineage > 0) == (True, True), "another lineage, and the anchor follows it"
        cluster.stop("offline")
        refused = sign(cluster, tmp_path, payment(wallet, script=STRANGER, label="later"), "later")
        assert refused.code in {4, 6}, refused
        assert "policy-velocity" in refused.talk, (
            "what it signed before it cannot know, so its budget is used up"
        )
