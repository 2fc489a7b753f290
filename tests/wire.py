"""The pretended network: a letter on its way, and hooks that lose, repeat, delay, reorder and alter letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from msgspec import msgpack

from cluster.messages import Kind


@dataclass
class Envelope:
    """One letter on the wire; a hook may change it, drop it or make more of it."""

    sender: str
    addressee: str
    letter: bytes
    signature: bytes
    delay_ms: int = 5

    @property
    def kind(self) -> Kind:
        """What kind of letter it is."""
        return Kind(msgpack.decode(self.letter)[0][1])


Hook = Callable[[Envelope], Iterable[Envelope]]


def honest(envelope: Envelope) -> Iterable[Envelope]:
    """A network that only delays."""
    return [envelope]


def rough(random: Random, *, lose: float, repeat: float, alter: float, late_ms: int) -> Hook:
    """A network that loses, repeats, delays (and so reorders) and alters letters, by seeded chance."""

    def hook(envelope: Envelope) -> Iterable[Envelope]:
        if random.random() < lose:
            return
        copies = 1 + (random.random() < repeat)
        for _ in range(copies):
            letter = envelope.letter
            if random.random() < alter:
                at = random.randrange(len(letter))
                letter = letter[:at] + bytes([letter[at] ^ (1 << random.randrange(8))]) + letter[at + 1 :]
            delay_ms = random.randint(1, late_ms)
            yield Envelope(envelope.sender, envelope.addressee, letter, envelope.signature, delay_ms)

    return hook
