"""A real cluster of processes that can be killed at chosen moments, its owners, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bitcoin_rules import core_accepts, prevouts
from crash_launcher import Moment
from overheard import Overheard

from cluster.backup import read_backup
from cluster.codec import open_letter
from cluster.errors import ClusterError
from cluster.journal import (
    ComplaintKept,
    CopyConfirmed,
    FinalKept,
    RequestKept,
    SignedKept,
    WalletComplete,
    read,
)
from cluster.local import CLIENT, COORDINATOR, Done
from cluster.messages import Kind, Nonces, PartialSignatures
from cluster.owner_desk import proof_of
from cluster.party import unseal_seed
from cluster.public_part import read_public_part
from cluster.record_body import Body
from cluster.storage import DataDir, Store
from curve import tagged_hash
from taproot import Coin, OutPoint, Payment, PublicWallet, WalletPath, build_psbt

LAUNCHER = Path(__file__).with_name("crash_launcher.py")
DEATH_S = 45.0
"""How long a planned moment may take to come."""

PROFILE = """\
schema: 1
name: {name}
network: regtest
limits:
  amount: {{sent: 1btc}}
  fee: {{max: 50_000sat}}
  velocity: [{{window: 24h, sum: 100btc, count: 4_000}}]
tiers:
  - {{name: within, when: {{pays_only: [own], sent_up_to: 1btc}}, then: {then}}}
"""


def profiles(then: str = "approve") -> dict[str, str]:
    """Three nodes that let every payment to the wallet itself pass."""
    return {name: PROFILE.format(name=name, then=then) for name in ("home", "phone", "offline")}


@dataclass
class CrashCluster(Overheard):
    """A local cluster whose every process runs under the launcher."""

    scheme: str = "frost"
    known: dict[str, PublicWallet] = field(default_factory=dict)

    def program(self, name: str) -> list[str]:
        """The launcher in the program's place."""
        return [sys.executable, str(LAUNCHER), str(self.plan(name)), str(self.trace(name))]

    def plan(self, name: str) -> Path:
        """Where a party's death is written."""
        return self.root / f"{name}.plan"

    def trace(self, name: str) -> Path:
        """What a party did."""
        return self.root / f"{name}.trace"

    def arm(self, name: str, moment: Moment) -> None:
        """Let a party die at this moment, counted from now."""
        beside = self.root / f"{name}.plan.new"
        beside.write_text(f"{time.monotonic_ns()} {moment}")
        os.replace(beside, self.plan(name))

    def disarm(self, name: str) -> bool:
        """Call it off; whether the moment had not come."""
        try:
            self.plan(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def revive(self) -> list[str]:
        """Start again whoever was killed; their names. Any other end of a process is a bug."""
        dead = [name for name, process in self.running.items() if process.poll() is not None]
        for name in dead:
            process = self.running.pop(name)
            assert process.stdout is not None
            process.stdout.close()
            assert process.returncode == -signal.SIGKILL, (name, process.returncode, self.log(name))
        self.start(*dead)
        return dead

    def spawn(self, name: str) -> None:
        """Start a process, and do not wait for it."""
        role = COORDINATOR if name == COORDINATOR else "node"
        typed = [*self.words(name, role, "run", passphrase=True), "--json"]
        with (self.root / f"{name}.log").open("ab") as sink, self.ready(name).open("wb") as said:
            self.running[name] = subprocess.Popen(typed, stdin=subprocess.DEVNULL, stdout=said, stderr=sink)

    def ready(self, name: str) -> Path:
        """What a process that was spawned prints: a line once it is up."""
        return self.root / f"{name}.ready"

    def is_up(self, name: str) -> bool:
        """Whether a process lives and has said that it is ready."""
        said = self.ready(name)
        return self.running[name].poll() is None and (not said.exists() or said.read_bytes() != b"")

    def forget(self, name: str) -> None:
        """Take note that a process has ended."""
        process = self.running.pop(name)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def log(self, name: str) -> str:
        """The end of what a process said to its person."""
        return (self.root / f"{name}.log").read_text()[-2000:]

    def anchor(self, name: str) -> None:
        """Start a node again with an anchor of its own: from its next record on it can start alone."""
        self.stop(name)
        place, file = DataDir(self.datadir(name), NETWORK), self.root / f"{name}.anchor"
        place.config_file.write_text(place.config_file.read_text() + f"anchor: {file}\n")
        self.start(name)

    # The owners.

    def identity_key(self, name: str) -> bytes:
        """A party's public identity key."""
        return read_public_part((self.datadir(name) / NETWORK / "public.json").read_bytes()).identity

    def say_yes(self, node: str, subject: str, *, yes: bool = True) -> None:
        """`assent approve`, or `refuse`, without the start of a program."""
        place = DataDir(self.datadir(node), NETWORK)
        passphrase = (self.root / f"{node}.passphrase").read_bytes().strip()
        identity = unseal_seed(place, passphrase).keys(NETWORK).identity()
        challenge = self.ask(node, {"do": "challenge"})["challenge"]
        answer = {"do": "answer", "id": subject, "yes": yes, "challenge": challenge}
        self.ask(node, proof_of(answer, identity.sign))

    def show_copy(self, node: str, wallet: str) -> None:
        """`assent backup show` and `check`, without the start of a program."""
        file = str(self.ask(node, {"do": "backup", "wallet": wallet})["file"])
        made = read_backup(file.encode())[1]
        shown = {"wallet_id": made.wallet_id.hex(), "recovery_data": made.recovery_data.hex()}
        self.ask(node, {"do": "copy", **shown})

    def owners_answer(self, wallet: str) -> None:
        """Every owner who can be asked says yes to whatever waits about this wallet."""
        for node in self.nodes:
            if node not in self.running:
                continue
            try:
                for entry in self.pending(node):
                    if entry["wallet"] == wallet and entry["kind"] == "wallet":
                        self.say_yes(node, str(entry["id"]))
                    elif entry["wallet"] == wallet and entry["kind"] == "copy":
                        self.show_copy(node, wallet)
            except ClusterError:
                pass  # it was killed meanwhile: its owner finds the same question again

    # The client.

    def follow(self, process: subprocess.Popen[bytes], each: Callable[[], None] = lambda: None) -> Done:
        """Wait for a command's end, start again whoever dies, and do `each` in between."""
        deadline = time.monotonic() + 110
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                raise AssertionError((self.finish(process), {n: self.log(n) for n in self.running}))
            self.revive()
            each()
            time.sleep(0.02)
        return self.finish(process)

    def follow_to_death(self, process: subprocess.Popen[bytes]) -> int:
        """Wait until a command was killed; its exit code."""
        process.communicate(timeout=DEATH_S)
        return process.returncode

    def keygen(self, wallet: str, threshold: int, *more: str) -> Done:
        """Make a wallet, with owners who say yes to everything."""
        kind = ["wallet", "create", "--scheme", self.scheme]
        words = [*kind, "--name", wallet, "--threshold", str(threshold), "--timeout", "100s", *more]
        return self.follow(self.begin(CLIENT, *words), lambda: self.owners_answer(wallet))

    def payment(self, wallet: str, label: str, inputs: int = 1) -> Path:
        """A PSBT of coins that no chain has: a node judges what it is shown."""
        public = self.public(wallet)
        coins = [
            Coin(OutPoint(tagged_hash("e2e/coin", label.encode(), bytes([i])), i), 100_000, WalletPath(0, i))
            for i in range(inputs)
        ]
        pay = Payment(public.script(WalletPath(0, 1)), 40_000)
        psbt = build_psbt(public, coins=coins, payments=[pay], fee_sats=1_000, change=WalletPath(1, 0))
        file = self.root / f"{wallet}-{label}.psbt"
        file.write_bytes(psbt)
        return file

    def verify(self, wallet: str, psbt: Path, done: Done) -> None:
        """Bitcoin Core's script interpreter accepts every input of what the client wrote."""
        transaction = bytes.fromhex(str(done.need()["transaction"]))
        assert core_accepts(transaction, prevouts(psbt.read_bytes(), self.public(wallet)))

    def begin_sign(self, wallet: str, file: Path, *more: str) -> subprocess.Popen[bytes]:
        """`assent sign`, begun."""
        return self.begin(CLIENT, "sign", str(file), "--wallet", wallet, "--timeout", "90s", *more)

    def public(self, wallet: str) -> PublicWallet:
        """The public wallet, from what the coordinator shows of it; asked once, while it runs."""
        if wallet not in self.known:
            file = str(self.ask(COORDINATOR, {"do": "backup", "wallet": wallet})["file"])
            self.known[wallet] = read_backup(file.encode())[1].public
        return self.known[wallet]

    def shown(self, name: str, wallet: str) -> Mapping[str, object]:
        """What a running party shows of a wallet."""
        wallets = self.ask(name, {"do": "wallets"})["wallets"]
        assert isinstance(wallets, list)
        return next((one for one in wallets if one["name"] == wallet), {"stage": "unknown"})

    def await_wallet(self, wallet: str, descriptor: object) -> None:
        """Everybody has this wallet complete, with this descriptor, within a few repeats."""
        deadline = time.monotonic() + 20
        for name in (*self.nodes, COORDINATOR):
            while (found := self.shown(name, wallet))["stage"] != "complete":
                assert time.monotonic() < deadline, (name, wallet, found["stage"])
                time.sleep(0.05)
            assert found["descriptor"] == descriptor, (name, wallet)

    # What they did.

    def events(self, name: str) -> list[dict[str, str]]:
        """The trace of a party: a dictionary for each commit (`record`) and letter that left (`letter`)."""
        return [json.loads(line) for line in self.trace(name).read_text().splitlines()]

    def entries(self, name: str) -> list[Body]:
        """A stopped party's records, the chain verified."""
        store = Store.open(DataDir(self.datadir(name), NETWORK).database)
        try:
            return [read(record) for record in store.read()]
        finally:
            store.close()


NETWORK = "regtest"


def audit(cluster: CrashCluster, *, whole: bool = True) -> Counter[str]:
    """What must hold of all that was ever written and said, once everything has stopped; some counts.

    `assent audit` judges the files by its rules; what only this test knows is looked at besides: that everybody was
    honest, and what left each process. Not `whole` is a run in which somebody's records were lost for good: what the
    audit says of that is for the test to look at.
    """
    assert not cluster.running
    if whole:
        code, report = cluster.judged()
        assert code == 0, report
    counts = Counter[str]()
    finals: dict[bytes, bytes] = {}
    acks: dict[tuple[bytes, ...], set[str]] = {}
    for name in (*cluster.nodes, COORDINATOR, CLIENT):
        entries = cluster.entries(name)
        for entry in entries:
            if isinstance(entry, FinalKept):
                counts["finals"] += 1
                assert finals.setdefault(entry.request_id, entry.transaction) == entry.transaction
            elif isinstance(entry, WalletComplete):
                acks.setdefault(entry.acks, set()).add(name)
            elif isinstance(entry, ComplaintKept):
                raise AssertionError(f"{name} complains of an honest party: {entry.code}")
        own = [entry.ack for entry in entries if isinstance(entry, CopyConfirmed)]
        assert len(own) == len(set(own))
        requests = [entry.request for entry in entries if isinstance(entry, RequestKept)]
        assert len(requests) == len(set(requests)), f"{name} wrote a request twice"
        if name in cluster.nodes:
            _audit_node(cluster, name, [entry for entry in entries if isinstance(entry, SignedKept)], counts)
    for who in acks.values():
        assert who >= {*cluster.nodes, COORDINATOR}, who
    return counts


def _audit_node(cluster: CrashCluster, name: str, signed: list[SignedKept], counts: dict[str, int]) -> None:
    session_of: dict[bytes, bytes] = {}
    spend_of: dict[bytes, bytes] = {}
    by_session: dict[bytes, SignedKept] = {}
    for kept in signed:
        counts["signed"] += 1
        assert by_session.setdefault(kept.session_id, kept) is kept, f"{name} wrote one session twice"
        assert spend_of.setdefault(kept.request_id, kept.spend_id) == kept.spend_id
        for pubnonce in kept.pubnonces:
            assert session_of.setdefault(pubnonce, kept.session_id) == kept.session_id, (
                "a nonce was used twice"
            )
    identity = cluster.identity_key(name)
    used: set[bytes] = set()
    for event in cluster.events(name):
        if event.get("letter") not in {Kind.NONCES.name, Kind.PARTIAL_SIGNATURES.name}:
            continue
        letter = open_letter(bytes.fromhex(event["raw"]), bytes.fromhex(event["signature"]), identity)
        if isinstance(letter.body, PartialSignatures):
            counts["psig letters"] += 1
            written = by_session[letter.header.session_id]
            assert written.psigs == letter.body.psigs, f"{name}: one session, other bytes"
            used.update(written.pubnonces)
        else:
            assert isinstance(letter.body, Nonces)
            counts["nonce letters"] += 1
            assert used.isdisjoint(letter.body.pubnonces), f"{name} offered used nonces again"
