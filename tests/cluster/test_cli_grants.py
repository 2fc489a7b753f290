"""`assent grant` and `assent intent` as a person gives them: at a node that runs, at one that does not, at a client."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from homely import AT_NODE, PASS, Home
from spends import STRANGER, payment

from cluster.cli.commands import run
from cluster.codec import encode, open_inner
from cluster.intents import read_intent
from cluster.journal import CharterKept, RequestKept, RosterKept, WalletComplete, WalletKept, read
from cluster.messages import Kind, Request
from cluster.party import opened
from cluster.settings import profile_of_text
from cluster.storage import DataDir
from policy import TAGS
from taproot import Network, script_to_address

TO = script_to_address(STRANGER, Network.REGTEST) or ""
COIN = "ab" * 32 + ":1"
POLICY = """\
schema: 1
name: granted
network: regtest
limits:
  fee: {max: 5_000sat, max_share: unlimited}
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - name: rent
    when: {pays_only: anyone}
    then: ask
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(tmp_path)
    made = Home.make(tmp_path, POLICY)
    now_ms = made.world.now.wall_ms
    [view] = made.world.client.keygen.values()
    charter = encode(view.charter)
    kept = (
        CharterKept(now_ms, view.request, charter),
        WalletKept(now_ms, charter, made.wallet.recovery_data),
    )
    for name in ("node0", "client"):
        with opened(DataDir(tmp_path / name, "regtest")) as party:
            party.remember(RosterKept(now_ms, encode(made.world.roster)))
            party.remember(*kept, WalletComplete(now_ms, view.acks), wallet_id=made.wallet.wallet_id)
    return made


def kinds(home: Home) -> list[str]:
    with opened(home.place, "node") as party:
        return [record.kind for record in party.records]


MAKE = ("grant", "make", "--to", TO, "--sum", "0.001btc", "--until", "2029-01-31", "--payments", "12")


def given(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def said(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if line.startswith("assent: ")]
    return line


def test_at_a_running_node(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    with home.running():
        assert run([*MAKE, *AT_NODE, "--passphrase-file", "bad"]) == 7
        assert "wrong passphrase" in said(capsys)
        assert run([*MAKE, "--wallet", "vault", "--must-sign", "node0", *AT_NODE, *PASS, "--json"]) == 0
        made = given(capsys)
        assert (made["sum_sats"], made["payments"], made["must_sign"]) == (100_000, 12, "node0")
        assert made["until_ms"] == 1_864_598_400_000  # the end of that day
        assert made["here"] == {
            "sum_sats": 100_000,
            "payments": 12,
            "left_sats": 100_000,
            "left_payments": 12,
        }
        assert run([*MAKE, *AT_NODE, *PASS]) == 0
        assert capsys.readouterr().out.startswith("granted: ")
        assert run(["grant", "list", *AT_NODE]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown[0] == f"{str(made['id'])[:16]}  vault: to {TO} until 2029-01-31, node0 must sign"
        assert shown[1] == "  [####################] 100_000sat of 100_000sat left"
        assert shown[2] == "  [####################] 12 of 12 payments left"
        assert shown[4] == "  [####################] 50_000sat of 50_000sat left (this node's part)"
        assert run(["grant", "revoke", str(made["id"])[:12], *AT_NODE]) == 0
        assert capsys.readouterr().out == f"ended: {made['id']}\n"
        assert run(["grant", "list", *AT_NODE, "--json"]) == 0
        left = given(capsys)["grants"]
        assert isinstance(left, list)
        assert [one["must_sign"] for one in left] == [None]
    written = [record.kind for record in home.world.seats["node0"].disk]
    assert (written.count("grant"), written.count("grant-revoked")) == (2, 1)


def test_a_part_of_nothing_is_said_at_once(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with home.running():
        assert run([*MAKE[:-1], "1", *AT_NODE, *PASS]) == 0
        assert "rounds down to nothing: name a node with --must-sign" in capsys.readouterr().err


def test_at_a_node_that_stands_still(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["grant", "list", *AT_NODE]) == 0
    assert capsys.readouterr().out == "nothing is granted here\n"
    assert run([*MAKE, "--must-sign", "nobody", *AT_NODE, *PASS]) == 3
    assert "not one node alone has the role nobody" in said(capsys)
    assert run([*MAKE, *AT_NODE, "--passphrase-file", "bad"]) == 7
    assert "grant" not in kinds(home)
    capsys.readouterr()
    assert run([*MAKE, *AT_NODE, *PASS, "--json"]) == 0
    made = given(capsys)
    assert made["here"] is None
    assert run(["grant", "list", *AT_NODE]) == 0
    assert "  100_000sat in 12 payments granted in all" in capsys.readouterr().out
    assert run(["grant", "revoke", "0" * 8, *AT_NODE]) == 2
    assert "no such grant" in said(capsys)
    assert run(["grant", "revoke", "xy", *AT_NODE]) == 2
    assert run(["grant", "revoke", str(made["id"]), *AT_NODE]) == 0
    assert kinds(home)[-2:] == ["grant", "grant-revoked"]
    # What was made here is what the node goes by when it starts.
    with opened(home.place) as party:
        records = [record for record in party.records if record.kind.startswith("grant")]
    home.world.seats["node0"].disk.extend(records[:1])
    home.world.restart("node0")
    assert [one.grant.id.hex() for one in home.world.watch.judges["node0"].grants.all] == [made["id"]]


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--to", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "--to: "),
        ("--to", "nobody", "--to: "),
        ("--sum", "100000", "--sum: "),
        ("--sum", "0sat", "--sum: zero"),
        ("--sum", "1usd", "--sum: "),
        ("--until", "31.1.2029", "--until: write the last day"),
        ("--until", "2029-02-30", "--until: write the last day"),
        ("--until", "9999-12-31", "--until: write the last day"),
        ("--payments", "0", "--payments"),
        ("--wallet", "other", "--wallet: name one"),
        ("--until", "2020-01-01", "over already"),
        ("--until", "2039-01-01", "more than three years ahead"),
    ],
)
def test_bad_input_grants_nothing(
    home: Home, capsys: pytest.CaptureFixture[str], option: str, value: str, why: str
) -> None:
    capsys.readouterr()
    assert run([*MAKE, *AT_NODE, *PASS, option, value]) in {2, 3}
    assert why in said(capsys)
    assert "grant" not in kinds(home)


def test_a_client_grants_nothing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run([*MAKE, "--datadir", "client", *PASS]) == 3
    assert "a grant is a node's" in said(capsys)


# Intents.

AT_CLIENT = ("--datadir", "client")
INTEND = ("intent", "make", "--to", TO, "--amount", "40_000sat", "--max-fee", "500sat", "--out", "i.txt")


def test_an_intent_is_made_shown_and_carried(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run([*INTEND, "--coin", COIN, *AT_CLIENT, *PASS, "--json"]) == 0
    out, err = capsys.readouterr()
    made = json.loads(out)
    assert made["payments"] == [{"to": TO, "script": STRANGER.hex(), "amount_sats": 40_000}]
    assert (made["device"], made["wallet"], made["coin"]) == ("client", "vault", COIN)
    assert made["expires_at_ms"] - made["made_at_ms"] == 2 * 3_600_000
    assert f"  pay 40_000sat to {TO}" in err
    assert run(["intent", "show", "i.txt", *AT_CLIENT, "--json"]) == 0
    shown = given(capsys)
    assert {**shown, "file": "i.txt"} == made
    assert run(["intent", "show", "i.txt", *AT_CLIENT]) == 0
    assert "  fee at most 500sat" in capsys.readouterr().out
    assert run([*INTEND, "--coin", COIN, *AT_CLIENT, *PASS]) == 2
    assert "not overwritten" in said(capsys)
    # It goes with the request: what cannot be carried is said before anything is asked.
    Path("spend.psbt").write_bytes(payment(home.wallet, script=STRANGER))
    assert run(["sign", "spend.psbt", "--intent", "pass", *AT_CLIENT, *PASS]) == 2
    assert "this is no intent's file" in said(capsys)
    assert run(["sign", "spend.psbt", "--intent", "i.txt", "--timeout", "1s", *AT_CLIENT, *PASS]) != 0
    with opened(DataDir(Path("client").absolute(), "regtest")) as party:
        [entry] = [read(record) for record in party.records if record.kind == "request"]
    assert isinstance(entry, RequestKept)
    body = open_inner(entry.request, Kind.REQUEST).body
    assert isinstance(body, Request)
    assert body.intent is not None
    assert read_intent(body.intent, home.world.roster.cluster_id).id.hex() == made["id"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--coin", "12:1"), "--coin: "),
        (("--coin", "ab" * 32 + ":4294967296"), "--coin: "),
        (("--coin", COIN, "--to", TO), "--to and --amount go together"),
        (("--coin", COIN, "--amount", "1sat"), "--to and --amount go together"),
        (("--coin", COIN, "--max-fee", "500"), "--max-fee: "),
        (("--coin", COIN, "--expires", "2"), "--expires: "),
        (("--coin", COIN, "--wallet", "other"), "no wallet other"),
    ],
)
def test_bad_input_makes_no_intent(
    home: Home, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], why: str
) -> None:
    capsys.readouterr()
    assert run([*INTEND, *more, *AT_CLIENT, *PASS]) in {2, 3}
    assert why in said(capsys)
    assert not Path("i.txt").exists()


def test_a_file_that_is_none_is_named(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run([*INTEND, "--coin", COIN, *AT_CLIENT, *PASS]) == 0
    good = Path("i.txt").read_text()
    capsys.readouterr()
    for text in ("", "assent-intent 1\n", "assent-intent 2\n" + good.partition("\n")[2], good[:-8], "\xff"):
        Path("bad.txt").write_text(text, encoding="latin-1")
        assert run(["intent", "show", "bad.txt", *AT_CLIENT]) == 2
        assert "bad.txt: this is no intent's file" in said(capsys)
    head, body = good.split("\n", 1)
    swapped = body[:-8] + ("AAAA" if body[-8:-4] != "AAAA" else "BBBB") + body[-4:]
    Path("bad.txt").write_text(f"{head}\n{swapped}")
    assert run(["intent", "show", "bad.txt", *AT_CLIENT]) == 2
    assert run(["intent", "show", "none.txt", *AT_CLIENT]) == 2


def test_the_page_about_grants_shows_what_loads_and_what_there_is() -> None:
    text = (Path(__file__).parents[2] / "docs" / "howto" / "subscription-grant.md").read_text(
        encoding="utf-8"
    )
    tiers = text.split("```yaml\n")[1].split("```")[0]
    profile = profile_of_text(POLICY.partition("tiers:")[0] + tiers)
    assert profile.tiers[0].then.grant
    assert set(re.findall(r"`(policy-[a-z-]+)`", text)) <= {tag.name for tag in TAGS}
    commands = re.findall(r"\$ assent (grant [a-z]+)", text)
    assert set(commands) == {"grant make", "grant list", "grant revoke"}
