"""The network of a seed, and the machines that lie on it: what becomes of each letter on its way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

import msgspec
from evil import resigned
from wire import Envelope, Hook, honest, rough
from world import World

from cluster.codec import open_letter
from cluster.messages import Decision, Heartbeat, Kind, Nonces, PartialSignatures, Verdict

KEPT_LETTERS = 500
"""So many letters an eavesdropper keeps."""

WEATHERS = ("fair", "rain", "storm", "slow", "split")


def weather(name: str, random: Random, nodes: tuple[str, ...]) -> Hook:
    """What the network does to letters."""
    cut = random.choice(nodes)

    def split(envelope: Envelope) -> Iterable[Envelope]:
        return [] if cut in {envelope.sender, envelope.addressee} else [envelope]

    return {
        "fair": honest,
        "rain": rough(random, lose=0.05, repeat=0.1, alter=0.02, late_ms=300),
        "storm": rough(random, lose=0.25, repeat=0.3, alter=0.08, late_ms=2_000),
        "slow": rough(random, lose=0, repeat=0, alter=0, late_ms=6_000),
        "split": split,
    }[name]


@dataclass
class Liar:
    """An evil node: its own machine is honest, and what leaves it is not."""

    name: str
    random: Random
    mood: str = "honest"
    offered: list[tuple[bytes, ...]] = field(default_factory=list)

    MOODS = ("honest", "silent", "slow", "psigs", "nonces", "verdicts", "mute-signer", "beats")

    def bend(self, world: World, envelope: Envelope) -> Iterator[Envelope]:
        """What it makes of a letter of its own."""
        kind = envelope.kind
        body = None
        if kind in {Kind.PARTIAL_SIGNATURES, Kind.NONCES, Kind.VERDICT, Kind.HEARTBEAT}:
            public = world.seats[envelope.sender].identity.public
            body = open_letter(envelope.letter, envelope.signature, public).body
        match self.mood, body:
            case "silent", _:
                return
            case "mute-signer", PartialSignatures():
                return
            case "slow", _:
                envelope.delay_ms += self.random.randint(2_000, 12_000)
                yield envelope
            case "psigs", PartialSignatures() as said:
                yield resigned(world, envelope, psigs=tuple(self._scalar() for _ in said.psigs))
            case "nonces", Nonces() as offer:
                yield resigned(world, envelope, pubnonces=self._nonces(offer))
            case "verdicts", Verdict() as verdict:
                yield resigned(world, envelope, **self._verdict(verdict))
            case "beats", Heartbeat() as beat:
                further = self.random.choice((-5, 0, 1, 9))
                lie = {
                    "chain_height": max(0, beat.chain_height + further),
                    "chain_head": self.random.randbytes(32),
                }
                yield resigned(world, envelope, **lie)
            case _:
                yield envelope

    def _scalar(self) -> bytes:
        return b"\x00" + self.random.randbytes(31)

    def _nonces(self, offer: Nonces) -> tuple[bytes, ...]:
        """None at all, another time's, or no points."""
        self.offered.append(offer.pubnonces)
        old = self.random.choice(self.offered)
        junk = tuple(self.random.randbytes(66) for _ in offer.pubnonces)
        return self.random.choice((old, junk, offer.pubnonces[::-1], offer.pubnonces[:-1]))

    def _verdict(self, verdict: Verdict) -> dict[str, object]:
        lies: list[dict[str, object]] = [
            {"decision": Decision.APPROVE, "codes": ()},
            {"decision": Decision.REFUSE, "codes": ("policy-lie",)},
            {"policy_digest": self.random.randbytes(32)},
            {"chain_head": self.random.randbytes(32)},
            {"need_nodes": 3},
            {"spend_id": self.random.randbytes(32)},
            {"expires_at_ms": verdict.expires_at_ms + 10**8},
        ]
        return self.random.choice(lies)


@dataclass
class Network:
    """The hook of a simulated world: liars first, then the weather; an eavesdropper keeps what passes."""

    world: World
    random: Random
    liars: dict[str, Liar]
    hook: Hook = honest
    kept: list[Envelope] = field(default_factory=list)
    deaf: bool = False
    """Whether the coordinator drops whatever it should carry to nodes."""

    def __call__(self, envelope: Envelope) -> Iterator[Envelope]:
        if (
            self.deaf
            and envelope.sender in self.world.coordinator_names
            and envelope.addressee in self.world.node_names
        ):
            return
        liar = self.liars.get(envelope.sender)
        for bent in [envelope] if liar is None else liar.bend(self.world, envelope):
            self.kept.append(msgspec_copy(bent))
            del self.kept[:-KEPT_LETTERS]
            yield from self.hook(bent)


def msgspec_copy(envelope: Envelope) -> Envelope:
    """An envelope that no hook changes any more."""
    return Envelope(envelope.sender, envelope.addressee, envelope.letter, envelope.signature)


def kinds_of(kept: Iterable[Envelope], sender: str) -> dict[Kind, list[Envelope]]:
    """What one machine said, by kind."""
    found: dict[Kind, list[Envelope]] = {}
    for envelope in kept:
        if envelope.sender == sender:
            try:
                found.setdefault(envelope.kind, []).append(envelope)
            except (msgspec.DecodeError, ValueError):
                continue
    return found
