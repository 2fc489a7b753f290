"""Parties whose keys an attacker has: what they said is said again with something else in it, truly signed, to anybody.

Each change keeps to the types, so that most letters pass the codec and are read by whoever they are for: numbers at
their bounds, tuples shorter, longer or doubled, bytes of others of the same length, letters inside letters likewise.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace
from wire import Envelope
from world import World

from cluster.codec import BadLetter, decode, encode, header_of, open_letter, seal_letter
from cluster.messages import KINDS, Body, Header, HeldParts, Kind, Request, SignedLetter
from cluster.schemes import Signer, Wallet
from cluster.subjects import BadRequest, Subject, describe

BOUNDS = (0, 1, 2, 127, 128, 250, 251, 2**31 - 1, 2**53)
"""Numbers at which something ends."""

KEPT = 60
"""So many letters of each sender and kind the attacker has at hand, and so many byte strings of each length."""

LIFE_MS = 60_000


@dataclass
class Alterer:
    """Everything that was ever said, and changes of it; the same from the same seed."""

    random: Random
    said: dict[tuple[str, Kind], deque[Envelope]] = field(default_factory=dict)
    seen: dict[int, deque[bytes]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=KEPT)))

    def hear(self, envelope: Envelope) -> None:
        """Keep a letter, and every byte string in it."""
        key = envelope.sender, envelope.kind
        self.said.setdefault(key, deque(maxlen=KEPT)).append(envelope)
        for one in _bytes_in(msgspec.msgpack.decode(envelope.letter)):
            self.seen[len(one)].append(one)

    def any_of(self, senders: tuple[str, ...]) -> Envelope:
        """A letter of one of these; every kind as likely as any other."""
        return self.random.choice(self.said[self.random.choice([k for k in self.said if k[0] in senders])])

    def another(self, value: Any) -> Any:
        """Something else of the same type: one place of it, if it has many."""
        if isinstance(value, msgspec.Struct):
            name = self.random.choice(value.__struct_fields__)
            return replace(value, **{name: self.another(getattr(value, name))})
        if isinstance(value, tuple):
            return self._tuple(value)
        if isinstance(value, bytes):
            return self._bytes(value)
        if isinstance(value, str):
            return self.random.choice(("", "x", value[1:], value + value))
        if isinstance(value, int):
            return self.random.choice((*BOUNDS, value + 1, max(0, value - 1), value * 2))
        return value

    def _tuple(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            return (self.random.choice((0, *(self._like(n) for n in (32, 64, 66)))),)
        at = self.random.randrange(len(value))
        one = self.another(value[at])
        if self.random.random() < 0.5:
            return (*value[:at], one, *value[at + 1 :])
        return self.random.choice(
            (
                (*value[:at], *value[at + 1 :]),
                (*value, value[at]),
                (*value, one),
                value + value,
                tuple(self.random.sample(value, len(value))),
                (),
            )
        )

    def _bytes(self, value: bytes) -> bytes:
        if not value or self.random.random() < 0.05:
            return value + b"\x00"
        if self.random.random() < 0.4:
            return self._like(len(value))
        at = self.random.randrange(len(value))
        return value[:at] + bytes([value[at] ^ (1 << self.random.randrange(8))]) + value[at + 1 :]

    def _like(self, length: int) -> bytes:
        return self.random.choice(self.seen[length]) if self.seen[length] else bytes(length)


@dataclass
class Liars(Alterer):
    """Some parties of a world, and what they say besides what their machines do."""

    world: World = field(kw_only=True)
    wallet: Wallet = field(kw_only=True)
    names: tuple[str, ...] = field(kw_only=True)
    subjects: dict[bytes, Subject] = field(default_factory=dict)
    sequence: int = 0

    def __post_init__(self) -> None:
        self._by_key = {seat.identity.public: name for name, seat in self.world.seats.items()}

    def altered(self, envelope: Envelope) -> Envelope:
        """This letter with something else in it, under the same number; as it was where that would be too large."""
        seat = self.world.seats[envelope.sender]
        opened = open_letter(envelope.letter, envelope.signature, seat.identity.public)
        return self._sealed(envelope, *self._changed(opened.header, opened.body))

    def anew(self, envelope: Envelope, *, addressee: str = "", changed: bool = True) -> Envelope:
        """The same as if it were said now, by a program beside the machine's own."""
        seat = self.world.seats[envelope.sender]
        opened = open_letter(envelope.letter, envelope.signature, seat.identity.public)
        header, body = self._changed(opened.header, opened.body) if changed else (opened.header, opened.body)
        self.sequence += 1
        to = addressee or envelope.addressee
        header = replace(
            header,
            addressee=self.world.seats[to].identity.public,
            boot_id=b"evil" * 4,
            sequence=self.sequence,
            expires_at_ms=self.world.now.wall_ms + LIFE_MS,
        )
        return self._sealed(Envelope(envelope.sender, to, envelope.letter, envelope.signature), header, body)

    def _changed(self, header: Header, body: Body) -> tuple[Header, Body]:
        if self.random.random() < 0.15:
            return self._other_header(header), body
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            body = self.another(body)
        return (self._fitting(header, body) if self.random.random() < 0.5 else header), body

    def _other_header(self, header: Header) -> Header:
        """Another of the kinds that have this body, or ids of another letter."""
        kinds = [kind for kind in Kind if KINDS[kind].body is KINDS[header.kind].body]
        other = header_of(self.any_of(tuple(self.world.seats)).letter)
        name = self.random.choice(("kind", "wallet_id", "request_id", "session_id"))
        if name == "kind":
            return replace(header, kind=self.random.choice(kinds))
        return replace(header, **{name: getattr(other, name)})

    def _fitting(self, header: Header, body: Body) -> Header:
        """With the ids that belong to what it says now, where a liar can know them."""
        try:
            decode(encode(body), type(body))
            if isinstance(body, Request):
                subject = describe(self.wallet, body, header.sender)
                return replace(header, request_id=subject.request_id)
            if isinstance(body, HeldParts) and header.request_id in self.subjects:
                signers = [Signer(part.participant, part.pubnonces) for part in body.signers]
                session_id = self.subjects[header.request_id].session_id(signers)
                return replace(header, session_id=session_id)
        except (BadRequest, ValueError):
            pass  # it is none that anybody reads
        return header

    def another(self, value: Any) -> Any:
        """A letter inside is changed and signed anew, where its sender is a liar too, or is exchanged for its like."""
        if not isinstance(value, SignedLetter) or self.random.random() < 0.2:
            return super().another(value)
        try:
            header = header_of(value.letter)
            name = self._by_key[header.sender]
            opened = open_letter(value.letter, value.signature, header.sender)
        except (BadLetter, KeyError):
            return value  # it was changed before
        if name in self.names and self.random.random() < 0.8:
            as_said = Envelope(name, name, value.letter, value.signature)
            changed = self._sealed(as_said, *self._changed(opened.header, opened.body))
            return SignedLetter(changed.letter, changed.signature)
        likes = [one for (_, kind), many in self.said.items() if kind is header.kind for one in many]
        like = self.random.choice(likes) if likes else value
        return SignedLetter(like.letter, like.signature)

    def _sealed(self, envelope: Envelope, header: Header, body: Body) -> Envelope:
        try:
            signed = seal_letter(header, body, self.world.seats[envelope.sender].identity)
        except (ValueError, OverflowError):  # larger than its kind may be, or than a number can
            return envelope
        return Envelope(
            envelope.sender, envelope.addressee, signed.letter, signed.signature, envelope.delay_ms
        )


def _bytes_in(tree: Any) -> Iterator[bytes]:
    if isinstance(tree, bytes):
        yield tree
    elif isinstance(tree, list):
        for one in tree:
            yield from _bytes_in(one)
