"""The coordinator's key in an attacker's hands for a while: old, mixed, altered and contradictory letters to nodes."""

from __future__ import annotations

from random import Random

import msgspec
from simulator.simulated import Simulated
from simulator.weather import Network, kinds_of
from wire import Envelope

from cluster.codec import BadLetter, Mouth, header_of, open_letter
from cluster.messages import (
    Body,
    Final,
    Kind,
    NonceRequest,
    Order,
    OrderEntry,
    Propose,
    SignedLetter,
)


class Puppet:
    """Says whatever it likes as the coordinator."""

    def __init__(self, world: Simulated, network: Network, random: Random) -> None:
        self.world, self.network, self.random = world, network, random
        self.mouth = Mouth(world.seats["coord"].identity, world.roster.cluster_id, b"evil" * 4)

    def strike(self) -> None:
        """One attack."""
        self.random.choice(
            (self.replay, self.order, self.cross, self.cross, self.nonces, self.propose, self.final)
        )()

    def replay(self) -> None:
        """Letters of long ago, to whomever they were for."""
        for envelope in self.random.sample(self.network.kept, min(6, len(self.network.kept))):
            self.world.deliver(envelope)

    def order(self) -> None:
        """Two orders with any verdicts and nonces ever said, different ones to different nodes."""
        for node in self.random.sample(self.world.node_names, 2):
            entries = self._entries()
            if self.random.random() < 0.3:
                entries = self.random.sample(entries, len(entries))
            if entries:
                outsiders = (self.random.randrange(5),) if self.random.random() < 0.1 else ()
                self._tell(node, Kind.ORDER, Order(tuple(entries), outsiders), self._about(entries))

    def cross(self) -> None:
        """The newest order once more to each of its signers, with somebody else's nonces beside theirs."""
        orders = kinds_of(self.network.kept, "coord").get(Kind.ORDER, [])
        if not orders:
            return
        envelope = orders[-1]
        coordinator = self.world.seats["coord"].identity.public
        letter = open_letter(envelope.letter, envelope.signature, coordinator)
        assert isinstance(letter.body, Order)
        request_id = letter.header.request_id
        for mine in letter.body.entries:
            sender = header_of(mine.nonces.letter).sender
            others = [
                one for one in self._offers(request_id) if header_of(one.nonces.letter).sender != sender
            ]
            chosen = self.random.sample(others, min(len(others), len(letter.body.entries) - 1))
            members = [m.identity for m in self.world.made.wallet.charter.members]
            entries = sorted(
                (mine, *chosen), key=lambda one: members.index(header_of(one.nonces.letter).sender)
            )
            name = next(n for n in self.world.node_names if self.world.seats[n].identity.public == sender)
            self._tell(name, Kind.ORDER, Order(tuple(entries)), request_id)

    def _offers(self, request_id: bytes) -> list[OrderEntry]:
        """The newest verdict and nonces of each node for a request."""
        found = []
        for name in self.world.node_names:
            said = kinds_of(self.network.kept, name)
            newest = [
                next((e for e in reversed(said.get(kind, [])) if _about(e) == request_id), None)
                for kind in (Kind.VERDICT, Kind.NONCES)
            ]
            pair = [SignedLetter(e.letter, e.signature) for e in newest if e is not None]
            if len(pair) == 2:
                found.append(OrderEntry(*pair))
        return found

    def _entries(self) -> list[OrderEntry]:
        entries = []
        size = self.random.randint(1, len(self.world.node_names))
        for name in sorted(self.random.sample(self.world.node_names, size)):
            said = kinds_of(self.network.kept, name)
            verdicts, nonces = said.get(Kind.VERDICT, []), said.get(Kind.NONCES, [])
            if verdicts and nonces:
                back = self.random.randint(1, 4)
                chosen = (verdicts[-min(back, len(verdicts))], nonces[-min(back, len(nonces))])
                entries.append(OrderEntry(*(SignedLetter(e.letter, e.signature) for e in chosen)))
        return entries

    def _about(self, entries: list[OrderEntry]) -> bytes:
        try:
            return header_of(entries[0].nonces.letter).request_id
        except BadLetter:
            return bytes(32)

    def nonces(self) -> None:
        """Fresh nonces of everybody for everything."""
        for view in self.world.views[-3:]:
            for node in self.world.node_names:
                self._tell(node, Kind.NONCE_REQUEST, NonceRequest(7), view.subject.request_id)

    def propose(self) -> None:
        """A request that a client signed, perhaps with a bit changed."""
        if not self.world.views:
            return
        view = self.random.choice(self.world.views)
        letter = bytearray(view.request.letter)
        if self.random.random() < 0.7:
            letter[self.random.randrange(len(letter))] ^= 1 << self.random.randrange(8)
        signed = msgspec.structs.replace(view.request, letter=bytes(letter))
        self._tell(self._node(), Kind.PROPOSE, Propose(signed), view.subject.request_id)

    def final(self) -> None:
        """A transaction that nobody signed."""
        if self.world.views:
            view = self.random.choice(self.world.views)
            final = Final(((self.random.randbytes(64),),), (0, 1), self.random.randbytes(100))
            self._tell(self._node(), Kind.FINAL, final, view.subject.request_id)

    def _node(self) -> str:
        return self.random.choice(self.world.node_names)

    def _tell(self, node: str, kind: Kind, body: Body, request_id: bytes) -> None:
        world = self.world
        signed = self.mouth.say(
            kind,
            world.seats[node].identity.public,
            body,
            wallet_id=world.made.wallet.wallet_id,
            request_id=request_id,
            expires_at_ms=world.now.wall_ms + 60_000,
        )
        world.deliver(Envelope("coord", node, signed.letter, signed.signature))


def _about(envelope: Envelope) -> bytes:
    return header_of(envelope.letter).request_id
