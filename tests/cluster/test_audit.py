"""`assent audit`: a good run passes; one whose databases were altered does not, however well they were hashed anew."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audits import SEED, Edit, audited, files, rewritten
from msgspec.structs import replace
from simulator.seeds import run_in
from simulator.simulated import Disk
from world import TestIdentity

from cluster.audit import Run
from cluster.audit.budget_model import Spend, at_most, part_of, places
from cluster.cli.commands import run
from cluster.codec import open_inner
from cluster.drill_records import DrillSigned
from cluster.journal import (
    ClosedKept,
    FinalKept,
    JudgedKept,
    PolicyKept,
    RequestKept,
    SignedKept,
    note,
    read,
)
from cluster.messages import Kind, SignedLetter
from cluster.public_part import PublicPart, write_public_part
from cluster.record_body import Body
from cluster.records import Record
from cluster.settings import profile_of_text
from cluster.storage import Store
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


def changed(kind: type[Body], change: Callable[[Body], Body | None], *, only: int = 0) -> Edit:
    """Change, or leave out, the record of a kind that is number `only`."""

    def edit(records: list[Record]) -> list[Record]:
        places = [i for i, record in enumerate(records) if isinstance(read(record), kind)]
        at = places[only]
        new = change(read(records[at]))
        kept = [] if new is None else [note(new, records[at].wallet_id)]
        return [*records[:at], *kept, *records[at + 1 :]]

    return edit


def without(kind: type[Body], *, only: int = 0) -> Edit:
    return changed(kind, lambda body: None, only=only)


def no_trace_of_the_first_final(records: list[Record]) -> list[Record]:
    first = next(b for b in map(read, records) if isinstance(b, FinalKept))
    return [r for r in records if getattr(read(r), "request_id", _of(r)) != first.request_id]


def _of(record: Record) -> bytes:
    body = read(record)
    return open_inner(body.request, Kind.REQUEST).header.request_id if isinstance(body, RequestKept) else b""


def same_nonces_twice(records: list[Record]) -> list[Record]:
    signed = [i for i, record in enumerate(records) if isinstance(read(record), SignedKept)]
    first, second = read(records[signed[0]]), read(records[signed[1]])
    assert isinstance(first, SignedKept) and isinstance(second, SignedKept)
    records[signed[1]] = note(replace(second, pubnonces=first.pubnonces), records[signed[1]].wallet_id)
    return records


def no_approval_of_the_first_signed(records: list[Record]) -> list[Record]:
    first = next(b for b in map(read, records) if isinstance(b, SignedKept))
    return [
        r for r in records if not (isinstance(b := read(r), JudgedKept) and b.request_id == first.request_id)
    ]


def forged_request(body: Body) -> Body:
    assert isinstance(body, RequestKept)
    letter = body.request.letter
    at = len(letter) // 2
    forged = letter[:at] + bytes([letter[at] ^ 1]) + letter[at + 1 :]
    return replace(body, request=SignedLetter(forged, body.request.signature))


def no_letter(body: Body) -> Body:
    assert isinstance(body, RequestKept)
    return replace(body, request=SignedLetter(b"?", body.request.signature))


def forged_transaction(body: Body) -> Body:
    assert isinstance(body, FinalKept)
    return replace(body, signatures=tuple((bytes(64),) for _ in body.signatures))


def loosened(body: Body) -> Body:
    assert isinstance(body, PolicyKept)
    text = body.text.replace("sum: 0.02btc", "sum: 2btc").replace("sum: 400_000sat", "sum: 9_000_000sat")
    text = text.replace("sum: 300_000sat", "sum: 9_000_000sat").replace("sum: 250_000sat", "sum: 9btc")
    assert text != body.text
    return replace(body, text=text)


def test_a_good_run_passes(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, outcomes, said = audited(files(good), capsys)
    assert (code, set(outcomes.values())) == (0, {"holds"}), said
    assert run(["audit", *files(good)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in lines[:6]] == ["N1", "N2", "N3", "N4", "N5", "N6"]
    assert all(": holds (" in line for line in lines[:6])


TAMPERED: dict[str, tuple[str, str, Edit]] = {
    "a coordinator without a request that it acknowledged": ("N1", "coord", no_trace_of_the_first_final),
    "a coordinator without the end of a request": ("N1", "coord", without(FinalKept)),
    "a coordinator that never closed a request": ("N1", "coord", without(ClosedKept)),
    "a node without a record of signing": ("N2", "node0", without(SignedKept, only=2)),
    "a node with other partial signatures": (
        "N2",
        "node0",
        changed(SignedKept, lambda b: replace(b, psigs=(bytes(32),))),
    ),
    "a node without its part in a drill": ("N2", "node0", without(DrillSigned)),
    "a node with another nonce in a drill": (
        "N3",
        "node0",
        changed(DrillSigned, lambda b: replace(b, pubnonces=(bytes([3]) * 66,))),
    ),
    "a node with one nonce in two sessions": ("N3", "node0", same_nonces_twice),
    "a node with other nonces than it used": (
        "N3",
        "node0",
        changed(SignedKept, lambda b: replace(b, pubnonces=(bytes([2]) * 66,))),
    ),
    "a node that counts one satoshi": (
        "N4",
        "node0",
        changed(SignedKept, lambda b: replace(b, leaving_sats=1, fee_sats=0, payments=())),
    ),
    "a node whose budget's clock runs backwards": (
        "N4",
        "node0",
        changed(SignedKept, lambda b: replace(b, budget_ms=0), only=3),
    ),
    "a node with a looser policy under the old digest": ("N4", "node0", changed(PolicyKept, loosened)),
    "a node without its newest records": ("N5", "node0", lambda records: records[:-40]),
    "a node with a record in between": ("N5", "node0", lambda records: [*records[:60], *records[59:]]),
    "a node that never approved": ("N6", "node0", no_approval_of_the_first_signed),
    "a request that no client signed": ("N6", "node0", changed(RequestKept, forged_request)),
    "a request that is no letter": ("N6", "node0", changed(RequestKept, no_letter)),
    "a transaction that nobody signed": ("N6", "coord", changed(FinalKept, forged_transaction)),
    "a node that signed another spend": (
        "N6",
        "node0",
        changed(SignedKept, lambda b: replace(b, spend_id=bytes(32))),
    ),
}


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
        assert rules["N6"] == outcome, said
        assert ("a request that no client signed" in said) is (outcome == "violated")


def datadirs(place: Path) -> list[str]:
    """The databases as they lie in data directories, each with its public part."""
    found = []
    for file in sorted(place.glob("*.sqlite3")):
        folder, identity = place / file.stem, TestIdentity(file.stem)
        folder.mkdir()
        shutil.copy(file, folder / "records.sqlite3")
        is_node = file.stem.startswith("node")
        keys = (bytes([2]) + bytes([i]) * 32 for i in (1, 2)) if is_node else ()
        host, signing = ((key,) for key in keys) if is_node else ((), ())
        part = PublicPart(
            1, "regtest", "node" if is_node else "coordinator", file.stem, identity.public, bytes(32),
            host, signing, ("role",) if is_node else (), "" if is_node else "tcp://127.0.0.1:5555", "",
        )  # fmt: skip
        (folder / "public.json").write_bytes(write_public_part(part, identity))
        found.append(str(folder))
    return found


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
