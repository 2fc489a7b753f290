"""Members that lie, stall or vanish: they are named only for what they signed, and the others still sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import pytest
from evil import resigned, signed_by
from spends import payment
from wire import Envelope
from world import World

from cluster.client_views import SigningView
from cluster.codec import open_letter, seal_letter
from cluster.journal import ComplaintKept, read
from cluster.messages import Gone, KeygenFault, Kind, PartialSignatures

Trick = Callable[[World, Envelope], Iterable[Envelope]]


def bad_psig(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        return [resigned(world, envelope, psigs=(b"\x01" * 32,))]
    return [envelope]


def psig_of_zero(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        return [resigned(world, envelope, psigs=(bytes(32),))]
    return [envelope]


def psig_too_large(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        return [resigned(world, envelope, psigs=(b"\xff" * 32,))]
    return [envelope]


def too_many_psigs(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        return [resigned(world, envelope, psigs=(b"\x01" * 32,) * 250)]
    return [envelope]


def rubbish_nonces(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.NONCES:
        return [resigned(world, envelope, pubnonces=(b"\x02" + b"\xff" * 65,))]
    return [envelope]


def no_psig(world: World, envelope: Envelope) -> Iterable[Envelope]:
    return [] if envelope.kind is Kind.PARTIAL_SIGNATURES else [envelope]


def another_spend(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.VERDICT:
        return [resigned(world, envelope, spend_id=b"\x07" * 32)]
    return [envelope]


def verdict_for_a_year(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.VERDICT:
        return [resigned(world, envelope, expires_at_ms=world.now.wall_ms + 365 * 86_400_000)]
    return [envelope]


def demands_everything(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.VERDICT:
        return [resigned(world, envelope, need_nodes=2**31 - 1, roles=("emperor",))]
    return [envelope]


def too_many_nonces(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.NONCES:
        return [resigned(world, envelope, pubnonces=(b"\x02" * 66,) * 250)]
    return [envelope]


def a_verdict_of_four_kilobytes(world: World, envelope: Envelope) -> Iterable[Envelope]:
    if envelope.kind is Kind.VERDICT:
        return [resigned(world, envelope, codes=("a" * 64,) * 32)]
    return [envelope]


NAMED: dict[Trick, str] = {
    bad_psig: "psig-invalid",
    psig_of_zero: "psig-invalid",
    psig_too_large: "psig-invalid",
    too_many_psigs: "psig-count",
    rubbish_nonces: "nonces-invalid",
}
UNNAMED = (
    no_psig,
    another_spend,
    verdict_for_a_year,
    demands_everything,
    too_many_nonces,
    a_verdict_of_four_kilobytes,
)


def played(trick: Trick, liars: tuple[str, ...], t: int, n: int) -> tuple[World, SigningView]:
    """A request in a world where some play a trick, and are always heard first."""
    world = World(t, n)
    wallet = world.make_wallet()

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.sender not in liars:
            envelope.delay_ms = 20
            return [envelope]
        envelope.delay_ms = 1
        return trick(world, envelope)

    world.hook = hook
    view = world.request(wallet, payment(wallet))
    world.run(lambda: view.final is not None, ms=90_000)
    world.run(ms=200)
    return world, view


def complaints(world: World) -> list[ComplaintKept]:
    entries = (read(record) for record in world.seats["coord"].disk)
    return [entry for entry in entries if isinstance(entry, ComplaintKept)]


@pytest.mark.parametrize("trick", NAMED, ids=lambda trick: trick.__name__)
@pytest.mark.parametrize(("t", "n", "liars"), [(2, 3, ("node1",)), (3, 5, ("node0", "node4"))])
def test_who_signed_a_lie_is_named_and_the_others_sign(
    trick: Trick, t: int, n: int, liars: tuple[str, ...]
) -> None:
    world, view = played(trick, liars, t, n)
    assert view.final is not None
    guilty = {entry.about: entry.code for entry in complaints(world)}
    keys = {world.seats[name].identity.public for name in liars}
    assert guilty
    assert set(guilty) <= keys
    assert set(guilty.values()) == {NAMED[trick]}
    shown = {node: seen.reach for node, seen in view.nodes.items() if seen.reach == "misbehaved"}
    assert set(shown) <= keys
    for entry in complaints(world):
        assert entry.evidence
        if entry.code == "psig-invalid":
            assert len(entry.evidence) == 2 * t + 1


@pytest.mark.parametrize("trick", UNNAMED, ids=lambda trick: trick.__name__)
@pytest.mark.parametrize(("t", "n", "liars"), [(2, 3, ("node1",)), (3, 5, ("node0", "node4"))])
def test_who_only_obstructs_is_not_convicted_and_the_others_sign(
    trick: Trick, t: int, n: int, liars: tuple[str, ...]
) -> None:
    world, view = played(trick, liars, t, n)
    assert view.final is not None
    assert not any(entry.code.startswith("psig") for entry in complaints(world))
    honest = {world.seats[name].identity.public for name in set(world.node_names) - set(liars)}
    assert not any(entry.about in honest for entry in complaints(world))
    for name in world.node_names:
        assert len(signed_by(world, name)) <= n - t + 1


def test_a_silent_signer_is_unreachable_never_a_culprit() -> None:
    world = World()
    wallet = world.make_wallet()
    world.run(ms=200)

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        envelope.delay_ms = 1 if envelope.sender == "node1" else 20
        silent = envelope.sender == "node1" and envelope.kind in {Kind.PARTIAL_SIGNATURES, Kind.HELLO}
        return [] if silent else [envelope]

    world.hook = hook
    seen: set[str] = set()
    view = world.request(wallet, payment(wallet))
    key = world.seats["node1"].identity.public

    def done() -> bool:
        if key in view.nodes:
            seen.add(view.nodes[key].reach)
        return view.final is not None

    assert world.run(done)
    assert "unreachable" in seen
    assert "misbehaved" not in seen
    assert not complaints(world)


def always_gone(world: World, envelope: Envelope) -> Iterable[Envelope]:
    """Answers every order: those nonces are gone; here are new ones."""
    if envelope.kind is not Kind.PARTIAL_SIGNATURES:
        return [envelope]

    seat = world.seats[envelope.sender]
    letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
    assert isinstance(letter.body, PartialSignatures)
    header = msgspec.structs.replace(letter.header, kind=Kind.GONE)
    gone = seal_letter(header, Gone("nonces-gone"), seat.identity)
    return [Envelope(envelope.sender, "coord", gone.letter, gone.signature, 1)]


@pytest.mark.parametrize(("t", "n", "liars"), [(2, 3, ("node1",)), (3, 5, ("node0", "node4"))])
def test_one_that_always_says_gone_does_not_stop_the_others(t: int, n: int, liars: tuple[str, ...]) -> None:
    world, view = played(always_gone, liars, t, n)
    assert view.final is not None
    assert not complaints(world)


def test_a_first_message_that_is_rubbish_names_its_sender() -> None:
    world = World()

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.sender == "node1" and envelope.kind is Kind.KEYGEN_MESSAGE1:
            return [resigned(world, envelope, message=b"rubbish")]
        return [envelope]

    world.hook = hook
    with pytest.raises(AssertionError, match="no wallet: failed"):
        world.make_wallet()
    assert {entry.about for entry in complaints(world)} == {world.seats["node1"].identity.public}


@pytest.mark.parametrize("message", [b"rubbish", bytes(64), b"\xff" * 64, b""])
def test_a_second_message_that_is_rubbish_names_its_sender_and_may_be_mended(message: bytes) -> None:
    world = World()
    left = [1]

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.sender == "node1" and envelope.kind is Kind.KEYGEN_MESSAGE2 and left[0]:
            left[0] -= 1
            return [resigned(world, envelope, message=message)]
        return [envelope]

    world.hook = hook
    world.make_wallet()
    assert {entry.about for entry in complaints(world)} == {world.seats["node1"].identity.public}


def test_message_two_cannot_be_taken_back_by_a_fault() -> None:
    """A member that has sent message 2 says that it failed: the certificate is made all the same."""
    world = World()

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if envelope.sender != "node1" or envelope.kind is not Kind.KEYGEN_MESSAGE2:
            if envelope.sender in {"node0", "node2"} and envelope.kind is Kind.KEYGEN_MESSAGE2:
                envelope.delay_ms = 500
            return [envelope]

        seat = world.seats["node1"]
        letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
        header = msgspec.structs.replace(
            letter.header, kind=Kind.KEYGEN_FAULT, sequence=letter.header.sequence + 1
        )
        fault = seal_letter(header, KeygenFault("keygen-lost", ()), seat.identity)
        return [envelope, Envelope("node1", "coord", fault.letter, fault.signature, 100)]

    world.hook = hook
    world.make_wallet()
