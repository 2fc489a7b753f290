"""The kinds of values a profile's conditions hold, and the one encoding by which a profile is named.

Every value is either a whole number or something that can say itself in plain tuples (`plain`): only what `plain`
holds counts for the digest, so words that are kept for reasons alone stay out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from policy.windows import Velocity
from taproot import OutPoint, SpendInput, SpendOutput, WalletPath

Plain = None | int | str | bytes | tuple["Plain", ...]


@dataclass(frozen=True, slots=True)
class Destinations:
    """A set of places to pay to. `words` is how the profile wrote it, for reasons; it decides nothing.

    `anyone` means any output that has an address, and this wallet too.
    """

    scripts: frozenset[bytes]
    own: bool = False
    anyone: bool = False
    words: tuple[str, ...] = field(default=(), compare=False)

    def holds(self, output: SpendOutput) -> bool:
        """Whether an output goes to one of these places."""
        if output.path is not None and self.own:
            return True
        return output.script_pubkey in self.scripts or (self.anyone and output.address is not None)

    def within(self, other: Destinations) -> bool:
        """Whether all of these places are surely among the others."""
        return (
            (other.own or other.anyone or not self.own)
            and (other.anyone or not self.anyone)
            and all(
                script in other.scripts or (other.anyone and _has_address(script)) for script in self.scripts
            )
        )

    def plain(self) -> Plain:
        """For the digest."""
        return (int(self.own), int(self.anyone), tuple(sorted(self.scripts)))


def _has_address(script: bytes) -> bool:
    """Whether a script surely has an address: a witness program of a known kind, or a hash in the old forms."""
    return (
        (len(script) == 22 and script[:2] == b"\x00\x14")
        or (len(script) == 34 and script[:2] in {b"\x00\x20", b"\x51\x20"})
        or (len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac")
        or (len(script) == 23 and script[:2] == b"\xa9\x14" and script[22:] == b"\x87")
    )


@dataclass(frozen=True, slots=True)
class Words:
    """A set of names: script types, clients, roles, days."""

    words: frozenset[str]

    def plain(self) -> Plain:
        """For the digest."""
        return tuple(sorted(self.words))

    def __str__(self) -> str:
        return ", ".join(sorted(self.words))


@dataclass(frozen=True, slots=True)
class CoinSet:
    """Coins by outpoint, or by the wallet's address that they lie on; `words` decides nothing."""

    outpoints: frozenset[OutPoint] = frozenset()
    paths: frozenset[WalletPath] = frozenset()
    words: tuple[str, ...] = field(default=(), compare=False)

    def holds(self, coin: SpendInput) -> bool:
        """Whether a coin is one of these."""
        return coin.outpoint in self.outpoints or (coin.path is not None and coin.path in self.paths)

    def within(self, other: CoinSet) -> bool:
        """Whether all of these are among the others."""
        return self.outpoints <= other.outpoints and self.paths <= other.paths

    def plain(self) -> Plain:
        """For the digest."""
        return (
            tuple(sorted(coin.txid + coin.vout.to_bytes(4, "big") for coin in self.outpoints)),
            tuple((path.branch, path.index) for path in sorted(self.paths)),
        )


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes of the day from `start` up to, not including, `end`; past midnight where `end` is not after `start`."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day lies within."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def within(self, other: Hours) -> bool:
        """Whether these are all among the others'."""
        return all(other.holds(minute) for minute in range(24 * 60) if self.holds(minute))

    def plain(self) -> Plain:
        """For the digest."""
        return (self.start, self.end)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start, self.end))


@dataclass(frozen=True, slots=True)
class People:
    """How many people of each role must have said yes."""

    groups: tuple[tuple[str, int], ...]

    def within(self, other: People) -> bool:
        """Whether whoever satisfies these satisfies the others."""
        have = dict(self.groups)
        return all(have.get(role, 0) >= count for role, count in other.groups)

    def plain(self) -> Plain:
        """For the digest."""
        return tuple(sorted(self.groups))

    def __str__(self) -> str:
        return ", ".join(f"{count} of role {role}" for role, count in self.groups)


NOBODY = People(())
"""Asks for nobody."""

Value = int | Destinations | Words | CoinSet | Hours | People | Velocity
"""What a condition is compared with."""


def plain(value: Value) -> Plain:
    """A value for the digest."""
    return int(value) if isinstance(value, int) else value.plain()


def encode(value: Plain) -> bytes:
    """An injective encoding: a letter for the type, the length, the content."""
    # The commonest first: a profile is some thousands of these.
    if isinstance(value, tuple):
        return b"l%d:" % len(value) + b"".join([encode(item) for item in value])
    if isinstance(value, int):
        return b"i%d;" % value
    if isinstance(value, bytes):
        return b"b%d:%b" % (len(value), value)
    if value is None:
        return b"n"
    raw = value.encode()
    return b"s%d:%b" % (len(raw), raw)
