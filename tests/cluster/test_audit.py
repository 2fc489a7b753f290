"""`assent audit`: a good run passes; one whose databases were altered does not, however well they were hashed anew."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from audits import SEED, audited, datadirs, files, rewritten
from simulator.seeds import run_in
from simulator.simulated import Disk
from tampering import TAMPERED

from cluster.audit import Run
from cluster.audit.budget_model import Spend, at_most, part_of, places
from cluster.cli.commands import run
from cluster.journal import (
    SignedKept,
    read,
)
from cluster.records import Record
from cluster.settings import profile_of_text
from cluster.storage import APPLICATION_ID, SCHEMA_VERSION, Store, read_chain
from cluster.transcripts import TRANSCRIPT_HEAD


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    outcome = run_in(SEED, place, lies=False)
    assert outcome.finals > 8
    assert outcome.faulty == ""
    return place


@pytest.fixture
def place(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path / "run")
    for leftover in (tmp_path / "run").glob("*-shm"):
        leftover.unlink()
    return tmp_path / "run"


def test_a_good_run_passes(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, outcomes, said = audited(files(good), capsys)
    assert (code, set(outcomes.values())) == (0, {"holds"}), said
    assert run(["audit", *files(good)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in lines[:6]] == ["N1", "N2", "N3", "N4", "N5", "N6"]
    assert all(": holds (" in line for line in lines[:6])


@pytest.mark.parametrize("what", TAMPERED)
def test_altered_and_hashed_anew_is_found(what: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule, name, edit = TAMPERED[what]
    rewritten(place, name, edit)
    code, outcomes, said = audited(files(place), capsys)
    assert code == 8
    assert outcomes[rule] == "violated", said
    assert outcomes["N5"] == "violated"  # whatever it was, others know another head
    assert f'"party": "{name}"' in said


def test_altered_without_a_new_hash_is_found(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = sqlite3.connect(place / "node1.sqlite3")
    raw.execute("DROP TRIGGER record_is_never_changed")
    raw.execute("UPDATE record SET wallet_id = zeroblob(32) WHERE kind = 'signed'")
    raw.commit()
    raw.close()
    code, outcomes, said = audited(files(place), capsys)
    assert (code, outcomes["N5"]) == (8, "violated")
    assert "does not follow the one before it" in said
    assert "its tables are not those of its schema" in said


def test_a_file_whose_records_are_a_query_without_end_is_named_and_not_read(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else whoever hands it in fills the memory of whoever audits."""
    (place / "node1.sqlite3").unlink()
    raw = sqlite3.connect(place / "node1.sqlite3")
    raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    raw.execute(
        "CREATE VIEW record AS WITH RECURSIVE line(at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM line) "
        "SELECT at AS height, zeroblob(32) AS wallet_id, 'boot' AS kind, zeroblob(0) AS body, "
        "zeroblob(32) AS prev, zeroblob(32) AS hash FROM line"
    )
    raw.commit()
    raw.close()
    (place / "node1.sqlite3").chmod(0o600)
    stored = read_chain(place / "node1.sqlite3")
    assert (stored.rows, stored.layout_is_ours) == ((), False)
    capsys.readouterr()
    assert run(["audit", *files(place)]) == 3
    assert "nothing says whose database this is" in capsys.readouterr().err


def test_an_older_copy_alone_is_found_and_beside_the_newer_only_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(place / "node0.sqlite3", place / "older.sqlite3")
    rewritten(place, "older", lambda records: records[:-30])
    code, _, said = audited(files(place), capsys)
    assert code == 0
    assert "older copy" in said
    (place / "node0.sqlite3").unlink()
    code, outcomes, _ = audited(files(place), capsys)
    assert (code, outcomes["N5"]) == (8, "violated")


def test_what_peers_wrote_down_shows_a_chain_cut_off(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any transcript: nodes keep each other's heads beside what they sign together."""

    def before_the_last_signed(records: list[Record]) -> list[Record]:
        signed = [i for i, record in enumerate(records) if isinstance(read(record), SignedKept)]
        return records[: signed[-3]]

    rewritten(place, "node0", before_the_last_signed)
    code, outcomes, said = audited(datadirs(place), capsys)
    assert (code, outcomes["N5"]) == (8, "violated"), said
    assert "node0" in said and "does not lie on its chain" in said


def test_two_chains_of_one_node_are_a_fork(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(place / "node0.sqlite3", place / "other.sqlite3")
    rewritten(place, "other", lambda records: [*records[:-30], records[-1]])
    code, _, said = audited(files(place), capsys)
    assert code == 8
    assert "its chain forked" in said


def test_what_is_missing_is_not_proven(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, outcomes, said = audited(datadirs(place), capsys)
    assert code == 3
    assert {rule for rule, outcome in outcomes.items() if outcome == "not proven"} == {
        "N1", "N2", "N3", "N5", "N6",
    }  # fmt: skip
    assert "no transcript" in said
    some = [file for file in files(place) if "node1" not in file]
    code, outcomes, said = audited(some, capsys)
    assert code == 3
    assert "no database of node1" in said
    assert "violated" not in outcomes.values()


def test_without_a_public_part_or_a_transcript_nobody_knows_whose_it_is(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", *files(good, ".sqlite3")]) == 3
    assert "nothing says whose database this is; keep its public.json beside it" in capsys.readouterr().err


def test_a_public_part_of_somebody_else_is_noticed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = datadirs(place)
    shutil.copy(Path(names[1]) / "public.json", Path(names[2]) / "public.json")
    assert run(["audit", *names, *files(place, ".transcript")]) == 3
    assert "spoke under its boot ids" in capsys.readouterr().err


def test_a_wallet_that_is_not_proven_accuses_nobody_while_files_are_missing(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Run.of

    def without_wallets(*given: Any) -> Run:
        found = whole(*given)
        found.wallets.clear()
        return found

    monkeypatch.setattr(Run, "of", without_wallets)
    names = datadirs(place)
    for paths, outcome in ((names, "violated"), ([n for n in names if n.endswith("node0")], "not proven")):
        _, rules, said = audited(paths, capsys)
        assert (rules["N4"], rules["N6"]) == (outcome, outcome), said
        assert ("a request that no client signed" in said) is (outcome == "violated")


def test_bad_files_are_one_line(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"SQLite format 3\0" + bytes(2000))
    stranger.chmod(0o600)
    cut = tmp_path / "cut"
    cut.write_bytes(TRANSCRIPT_HEAD + b"\xff" * 30)
    cut.chmod(0o600)
    for bad in ("nowhere", str(stranger), str(cut), str(tmp_path)):
        assert run(["audit", *files(place), bad]) == 3
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and err.startswith("assent: "), err
    assert run(["audit"]) == 2
    assert run(["audit", *files(place, ".transcript")]) == 3
    assert "no roster" in capsys.readouterr().err


def test_a_data_directory_stands_for_its_one_network(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for network in ("regtest", "signet"):
        (tmp_path / "party" / network).mkdir(parents=True)
    shutil.copy(files(place, ".sqlite3")[0], tmp_path / "party" / "regtest" / "records.sqlite3")
    said = []
    for more in ("", "regtest"):
        code = run(["audit", *files(place, ".transcript"), str(tmp_path / "party" / more)])
        said.append((code, capsys.readouterr()))
    assert said[0] == said[1]
    assert str(tmp_path / "party" / "regtest" / "records.sqlite3") in said[0][1].out
    shutil.copy(files(place, ".sqlite3")[0], tmp_path / "party" / "signet" / "records.sqlite3")
    assert run(["audit", str(tmp_path / "party")]) == 3
    assert "name the directory of one network" in capsys.readouterr().err


def test_reading_changes_nothing(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in good.iterdir()}
    audited(files(good), capsys)
    assert {file: file.read_bytes() for file in good.iterdir()} == before


# The slow model of budgets, by hand.


def spend(number: int, sats: int, *coins: int) -> Spend:
    used = tuple((bytes([coin]) * 32, 0) for coin in coins or (number,))
    return Spend(bytes([number]) * 32, number, sats, 0, used, (), "")


def test_of_conflicting_spends_the_largest_counts() -> None:
    spends = [spend(1, 50), spend(2, 70, 1), spend(3, 10), spend(4, 20, 2, 3)]
    assert at_most(spends) == (70 + 20, 2)
    assert places(spends)[:2] == [(bytes([1]) * 32, 0)] * 2


def test_a_part_of_a_limit() -> None:
    profile = profile_of_text(
        "schema: 1\nname: p\nnetwork: regtest\nlimits: {amount: {sent: unlimited}, velocity: unlimited}\n"
        "tiers:\n  - {name: all, when: {pays_only: anyone}, then: approve}\n"
    )
    assert part_of(100, profile, t=2, n=3) == 50
    assert part_of(100, profile, t=3, n=5) == 50
    assert part_of(100, profile, t=2, n=2) == 100
    assert part_of(100, profile, t=1, n=3) == 33


def test_a_simulated_disk_is_a_database(good: Path) -> None:
    store = Store.open(good / "coord.sqlite3")
    assert len(Disk(store)) == store.height
    store.close()
