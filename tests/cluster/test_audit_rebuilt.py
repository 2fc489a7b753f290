"""A coordinator whose database was lost and rebuilt is accused of nothing that is lost, and of everything else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from audits import SEED, Edit, audited, datadirs, files, rewritten
from msgspec.structs import replace
from simulator.losses import Losses
from simulator.seeds import run_in
from tampering import TAMPERED, without
from world import TestIdentity

from cluster.codec import header_of, open_letter, seal_letter
from cluster.journal import BootKept, FinalKept, RecoveredKept, RequestKept, note, read
from cluster.messages import Final, Kind
from cluster.records import Record
from cluster.storage import read_chain
from cluster.transcripts import Frame, frame_bytes, read_transcript

COORD = TestIdentity("coord")
LOST_IN_TURN = 11
ANEW = "coord: its database was lost, and begins anew"


def lived(place: Path, *, found: bool) -> None:
    """A run in which the coordinator's disk died, and was perhaps found again."""

    def lose(losses: Losses) -> None:
        losses.lose_coordinator("coord", found=found, transcript=True)

    turns = patch.object(Losses, "turns", lambda *_: frozenset({LOST_IN_TURN}))
    with turns, patch.object(Losses, "strike", lose):
        outcome = run_in(SEED, place, lies=False)
    assert outcome.finals > 8
    assert outcome.faulty == ""


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rebuilt")
    lived(place, found=False)
    return place


@pytest.fixture
def place(rebuilt: Path, tmp_path: Path) -> Path:
    shutil.copytree(rebuilt, tmp_path / "run")
    return tmp_path / "run"


def records_of(place: Path, name: str) -> list[Record]:
    return [row.record for row in read_chain(place / f"{name}.sqlite3").rows]


def test_an_honest_recovery_is_not_proven_and_no_violation(
    rebuilt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, outcomes, said = audited(files(rebuilt), capsys)
    assert code == 3, said
    assert outcomes == {
        "N1": outcomes["N1"],
        **dict.fromkeys(("N2", "N3", "N4", "N6"), "holds"),
        "N5": "not proven",
    }
    assert outcomes["N1"] in {"holds", "not proven"}
    assert said.count(ANEW) == 1
    assert "(coord" not in said.partition(ANEW)[0]


def test_with_the_old_disk_everything_is_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived(tmp_path, found=True)
    code, outcomes, said = audited(files(tmp_path), capsys)
    assert (code, set(outcomes.values())) == (0, {"holds"}), said
    assert "before and after it was rebuilt" in said
    assert ANEW in said


def test_nothing_is_forgiven_to_nodes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what, (rule, name, edit) in TAMPERED.items():
        if name == "coord":
            continue
        kept = records_of(place, name)
        rewritten(place, name, edit)
        code, outcomes, said = audited(files(place), capsys)
        assert (code, outcomes[rule], outcomes["N5"]) == (8, "violated", "violated"), what
        assert f'"party": "{name}"' in said
        rewritten(place, name, lambda _, kept=kept: kept)  # type: ignore[misc]


@pytest.mark.parametrize("kind", [FinalKept, RequestKept])
def test_what_it_told_since_must_stand_in_its_records(
    kind: type[FinalKept | RequestKept], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(place, "coord", without(kind))
    code, outcomes, said = audited(files(place), capsys)
    assert (code, outcomes["N1"], outcomes["N5"]) == (8, "violated", "violated")
    assert '"party": "coord"' in said


def test_who_does_not_say_that_it_was_rebuilt_is_accused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(place, "coord", without(RecoveredKept))
    code, outcomes, said = audited(files(place), capsys)
    assert (code, outcomes["N5"]) == (8, "violated")
    assert ANEW not in said


def after(kind: type[BootKept] | None) -> Edit:
    """A claim that the chain begins anew: at its start, or after its first start."""

    def edit(records: list[Record]) -> list[Record]:
        claim = note(RecoveredKept(read(records[0]).at_ms, confirmed=False))
        at = 1 if kind is None else next(i for i, r in enumerate(records) if isinstance(read(r), kind)) + 1
        return [*records[:at], claim, *records[at:]]

    return edit


@pytest.mark.parametrize("where", [None, BootKept])
@pytest.mark.parametrize("name", ["coord", "node0"])
def test_a_claim_to_be_rebuilt_explains_nothing_that_is_still_there(
    where: type[BootKept] | None, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in(SEED, tmp_path, lies=False)
    rewritten(tmp_path, name, after(where))
    code, outcomes, said = audited(files(tmp_path), capsys)
    assert (code, outcomes["N5"]) == (8, "violated")
    assert f'"party": "{name}"' in said


@pytest.mark.parametrize("name", ["coord", "node0"])
def test_who_throws_everything_away_and_claims_to_be_rebuilt_is_never_cleared(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in(SEED, tmp_path, lies=False)
    rewritten(tmp_path, name, lambda records: after(None)(records[:1]))
    code, outcomes, said = audited([*datadirs(tmp_path), *files(tmp_path, ".transcript")], capsys)
    if name == "coord":
        assert (code, outcomes["N5"]) == (3, "not proven"), said
        assert "one of them says that it spoke later" in said  # its lives went on after what it claims
    else:
        assert (code, outcomes["N2"], outcomes["N5"]) == (8, "violated", "violated")


def final_before_the_loss(place: Path, by: str) -> Frame:
    """The first ending that the coordinator told this machine, in a life that its records do not know."""
    boots = {body.boot_id for body in map(read, records_of(place, "coord")) if isinstance(body, BootKept)}
    for frame in read_transcript((place / f"{by}.transcript").read_bytes()).frames:
        header = header_of(frame.letter)
        if (header.kind, frame.sender) == (Kind.FINAL, COORD.public) and header.boot_id not in boots:
            return frame
    raise AssertionError("nothing ended before the loss")


def test_a_lie_needs_no_records(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A transaction that does not verify was never an end, whatever was lost since."""
    frame, file = final_before_the_loss(place, "node0"), place / "node0.transcript"
    letter = open_letter(frame.letter, frame.signature, COORD.public)
    assert isinstance(letter.body, Final)
    body = replace(letter.body, transaction=b"?" + letter.body.transaction)
    lie = seal_letter(letter.header, body, COORD)
    more = frame_bytes(replace(frame, letter=lie.letter, signature=lie.signature))
    file.write_bytes(file.read_bytes() + more)
    code, outcomes, said = audited(files(place), capsys)
    assert (code, outcomes["N1"]) == (8, "violated")
    assert "told of a final transaction, and has no record of it" in said


def test_an_end_that_no_database_holds_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The nodes' databases say what became of what was lost; where they do not, it is not proven."""
    request_id = header_of(final_before_the_loss(place, "node0").letter).request_id
    shown = unseen(audited(files(place), capsys)[2])
    for name in ("node0", "node1", "node2"):
        rewritten(place, name, lambda records: [r for r in records if not is_final_of(r, request_id)])
    assert unseen(audited(files(place), capsys)[2]) == shown + 1


def is_final_of(record: Record, request_id: bytes) -> bool:
    body = read(record)
    return isinstance(body, FinalKept) and body.request_id == request_id


def unseen(said: str) -> int:
    found = re.search(r"coord: (\d+) requests were acknowledged or ended before its database was lost", said)
    return int(found[1]) if found else 0
