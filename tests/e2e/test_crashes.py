"""`kill -9` of real processes, at chosen steps of keygen and of signing, and a start again.

Each run must end in a signature, a finished key, or a clean failure with a clear word at the client; never in a
second use of a nonce (`audit`). The story tests do the same to every step of the machines in memory; here it is
the process, its SQLite file, its sockets and its lock that are cut off. `ASSENT_CRASH_MATRIX=full` takes every
moment that an honest run has, instead of a choice of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from crash_cluster import CrashCluster, audit, profiles
from crash_launcher import Moment

from cluster.errors import StateError
from cluster.local import CLIENT, COORDINATOR, Done

pytestmark = pytest.mark.slow

FULL = os.environ.get("ASSENT_CRASH_MATRIX") == "full"
PER_CLUSTER = 7
"""Wallets in one cluster: a node has 16 host keys, and a crash may cost two."""


@pytest.fixture
def scheme() -> str:
    """Of which scheme a test's wallets are, if it does not say."""
    return "frost"


@pytest.fixture
def cluster(enrolled: Path, tmp_path: Path, scheme: str) -> Iterator[CrashCluster]:
    """Everybody runs; at the end everything stops, and is audited."""
    root = tmp_path / "c"
    shutil.copytree(enrolled, root)
    with CrashCluster(root, profiles(), kdf_memory_mib=19, scheme=scheme) as cluster:
        cluster.start(COORDINATOR, *cluster.nodes)
        yield cluster
    print(audit(cluster))


def record(kind: str, count: int = 1) -> tuple[Moment, Moment]:
    return Moment("record", kind, count, "before"), Moment("record", kind, count, "after")


def letters(kind: str, count: int = 1) -> tuple[Moment, ...]:
    return tuple(Moment("letter", kind, i, "after") for i in range(1, count + 1))


def groups(moments: Iterable[Moment]) -> list[tuple[Moment, ...]]:
    every = list(moments)
    return [tuple(every[i : i + PER_CLUSTER]) for i in range(0, len(every), PER_CLUSTER)]


def named(value: object) -> str:
    return "-".join(str(m).replace(" ", ".") for m in value[:1]) if isinstance(value, tuple) else str(value)


KEYGEN_OF_A_NODE = (
    *record("charter"),
    *record("charter-answer"),
    *letters("KEYGEN_CONSENT"),
    *letters("KEYGEN_MESSAGE1"),
    *record("keygen-second"),
    *letters("KEYGEN_MESSAGE2"),
    *record("wallet"),
    *record("copy-confirmed"),
    *letters("RECOVERY_ACK"),
    *record("wallet-complete"),
)
KEYGEN_OF_THE_COORDINATOR = (
    *record("charter"),
    *letters("KEYGEN_PROPOSE", 3),
    *letters("KEYGEN_START", 3),
    *record("keygen-started"),
    *letters("KEYGEN_COORDINATOR1", 3),
    *(moment for count in (1, 2, 3) for moment in record("keygen-second", count)),
    *letters("KEYGEN_CERTIFICATE", 3),
    *record("wallet-complete"),
    *letters("KEYGEN_FINAL", 4),
)
SOME_KEYGEN_OF_A_NODE = tuple(
    moment
    for moment in KEYGEN_OF_A_NODE
    if str(moment)
    in {
        "letter KEYGEN_MESSAGE1 1 after",
        "record keygen-second 1 after",
        "record wallet 1 before",
        "record copy-confirmed 1 after",
    }
)
SOME_KEYGEN_OF_THE_COORDINATOR = tuple(
    moment
    for moment in KEYGEN_OF_THE_COORDINATOR
    if str(moment)
    in {
        "letter KEYGEN_START 2 after",
        "letter KEYGEN_COORDINATOR1 1 after",
        "record keygen-second 3 before",
        "record wallet-complete 1 after",
    }
)
CEREMONY_ONLY = {
    "KEYGEN_MESSAGE1", "keygen-second", "KEYGEN_MESSAGE2", "KEYGEN_COORDINATOR1", "KEYGEN_CERTIFICATE"
}  # fmt: skip
"""Kinds of records and letters that only a wallet with a key ceremony has."""
SOME_MUSIG2_KEYGEN = {
    "letter KEYGEN_CONSENT 1 after",
    "record wallet 1 before",
    "letter KEYGEN_START 2 after",
    "record wallet-complete 1 after",
}


def keygen_moments() -> Iterator[tuple[str, str, tuple[Moment, ...]]]:
    """Scheme, who dies, and when: a cluster for each."""
    for name, every, some in (
        ("home", KEYGEN_OF_A_NODE, SOME_KEYGEN_OF_A_NODE),
        (COORDINATOR, KEYGEN_OF_THE_COORDINATOR, SOME_KEYGEN_OF_THE_COORDINATOR),
    ):
        yield from (("frost", name, group) for group in groups(every if FULL else some))
        plain = [moment for moment in every if moment.kind not in CEREMONY_ONLY]
        few = [moment for moment in plain if str(moment) in SOME_MUSIG2_KEYGEN]
        yield from (("musig2", name, group) for group in groups(plain if FULL else few))


LOST = "key generation failed (keygen-lost)"


@pytest.mark.parametrize(("scheme", "name", "moments"), list(keygen_moments()), ids=named)
def test_keygen_goes_on_after_a_kill(cluster: CrashCluster, name: str, moments: tuple[Moment, ...]) -> None:
    """A key for everybody, or, where a node lost its half-made key, a clear word and a key at the second try."""
    for place, moment in enumerate(moments):
        started = time.monotonic()
        cluster.arm(name, moment)
        done = cluster.keygen(f"w{place}", 3)
        assert not cluster.disarm(name), f"{name}: {moment} never came"
        if done.code:
            assert done.code == 8 and LOST in done.talk, (moment, done)
            assert loses_its_secrets(name, moment), moment
            done = cluster.keygen(f"w{place}", 3)
            assert done.code == 0, (moment, done)
        wallet = f"w{place}"
        cluster.await_wallet(wallet, done.need()["descriptor"])
        sign(cluster, wallet, "proof")
        print(f"{name}: {moment}: {time.monotonic() - started:.1f} s")


def loses_its_secrets(name: str, moment: Moment) -> bool:
    """A key generation may only fail where a node ends between its first and its second message."""
    return name != COORDINATOR and str(moment) in {
        "letter KEYGEN_MESSAGE1 1 after",
        "record keygen-second 1 before",
    }


SIGNING_OF_A_NODE = (
    Moment("call", "parse"),
    Moment("call", "judge"),
    *record("request"),
    *letters("VERDICT"),
    *letters("NONCES"),
    *record("signed"),
    *letters("PARTIAL_SIGNATURES"),
    *record("final"),
)
SIGNING_OF_THE_COORDINATOR = (
    *record("request"),
    *letters("STATUS"),
    *letters("PROPOSE", 2),
    *letters("ORDER", 2),
    *record("final"),
    *letters("FINAL", 3),
)
SIGNING_OF_THE_CLIENT = (*record("request"), *letters("REQUEST"), *record("final"))


def sign(cluster: CrashCluster, wallet: str, label: str, *deaths: tuple[str, Moment]) -> Done:
    psbt = cluster.payment(wallet, label)
    for name, moment in deaths:
        cluster.arm(name, moment)
    done = cluster.follow(cluster.begin_sign(wallet, psbt))
    assert done.code == 0, done
    cluster.verify(wallet, psbt, done)
    return done


SOME_SIGNING_OF_THE_COORDINATOR = {
    "record request 1 after",
    "letter PROPOSE 1 after",
    "letter ORDER 1 after",
    "record final 1 before",
    "record final 1 after",
}


@pytest.mark.parametrize("scheme", ["frost", "musig2"])
@pytest.mark.parametrize("away", ["offline", *([""] if FULL else [])], ids=["two", "three"][: 1 + FULL])
def test_signing_goes_on_after_a_kill(cluster: CrashCluster, away: str) -> None:
    """One request for each moment; with one node away, whoever was killed must itself come back and sign."""
    cluster.anchor("home")
    done = cluster.keygen("w", 2)
    cluster.await_wallet("w", done.need()["descriptor"])
    if away:
        cluster.stop(away, kill=True)
    plans = [("home", moment) for moment in SIGNING_OF_A_NODE] + [
        (COORDINATOR, moment) for moment in SIGNING_OF_THE_COORDINATOR
    ]
    if not FULL:
        plans = [
            (name, moment)
            for name, moment in plans
            if name != COORDINATOR or str(moment) in SOME_SIGNING_OF_THE_COORDINATOR
        ]
    for place, (name, moment) in enumerate(plans):
        started = time.monotonic()
        sign(cluster, "w", str(place), (name, moment))
        if away:
            deadline = time.monotonic() + 20  # the last record may come after the client has gone
            while cluster.plan(name).exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        reached = not cluster.disarm(name)
        time.sleep(0.1)
        cluster.revive()
        print(f"{name}: {moment}{'' if reached else ' (never came)'}: {time.monotonic() - started:.1f} s")
        assert reached or not away, f"{name}: {moment} never came"


BESIDES = {
    "boot", "clock", "HELLO", "NONCE_REQUEST",
    "HEARTBEAT", "BEATS", "HEAD_ASK", "HEAD_SAID", "HEAD_RELAY", "HELD_LIST", "HELD_ASK",
}  # fmt: skip
"""What comes with a start, or again and again, whatever is asked: no step of a request or of a key generation."""


def every_kind_has_its_moment(cluster: CrashCluster) -> None:
    """The lists above hold every kind of record and letter of an honest run: who adds a kind adds a moment."""
    for name, moments in {
        "home": (*KEYGEN_OF_A_NODE, *SIGNING_OF_A_NODE),
        COORDINATOR: (*KEYGEN_OF_THE_COORDINATOR, *SIGNING_OF_THE_COORDINATOR),
    }.items():
        known = {moment.kind for moment in moments} | {
            "judged",
            "wallet",
            "peer-head",
        }  # in one commit with another
        events = cluster.events(name)
        kinds = {event["letter"] for event in events if "letter" in event}
        kinds |= {kind for event in events for kind in event.get("record", ())}
        assert kinds - known <= BESIDES, (name, kinds - known - BESIDES)


@pytest.mark.parametrize("scheme", ["frost", "musig2"])
def test_a_client_that_is_killed_goes_on_with_the_same_request(
    cluster: CrashCluster,
) -> None:
    done = cluster.keygen("w", 2)
    cluster.await_wallet("w", done.need()["descriptor"])
    for place, moment in enumerate(SIGNING_OF_THE_CLIENT):
        psbt = cluster.payment("w", str(place))
        cluster.arm(CLIENT, moment)
        killed = cluster.follow_to_death(cluster.begin_sign("w", psbt))
        assert killed == -signal.SIGKILL, moment
        again = cluster.follow(cluster.begin_sign("w", psbt))
        cluster.verify("w", psbt, again)
    every_kind_has_its_moment(cluster)
    finals = Counter(str(kind) for event in cluster.events(COORDINATOR) for kind in event.get("record", ""))
    assert finals["final"] == len(SIGNING_OF_THE_CLIENT)


@pytest.mark.parametrize("name", ["home", COORDINATOR])
def test_a_kill_while_starting_is_only_a_later_start(cluster: CrashCluster, name: str) -> None:
    for moment in (*record("boot"), *letters("HELLO")):
        cluster.stop(name, kill=True)
        cluster.arm(name, moment)
        with suppress(StateError):  # it may die before or after it was ready
            cluster.start(name)
        assert cluster.running[name].wait(timeout=20) == -signal.SIGKILL, moment
        cluster.revive()
    done = cluster.keygen("w", 3)
    cluster.await_wallet("w", done.need()["descriptor"])


def test_without_a_quorum_the_request_expires_and_says_so(cluster: CrashCluster) -> None:
    """Two of three are killed as they hear of it: the end is a clear word, and later nothing is signed after all."""
    done = cluster.keygen("w", 2)
    cluster.await_wallet("w", done.need()["descriptor"])
    psbt = cluster.payment("w", "late")
    for name in ("phone", "offline"):
        cluster.arm(name, Moment("record", "request"))
    process = cluster.begin_sign("w", psbt, "--expires", "4s")
    done = cluster.finish(process)
    assert done.code == 6, done
    assert "expired before enough nodes had approved" in done.talk
    assert set(cluster.revive()) == {"phone", "offline"}
    time.sleep(2)
    kinds = [
        kind for name in cluster.nodes for event in cluster.events(name) for kind in event.get("record", ())
    ]
    assert "signed" not in kinds
    sign(cluster, "w", "anew")


def test_without_a_member_the_proposal_expires_and_says_so(cluster: CrashCluster) -> None:
    cluster.stop("offline", kill=True)
    done = cluster.keygen("w", 2, "--expires", "4s")
    assert done.code == 4, done
    assert "no wallet: not every owner agreed in time (keygen-expired)" in done.talk
    cluster.start("offline")
    again = cluster.keygen("w", 2)
    cluster.await_wallet("w", again.need()["descriptor"])
