"""The anchor file: what it vouches for, what it does not, and what the config says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from older_disks import Unvouched, head_of, lived, put_back, quarantine

from cluster.errors import ConfigError, StorageFault
from cluster.heads import ANCHOR_SILENT, NO_ANCHOR, Anchored
from cluster.keys import Seed
from cluster.owner_says import QuarantineEnded
from cluster.party import Config, read_config, write_config
from cluster.records import Head
from cluster.settings import SettingsError
from cluster.storage import Anchor, DataDir

KEY = Seed(b"\x01" * 32).keys("regtest").anchor_key()
HEAD = Head(4_711, b"h" * 32)


def anchor(tmp_path: Path, key: bytes = KEY) -> Anchor:
    return Anchor(tmp_path / "anchor", key)


def test_it_says_again_what_was_written(tmp_path: Path) -> None:
    anchor(tmp_path).write(HEAD, 3)
    assert anchor(tmp_path).read() == Anchored(HEAD, 3, "")
    anchor(tmp_path).write(Head(), 0)
    assert anchor(tmp_path).read() == Anchored(Head(), 0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["anchor"], "nothing half-written stays"
    assert (tmp_path / "anchor").stat().st_mode & 0o777 == 0o644, "no secret, and nobody else writes it"


def test_missing_damaged_or_anothers_it_vouches_for_nothing(tmp_path: Path) -> None:
    assert anchor(tmp_path).read().fault.endswith("is missing")
    anchor(tmp_path).write(HEAD, 0)
    whole = (tmp_path / "anchor").read_bytes()
    other = Seed(b"\x02" * 32).keys("regtest").anchor_key()
    found = anchor(tmp_path, other).read()
    assert (found.head, "another node's" in found.fault) == (None, True)
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            (tmp_path / "anchor").write_bytes(damaged)
            found = anchor(tmp_path).read()
            assert found.head is None
            assert found.fault
    (tmp_path / "anchor").write_bytes(whole + b"\0" * 10_000)
    assert anchor(tmp_path).read().head is None
    (tmp_path / "anchor").unlink()
    (tmp_path / "anchor").mkdir()
    assert "not a plain file" in anchor(tmp_path).read().fault


@pytest.mark.parametrize(
    "found", [b"ASSENT-SEALED/1 and more", b"SQLite format 3\0" * 4096, b"x" * 92, b"\n"]
)
def test_another_file_in_its_place_is_not_written_over(tmp_path: Path, found: bytes) -> None:
    """Where config.yaml names the seed, the database or somebody's letter as the anchor."""
    (tmp_path / "anchor").write_bytes(found)
    with pytest.raises(ConfigError, match="no anchor, and would write over it"):
        anchor(tmp_path).check_file()


def test_a_damaged_anchor_or_none_is_written_over(tmp_path: Path) -> None:
    anchor(tmp_path).check_file()
    anchor(tmp_path).write(HEAD, 0)
    whole = (tmp_path / "anchor").read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], bytes(len(whole))):
            (tmp_path / "anchor").write_bytes(damaged)
            anchor(tmp_path).check_file()


def test_a_disk_that_is_gone_ends_the_process_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageFault, match=r"the anchor cannot be written .* bring its disk back"):
        Anchor(tmp_path / "unplugged" / "anchor", KEY).write(HEAD, 0)


def test_its_key_serves_nothing_else() -> None:
    keys = Seed(b"\x01" * 32).keys("regtest")
    assert keys.anchor_key() != keys.sealing_key()
    assert keys.anchor_key() != Seed(b"\x01" * 32).keys("mainnet").anchor_key()


def test_the_config_names_it_by_its_full_path(tmp_path: Path) -> None:
    place = DataDir(tmp_path, "regtest")
    place.path.mkdir()
    made = Config("node", "home", "regtest", anchor="/media/key/assent.anchor")
    text = write_config(made).decode()
    for wrong, right in (("", text), ("assent.anchor", ""), ("~/assent.anchor", "")):
        written = text.replace("/media/key/assent.anchor", wrong) if wrong else right
        place.config_file.write_text(written, encoding="utf-8")
        place.config_file.chmod(0o600)
        if wrong:
            with pytest.raises(SettingsError, match="write the full path of a file"):
                read_config(place)
        else:
            assert read_config(place) == made


@pytest.mark.parametrize(("found", "told"), [(Anchored(fault="x is damaged"), True), (NO_ANCHOR, False)])
def test_a_node_says_that_its_anchor_vouches_for_nothing(found: Anchored, told: bool) -> None:
    world, _, disk = lived(1)
    assert isinstance(world, Unvouched)
    world.seats["node0"].told.clear()
    put_back(world, "node0", disk, found)
    assert [notice.code for notice in world.seats["node0"].told] == [ANCHOR_SILENT] * told
    assert not world.node("node0").heads.settled
    assert world.run(lambda: world.node("node0").heads.settled, ms=5_000), "its peers do"


@pytest.mark.parametrize("lost", [True, False])
def test_an_anchor_of_before_its_owner_ended_a_quarantine_vouches_for_nothing(lost: bool) -> None:
    """The process died between the commit and the anchor, or somebody put the file back; lost records or not."""
    world, _, disk = lived(3)
    put_back(world, "node0", disk[:-10])
    assert world.run(lambda: quarantine(world) is not None, ms=1_000)
    world.run(ms=1_000)
    world.answer("node0", QuarantineEnded())
    now = list(world.seats["node0"].disk)
    for name in ("node1", "node2"):
        world.stop(name)
    put_back(world, "node0", now, head_of(disk if lost else now[:-3]))
    world.run(ms=20_000)
    assert quarantine(world) is None, "what its owner ended is not found again"
    assert not world.node("node0").heads.settled
    written = Anchored(head_of(now).head, world.node("node0").heads.lineage, "")
    put_back(world, "node0", now, written)
    assert world.run(lambda: world.node("node0").heads.settled, ms=20_000), "as the newest one does"
