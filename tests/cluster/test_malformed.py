"""Malformed bytes at every door: whatever comes, a reader answers with its own error, soon, and never with another.

Hypothesis changes good bytes in any way it likes. `ASSENT_FUZZ_S` says for how many seconds each door is tried (3
unless it does: half a minute for all of them); `ASSENT_FUZZ_SEED` where to begin, another number for another night.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial

import msgspec
import pytest
import zmq
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult_base as public_of
from shipped import CONFIGS
from spends import payment
from vss_double import blob, item, number
from world import World

from cluster import sealed
from cluster.backup import Backup, BackupError, read_backup, write_backup
from cluster.codec import SIGNATURE_DOMAIN, BadLetter, encode, open_letter
from cluster.errors import StateError, WrongPassphrase
from cluster.journal import read
from cluster.public_part import read_public_part
from cluster.records import Head, Record
from cluster.roster import RosterError
from cluster.roster_file import read_roster_file, write_roster_file
from cluster.scheme import KeygenTrouble
from cluster.schemes import Wallet, read_wallet
from cluster.settings import profile_of_text
from cluster.state_store import KeyValue, KeyVersion, NoSuchKey, Page, vss_messages
from cluster.state_store.batches import Batch, Position, StoreHead
from cluster.state_store.findings import Code, StoreFault
from cluster.state_store.reading import look, read_chain
from cluster.state_store.sealing import HEAD_ROLE, Sealer, batch_role
from cluster.strict_yaml import SettingsError
from cluster.transport import CoordinatorEndpoint
from curve import tagged_hash
from taproot import PsbtRefused, read_spend

pytestmark = pytest.mark.patient

SECONDS = float(os.environ.get("ASSENT_FUZZ_S", "3"))
FIRST = int(os.environ.get("ASSENT_FUZZ_SEED", "1"))
SLOW_S = 3.0
"""So much processor time no reader may take over anything that fits through its door."""

ROUND = 100
"""After so many tries the clock is looked at."""

NASTY = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\xff" * 8,
    b"\0" * 33,
    b"\x91" * 50,
    b"{[" * 40,
    b"&a [*a]\n",
    b"%",
    b"\r",
)


@dataclass(frozen=True)
class Door:
    """Something that reads bytes from outside: good ones, the reader, and what it may raise."""

    good: tuple[bytes, ...]
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]


@st.composite
def malformed(draw: st.DrawFn, good: tuple[bytes, ...]) -> bytes:
    """Good bytes with a few changes, or a few bytes of nothing at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.one_of(st.integers(at, min(len(data), at + 8)), st.integers(at, len(data))))
        how = draw(st.sampled_from(["flip", "flip", "cut", "put", "double", "nasty", "number", "splice"]))
        piece = data[at:end]
        if how == "flip" and at < len(data):
            end, piece = at + 1, bytes([data[at] ^ draw(st.integers(1, 255))])
        elif how == "cut":
            piece = b""
        elif how == "put":
            end, piece = at, draw(st.binary(min_size=1, max_size=9))
        elif how == "double":
            piece = piece * draw(st.sampled_from([2, 3, 100]))
        elif how == "nasty":
            piece = draw(st.sampled_from(NASTY))
        elif how == "number":
            piece = draw(st.integers(0, 2**64 - 1)).to_bytes(8, draw(st.sampled_from(["big", "little"])))
        elif how == "splice":
            other = draw(st.sampled_from(good))
            start = draw(st.integers(0, len(other)))
            piece = other[start : start + draw(st.integers(0, 80))]
        data = (data[:at] + piece + data[end:])[: 1 << 20]
    return data


# What is good.


@cache
def staged() -> tuple[World, Wallet, list[tuple[str, bytes]]]:
    """A world in which a wallet was made and a request signed, and its letters with their senders."""
    world = World()
    said: list[tuple[str, bytes]] = []
    hook = world.hook

    def overhear(envelope: object) -> object:
        said.append((envelope.sender, envelope.letter))  # type: ignore[attr-defined]
        return hook(envelope)  # type: ignore[arg-type]

    world.hook = overhear  # type: ignore[assignment]
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, coins=2))
    assert world.run(lambda: view.final is not None)
    return world, wallet, said


def letter_door() -> Door:
    """Genuinely signed by their sender: the reader sees what the signature lets through."""
    world, _, said = staged()
    by_kind = {msgspec.msgpack.decode(letter)[0][1]: (sender, letter) for sender, letter in said}
    seats = {seat.identity.public: seat.identity for seat in world.seats.values()}

    def open_signed(letter: bytes) -> object:
        named = [public for public in seats if public in letter]  # the sender stands before the addressee
        identity = seats[min(named, key=letter.index)] if named else world.seats["coord"].identity
        return open_letter(letter, identity.sign(SIGNATURE_DOMAIN + letter), identity.public)

    return Door(tuple(letter for _, letter in by_kind.values()), open_signed, (BadLetter,))


def psbt_door() -> Door:
    _, wallet, _ = staged()
    good = tuple(payment(wallet, coins=n) for n in (1, 2, 5))
    return Door(good, lambda data: read_spend(data, wallet.public), (PsbtRefused,))


def policy_door() -> Door:
    """The shipped profiles that stand alone."""
    texts = [path.read_bytes() for path in sorted(CONFIGS.rglob("*.yaml"))]
    good = tuple(text for text in texts if b"\nschema:" in text and b"\nextends:" not in text)

    def load(data: bytes) -> object:
        return profile_of_text(data.decode())

    return Door(good, load, (SettingsError, UnicodeDecodeError))


def roster_door() -> Door:
    world, _, _ = staged()
    return Door((write_roster_file(world.roster),), read_roster_file, (RosterError,))


def public_part_door() -> Door:
    """A roster's file is none, but much like one."""
    world, _, _ = staged()
    return Door((write_roster_file(world.roster),), read_public_part, (RosterError,))


def sealed_door() -> Door:
    """With the checksum made to fit, since anybody can; the key derivation itself is not what is tried."""
    salt, nonce = bytes(sealed.SALT_BYTES), bytes(sealed.NONCE_BYTES)
    made = sealed.seal(b"seed" * 8, b"pass", purpose="seed", salt=salt, nonce=nonce, cost=sealed.MINIMUM_COST)

    def unseal(data: bytes) -> object:
        with suppress(StateError, WrongPassphrase):
            sealed.unseal(data, b"pass", purpose="seed")
        body = data[:-8]
        return sealed.unseal(body + sealed._checksum(body), b"pass", purpose="seed")

    return Door((made,), unseal, (StateError, WrongPassphrase))


def sealed_record_door() -> Door:
    """What a node seals for itself, with its vault."""
    world, wallet, _ = staged()
    vault = world.seats["node0"].vault
    assert vault is not None
    good = vault.seal(wallet.wallet_id, wallet.recovery_data, bytes(32))
    return Door((good,), lambda data: vault.unseal(wallet.wallet_id, data), (ValueError,))


def recovery_door() -> Door:
    _, wallet, _ = staged()
    return Door((wallet.recovery_data,), lambda data: read_wallet(wallet.charter, data, {}), (KeygenTrouble,))


def backup_door() -> Door:
    world, wallet, _ = staged()
    acks = next(iter(world.client.keygen.values())).acks
    made = write_backup(Backup(1, encode(world.roster), encode(wallet.charter), wallet.recovery_data, acks))
    return Door((made,), read_backup, (BackupError,))


def record_door() -> Door:
    """The body of every kind of record that a node has written, under any kind."""
    world, _, _ = staged()
    records = {r.kind: r for name in ("node0", "coord") for r in world.seats[name].disk}
    kinds = sorted(records)

    def read_as_any(data: bytes) -> object:
        for kind in kinds[:-1]:
            with suppress(ValueError):
                read(Record(kind, bytes(32), data))
        return read(Record(kinds[-1], bytes(32), data))

    return Door(tuple(records[kind].body for kind in kinds), read_as_any, (ValueError,))


def store_reply_door() -> Door:
    """A body that a VSS server answers with, read as each of its messages."""
    page = b"".join(blob(1, item(key, 3)) for key in ("k", "l")) + blob(2, b"next") + number(3, 7)
    good = (blob(2, item("k", 3, b"value")), page, number(1, 4) + blob(2, b"no such key"))

    def read_as_any(data: bytes) -> object:
        for read_one in (partial(vss_messages.read_object, key="k"), vss_messages.read_page):
            with suppress(vss_messages.BadReply):
                read_one(data)
        return vss_messages.read_error(data)

    return Door(good, read_as_any, (vss_messages.BadReply,))


def store_object_door() -> Door:
    """What a store keeps for a node: its head and its batches, under the right key and as the store gave them."""
    _, _, said = staged()
    sealer = Sealer("store", b"s" * 32, b"n" * 32)
    records = [Record("kept", bytes(32), letter) for _, letter in said[:3]]
    ((batch, _),), after = Position().after(records)
    head = StoreHead(bytes(32), 0, 1, 1, after.end.height, after.end.hash, 1)
    whole = {batch_role(0): encode(batch), HEAD_ROLE: encode(head)}

    good = {role: sealer.seal(role, 0, plain, bytes(24)).value for role, plain in whole.items()}

    def batches_with(changed: dict[bytes, bytes]) -> list[Batch]:
        held = {sealer.name(role): value for role, value in (good | changed).items()}
        store = Shelf({name: KeyValue(name, 1, value) for name, value in held.items()})
        with suppress(StoreFault):
            look(store, sealer, Head(1, bytes(32)))
        taken: list[Batch] = []
        read_chain(store, sealer, taken.append)
        return taken

    def read_all(data: bytes) -> object:
        for role in whole:
            for value in (sealer.seal(role, 0, data, bytes(24)).value, good[role][:100] + data, data):
                with suppress(StoreFault):
                    assert batches_with({role: value}) == [batch]
        raise StoreFault(Code.DAMAGED, "read, and never for another chain")

    assert batches_with({}) == [batch]
    return Door(tuple(whole.values()), read_all, (StoreFault,))


@dataclass(frozen=True)
class Shelf:
    """A store that holds what a test put there and takes nothing."""

    kept: dict[str, KeyValue]
    where: str = "a shelf"

    def get_object(self, key: str) -> KeyValue:
        if key not in self.kept:
            raise NoSuchKey(key)
        return self.kept[key]

    def list_key_versions(self, key_prefix: str = "", page_size: int = 100, page_token: str = "") -> Page:
        return Page(tuple(KeyVersion(one.key, one.version) for one in self.kept.values()), "", None)

    def put_objects(self, *_: object) -> None:
        raise AssertionError

    def delete_object(self, item: KeyVersion) -> None:
        raise AssertionError

    def close(self) -> None:
        pass


DOORS: dict[str, Callable[[], Door]] = {
    "letter": letter_door,
    "psbt": psbt_door,
    "policy": policy_door,
    "roster": roster_door,
    "public part": public_part_door,
    "sealed": sealed_door,
    "sealed record": sealed_record_door,
    "recovery data": recovery_door,
    "backup": backup_door,
    "record": record_door,
    "store reply": store_reply_door,
    "store object": store_object_door,
}


def for_a_while(check: Callable[[bytes], None], good: tuple[bytes, ...]) -> int:
    """Try one door until its time is over; how many tries that were."""
    end, tries = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        tried = given(malformed(good))(check)
        plain = settings(
            max_examples=ROUND, deadline=None, database=None, derandomize=False,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        seed(FIRST * 1_000_000 + tries)(plain(tried))()
        tries += ROUND
    return tries


@pytest.mark.parametrize("name", DOORS)
def test_a_reader_answers_malformed_bytes_with_its_own_error(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = DOORS[name]()
    monkeypatch.setattr(sealed, "_stretched", lambda passphrase, salt, cost: tagged_hash("test", passphrase))
    for good in (
        door.good if name not in {"public part", "record", "sealed", "store reply", "store object"} else ()
    ):
        door.read(good)
    refused = 0

    def check(data: bytes) -> None:
        nonlocal refused
        begun = time.thread_time()
        try:
            door.read(data)
        except door.errors as error:
            refused += 1
            assert len(str(error)) < 4_000
        assert time.thread_time() - begun < SLOW_S

    tries = for_a_while(check, door.good)
    print(f"\n{name}: {tries} tries, {refused} refused")
    assert refused > tries / 4


def test_frames_of_any_number_and_size_leave_the_door_open() -> None:
    """From a member, so past CURVE; in the end an honest letter still comes through."""
    server, member = bytes([1]) * 32, bytes([2]) * 32
    endpoint = CoordinatorEndpoint("tcp://127.0.0.1:*", server, {public_of(member): "home"})
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    mouth = context.socket(zmq.DEALER)
    mouth.setsockopt(zmq.CURVE_SERVERKEY, public_of(server))
    mouth.setsockopt(zmq.CURVE_SECRETKEY, member)
    mouth.setsockopt(zmq.CURVE_PUBLICKEY, public_of(member))
    mouth.connect(endpoint.address)

    def check(data: bytes) -> None:
        cuts = sorted({data[i] * len(data) // 255 for i in range(min(len(data), data[0] % 8 if data else 0))})
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        with suppress(zmq.Again):
            mouth.send_multipart(parts, zmq.DONTWAIT)
        for frame in endpoint.receive():
            assert len(frame.signature) == 64
            assert frame.peer == public_of(member)

    try:
        tries = for_a_while(check, (bytes(64), b"letter" + bytes(64), bytes(2000)))
        assert endpoint.counters.malformed > 50, tries
        end = time.monotonic() + 15
        heard = False
        while not heard:
            assert time.monotonic() < end
            with suppress(zmq.Again):
                mouth.send_multipart([b"honest", bytes(64)], zmq.DONTWAIT)
            heard = any(frame.letter == b"honest" for frame in endpoint.receive())
            time.sleep(0.01)
    finally:
        context.destroy(0)
        endpoint.close()
    print(f"\nframe: {tries} tries, {endpoint.counters}")
