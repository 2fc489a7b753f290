"""`assent policy set`, `show`, `changes`, `consent`, `cancel` and `diff`, as a person gives them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from changing import OWNER_ALONE, WITH_NODES, ChangingWorld, looser, tighter

from cluster.cli.commands import run
from cluster.codec import encode
from cluster.control import ControlServer
from cluster.keys import Keys
from cluster.owner_desk import NodeDesk
from cluster.party import opened, unseal_seed
from cluster.roster import Roster
from cluster.settings import profile_of_text
from cluster.storage import DataDir

PASS = ("--passphrase-file", "pass")
AT = ("--datadir", "home")
OVERLAY = "schema: 1\nname: over\nnetwork: regtest\nextends: changing\nlimits:\n  amount: {sent: 20_000sat}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pass").write_text("correct horse\n")
    (tmp_path / "pass").chmod(0o600)
    for name, text in {
        "changing": WITH_NODES,
        "alone": OWNER_ALONE,
        "loose": looser(WITH_NODES),
        "tight": tighter(WITH_NODES),
        "over": OVERLAY,
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def init(*more: str) -> int:
    return run(["init", "--role", "node", "--name", "home", *AT, "--kdf-memory", "19", *PASS, *more])


class OneAtHome(ChangingWorld):
    """A world whose node of this name has the keys of a real data directory, so that its owner can prove it."""

    def __init__(self, keys: Keys, name: str) -> None:
        self._keys, self._name = keys, name
        super().__init__(WITH_NODES)

    def _roster(self) -> Roster:
        self.seats[self._name].identity = self._keys.identity()  # type: ignore[assignment]
        return super()._roster()


@contextmanager
def running(place: DataDir, name: str = "node0") -> Iterator[ChangingWorld]:
    """A node that runs in a pretended cluster, and is asked through its real socket."""
    world = OneAtHome(unseal_seed(place, b"correct horse").keys("regtest"), name)
    desk = NodeDesk(world.node(name), encode(world.roster), world.watch.judges[name])
    lock, done = threading.Lock(), threading.Event()

    def handle(request: Mapping[str, object]) -> Mapping[str, object]:
        with lock:
            facts, step = desk.handle(request, world.now, world.entropy())
            if step is not None:
                world.perform(name, step)
            world.run(ms=100)
            return facts

    server = ControlServer(place.control_socket, handle)

    def loop() -> None:
        while not done.is_set():
            poller = zmq.Poller()
            for descriptor, flags in server.pollables():
                poller.register(descriptor, flags)
            poller.poll(5)
            server.service()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield world
    finally:
        done.set()
        thread.join()
        server.close()


def given(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def change_id(world: ChangingWorld, name: str = "node0") -> str:
    return world.pending(name).terms.id.hex()


# At a node that runs.


def test_a_tighter_profile_holds_at_once_and_a_looser_one_says_what_it_waits_for(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init() == 0
    place = DataDir(home / "home", "regtest")
    with running(place) as world:
        capsys.readouterr()
        assert run(["policy", "set", "loose.yaml", *AT, *PASS, "--json"]) == 5
        out, err = capsys.readouterr()
        facts = json.loads(out)
        assert facts["in_force"] is False
        change = facts["change"]
        assert (change["id"], change["state"], change["version"]) == (change_id(world), "pending", 2)
        assert change["direction"] == "looser"
        owner, time = change["missing"]
        assert (owner, time.endswith("of the cooldown of 48h")) == ("the owner of role1", True)
        assert change["changes"][0]["path"] == "limits.amount.sent"
        assert change_id(world)[:16] in err
        assert "the owner of role1" in err
        assert "looser" in err
        assert world.limit() == "50_000sat"
        assert run(["policy", "set", "tight.yaml", *AT, *PASS]) == 0
        out, err = capsys.readouterr()
        assert out.startswith("in force: version 2, ")
        assert "tighter" in err
        assert world.limit() == "40_000sat"
        assert run(["policy", "show", *AT, "--json"]) == 0
        shown = given(capsys)
        assert (shown["version"], shown["text"], shown["base"]) == (2, tighter(WITH_NODES), None)
        assert shown["previous"] != shown["digest"]
        assert shown["since_ms"]


def test_the_owner_sees_and_cancels_a_change(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init() == 0
    with running(DataDir(home / "home", "regtest")) as world:
        assert run(["policy", "changes", *AT]) == 0
        assert "no change" in capsys.readouterr().out
        assert run(["policy", "set", "loose.yaml", *AT, *PASS]) == 5
        found = change_id(world)
        capsys.readouterr()
        assert run(["policy", "changes", *AT]) == 0
        shown = capsys.readouterr().out
        assert f"change {found}" in shown
        assert "still missing: the owner of role1" in shown
        assert f"assent policy cancel {found[:16]}" in shown
        assert run(["status", *AT]) == 0
        status = capsys.readouterr().out
        assert "in force, version 1" in status
        assert "looser policies that wait: 1" in status
        assert run(["policy", "consent", found[:16], *AT, *PASS]) == 3
        assert "own change" in said(capsys)
        for bad in ("zz", found[:4], "ff" * 32):
            assert run(["policy", "cancel", bad, *AT]) == 2
            assert "policy changes" in said(capsys)
        assert run(["policy", "cancel", found[:16], *AT, "--json"]) == 0
        assert given(capsys) == {"id": found, "state": "cancelled"}
        assert world.node("node0").policies.own.pending == {}
        assert run(["policy", "cancel", found[:16], *AT]) == 3


def test_another_nodes_owner_is_asked_and_agrees(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init() == 0
    with running(DataDir(home / "home", "regtest"), "node1") as world:
        pending = world.loosen(policy=WITH_NODES)
        found = pending.terms.id.hex()
        capsys.readouterr()
        assert run(["pending", *AT, "--json"]) == 0
        [asked] = json.loads(capsys.readouterr().out)["pending"]
        assert (asked["kind"], asked["id"], asked["node"]) == ("policy-change", found, "node0")
        assert run(["pending", *AT]) == 0
        assert "60_000sat" in capsys.readouterr().out
        (home / "wrong").write_text("wrong\n")
        (home / "wrong").chmod(0o600)
        assert run(["policy", "consent", found, *AT, "--passphrase-file", "wrong"]) == 7
        assert len(pending.agreed) == 1
        capsys.readouterr()
        assert run(["policy", "consent", found, *AT, *PASS, "--json"]) == 0
        assert given(capsys) == {"id": found, "state": "consented"}
        assert len(pending.agreed) == 2
        assert run(["policy", "cancel", found, *AT]) == 0
        assert world.node("node0").policies.own.pending == {}


def test_approve_and_refuse_answer_a_change_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init() == 0
    with running(DataDir(home / "home", "regtest"), "node1") as world:
        pending = world.loosen(policy=WITH_NODES)
        found = pending.terms.id.hex()
        assert run(["approve", found, *AT, *PASS]) == 0
        assert len(pending.agreed) == 2
        assert run(["refuse", found, *AT]) == 0
        assert world.node("node0").policies.own.pending == {}
        capsys.readouterr()


def test_one_wallet_may_have_a_profile_of_its_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init() == 0
    with running(DataDir(home / "home", "regtest")) as world:
        wallet = world.make_wallet()
        capsys.readouterr()
        assert run(["policy", "set", "tight.yaml", "--wallet", "vault", *AT, *PASS]) == 0
        assert (world.limit("node0", wallet.wallet_id), world.limit()) == ("40_000sat", "50_000sat")
        assert run(["policy", "set", "tight.yaml", "--wallet", "none", *AT, *PASS]) == 3
        assert "no wallet none" in said(capsys)
        assert run(["policy", "show", "--wallet", "vault", *AT, "--json"]) == 0
        assert given(capsys)["wallet"] == "vault"
        assert run(["policy", "show", *AT, "--json"]) == 0
        assert given(capsys)["wallet"] is None
        assert run(["policy", "diff", "tight.yaml", "--wallet", "vault", *AT, "--json"]) == 0
        assert given(capsys)["direction"] == "same"


def test_an_overlay_is_sent_with_its_base(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init() == 0
    with running(DataDir(home / "home", "regtest")) as world:
        capsys.readouterr()
        assert run(["policy", "set", "over.yaml", *AT, *PASS]) == 0, "its base is beside it"
        assert world.limit() == "20_000sat"
        capsys.readouterr()
        assert run(["policy", "show", *AT, "--json"]) == 0
        assert given(capsys)["base"] == WITH_NODES
        assert run(["policy", "set", "over.yaml", "--base", "alone.yaml", *AT, *PASS]) == 5
        assert run(["policy", "set", "tight.yaml", "--base", "loose.yaml", *AT, *PASS]) == 2
        assert "extends nothing" in said(capsys)
        (home / "changing.yaml").unlink()
        assert run(["policy", "set", "over.yaml", *AT, *PASS]) == 3
        assert "changing.yaml" in said(capsys)


# At a node that does not run.


def test_at_rest_only_what_tightens_is_taken(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--policy", "changing.yaml") == 0
    capsys.readouterr()
    assert run(["policy", "set", "loose.yaml", *AT, *PASS]) == 3
    assert "start it" in said(capsys)
    assert run(["policy", "set", "tight.yaml", *AT, *PASS, "--json"]) == 0
    facts = given(capsys)
    assert (facts["version"], facts["direction"]) == (2, "tighter")
    assert run(["policy", "set", "tight.yaml", "--wallet", "vault", *AT, *PASS]) == 3
    assert run(["policy", "show", *AT, "--json"]) == 0
    shown = given(capsys)
    assert (shown["version"], shown["text"]) == (2, tighter(WITH_NODES))
    with opened(DataDir(home / "home", "regtest"), "node") as party:
        assert [record.kind for record in party.records] == ["policy", "policy"]


def test_an_overlay_may_be_the_first_profile(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--policy", "over.yaml") == 0
    capsys.readouterr()
    assert run(["policy", "show", *AT, "--json"]) == 0
    assert given(capsys)["base"] == WITH_NODES


def test_a_profile_that_no_longer_loads_may_be_replaced(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from policed import kept_policy

    assert init() == 0
    with opened(DataDir(home / "home", "regtest"), "node") as party:
        party.remember(kept_policy("schema: 9\n", 1, version=4))
    capsys.readouterr()
    assert run(["policy", "set", "alone.yaml", *AT, *PASS, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["version"] == 5
    assert "no longer loads" in err


# Comparing.


def test_diff_compares_two_files_or_one_with_what_is_in_force(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "diff", "changing.yaml", "loose.yaml", "--json"]) == 0
    facts = given(capsys)
    assert facts["direction"] == "looser"
    assert run(["policy", "diff", "changing.yaml", "tight.yaml"]) == 0
    assert "tighter" in capsys.readouterr().out
    assert run(["policy", "diff", "changing.yaml", "changing.yaml", "--json"]) == 0
    assert given(capsys)["changes"] == []
    assert run(["policy", "diff", "changing.yaml", "missing.yaml"]) == 3
    capsys.readouterr()
    assert init() == 0
    capsys.readouterr()
    assert run(["policy", "diff", "loose.yaml", *AT, "--json"]) == 0
    assert given(capsys)["direction"] == "first"
    with running(DataDir(home / "home", "regtest")):
        assert run(["policy", "diff", "loose.yaml", *AT, "--json"]) == 0
        assert given(capsys)["direction"] == "looser"


# The pages about it.


HOWTO = Path(__file__).parents[2] / "docs" / "howto"
OTHER = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.mark.parametrize("page", ["raise-a-limit", "allow-a-payee"])
def test_what_the_pages_write_loads_and_what_they_call_exists(
    page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (HOWTO / f"{page}.md").read_text()
    blocks = [one.partition("```")[0] for one in text.split("```yaml\n")[1:]]
    assert blocks
    lists = "lists: {friends: [" + OTHER + "]}\n"
    for block in blocks:
        head, _, tiers = OWNER_ALONE.partition("change:")[0].partition("tiers:")
        whole = head + block.replace("bcrt1p... ", OTHER + " ")
        whole += "" if "tiers:" in block else f"tiers:{tiers}"
        profile_of_text(whole + ("" if "lists:" in block else lists))
    calls = {tuple(line.split()[1:4]) for line in text.splitlines() if line.startswith("    $ ")}
    for _, *words in calls:
        assert run([*words[:2], "--help"]) == 0
    capsys.readouterr()
