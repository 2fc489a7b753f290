"""A profile: what one node's owner wants, typed and checked; nothing of the file's shape is left but line numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from curve import tagged_hash
from policy.setting import SETTINGS, Setting
from policy.verdict import Outcome
from taproot import Network, SpendOutput

T = TypeVar("T")

SCHEMA = 1
"""The version of the language; a profile states it."""


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """A value and the line it was written on; the line is 0 for a default."""

    value: T
    line: int = 0


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


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of a `when:` or one limit of a tier: its registered key, its value, its line."""

    key: str
    value: int | Destinations
    line: int


@dataclass(frozen=True, slots=True)
class Deny:
    """A rule that refuses whatever all of its clauses say at once."""

    name: str
    clauses: tuple[Clause, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Tier:
    """A rule for the spends that fit all of its clauses; of the tiers, the first that fits decides."""

    name: str
    clauses: tuple[Clause, ...]
    limits: tuple[Clause, ...]
    then: Outcome
    line: int


@dataclass(frozen=True, slots=True)
class Velocity:
    """What the whole wallet may spend in a rolling window; each node enforces its part."""

    window_ms: int
    sum_sats: int | None
    count: int | None
    line: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One node's policy. `velocity` is None where the file says `unlimited`; `line` is where each part begins.

    `evil_nodes` is None where the profile leaves it to the rule: 1 where there are three nodes or more.
    """

    name: str
    network: Network
    evil_nodes: int | None
    written: Mapping[str, Written[int | None]]
    velocity: tuple[Velocity, ...] | None
    deny: tuple[Deny, ...]
    tiers: tuple[Tier, ...]
    network_line: int = 0
    tiers_line: int = 0
    digest: bytes = field(init=False, default=b"", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", tagged_hash("assent/policy/profile", canonical(self)))

    def __hash__(self) -> int:
        return hash(self.digest)

    def value(self, setting: Setting[T]) -> T | None:
        """What holds for a setting: as written, or its default; None is no limit."""
        found = self.written.get(setting.key)
        return setting.default if found is None else cast("T | None", found.value)

    def line(self, setting: Setting[T]) -> int:
        """Where a setting is written; 0 when the default holds."""
        found = self.written.get(setting.key)
        return 0 if found is None else found.line


def canonical(profile: Profile) -> bytes:
    """The profile's meaning as bytes: no comments, spaces, lines or list names; defaults written out; denies sorted.

    Two profiles with the same bytes judge alike under the same version of the language.
    """
    return _encode(
        (
            SCHEMA,
            profile.name,
            profile.network.value,
            profile.evil_nodes,
            tuple((setting.key, profile.value(setting)) for setting in sorted(SETTINGS, key=lambda s: s.key)),
            None
            if profile.velocity is None
            else tuple(sorted(_encode((v.window_ms, v.sum_sats, v.count)) for v in profile.velocity)),
            tuple(sorted(_encode((rule.name, _clauses(rule.clauses))) for rule in profile.deny)),
            tuple(
                (tier.name, _clauses(tier.clauses), _clauses(tier.limits), int(tier.then))
                for tier in profile.tiers
            ),
        )
    )


_Plain = None | int | str | bytes | tuple["_Plain", ...]


def _clauses(clauses: tuple[Clause, ...]) -> tuple[_Plain, ...]:
    return tuple(sorted(_encode((clause.key, _clause_value(clause.value))) for clause in clauses))


def _clause_value(value: int | Destinations) -> _Plain:
    if isinstance(value, int):
        return value
    return (int(value.own), int(value.anyone), tuple(sorted(value.scripts)))


def _encode(value: _Plain) -> bytes:
    """An injective encoding: a letter for the type, the length, the content."""
    match value:
        case None:
            return b"n"
        case int():
            return b"i%d;" % value
        case str():
            raw = value.encode()
            return b"s%d:" % len(raw) + raw
        case bytes():
            return b"b%d:" % len(value) + value
        case _:
            return b"l%d:" % len(value) + b"".join(_encode(item) for item in value)
