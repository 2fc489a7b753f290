"""A living cluster for the benchmark: real processes made by the commands, and a client in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.client_line import ClientLine, now
from cluster.client_views import SigningView
from cluster.local import CLIENT, COORDINATOR, LocalCluster
from cluster.party import opened, unseal_seed
from cluster.schemes import Wallet
from cluster.sealed import MINIMUM_COST, passphrase_bytes
from cluster.storage import DataDir
from cluster.wallet_book import WalletBook
from taproot import Coin, OutPoint, Payment, WalletPath, build_psbt

NODES = ("home", "phone", "offline")
THRESHOLD = 2
FRIEND = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
PATIENCE_S = 60.0

PROFILE = f"""\
schema: 1
name: NAME
network: regtest
lists:
  friends: [{FRIEND}]
limits:
  amount: {{sent: 1btc}}
  fee: {{max: 1_000_000sat, max_rate: 100sat/vB, max_share: unlimited}}
  velocity: [{{window: 24h, sum: 1_000_000btc, count: 1_000_000}}]
tiers:
  - {{name: everyday, when: {{pays_only: [friends, own]}}, then: approve}}
"""
"""Every rule runs on every spend, and none has a reason to refuse."""


@dataclass
class Asker:
    """A client with one open line to a running cluster."""

    line: ClientLine
    wallet: Wallet
    cluster: LocalCluster
    number: int = 0

    def psbts(self, count: int, *, inputs: int) -> list[bytes]:
        """So many different payments with change, of so many inputs each."""
        self.number += count
        return [spend(self.wallet, inputs=inputs, number=self.number - i) for i in range(count)]

    def sign(self, psbts: Sequence[bytes], *, in_flight: int = 1) -> tuple[list[float], float]:
        """Ask for these signatures, so many at a time.

        Returns the milliseconds from asking to the verified transaction of each, and how many were finished in a
        second. The time to read and check the PSBT here, before the request leaves, is part of it.
        """
        waiting = list(reversed(psbts))
        asked: list[tuple[float, SigningView]] = []
        taken: list[float] = []
        begun = time.perf_counter()

        def turn() -> bool:
            for pair in [pair for pair in asked if pair[1].final is not None]:
                taken.append((time.perf_counter() - pair[0]) * 1000)
                asked.remove(pair)
                del self.line.client.signing[pair[1].subject.request_id]
            for _, view in asked:
                if view.state in {"refused", "rejected", "expired", "closed"}:
                    raise RuntimeError(f"the cluster did not sign: {view.state} {', '.join(view.codes)}")
            while waiting and len(asked) < in_flight:
                asked.append(self._ask(waiting.pop()))
            return not asked

        if not self.line.wait(turn, PATIENCE_S):
            raise RuntimeError(f"{len(asked)} requests got no signature ({self.line.client.trouble})")
        return taken, len(psbts) / (time.perf_counter() - begun)

    def _ask(self, psbt: bytes) -> tuple[float, SigningView]:
        started = time.perf_counter()
        request_id, step = self.line.client.request(self.wallet, psbt, "", now(), os.urandom(32))
        self.line.say(step)
        return started, self.line.client.signing[request_id]


def spend(wallet: Wallet, *, inputs: int, number: int) -> bytes:
    """A PSBT of so many inputs to a friend and change, different for each number."""
    coins = [
        Coin(OutPoint(number.to_bytes(4) + i.to_bytes(4) + bytes(24), 0), 100_000, WalletPath(0, i % 20))
        for i in range(inputs)
    ]
    payment = Payment.to_address(FRIEND, 50_000, wallet.public.network)
    return build_psbt(
        wallet.public, coins=coins, payments=[payment], fee_sats=500 * (inputs + 2), change=WalletPath(1, 0)
    )


def made(root: Path, *, names: Sequence[str] = NODES, kdf_memory_mib: int | None = None) -> LocalCluster:
    """The directories of a cluster with its roster accepted; nothing runs yet.

    Its key derivation is the cheapest that is allowed unless another is named: what it costs is measured apart.
    """
    memory = MINIMUM_COST.memory_kib // 1024 if kdf_memory_mib is None else kdf_memory_mib
    profiles = {name: PROFILE.replace("NAME", name) for name in names}
    cluster = LocalCluster(root, profiles, kdf_memory_mib=memory)
    cluster.create()
    cluster.accept_roster()
    return cluster


@contextmanager
def living(root: Path) -> Iterator[Asker]:
    """Three nodes and a coordinator with a 2-of-3 wallet, and a client that has a line to them."""
    with made(root) as cluster:
        cluster.start(COORDINATOR, *cluster.nodes)
        cluster.make_wallet("bench", THRESHOLD)
        with opened(DataDir(cluster.datadir(CLIENT), "regtest"), "client") as party:
            secret = passphrase_bytes((root / f"{CLIENT}.passphrase").read_text(encoding="utf-8").strip())
            keys = party.keys(unseal_seed(party.place, secret))
            wallet = WalletBook.of(party.records).wallets["bench"].wallet
            assert wallet is not None  # keygen ended
            with ClientLine(party, keys) as line:
                yield Asker(line, wallet, cluster)
