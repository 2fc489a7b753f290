"""`assent demo`: the main job, for real, on one machine, in under a minute.

Three node processes and a coordinator on loopback, real CURVE, real key generation, a chain in this process that
Bitcoin Core's own validation code judges; a payment that two of three sign, and one that all refuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from cluster.errors import ChainError, ClusterError, Refused
from cluster.local import CLIENT, COORDINATOR, LocalCluster
from cluster.regtest import RegtestChain
from taproot import (
    Coin,
    Network,
    OutPoint,
    Payment,
    PublicWallet,
    WalletPath,
    address_to_script,
    build_psbt,
)

__all__ = ["Demo", "FRIEND", "STRANGER"]

FRIEND = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
"""An address that every node of the demo has on its list."""

STRANGER = "bcrt1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnard0ew"
"""An address that none has."""

PAID_SATS = 800_000
STOLEN_SATS = 2_500_000_000
FEE_SATS = 2_000
THRESHOLD = 2
SHOWN_REASONS = 3
WIDTH = 110
WALLET = "savings"

_BASE = f"""\
schema: 1
name: {{name}}
network: regtest
lists:
  friends: [{FRIEND}]
"""

PROFILES = {
    "home": _BASE.format(name="home")
    + """\
limits:
  amount: {sent: 0.5btc}
  fee: {max: 50_000sat, max_rate: 100sat/vB, max_share: 10%}
  velocity: [{window: 24h, sum: 0.2btc, count: 40}]
tiers:
  - {name: everyday, when: {pays_only: [friends, own], sent_up_to: 1_000_000sat}, then: approve}
  - {name: larger, when: {pays_only: [friends, own], sent_up_to: 10_000_000sat}, then: ask}
""",
    "phone": _BASE.format(name="phone")
    + """\
limits:
  amount: {sent: 0.2btc}
  fee: {max: 30_000sat, max_rate: 60sat/vB, max_share: 5%}
  velocity: [{window: 24h, sum: 0.4btc, count: 20}]
deny:
  - {name: never-in-one-go, when: {sent_above: 15_000_000sat}}
tiers:
  - {name: small, when: {pays_only: [friends, own], sent_up_to: 1_000_000sat}, then: approve}
  - {name: by-hand, when: {pays_only: [friends, own], sent_up_to: 15_000_000sat}, then: ask}
""",
    "offline": _BASE.format(name="offline")
    + """\
limits:
  amount: {sent: 2btc}
  fee: {max: 100_000sat, max_share: 2%}
  velocity: [{window: 7d, sum: 5btc}]
tiers:
  - {name: known-places, when: {pays_only: [friends, own]}, then: ask}
""",
}
"""Three owners, three minds: home and phone let small payments to friends pass, offline always asks."""


@dataclass
class Demo:
    """One run below `root`, a directory that must not exist yet; `tell` hears every line for the person."""

    root: Path
    tell: Callable[[str], None]
    _step: int = 0
    _started: float = field(default_factory=time.monotonic)

    STEPS = 8

    def run(self) -> dict[str, object]:
        """All of it; the facts as JSON will say them. Raises ClusterError when anything is not as it should be."""
        with LocalCluster(self.root, PROFILES) as cluster, RegtestChain(self.root / "chain") as chain:
            return self._run(cluster, chain)

    def _run(self, cluster: LocalCluster, chain: RegtestChain) -> dict[str, object]:
        self._say("five parties, each with a seed and a directory of its own, sealed by its own passphrase")
        cluster.create()
        self._say("one roster: every owner would compare these twelve words")
        words = cluster.accept_roster()
        self._note(" ".join(words))
        self._say("four processes on loopback: the coordinator, and the nodes home, phone and offline")
        cluster.start(COORDINATOR, *cluster.nodes)
        self._say(f"key generation (ChillDKG): a {THRESHOLD}-of-3 key that never exists in one place")
        cluster.make_wallet(WALLET, THRESHOLD, tell=self._note)
        shown = cluster.run(CLIENT, "descriptor").need()
        address = str(cluster.run(CLIENT, "address", "--index", "0").need()["address"])
        self._note(f"first address {address}")
        self._say("a private Bitcoin chain, judged by Bitcoin Core's validation code: fund that address")
        coin = _fund(chain, address)
        self._note(f"{coin.amount_sats:_}sat in block 1, buried under 100 more")
        self._say(
            f"pay {PAID_SATS:_}sat to a friend: home and phone agree by themselves, offline asks its owner"
        )
        wallet = _wallet(cluster)
        paid = self._pay(cluster, wallet, coin)
        self._say(
            "mine it: Bitcoin's rules accept the block, and refuse one whose signature has a bit flipped"
        )
        block = self._mine(chain, bytes.fromhex(str(paid["transaction"])))
        self._say(f"pay {STOLEN_SATS:_}sat to a stranger: every node looks for itself, and refuses")
        refused = self._steal(cluster, wallet, coin, chain, bytes.fromhex(str(paid["transaction"])))
        self._end(cluster)
        return {
            "descriptor": shown["descriptor"],
            "address": address,
            "roster_words": list(words),
            "txid": paid["txid"],
            "transaction": paid["transaction"],
            "signature": _signature(bytes.fromhex(str(paid["transaction"]))),
            "verdicts": paid["verdicts"],
            "block": {"height": chain.height, "hash": block},
            "refused": refused,
            "seconds": round(time.monotonic() - self._started, 1),
            "files": str(self.root),
        }

    def _pay(self, cluster: LocalCluster, wallet: PublicWallet, coin: Coin) -> Mapping[str, object]:
        payment = Payment.to_address(FRIEND, PAID_SATS, Network.REGTEST)
        file = self._psbt("pay-a-friend", wallet, coin, payment, WalletPath(1, 0))
        paid = cluster.run(
            CLIENT, "sign", str(file), "--note", "rent", "--timeout", "30s", passphrase=True
        ).need()
        verdicts: list[object] = []
        for name in cluster.nodes:
            own = _own_view(cluster, name, "approve", "ask")
            codes = _texts(own["codes"])
            verdicts.append({"node": name, "decision": str(own["decision"]), "codes": codes})
            self._note(f"{name}: {own['decision']} ({', '.join(codes)})")
        self._note(f"signed by two of three: {paid['txid']}")
        return {**paid, "verdicts": verdicts}

    def _mine(self, chain: RegtestChain, transaction: bytes) -> str:
        bad = bytearray(transaction)
        bad[transaction.index(bytes.fromhex(_signature(transaction))) + 40] ^= 1
        try:
            chain.mine([bytes(bad)])
        except ChainError:
            self._note("with one bit of the signature flipped: refused")
        else:
            raise ChainError("a block with a wrong signature was accepted")
        block = chain.mine([transaction])[::-1].hex()
        self._note(f"as signed: accepted, block {chain.height} {block[:16]}…")
        return block

    def _steal(
        self,
        cluster: LocalCluster,
        wallet: PublicWallet,
        spent: Coin,
        chain: RegtestChain,
        earlier: bytes,
    ) -> dict[str, object]:
        change = Coin(
            OutPoint(chain.txid(earlier), 1),
            spent.amount_sats - PAID_SATS - FEE_SATS,
            WalletPath(1, 0),
            previous_tx=earlier,
        )
        payment = Payment.to_address(STRANGER, STOLEN_SATS, Network.REGTEST)
        file = self._psbt("pay-a-stranger", wallet, change, payment, WalletPath(1, 1))
        done = cluster.run(
            CLIENT, "sign", str(file), "--note", "urgent!!", "--timeout", "30s", passphrase=True
        )
        if done.code != Refused.exit_code:
            raise ClusterError(f"the theft was not refused: exit code {done.code}")
        verdicts: list[object] = []
        for name in cluster.nodes:
            own = _own_view(cluster, name, "refuse")
            reasons = _texts(own["reasons"])
            verdicts.append({"node": name, "decision": str(own["decision"]), "reasons": reasons})
            self._note(f"{name}: {own['decision']}")
            for reason in reasons[:SHOWN_REASONS]:
                self._note(f"    {reason}")
            if len(reasons) > SHOWN_REASONS:
                self._note(f"    and {len(reasons) - SHOWN_REASONS} more")
        return {"exit_code": done.code, "psbt": str(file), "verdicts": verdicts}

    def _psbt(
        self, name: str, wallet: PublicWallet, coin: Coin, payment: Payment, change: WalletPath
    ) -> Path:
        psbt = build_psbt(wallet, coins=[coin], payments=[payment], fee_sats=FEE_SATS, change=change)
        file = self.root / f"{name}.psbt"
        file.write_bytes(psbt)
        return file

    # What the person sees.

    def _say(self, text: str) -> None:
        self._step += 1
        self.tell(f"[{self._step}/{self.STEPS}] {text}")

    def _note(self, text: str) -> None:
        margin = " " * (6 + len(text) - len(text.lstrip()))
        for line in wrap(text.strip(), WIDTH, initial_indent=margin, subsequent_indent=margin + "  "):
            self.tell(line)

    def _end(self, cluster: LocalCluster) -> None:
        self.tell("")
        self.tell(
            f"Done in {time.monotonic() - self._started:.0f} s. The processes have ended, the files are in"
        )
        self.tell(f"  {self.root}")
        self.tell("Try next:")
        self.tell(f"  assent descriptor --datadir {cluster.datadir(CLIENT)}")
        self.tell(f"  assent policy show --datadir {cluster.datadir('phone')}")
        self.tell("  docs/tutorial.md: the same by hand, each node in its own directory")


def _fund(chain: RegtestChain, address: str) -> Coin:
    height = chain.height + 1
    txid, vout, amount_sats = chain.fund(address_to_script(address, Network.REGTEST))
    previous = chain.transactions(height)[0]
    return Coin(OutPoint(txid, vout), amount_sats, WalletPath(0, 0), previous_tx=previous)


def _wallet(cluster: LocalCluster) -> PublicWallet:
    """The public wallet, from what a node shows of it."""
    wallets = cluster.ask("home", {"do": "wallets"})["wallets"]
    assert isinstance(wallets, list)
    shown = wallets[0]
    return PublicWallet.of_key(
        Network.REGTEST, bytes.fromhex(shown["wallet_key"]), bytes.fromhex(shown["chain_code"])
    )


def _own_view(cluster: LocalCluster, name: str, *decisions: str) -> Mapping[str, object]:
    """A node's own view of the newest request it decided so; its reasons it tells only its owner."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = cluster.ask(name, {"do": "find", "prefix": ""})["found"]
        assert isinstance(found, list)
        decided = [entry for entry in found if entry.get("decision") in decisions]
        if decided:
            view: Mapping[str, object] = decided[-1]
            return view
        time.sleep(0.1)
    raise ClusterError(f"{name} has not decided about the request")


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(part) for part in value]


def _signature(transaction: bytes) -> str:
    """The one signature of a transaction with one key path input: the first witness item."""
    return transaction[-4 - 64 : -4].hex()
