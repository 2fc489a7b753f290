"""No secret stands in the text of anything: not in a repr, not in a traceback that shows all locals.

A key generation and a spend run once under a tracer that notes, at every line of ours that is run, the repr of all
local variables: what a traceback with locals would print had an exception come there. Meanwhile every secret number
that is ever made is collected. Afterwards none of them may stand in any of the notes, except in the few doors where
plain bytes become a secret or a secret becomes bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from spends import payment
from wire import Envelope
from world import World

import cluster.keys
from cluster.driver import ENTROPY_BYTES
from cluster.keys import Seed
from cluster.party import seal_seed
from cluster.sealed import MINIMUM_COST, unseal
from curve import SecretBytes, SecretScalar
from curve.context import ffi

if TYPE_CHECKING:
    from _typeshed import TraceFunction

HOUSE = cluster.keys.__file__.removesuffix("cluster/keys.py")
PACKAGES = tuple(f"{HOUSE}{name}/" for name in ("curve", "frost", "musig2", "taproot", "policy", "cluster"))

DOORS = {
    "SecretScalar.from_bytes",
    "SecretScalar.masked",
    "SecretScalar.expose",
    "SecretBytes.__init__",
    "_copy32",
    "Seed.__init__",
    "Seed.expose",
    "Seed._derive",
    "Seed._live",
    "IdentityKey.__init__",
    "TransportKey.__init__",
    "seal",
    "unseal",
    "seal_seed",
    "passphrase_bytes",
    "_stretched",
}
"""Where a secret is plain bytes for a few lines; each is short, and calls nothing of ours that could fail with it."""

AUXILIARY = "aux_rand"
"""Randomness that is only mixed with a secret, and tells nothing of it (BIP 340)."""


def texts_of(secret: bytes) -> tuple[str, str, str]:
    """How a secret would look in print."""
    return secret.hex(), repr(secret)[2:-1], str(int.from_bytes(secret))


@dataclass
class Notes:
    """What a traceback would have shown at each line, and every secret of the meantime."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    secrets: set[bytes] = field(default_factory=set)
    _seen: set[tuple[object, int, str]] = field(default_factory=set)

    def trace(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        """For `sys.settrace`."""
        if not frame.f_code.co_filename.startswith(PACKAGES):
            return None
        place = (frame.f_code, frame.f_lineno, event)
        if event != "call" and place not in self._seen:
            self._seen.add(place)
            shown = [value for name, value in frame.f_locals.items() if name != AUXILIARY]
            shown += [arg] if event == "return" else []
            self.lines.append((frame.f_code.co_qualname, " ".join(map(safe_repr, shown))))
        return self.trace

    def leaks(self) -> dict[str, str]:
        """Where a secret stands in print, outside of the doors."""
        printed = [text for secret in self.secrets for text in texts_of(secret)]
        return {name: line for name, line in self.lines if any(text in line for text in printed)}


def safe_repr(value: object) -> str:
    """As tracebacks do: what is only half made may fail to show itself."""
    try:
        return repr(value)
    except Exception:
        return ""


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notes]:
    """Collects from now on."""
    notes = Notes()
    scalar, many = SecretScalar.__init__, SecretBytes.__init__

    def made(self: SecretScalar, buffer: object) -> None:
        scalar(self, buffer)
        notes.secrets.add(bytes(ffi.buffer(buffer)))

    def copied(self: SecretBytes, data: bytes) -> None:
        many(self, data)
        if len(data) >= 16:
            notes.secrets.add(bytes(data))

    monkeypatch.setattr(SecretScalar, "__init__", made)
    monkeypatch.setattr(SecretBytes, "__init__", copied)
    before = sys.gettrace()
    try:
        yield notes
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("scheme", ["frost", "musig2"])
def test_no_traceback_of_keygen_and_signing_shows_a_secret(notes: Notes, scheme: str) -> None:
    world = World(2 if scheme == "frost" else 3, 3)
    world.scheme = scheme
    public: list[bytes] = []

    def overhear(envelope: Envelope) -> list[Envelope]:
        public.append(envelope.letter)
        return [envelope]

    world.hook = overhear
    sys.settrace(notes.trace)
    wallet = world.make_wallet()
    view = world.request(wallet, payment(wallet, label="a"))
    assert world.run(lambda: view.final is not None)
    sys.settrace(None)
    assert len(notes.lines) > 3_000
    assert len(notes.secrets) > 20
    said = b"".join(public)
    notes.secrets = {
        secret for secret in notes.secrets if secret not in said
    }  # a psig is none once it is said
    assert len(notes.secrets) > 10
    found = notes.leaks()
    assert found.keys() <= DOORS, {name: found[name][:300] for name in found.keys() - DOORS}
    assert found.keys() & DOORS  # the search does find what is there


def test_no_traceback_of_the_keys_shows_a_secret(notes: Notes) -> None:
    entropy = bytes(range(100, 100 + ENTROPY_BYTES))
    passphrase = b"a passphrase that nobody knows"
    sys.settrace(notes.trace)
    sealed = seal_seed(Seed(entropy), passphrase, MINIMUM_COST)
    seed = Seed(unseal(sealed, passphrase, purpose="seed"))
    words = " ".join(seed.words())
    keys = Seed.from_words(words).keys("regtest")
    shown = [keys, keys.identity(), keys.transport(), keys.secrets(0), seed]
    keys.identity().sign(b"letter")
    sys.settrace(None)
    notes.secrets |= {entropy, keys.transport().secret, keys.sealing_key(), passphrase}
    printed = " ".join([*map(repr, shown), *map(str, shown)])
    assert not any(text in printed for secret in notes.secrets for text in texts_of(secret))
    found = notes.leaks()
    assert found.keys() <= DOORS, found.keys() - DOORS
    assert words not in printed
