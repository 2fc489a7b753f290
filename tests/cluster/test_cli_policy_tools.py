"""`assent policy lint` and `who-can` in process: what they print, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from world import World

from cluster.cli.commands import run
from cluster.roster_file import write_roster_file

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
THREE = [str(CONFIGS / f"{name}.yaml") for name in ("home", "phone", "offline")]
FIVE = [
    str(CONFIGS / "enterprise" / f"{name}.yaml")
    for name in ("treasury", "operations", "security", "audit", "cold")
]
BROKEN = """\
schema: 1
name: {name}
network: regtest
limits:
  amount: {{sent: 1btc}}
  velocity: [{{window: 24h, sum: 1btc}}]
tiers:
  - name: nothing
    when: {{pays_only: [anyone, own], sent_above: 2btc}}
    then: approve
"""


def written(folder: Path, name: str, text: str = BROKEN) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text.format(name=name))
    return str(path)


def test_lint_of_the_shipped_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "lint", *THREE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["errors"] == 0
    assert all(set(r) == {"file", "line", "path", "severity", "text", "mend"} for r in found["remarks"])
    assert run(["policy", "lint", *FIVE, "--threshold", "3"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 or "/" in line for line in text.splitlines())
    assert text.count("nothing to say") >= 1


def test_errors_exit_with_3_and_say_how_to_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "lint", written(tmp_path, "home")]) == 3
    out, err = capsys.readouterr()
    assert "error: line 9, tiers[0].when.sent_above" in out
    assert "mend: raise limits.amount.sent" in out
    assert err.splitlines() == ["assent: 1 error in 1 file(s)"]
    assert run(["policy", "lint", written(tmp_path, "home"), "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["errors"] == 1


def test_names_are_looked_up_in_a_roster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roster = tmp_path / "roster.json"
    roster.write_bytes(write_roster_file(World().roster))
    text = BROKEN.replace(
        "{{pays_only: [anyone, own], sent_above: 2btc}}", "{{pays_only: own, asked_by: [desk]}}"
    )
    file = written(tmp_path, "home", text + "change: {{cooldown: 24h, nodes: [phone]}}\n")
    assert run(["policy", "lint", file, "--json"]) == 0
    alone = {remark["path"] for remark in json.loads(capsys.readouterr().out)["remarks"]}
    run(["policy", "lint", file, "--roster", str(roster), "--json"])
    known = {remark["path"] for remark in json.loads(capsys.readouterr().out)["remarks"]}
    assert {path.partition("[")[0] for path in known - alone} == {"tiers", "change.nodes"}
    assert run(["policy", "lint", file, "--roster", str(tmp_path / "none")]) == 3
    assert run(["policy", "lint", file, "--roster", file]) == 3
    assert "not a roster" in capsys.readouterr().err


def test_a_set_is_looked_at_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [written(tmp_path, name) for name in ("a", "b")]
    assert run(["policy", "lint", *files]) == 3
    assert "error: together: no quorum can pay anybody anything" in " ".join(capsys.readouterr().out.split())


def test_one_file_of_a_known_wallet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "lint", THREE[0], "--roles", "home,phone,offline"]) == 0
    assert "set" not in capsys.readouterr().out.splitlines()
    assert run(["policy", "lint", THREE[0], "--roles", "home,phone"]) == 3  # demands the laptop
    assert "no node has the role offline" in " ".join(capsys.readouterr().out.split())


def test_who_can(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "who-can", *THREE]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Pay friends" in text
    assert "by themselves: home+phone" in text
    assert "The most that can leave without a yes, if a thief has" in text
    assert "to an address of his own: nothing" in text


def test_who_can_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "who-can", *THREE, "--stolen", "phone", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        "threshold", "roles", "bands", "after_loss", "rescue", "worst_losses", "notes",
    }  # fmt: skip
    assert found["roles"] == ["home", "phone", "offline"]
    assert {tuple(loss["stolen"]) for loss in found["worst_losses"]} == {("phone",)}
    day = next(loss for loss in found["worst_losses"] if (loss["window"], loss["place"]) == ("24h", "any"))
    assert day["exact"]
    assert sum(part["sats"] for part in day["plan"]) == day["sats"] > 0
    assert all(band["above_sats"] < (band["up_to_sats"] or 2**60) for band in found["bands"])


def test_who_can_of_five_with_two_stolen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "who-can", *FIVE, "--threshold", "3", "--stolen", "audit,cold"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "audit and cold" in text
    assert "without treasury and operations" in text


def test_one_signature_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        written(tmp_path, name, BROKEN.replace("sent_above: 2btc", "sent_up_to: 1btc")) for name in ("a", "b")
    ]
    assert run(["policy", "who-can", *files, "--threshold", "1"]) == 0
    assert "Whoever steals one node can sign anything" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["who-can", THREE[0]], 2, "a threshold of 2 needs as many profiles"),
        (["who-can", THREE[0], THREE[0]], 2, "two files are for the role home"),
        (["who-can", *THREE, "--roles", "a,b"], 2, "--roles names 2 roles for 3 files"),
        (["who-can", *THREE, "--stolen", "vault"], 2, "no node has the role vault"),
        (["who-can", *THREE, "--stolen", "home,phone"], 2, "can sign anything"),
        (["lint", *THREE, "--threshold", "4"], 2, "--threshold 4 is more than the 3 nodes there are"),
        (["lint", "nowhere.yaml"], 3, "there is no such file"),
        (["lint", FIVE[0], "--base", "nowhere.yaml"], 3, "nowhere.yaml: there is no such file"),
        (["lint"], 2, "Missing argument"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", *arguments]) == code
    out, err = capsys.readouterr()
    assert not out
    assert says in err
    assert len(err.splitlines()) == 1
