"""The commands that tell the owner of one policy: from files, at a node that runs, and at one that rests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from homely import AT_NODE, PASS, Home
from spends import STRANGER, payment

from cluster.cli.commands import run
from cluster.journal import ShadowKept, read
from policy.budgets import BAR_WIDTH, bar

TO = "bcrt1pzfahdtfmx7zflc0dd4eqrrpwan5j2ut6gpfhyxsdxpxasf3dz5sqsja65d"
POLICY = f"""\
schema: 1
name: shop
network: regtest
lists:
  friends: ["script:{STRANGER.hex()}"]
limits:
  fee: {{max: 5_000sat, max_share: unlimited}}
  amount: {{sent: unlimited}}
  velocity:
    - {{window: 24h, sum: 300_000sat, count: 9, fees: 9_000sat, recipients: 8}}
    - {{window: 7d, count: 50, per: initiator}}
    - {{window: 7d, sum: 0.1btc, per: recipient}}
    - {{window: lifetime, sum: 1btc}}
tiers:
  - name: friends
    when: {{pays_only: [friends, own], sent_up_to: 60_000sat}}
    then: approve
  - name: more
    when: {{pays_only: [friends, own]}}
    limits: {{velocity: {{window: month, zone: UTC, count: 20}}}}
    then: ask
"""
STRICTER = POLICY.replace("sent: unlimited", "sent: 30_000sat")
CASES = f"""\
schema: 1
name: cases
network: regtest
lists: {{friends: [{TO}]}}
limits: {{amount: {{sent: 1btc}}, velocity: unlimited}}
tiers: [{{name: all, when: {{pays_only: friends}}, then: approve}}]
tests:
  - {{name: a friend, pay: {{friends: 0.1btc}}, expect: approve, tag: policy-tier}}
  - {{name: a stranger, pay: {{stranger: 0.1btc}}, expect: refuse, tag: policy-destination}}
"""

Found = dict[str, object]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def home(here: Path) -> Home:
    found = Home.make(here, POLICY)
    (here / "stricter.yaml").write_text(STRICTER)
    return found


def given(capsys: pytest.CaptureFixture[str]) -> Found:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def listed(facts: Mapping[str, object], key: str) -> list[Found]:
    return cast("list[Found]", facts[key])


def fault(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if line.startswith("assent: ")]
    assert "Traceback" not in err
    return line


def signed(home: Home, label: str, amount_sats: int = 40_000) -> bytes:
    """A payment that ends in a signature or not; its request id."""
    made = payment(home.wallet, script=STRANGER, label=label, amount_sats=amount_sats)
    view = home.world.request(home.wallet, made)
    home.world.run(lambda: view.final is not None, ms=20_000)
    home.world.run(ms=5_000)
    return view.subject.request_id


# Files alone.


def test_golden_cases_are_told_one_by_one_and_a_failure_is_exit_3(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "good.yaml").write_text(CASES)
    assert run(["policy", "test", "good.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok   good.yaml:8: a friend: approve",
        "ok   good.yaml:9: a stranger: refuse",
        "2 of 2 cases pass",
    ]
    (here / "bad.yaml").write_text(CASES.replace("sent: 1btc", "sent: 0.01btc"))
    assert run(["policy", "test", "good.yaml", "bad.yaml"]) == 3
    out, err = capsys.readouterr()
    assert "FAIL bad.yaml:8: a friend: refuse, expected approve with policy-tier\n" in out
    assert "       others receive 10_000_000sat; the most is 1_000_000sat" in out
    assert out.endswith("3 of 4 cases pass\n")
    assert err == "assent: 1 of 4 cases fail\n"
    assert run(["policy", "test", "bad.yaml", "--json"]) == 3
    facts = given(capsys)
    assert (facts["passed"], facts["failed"]) == (1, 1)
    [file] = listed(facts, "files")
    assert listed(file, "cases")[0] == {
        "name": "a friend",
        "line": 8,
        "passes": False,
        "expected": "approve",
        "outcome": "refuse",
        "codes": ["policy-amount-sent"],
        "missing": ["policy-tier"],
    }


def test_a_file_without_cases_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "none.yaml").write_text(CASES.partition("tests:")[0])
    assert run(["policy", "test", "none.yaml"]) == 0
    assert capsys.readouterr().out == "none.yaml: no tests\n0 of 0 cases pass\n"


def test_a_profile_is_told_in_prose_with_its_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "shop.yaml").write_text(POLICY)
    assert run(["policy", "explain", "shop.yaml"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "    3  `shop` is a policy for regtest." in shown
    assert "   15  1. `friends`: Pays up to 60_000sat to `friends` or this wallet by itself." in shown
    assert "   18  2. `more`: Asks the owner before it pays to `friends` or this wallet." in shown
    assert run(["policy", "explain", "shop.yaml", "--json"]) == 0
    facts = given(capsys)
    assert {"part": "About", "line": 3, "text": "`shop` is a policy for regtest."} in listed(
        facts, "sentences"
    )


def test_an_overlay_is_read_with_the_file_that_it_extends(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "shop.yaml").write_text(POLICY)
    (here / "mine.yaml").write_text(
        "schema: 1\nname: mine\nnetwork: regtest\nextends: shop\nreceive_only: true\n"
    )
    assert run(["policy", "explain", "mine.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "it tightens `shop`" in shown
    assert "In this order (`shop`)" in shown


HISTORY = {
    "wallet": {"nodes": 2, "threshold": 2},
    "events": [
        {
            "at_ms": 1_795_512_600_000,
            "pay": [{"to": TO, "sats": 60_000_000}],
            "said": "approve",
            "signed": True,
            "id": "rent\x1b[2J",
        },
        {"at_ms": 1_795_512_700_000, "pay": [{"to": "own", "sats": 5_000_000}], "said": "ask", "inputs": 3},
        {"at_ms": 1_795_512_800_000, "pay": [{"to": "script:6a00", "sats": 0}], "said": "refuse", "fee_sats": 500},
    ],
}  # fmt: skip


def test_a_history_in_a_file_is_tried_on_a_draft(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "cases.yaml").write_text(CASES.replace("pays_only: friends", "pays_only: [friends, own]"))
    (here / "past.json").write_text(json.dumps(HISTORY))
    assert run(["policy", "simulate", "cases.yaml", "--history", "past.json"]) == 0
    shown = capsys.readouterr().out
    assert (
        "3 requests       said   would\n  approve             1       2\n  ask                 1       0\n"
        in shown
    )
    assert (
        "1 would be otherwise:\n  would approve where it said ask: event 2, 2026-11-24 09:31 UTC\n" in shown
    )
    (here / "less.yaml").write_text(CASES.replace("sent: 1btc", "sent: 0.5btc"))
    assert run(["policy", "simulate", "less.yaml", "--history", "past.json", "--json"]) == 0
    facts = given(capsys)
    assert facts["would"] == {"approve": 0, "ask": 0, "wait": 0, "refuse": 3}
    first = listed(facts, "surprises")[0]
    assert "\x1b" not in str(first["id"])
    assert first["codes"] == ["policy-amount-sent"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no history"),
        ("[]", "is no history"),
        ('{"events": [{"at_ms": 1}]}', "$.events[0]"),
        ('{"events": [], "wallets": {}}', "wallets"),
        ('{"events": [], "wallet": {"nodes": 2, "threshold": 3}}', "3 of 2 nodes"),
        ('{"events": [{"at_ms": 1, "pay": [{"to": "bc1qfoo", "sats": 1}], "said": "ask"}]}', "no address of regtest"),
        ('{"events": [{"at_ms": 1, "pay": [{"to": "own", "sats": 1.5}], "said": "ask"}]}', "sats"),
        ('{"events": [{"at_ms": 1, "pay": [{"to": "own", "sats": 1}], "said": "maybe"}]}', "maybe"),
    ],
)  # fmt: skip
def test_a_bad_history_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    (here / "cases.yaml").write_text(CASES)
    (here / "past.json").write_text(text)
    assert run(["policy", "simulate", "cases.yaml", "--history", "past.json"]) == 3
    line = fault(capsys)
    assert "past.json" in line
    assert why in line


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        (["policy", "test", "nowhere.yaml"], 3, "there is no such file"),
        (["policy", "explain", "nowhere.yaml"], 3, "there is no such file"),
        (["policy", "simulate", "cases.yaml", "--history", "nowhere.json"], 3, "there is no such file"),
        (["policy", "test"], 2, "FILES"),
        (["policy", "shadow"], 2, "give FILE to begin"),
        (["policy", "shadow", "cases.yaml", "--off"], 2, "give FILE to begin"),
        (["explain", "zz"], 2, "at least 8 hex digits"),
        (["policy", "explain", "broken.yaml"], 3, "broken.yaml:1"),
    ],
)
def test_bad_input_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], command: list[str], code: int, why: str
) -> None:
    (here / "cases.yaml").write_text(CASES)
    (here / "broken.yaml").write_text("schema: 2\n")
    assert run(command) == code
    assert why in fault(capsys)


# At a node that runs.


def test_a_verdict_is_told_with_what_would_change_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    big = signed(home, "big", 90_000)
    capsys.readouterr()
    with home.running():
        assert run(["explain", big.hex()[:12], *AT_NODE]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"request {big.hex()} of wallet vault, open\n  pay 90_000sat to ")
        assert (
            "\nasks, by policy shop (1 reason)\nask: tier `more` asks the owner [policy-ask, line 18]\n"
            in shown
        )
        assert "  what would change it: a yes of the owner (`assent approve`)\n" in shown
        assert run(["explain", big.hex(), "--json", *AT_NODE]) == 0
        facts = given(capsys)
        assert (facts["decision"], facts["codes"]) == ("ask", ["policy-ask"])
        assert listed(facts, "reasons")[0] == {
            "outcome": "ask",
            "tag": "policy-ask",
            "line": 18,
            "profile": None,
            "text": "tier `more` asks the owner",
            "advice": "a yes of the owner (`assent approve`)",
        }
        assert run(["explain", "00" * 32, *AT_NODE]) == 2
        assert "no request of id" in fault(capsys)


def test_an_ended_request_is_known_by_its_tags(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    small = signed(home, "small")
    capsys.readouterr()
    with home.running():
        assert run(["explain", small.hex(), *AT_NODE]) == 0
        assert "it is final and only its tags are kept: policy-tier" in capsys.readouterr().out


def test_budgets_left_are_bars_with_numbers(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    signed(home, "small")
    capsys.readouterr()
    with home.running():
        assert run(["policy", "show", "--budgets", *AT_NODE]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown[:3] == [
            "wallet vault (2-of-3, 1 assumed evil)",
            "  line 10: sum per 24h",
            "    [##############......] 40_500sat of 150_000sat (this node's part of 300_000sat) used, "
            "109_500sat left; more in about 24 hours",
        ]
        assert "  line 11: count per 7d (asked for by client)" in shown
        assert any("line 12: sum per 7d (to friends 5120" in line for line in shown)
        assert "  tier `more`, line 20: count per month (UTC)" in shown
        assert run(["policy", "show", "--budgets", "--json", *AT_NODE]) == 0
        first = listed(listed(given(capsys), "wallets")[0], "budgets")[0]
        assert {key: first[key] for key in ("limit", "part", "used", "left", "line", "measure")} == {
            "limit": 300_000,
            "part": 150_000,
            "used": 40_500,
            "left": 109_500,
            "line": 10,
            "measure": "sum",
        }
        assert isinstance(first["more_in_ms"], int)
        assert run(["policy", "show", "--budgets", "--wallet", "other", *AT_NODE]) == 3
        assert "no wallet other" in fault(capsys)


def test_a_bar_is_full_only_when_all_is_left_and_empty_only_when_nothing_is() -> None:
    assert bar(100, 100) == "[" + "#" * BAR_WIDTH + "]"
    assert bar(99, 100).count("#") == BAR_WIDTH - 1
    assert bar(1, 10**9).count("#") == 1
    assert bar(0, 100).count("#") == bar(0, 0).count("#") == 0


def test_the_past_is_tried_on_a_draft_by_a_node_that_runs_and_by_one_that_rests(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    small = signed(home, "small")
    capsys.readouterr()
    with home.running():
        assert run(["policy", "simulate", "stricter.yaml", *AT_NODE, "--json"]) == 0
        running = given(capsys)
    assert (running["wallet"], running["requests"], running["newest"]) == ("vault", 1, 500)
    assert running["said"] == {"approve": 1, "ask": 0, "wait": 0, "refuse": 0}
    [surprise] = listed(running, "surprises")
    assert (surprise["id"], surprise["would"], surprise["signed"]) == (small.hex(), "refuse", True)
    home.lay_down()
    assert run(["policy", "simulate", "stricter.yaml", *AT_NODE, *PASS, "--json"]) == 0
    resting = given(capsys)
    assert resting["newest"] is None
    assert {**resting, "newest": 500} == running
    assert run(["policy", "simulate", "stricter.yaml", *AT_NODE, "--passphrase-file", "bad"]) == 7
    assert run(["policy", "explain", *AT_NODE]) == 0
    assert "`shop` is a policy for regtest." in capsys.readouterr().out


def test_the_policy_in_force_is_told_in_prose(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    with home.running():
        assert run(["policy", "explain", *AT_NODE]) == 0
    assert "1. `friends`: Pays up to 60_000sat" in capsys.readouterr().out


def test_a_draft_goes_into_the_shadow_with_a_proof_and_its_report_is_read(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with home.running():
        assert run(["policy", "shadow", "--report", *AT_NODE]) == 0
        assert "no draft is in the shadow here" in capsys.readouterr().out
        assert run(["policy", "shadow", "--off", *AT_NODE, *PASS]) == 3
        assert "no draft" in fault(capsys)
        assert run(["policy", "shadow", "stricter.yaml", *AT_NODE, "--passphrase-file", "bad"]) == 7
        capsys.readouterr()
        assert run(["policy", "shadow", "stricter.yaml", *AT_NODE, *PASS]) == 0
        assert capsys.readouterr().out.startswith("in the shadow: ")
    small = signed(home, "small")
    with home.running():
        assert run(["policy", "shadow", "--report", *AT_NODE]) == 0
        shown = capsys.readouterr().out
        assert ": 1 difference\n" in shown
        assert f"{small.hex()[:16]}: would refuse, where approve was said (policy-amount-sent)" in shown
        assert run(["policy", "shadow", "--report", "--json", *AT_NODE]) == 0
        [draft] = listed(given(capsys), "drafts")
        assert (draft["wallet"], draft["text"], draft["differences"]) == (None, STRICTER, 1)
        assert run(["policy", "shadow", "--off", *AT_NODE, *PASS, "--json"]) == 0
        assert given(capsys) == {"shadow": False, "digest": None}
    entries = [read(record) for record in home.world.seats["node0"].disk]
    assert sum(isinstance(entry, ShadowKept) for entry in entries) == 1


def test_what_needs_a_running_node_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for command in (["policy", "show", "--budgets"], ["explain", "00" * 4], ["policy", "shadow", "--report"]):
        assert run([*command, *AT_NODE]) == 3
        fault(capsys)
