"""`assent evidence` from a node's database to a stranger's verdict, after a coordinator lied to that node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from evil import EvilCoordinator, signed_by
from homely import AT_NODE, Home
from policed import FRIENDS
from spends import STRANGER, payment

from cluster.cli.commands import run
from cluster.messages import Final, Kind, OrderEntry, SignedLetter
from cluster.roster_file import write_roster_file

Found = Mapping[str, object]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A node in a real data directory, and a request that it approved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cluster.roster.WORDS_MEMORY_BYTES", 8 * 1024 * 1024)
    return Home.make(tmp_path, FRIENDS)


def lied_to(home: Home) -> None:
    """The coordinator orders with nonces that nobody signed, says a false end, and all is in the node's database."""
    world, wallet = home.world, home.wallet
    view = world.request(wallet, payment(wallet, script=STRANGER))
    evil = EvilCoordinator(world)
    mine, theirs = (evil.entry(name, view.request) for name in ("node0", "node1"))
    ids = {"wallet_id": wallet.wallet_id, "request_id": view.subject.request_id}
    forged = OrderEntry(theirs.verdict, SignedLetter(theirs.nonces.letter, bytes(64)))
    evil.order("node0", (mine, forged), **ids)
    evil.tell("node0", Kind.FINAL, Final(((bytes(64),),) * view.subject.count, (0, 1), b"tx"), **ids)
    assert not signed_by(world, "node0")
    home.lay_down()


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[Found, str]:
    """What a command printed: its JSON, and its talk."""
    capsys.readouterr()
    assert run(["evidence", *words, "--json"]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return json.loads(out), err


def flipped(text: str) -> str:
    """Hex with one bit of its middle byte the other way."""
    raw = bytearray.fromhex(text)
    raw[len(raw) // 2] ^= 1
    return raw.hex()


def test_a_node_shows_what_its_coordinator_signed_and_anybody_checks_the_file(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    lied_to(home)
    Path("roster.json").write_bytes(write_roster_file(home.world.roster))
    with home.running():
        listed = cast("list[Found]", said(capsys, "list", *AT_NODE)[0]["evidence"])
        kinds = {str(one["code"]): str(one["id"]) for one in listed}
        assert set(kinds) == {"order-false", "final-false"}
        assert {(one["about"], one["role"]) for one in listed} == {("coord", "coordinator")}
        for kind, id_ in kinds.items():
            shown, _ = said(capsys, "show", id_[:8], *AT_NODE)
            assert (shown["code"], shown["proven"]) == (kind, True)
            given, talk = said(capsys, "export", id_, "--out", f"{kind}.json", *AT_NODE)
            assert given["file"] == f"{kind}.json"
            assert "learns every address" in talk
        _, twice = said(capsys, "export", kinds["order-false"], "--out", "order-false.json", *AT_NODE, code=3)
        assert "order-false.json" in twice, "no file is written over"
        said(capsys, "show", "00000000", *AT_NODE, code=2)
    for kind in kinds:  # the node may be gone: nothing but the file is needed
        found, _ = said(capsys, "verify", f"{kind}.json", "--roster", "roster.json")
        assert (found["holds"], found["culprit"], found["kind"]) == (True, "coord", kind)


def test_a_tampered_file_convicts_nobody(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    lied_to(home)
    with home.running():
        for one in cast("list[Found]", said(capsys, "list", *AT_NODE)[0]["evidence"]):
            said(capsys, "export", str(one["id"]), "--out", f"{one['code']}.json", *AT_NODE)
    whole = json.loads(Path("order-false.json").read_text(encoding="utf-8"))
    request, order = whole["letters"]
    other = json.loads(Path("final-false.json").read_text(encoding="utf-8"))["letters"][-1]
    for wrong, code in (
        ({"letters": [request, [flipped(order[0]), order[1]]]}, 7),
        ({"letters": [request, [order[0], flipped(order[1])]]}, 7),
        ({"letters": [request]}, 7),
        ({"letters": [request, other]}, 7),
        ({"kind": "final-false"}, 7),
        ({"kind": "psig-invalid"}, 7),
        ({"wallet": whole["wallet"][:-2]}, 2),
        ({"letters": [request, [order[0], order[1][:-2]]]}, 2),
        ({"version": 2}, 2),
        ({"more": 1}, 2),
    ):
        Path("wrong.json").write_text(json.dumps({**whole, **wrong}), encoding="utf-8")
        capsys.readouterr()
        assert run(["evidence", "verify", "wrong.json"]) == code, wrong
        [line] = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("assent: wrong.json: ")
    Path("wrong.json").write_text(json.dumps({**whole, "about": "node1"}), encoding="utf-8")
    assert said(capsys, "verify", "wrong.json")[0]["culprit"] == "coord", "the letters say who, not the file"
