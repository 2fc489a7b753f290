"""What a bad node may do in a session, one hook for each: silence, lies, lateness, and what only looks like trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec
from evil import resigned
from wire import Envelope
from world import World

from cluster.codec import open_letter, seal_letter
from cluster.messages import Body, Gone, Kind, Nonces, PartialSignatures, Withdraw
from curve import SecretScalar, tagged_hash

SESSION_MS = 8_000

Misdeed = Callable[[World, Envelope, dict[str, bytes]], Iterable[Envelope]]


def instead(world: World, envelope: Envelope, kind: Kind, body: Body, **header: object) -> Envelope:
    """Another letter in the place of this one, signed by the same node."""
    seat = world.seats[envelope.sender]
    letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
    changed = msgspec.structs.replace(letter.header, kind=kind, **header)
    signed = seal_letter(changed, body, seat.identity)
    return replace(envelope, letter=signed.letter, signature=signed.signature)


def body_of(world: World, envelope: Envelope) -> Body:
    public = world.seats[envelope.sender].identity.public
    return open_letter(envelope.letter, envelope.signature, public).body


def away(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return []


def silent(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return [] if envelope.kind is Kind.PARTIAL_SIGNATURES else [envelope]


def without_nonces(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return [] if envelope.kind is Kind.NONCES else [envelope]


def lies(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        count = len(body_of(world, envelope).psigs)  # type: ignore[union-attr]
        return [resigned(world, envelope, psigs=(b"\x01" * 32,) * count)]
    return [envelope]


def held_back(world: World, envelope: Envelope, ms: int) -> Envelope:
    """The partial signatures held back by so much while all else leaves at once; numbered as they will arrive."""
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        envelope.delay_ms = ms
    seat = world.seats[envelope.sender]
    letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
    arrives_at = world.now.monotonic_ms + envelope.delay_ms
    header = msgspec.structs.replace(
        letter.header, sequence=arrives_at * 10_000 + letter.header.sequence % 10_000
    )
    signed = seal_letter(header, letter.body, seat.identity)
    return replace(envelope, letter=signed.letter, signature=signed.signature)


def lies_at_the_last_moment(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return lies(world, held_back(world, envelope, SESSION_MS - 100), seen)


def lies_too_late(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return lies(world, held_back(world, envelope, SESSION_MS + 3_000), seen)


def slow(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return [held_back(world, envelope, SESSION_MS + 3_000)]


def at_the_last_moment(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    return [held_back(world, envelope, SESSION_MS - 100)]


def gone(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        return [instead(world, envelope, Kind.GONE, Gone("nonces-gone"))]
    return [envelope]


def withdraws(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    if envelope.kind is Kind.PARTIAL_SIGNATURES:
        return [instead(world, envelope, Kind.WITHDRAW, Withdraw("owner-refused"))]
    return [envelope]


def rubbish_nonces(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    if envelope.kind is Kind.NONCES:
        return [resigned(world, envelope, pubnonces=(b"\x02" + b"\xff" * 65,))]
    return [envelope]


def nonces_of_another_wallet(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    if envelope.kind is Kind.NONCES:
        return [instead(world, envelope, Kind.NONCES, body_of(world, envelope), wallet_id=b"\x05" * 32)]
    return [envelope]


def unknown_nonce(world: World) -> bytes:
    """A public nonce whose secret nobody keeps."""
    labels = (world.entropy(), world.entropy())
    points = (SecretScalar.from_bytes(tagged_hash("test/nonce", label)).point() for label in labels)
    return b"".join(point.to_bytes() for point in points)


def volunteered(world: World, envelope: Envelope) -> Envelope:
    """Nonces that nobody asked for, in the place of another letter."""
    until_ms = world.now.wall_ms + envelope.delay_ms + 60_000
    return instead(world, envelope, Kind.NONCES, Nonces((unknown_nonce(world),), until_ms))


def foreign_nonces(world: World, envelope: Envelope, seen: dict[str, bytes]) -> Iterable[Envelope]:
    """Nonces whose secret it does not know, each time others; and a partial signature all the same."""
    if envelope.kind is Kind.NONCES:
        return [resigned(world, envelope, pubnonces=(unknown_nonce(world),))]
    if envelope.kind is Kind.GONE and seen.get(envelope.sender):
        forged = PartialSignatures((b"\x01" * 32,), bytes(32))
        session_id = seen[envelope.sender]
        return [instead(world, envelope, Kind.PARTIAL_SIGNATURES, forged, session_id=session_id)]
    return [envelope]


PROVABLE: dict[Misdeed, str] = {
    lies: "psig-invalid",
    lies_at_the_last_moment: "psig-invalid",
    rubbish_nonces: "nonces-invalid",
    foreign_nonces: "psig-invalid",
}
"""What the letters prove, under the code of the complaint."""

OBSTRUCTIVE: tuple[Misdeed, ...] = (
    away,
    silent,
    without_nonces,
    slow,
    at_the_last_moment,
    gone,
    withdraws,
    nonces_of_another_wallet,
)
"""What proves nothing: it may be the network, a restart, or a busy machine."""

LATE_LIES: tuple[Misdeed, ...] = (lies_too_late,)
"""What is proven only after the request may have ended without it."""

EVERY: tuple[Misdeed, ...] = (*PROVABLE, *OBSTRUCTIVE, *LATE_LIES)


class Bad:
    """The hook of a world in which some nodes misbehave, and are always heard first; counts the sessions ordered."""

    def __init__(self, world: World, deeds: dict[str, Misdeed]) -> None:
        self._world = world
        self._deeds = deeds
        self._seen: dict[str, bytes] = {}
        self.sessions: dict[bytes, None] = {}

    def __call__(self, envelope: Envelope) -> Iterable[Envelope]:
        if envelope.kind is Kind.ORDER:
            header = msgspec.msgpack.decode(envelope.letter)[0]
            self.sessions[header[5]] = None
            self._seen[envelope.addressee] = header[5]
        deed = self._deeds.get(envelope.sender)
        envelope.delay_ms = 20 if deed is None else 1
        return [envelope] if deed is None else deed(self._world, envelope, self._seen)
