"""`kill -9` at random, again and again, while one client asks for hundreds of signatures.

Every 0.7 s (on a slow machine: every 0.7 of a restart) one of the four processes is chosen at random and killed,
whatever it does, and started again at once; one that is still starting is spared. Each request must end signed, and
nothing that `audit` knows may be broken. `ASSENT_KILL_REQUESTS` says how many requests; 300 unless it does.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from bitcoin_rules import core_accepts, prevouts
from crash_cluster import NETWORK, CrashCluster, audit, profiles

from cluster.client_line import ClientLine, now
from cluster.client_views import SigningView
from cluster.local import CLIENT, COORDINATOR
from cluster.party import opened, unseal_seed
from cluster.schemes import Wallet
from cluster.storage import DataDir
from cluster.wallet_book import WalletBook

pytestmark = [pytest.mark.slow, pytest.mark.patient]

REQUESTS = int(os.environ.get("ASSENT_KILL_REQUESTS", "300"))
KILL_EVERY_S = 0.7
AT_ONCE = 8
"""How many requests are open together."""

PATIENCE_S = 120 + 1.5 * REQUESTS
ENDED = frozenset({"refused", "rejected", "expired", "closed"})


@dataclass
class Killer:
    """Kills and starts the processes of a cluster."""

    cluster: CrashCluster
    random: Random
    restart_s: float
    next_at: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def every_s(self) -> float:
        """How long after one kill the next is due."""
        return KILL_EVERY_S * max(1.0, self.restart_s)

    def turn(self) -> None:
        """Start whoever is dead, and kill one when it is time."""
        for name, process in tuple(self.cluster.running.items()):
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL, (
                    name,
                    process.returncode,
                    self.cluster.log(name),
                )
                self.cluster.forget(name)
                self.cluster.spawn(name)
        if time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + self.every_s
            name = self.random.choice(sorted(self.cluster.running))
            if self.cluster.is_up(name):
                self.cluster.running[name].kill()
                self.kills[name] += 1


@contextmanager
def line_of(cluster: CrashCluster, wallet: str) -> Iterator[tuple[ClientLine, Wallet]]:
    """The client's one connection, in this process, and the wallet as it knows it."""
    secret = (cluster.root / f"{CLIENT}.passphrase").read_bytes().strip()
    with opened(DataDir(cluster.datadir(CLIENT), NETWORK), "client") as party:
        keys = party.keys(unseal_seed(party.place, secret))
        made = WalletBook.of(party.records).wallets[wallet].wallet
        assert made is not None
        with ClientLine(party, keys) as line:
            yield line, made


@dataclass
class Asked:
    """One request under way."""

    psbt: Path
    view: SigningView
    at: float = field(default_factory=time.monotonic)


def restart_s(cluster: CrashCluster, name: str) -> float:
    """What one kill and start takes until the process is ready."""
    cluster.stop(name, kill=True)
    started = time.monotonic()
    cluster.start(name)
    return time.monotonic() - started


def test_every_request_is_signed_though_processes_are_killed_all_the_time(
    enrolled: Path, tmp_path: Path
) -> None:
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    taken: list[float] = []
    with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
        cluster.start(COORDINATOR, *cluster.nodes)
        done = cluster.keygen("w", 2)
        cluster.await_wallet("w", done.need()["descriptor"])
        psbts = [cluster.payment("w", f"soak{i}") for i in range(REQUESTS)]
        restart = statistics.median(restart_s(cluster, name) for name in (*cluster.nodes, COORDINATOR))
        killer = Killer(cluster, Random(REQUESTS), restart)
        begun = time.monotonic()
        with line_of(cluster, "w") as (line, wallet):
            waiting, under_way = psbts[::-1], list[Asked]()

            def turn() -> bool:
                killer.turn()
                for asked in [asked for asked in under_way if asked.view.final is not None]:
                    taken.append(time.monotonic() - asked.at)
                    final = asked.view.final
                    assert final is not None
                    assert core_accepts(final.tx, prevouts(asked.psbt.read_bytes(), wallet.public))
                    under_way.remove(asked)
                    del line.client.signing[asked.view.subject.request_id]
                assert not [asked.view for asked in under_way if asked.view.state in ENDED]
                while waiting and len(under_way) < AT_ONCE:
                    psbt = waiting.pop()
                    request_id, step = line.client.request(
                        wallet, psbt.read_bytes(), "", now(), os.urandom(32)
                    )
                    line.say(step)
                    under_way.append(Asked(psbt, line.client.signing[request_id]))
                return not under_way

            assert line.wait(turn, PATIENCE_S), [(a.view.state, a.view.codes) for a in under_way]
        whole = time.monotonic() - begun
    counts = audit(cluster)
    print(
        f"\n{len(taken)} signed in {whole:.0f} s; {killer.kills.total()} kills, one each {killer.every_s:.1f} s, "
        f"{dict(killer.kills)}; a restart {restart:.2f} s, the slowest request {max(taken) / restart:.1f} of it, "
        f"the median {statistics.median(taken) / restart:.1f}; {dict(counts)}"
    )
    assert len(taken) == REQUESTS
    assert killer.kills.total() > 0.2 * whole / killer.every_s
    assert len(killer.kills) == 4
