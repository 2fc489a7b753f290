"""The tutorial, followed to the letter with real processes, and what a person would look at on the way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tour import REPOSITORY, Block, Tour, blocks, json_of

from cluster.backup import read_backup
from taproot import read_spend

pytestmark = pytest.mark.slow

TUTORIAL = REPOSITORY / "docs" / "tutorial.md"


START = next(block for block in blocks(TUTORIAL) if "coordinator run" in block.text)


def start(tour: Tour, *names: str) -> None:
    """Start some of the background processes again, as the tutorial does."""
    lines = [line for line in START.text.splitlines() if any(f"{name}.pid" in line for name in names)]
    tour.run(Block(START.line, "\n".join(lines), 0))


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    tour = Tour(tmp_path)
    try:
        for block in blocks(TUTORIAL):
            tour.run(block)
        what_was_signed(tmp_path)
        private_stays_private(tmp_path, tour.words)
        away_and_back(tour)
    finally:
        tour.stop()


def what_was_signed(home: Path) -> None:
    wallet = read_backup((home / "home.backup.json").read_bytes())[1].public
    assert read_spend((home / "rent.psbt").read_bytes(), wallet).sent_sats == 50_000
    for name, signed in {"rent": True, "car": True, "bread": True, "theft": False, "book": False}.items():
        path = home / f"{name}.signed.psbt"
        assert path.exists() is signed
        assert not signed or path.read_bytes().startswith(b"psbt\xff")


def private_stays_private(home: Path, words: dict[str, str]) -> None:
    """No seed words in any file, no address, amount or note in a log, nothing that others may open."""
    assert set(words) == {"home", "phone", "offline", "relay", "laptop"}
    for path in home.rglob("*"):
        if not path.is_file() or path.name == "words":
            continue
        data = path.read_bytes()
        assert not any(said.encode() in data for said in words.values()), path
        if path.suffix == ".log":
            assert b"bcrt1" not in data
            assert b"50000" not in data
            assert b"50_000" not in data
            assert b"rent for May" not in data
    for name in ("home", "relay", "laptop"):
        place = home / name / "regtest"
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        for file in ("seed.sealed", "records.sqlite3", "config.yaml"):
            assert stat.S_IMODE((place / file).stat().st_mode) == 0o600


def away_and_back(tour: Tour) -> None:
    """Without a coordinator the client says so (7); the same command later goes on with the same request."""
    start(tour, "home")
    sign = ("sign", "book.psbt", "--datadir", "laptop", "--passphrase-file", "pass", "--json")
    away = tour.assent(*sign, "--timeout", "2s")
    assert away.returncode == 7, away.stderr
    assert json_of(away)["error"]["exit_code"] == 7  # type: ignore[index]
    start(tour, "relay")
    alone = tour.assent(*sign, "--timeout", "8s")
    assert alone.returncode == 6, alone.stderr
    assert "asking again for the same request" in alone.stderr
    assert "cannot reach offline, phone" in alone.stderr
    start(tour, "phone")
    done = json_of(tour.assent(*sign, "--timeout", "30s"))
    assert done["state"] == "final"
    again = json_of(tour.assent(*sign, "--out", "again.psbt"))
    assert again["transaction"] == done["transaction"]
    assert json_of(tour.assent("status", "--json", "--datadir", "home"))["pending"] == 0
