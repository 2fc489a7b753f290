"""Running processes keep their secrets: no core when they crash, nothing in a log, and nothing in any file."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_cluster import NETWORK, CrashCluster, profiles

from cluster.hardening import MEMORY_BYTES
from cluster.local import CLIENT, COORDINATOR
from cluster.party import unseal_seed
from cluster.storage import DataDir

pytestmark = pytest.mark.slow

CORE_LIMITS = resource.getrlimit(resource.RLIMIT_CORE)


@pytest.fixture
def cluster(enrolled: Path, tmp_path: Path) -> Iterator[CrashCluster]:
    """Five parties with one roster, started by somebody who wants core dumps."""
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    resource.setrlimit(resource.RLIMIT_CORE, (CORE_LIMITS[1], CORE_LIMITS[1]))
    try:
        with CrashCluster(root, profiles(), kdf_memory_mib=19) as cluster:
            yield cluster
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, CORE_LIMITS)


def limit(pid: int, name: str) -> str:
    """The soft limit of a process, as the system shows it."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith(name))[len(name) :].split()[0]


def locked_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmLck:"))


@pytest.mark.parametrize("name", ["home", COORDINATOR])
def test_a_crash_of_a_real_process_leaves_no_core(cluster: CrashCluster, name: str) -> None:
    before = set(Path.cwd().iterdir())
    cluster.start(name)
    pid = cluster.running[name].pid
    assert limit(pid, "Max core file size") == "0"
    assert limit(pid, "Max address space") == str(MEMORY_BYTES)
    if os.geteuid() == 0:
        assert locked_kib(pid) > 10_000
        assert "secrets may reach the swap" not in cluster.log(name)
    cluster.running[name].send_signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGABRT)  # and not CLD_DUMPED
    cluster.stop(name)
    assert set(Path.cwd().iterdir()) == before
    assert not [file for file in cluster.root.rglob("core*") if file.is_file()]


def secrets_of(cluster: CrashCluster, name: str) -> dict[str, bytes]:
    """Everything secret that follows from a party's seed, by what it is."""
    passphrase = (cluster.root / f"{name}.passphrase").read_bytes().strip()
    seed = unseal_seed(DataDir(cluster.datadir(name), NETWORK), passphrase)
    keys = seed.keys(NETWORK)
    return {
        "passphrase": passphrase,
        "words": " ".join(seed.words()[:6]).encode(),
        "seed": seed.expose(),
        "transport": keys.transport().secret,
        "sealing": keys.sealing_key(),
        "host": keys.secrets(0).host_key.expose(),
        "signing": keys.secrets(0).signing_key.expose(),
    }


def test_no_secret_is_in_any_file_or_word(cluster: CrashCluster) -> None:
    """After keygen, a spend and wrong calls: every file but the passphrases, and all that was printed, is read."""
    names = (*cluster.nodes, COORDINATOR, CLIENT)
    said = []
    cluster.start(COORDINATOR, *cluster.nodes)
    done = cluster.keygen("w", 2)
    cluster.await_wallet("w", done.need()["descriptor"])
    psbt = cluster.payment("w", "paid")
    done = cluster.follow(cluster.begin_sign("w", psbt))
    cluster.verify("w", psbt, done)
    said.append(str(done))
    for words in (["approve", "00" * 32], ["status"], ["pending"], ["backup", "show", "--wallet", "w"]):
        said.append(str(cluster.run("home", *words, "--debug", passphrase=words[0] == "approve")))
    time.sleep(0.2)
    cluster.close()
    everything = {
        str(path): path.read_bytes()
        for path in cluster.root.rglob("*")
        if path.is_file() and path.suffix != ".passphrase"
    }
    assert len([path for path in everything if path.endswith(".log")]) >= 4
    everything["what was printed"] = "\n".join(said).encode()
    for name in names:
        for what, secret in secrets_of(cluster, name).items():
            for text in (secret, secret.hex().encode(), repr(secret)[2:-1].encode()):
                assert [path for path, data in everything.items() if text in data] == [], (name, what)
