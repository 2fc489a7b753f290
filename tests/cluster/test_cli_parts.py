"""What travels between people as files: public parts, rosters, backups. Damage is noticed, whatever it is."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from world import World

from cluster.backup import (
    Backup,
    BackupError,
    backup_of,
    qr_parts,
    qr_png,
    qr_text,
    read_backup,
    write_backup,
)
from cluster.codec import encode
from cluster.keys import Seed
from cluster.party import Config
from cluster.public_part import PublicPart, own_entry, read_public_part, roster_of, write_public_part
from cluster.roster import RosterError
from cluster.roster_file import read_roster_file, write_roster_file
from cluster.schemes import Wallet


def part_of(role: str, name: str, number: int, network: str = "regtest") -> tuple[PublicPart, bytes]:
    from cluster.cli.setup import make_part

    seed = Seed(bytes([number]) * 32)
    listen = "tcp://127.0.0.1:7711" if role == "coordinator" else ""
    roles = ("board",) if role == "person" else ()
    part = make_part(Config(role, name, network), seed, listen, roles, "ann" if role == "client" else "")
    return part, write_public_part(part, seed.keys(network).identity())


PARTIES = (
    ("node", "home"),
    ("node", "phone"),
    ("coordinator", "relay"),
    ("client", "laptop"),
    ("person", "ann"),
)


@cache
def parts() -> tuple[tuple[PublicPart, bytes], ...]:
    return tuple(part_of(role, name, number) for number, (role, name) in enumerate(PARTIES, 1))


def test_a_public_part_makes_the_round() -> None:
    for part, file in parts():
        assert read_public_part(file) == part


@given(st.data())
def test_an_altered_public_part_is_refused(data: st.DataObject) -> None:
    _, file = data.draw(st.sampled_from(parts()))
    at = data.draw(st.integers(0, len(file) - 1))
    new = data.draw(st.integers(0, 255))
    altered = file[:at] + bytes([new]) + file[at + 1 :]
    with suppress(RosterError):  # what is read all the same differs in a space, or in the case of a hex digit
        assert read_public_part(altered) == read_public_part(file)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(data: bytes) -> None:
    for reader, error in (
        (read_public_part, RosterError),
        (read_roster_file, RosterError),
        (read_backup, BackupError),
    ):
        with pytest.raises(error):
            reader(data)
        with pytest.raises(error):
            reader(b"ASSENT1/" + data)


def test_a_roster_makes_the_round_and_knows_its_own() -> None:
    roster = roster_of(tuple(part for part, _ in parts()), bytes(32))
    assert read_roster_file(write_roster_file(roster)) == roster
    for part, _ in parts():
        assert own_entry(roster, part).name == part.name
    stranger, _ = part_of("node", "home", 99)
    with pytest.raises(RosterError, match="not in the roster"):
        own_entry(roster, stranger)
    renamed, _ = part_of("node", "attic", 1)
    with pytest.raises(RosterError, match="other things"):
        own_entry(roster, renamed)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ([("node", "a", 1, "regtest"), ("coordinator", "b", 2, "signet")], "2 networks"),
        ([("node", "a", 1, "regtest"), ("coordinator", "a", 2, "regtest")], "stands twice"),
        ([("node", "a", 1, "regtest"), ("coordinator", "b", 1, "regtest")], "stands twice"),
        ([("node", "a", 1, "regtest")], "at least one"),
        ([("coordinator", "a", 1, "regtest")], "at least one"),
    ],
)
def test_a_senseless_roster_is_not_built(chosen: list[tuple[str, str, int, str]], said: str) -> None:
    with pytest.raises(RosterError, match=said):
        roster_of(tuple(part_of(*one)[0] for one in chosen), bytes(32))


@given(st.data())
def test_an_altered_roster_is_another_or_none(data: st.DataObject) -> None:
    roster = roster_of(tuple(part for part, _ in parts()), bytes(32))
    tree = json.loads(write_roster_file(roster))
    place = data.draw(st.sampled_from(["nodes", "coordinators", "clients", "people"]))
    entry = data.draw(st.sampled_from(tree[place]))
    key = data.draw(st.sampled_from(sorted(entry)))
    new = data.draw(st.sampled_from(["", "zz", "00" * 32, 5, None, [], ["00" * 33], "home"]))
    assume(new != entry[key])
    entry[key] = new
    with suppress(RosterError):
        assert encode(read_roster_file(json.dumps(tree).encode())) != encode(roster)


# Backups.


@cache
def made() -> tuple[Backup, Wallet]:
    world = World()
    wallet = world.make_wallet()
    view = next(iter(world.client.keygen.values()))
    return backup_of(encode(world.roster), wallet, encode(wallet.charter), view.acks), wallet


def test_a_backup_makes_the_round_as_file_and_as_codes() -> None:
    backup, wallet = made()
    for data in (
        write_backup(backup),
        "\n".join(qr_parts(backup)).encode(),
        " ".join(reversed(qr_parts(backup))).encode(),
    ):
        again, read = read_backup(data)
        assert again == backup
        assert read.public.descriptor() == wallet.public.descriptor()
        assert read.acknowledged(again.acks)


def test_a_backup_says_nothing_secret() -> None:
    backup, wallet = made()
    tree = json.loads(write_backup(backup))
    names = "format version wallet network descriptor roster charter recovery_data acks others checksum"
    assert set(tree) == set(names.split())
    assert tree["recovery_data"] == wallet.recovery_data.hex()


def test_codes_can_be_drawn() -> None:
    text = qr_parts(made()[0])[0]
    assert qr_png(text).startswith(b"\x89PNG")
    assert len(qr_text(text).splitlines()) > 20


@given(st.data())
def test_a_damaged_backup_is_noticed(data: st.DataObject) -> None:
    backup, _ = made()
    file = write_backup(backup)
    at = data.draw(st.integers(0, len(file) - 1))
    altered = file[:at] + bytes([data.draw(st.integers(0, 255))]) + file[at + 1 :]
    with suppress(BackupError):
        assert read_backup(altered)[0] == backup


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("descriptor", "tr(evil)", "altered"),
        ("network", "mainnet", "altered"),
        ("version", 2, "version|format"),
        ("format", "x", "format"),
        ("charter", "00", "damaged"),
        ("acks", [], "damaged"),
    ],
)
def test_an_altered_backup_says_what_is_wrong(key: str, value: object, said: str) -> None:
    tree = json.loads(write_backup(made()[0]))
    tree[key] = value
    with pytest.raises(BackupError, match=said):
        read_backup(json.dumps(tree).encode())


def test_codes_that_are_missing_mixed_or_damaged_are_named() -> None:
    texts = qr_parts(made()[0])
    count = len(texts)
    assert count > 1
    with pytest.raises(BackupError, match=f"missing: {count} of {count}"):
        read_backup("\n".join(texts[:-1]).encode())
    other = qr_parts(Backup(1, b"x" * 900, b"", b"", ()))
    with pytest.raises(BackupError, match="different backups"):
        read_backup("\n".join([*texts[:-1], other[0]]).encode())
    letter = "A" if texts[0][-1] != "A" else "B"
    with pytest.raises(BackupError, match="damaged"):
        read_backup("\n".join([texts[0][:-9] + letter * 9, *texts[1:]]).encode())
    with pytest.raises(BackupError):
        read_backup("\n".join(other).encode())
