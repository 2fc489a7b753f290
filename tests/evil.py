"""The coordinator's key in the hands of an attacker: it writes any letter it likes to any node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
from wire import Envelope
from world import START_MS, World

from cluster.charter import Charter
from cluster.codec import Letter, Mouth, encode, open_letter, seal_letter
from cluster.effects import Outgoing
from cluster.journal import SignedKept, read
from cluster.messages import (
    NO_ID,
    Body,
    KeygenPropose,
    Kind,
    NonceRequest,
    Order,
    OrderEntry,
    Propose,
    SignedLetter,
)
from cluster.owner_says import Answer
from cluster.roster import digest

HELD = {Kind.HELD_LIST, Kind.HELD_WORD, Kind.HELD_PARTS}
UNASKED = {Kind.HELLO, Kind.CLOCK_ASK, Kind.HEARTBEAT, Kind.HEAD_ASK, *HELD}
"""What nodes say whatever they are told."""


class EvilCoordinator:
    """Speaks as the coordinator of a world whose real coordinator is stopped; hears all that nodes say."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.stop("coord")
        self.mouth = Mouth(world.seats["coord"].identity, world.roster.cluster_id, b"evil" * 4)

    def tell(
        self,
        node: str,
        kind: Kind,
        body: Body,
        *,
        wallet_id: bytes = NO_ID,
        request_id: bytes = NO_ID,
        session_id: bytes = NO_ID,
    ) -> list[Letter]:
        """Say one letter to one machine, at once; what that one answered (what it says unasked, left out)."""
        world = self.world
        signed = self.mouth.say(
            kind,
            world.seats[node].identity.public,
            body,
            wallet_id=wallet_id,
            request_id=request_id,
            session_id=session_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        return self.hand_over(node, signed)

    def hand_over(self, node: str, signed: SignedLetter) -> list[Letter]:
        """Hand these exact bytes to a machine."""
        world = self.world
        machine = world.seats[node].machine
        assert machine is not None
        sender = world.seats["coord"].identity.public
        step = machine.receive(sender, signed.letter, signed.signature, world.now, world.entropy())
        world.perform(node, step)
        return [letter for letter in self.opened(node, step.say) if letter.header.kind not in UNASKED]

    def opened(self, node: str, said: tuple[Outgoing, ...] | list[Outgoing]) -> Iterator[Letter]:
        """What a node said, opened."""
        public = self.world.seats[node].identity.public
        for outgoing in said:
            yield open_letter(outgoing.letter, outgoing.signature, public)

    def propose(self, node: str, request: SignedLetter) -> list[Letter]:
        """Pass a client's request on."""
        return self.tell(node, Kind.PROPOSE, Propose(request))

    def entry(self, node: str, request: SignedLetter) -> OrderEntry:
        """Everything a node gives for a request it approves: verdict and nonces."""
        verdict, nonces = self.propose(node, request)
        return OrderEntry(verdict.signed, nonces.signed)

    def consent(self, node: str, charter: Charter, request: SignedLetter) -> SignedLetter:
        """Propose a wallet to a node, whose owner says yes: its consent."""
        subject = digest(encode(charter))
        self.tell(
            node,
            Kind.KEYGEN_PROPOSE,
            KeygenPropose(request),
            wallet_id=charter.wallet_id,
            request_id=subject,
        )
        self.world.answer(node, Answer(subject, True))
        said = self.opened(node, self.world.seats[node].said)
        return next(letter.signed for letter in said if letter.header.kind is Kind.KEYGEN_CONSENT)

    def fresh(self, node: str, wallet_id: bytes, request_id: bytes) -> SignedLetter:
        """New nonces of a node."""
        answers = self.tell(
            node, Kind.NONCE_REQUEST, NonceRequest(0), wallet_id=wallet_id, request_id=request_id
        )
        return answers[-1].signed

    def order(
        self, node: str, entries: tuple[OrderEntry, ...], wallet_id: bytes, request_id: bytes
    ) -> list[Letter]:
        """Order a session."""
        return self.tell(node, Kind.ORDER, Order(entries), wallet_id=wallet_id, request_id=request_id)


def resigned(world: World, envelope: Envelope, **changes: object) -> Envelope:
    """The letter with other fields in its body, signed again by its own sender: what an evil node can do."""
    seat = world.seats[envelope.sender]
    letter = open_letter(envelope.letter, envelope.signature, seat.identity.public)
    signed = seal_letter(letter.header, msgspec.structs.replace(letter.body, **changes), seat.identity)
    return replace(envelope, letter=signed.letter, signature=signed.signature)


def signed_by(world: World, name: str) -> list[SignedKept]:
    """Every set of partial signatures on a machine's disk."""
    entries = (read(record) for record in world.seats[name].disk)
    return [entry for entry in entries if isinstance(entry, SignedKept)]


def later_ms(world: World) -> int:
    """How long a world has been running."""
    return world.now.wall_ms - START_MS
