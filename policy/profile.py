"""A profile: what one node's owner wants, typed and checked; nothing of the file's shape is left but line numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from curve import tagged_hash
from policy.actions import Action, plain_conditions
from policy.cases import Case
from policy.quorum import Conditions
from policy.setting import SETTINGS, Setting
from policy.values import NOBODY, CoinSet, Destinations, People, Plain, Value, encode, plain
from policy.windows import Velocity, Zone
from taproot import Network

T = TypeVar("T")

SCHEMA = 1
"""The version of the language; a profile states it."""

DEFAULT_COOLDOWN_MS = 24 * 3_600_000
"""How long a loosening waits where the profile in force says nothing of it."""


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """A value and the line it was written on; the line is 0 for a default."""

    value: T
    line: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of a `when:`, an `unless:` or a tier's `limits:`: its registered key, its value, its line."""

    key: str
    value: Value
    line: int


@dataclass(frozen=True, slots=True)
class Deny:
    """A rule that refuses what all of `clauses` hold for, unless all of `unless` hold (and there are any)."""

    name: str
    clauses: tuple[Clause, ...]
    line: int
    unless: tuple[Clause, ...] = ()
    freeze: bool = False
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """A rule for the spends that fit all of its clauses; of the tiers, the first that fits decides.

    One that fits, all of whose `unless` hold (and there are any), does not fit after all.
    """

    name: str
    clauses: tuple[Clause, ...]
    limits: tuple[Clause, ...]
    then: Action
    line: int
    unless: tuple[Clause, ...] = ()
    quorum: Conditions | None = None
    notify: bool = False


@dataclass(frozen=True, slots=True)
class IntentRule:
    """Every spend must match one signed intent, made by one of these client devices (any, when none is named)."""

    devices: frozenset[str]
    line: int = 0


@dataclass(frozen=True, slots=True)
class ChangeRule:
    """Who must agree before a looser profile takes this one's place, and how long it waits.

    The owners of the nodes with these roles, and so many people of each role. Whoever must agree may cancel, and so
    may people of the roles of `cancel` and the node's own owner.
    """

    nodes: tuple[str, ...] = ()
    people: People = NOBODY
    cooldown_ms: int = DEFAULT_COOLDOWN_MS
    cancel: tuple[str, ...] = ()
    line: int = 0


DEFAULT_FREEZE_MS = 72 * 3_600_000
"""How long others may freeze a wallet at a node whose profile says nothing of it."""

DEFAULT_DRILLS = 10
"""How many drills a day a node takes part in where its profile says nothing of it."""


@dataclass(frozen=True, slots=True)
class RescueRule:
    """Where everything may go even while the wallet is frozen: these scripts, at this fee at most, and after what.

    `then` always asks the node's owner. The quorum is the wallet's own, so that whoever is left can do it.
    """

    to: Destinations
    fee_sats: int
    then: Action
    line: int = 0

    def plain(self) -> Plain:
        """For the digest."""
        return (self.to.plain(), self.fee_sats, self.then.plain())


@dataclass(frozen=True, slots=True)
class Profile:
    """One node's policy. `velocity` is None where the file says `unlimited`; `line` is where each part begins.

    `leaves` are the recovery leaves by which this node may sign: none, unless they are named. `freeze_ms` is how long
    others may freeze a wallet here, `drills` in how many drills a day this node takes part; None where it is not said.

    `evil_nodes` is None where the profile leaves it to the rule: 1 where there are three nodes or more. A profile
    with a `base` can only tighten it: both judge, and the stricter wins.
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
    zone: Zone | None = None
    receive_only: Written[bool] = Written(False)
    leaves: Written[frozenset[str] | None] = Written(None)
    coins: Mapping[str, CoinSet] = field(default_factory=dict)
    intents: IntentRule | None = None
    change: ChangeRule = ChangeRule()
    rescue: RescueRule | None = None
    freeze_ms: Written[int | None] = Written(None)
    drills: Written[int | None] = Written(None)
    lists: Mapping[str, Destinations] = field(default_factory=dict)
    base: Profile | None = None
    tests: tuple[Case, ...] = field(default=(), compare=False)
    digest: bytes = field(init=False, default=b"", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", tagged_hash("assent/policy/profile", canonical(self)))

    def __hash__(self) -> int:
        return hash(self.digest)

    def value(self, setting: Setting[T]) -> T | None:
        """What holds for a setting: as written, or its default; None is no limit.

        A profile with a base has nothing to say of what it does not write, but for the baseline.
        """
        found = self.written.get(setting.key)
        if found is not None:
            return cast("T | None", found.value)
        return None if self.base is not None and not setting.tighten_only else setting.default

    def line(self, setting: Setting[T]) -> int:
        """Where a setting is written; 0 when the default holds."""
        found = self.written.get(setting.key)
        return 0 if found is None else found.line

    @property
    def allowed_leaves(self) -> frozenset[str] | None:
        """The recovery leaves that this layer lets spend; None where it leaves that to its base."""
        written = self.leaves.value
        return frozenset() if written is None and self.base is None else written

    @property
    def rescue_scripts(self) -> frozenset[bytes]:
        """Where a rescue may go: what every layer that says something of it allows; nowhere unless the base does."""
        mine = None if self.rescue is None else self.rescue.to.scripts
        if self.base is None:
            return frozenset() if mine is None else mine
        below = self.base.rescue_scripts
        return below if mine is None else mine & below

    @property
    def others_freeze_ms(self) -> int:
        """How long others may freeze a wallet at this node: of all layers the longest time holds."""
        written = self.freeze_ms.value
        if self.base is None:
            return DEFAULT_FREEZE_MS if written is None else written
        return max(written or 0, self.base.others_freeze_ms)

    @property
    def drills_a_day(self) -> int:
        """In how many drills within a day this node takes part: of all layers the smallest number holds."""
        written = self.drills.value
        if self.base is None:
            return DEFAULT_DRILLS if written is None else written
        below = self.base.drills_a_day
        return below if written is None else min(written, below)

    @property
    def listed_scripts(self) -> frozenset[bytes]:
        """Every script that stands in a list of this profile or of its base."""
        mine = frozenset().union(*(places.scripts for places in self.lists.values()))
        return mine if self.base is None else mine | self.base.listed_scripts

    @property
    def frozen_coins(self) -> CoinSet:
        """The coins that must not be spent."""
        return self.coins.get("frozen", CoinSet())


def canonical(profile: Profile) -> bytes:
    """The profile's meaning as bytes: no comments, spaces, lines or list names; defaults written out; denies sorted.

    Two profiles with the same bytes judge alike under the same version of the language.
    """
    return encode(
        (
            SCHEMA,
            profile.name,
            profile.network.value,
            profile.evil_nodes,
            tuple((setting.key, profile.value(setting)) for setting in sorted(SETTINGS, key=lambda s: s.key)),
            None
            if profile.velocity is None
            else tuple(sorted(encode(velocity.plain()) for velocity in profile.velocity)),
            tuple(sorted(encode(_deny(rule)) for rule in profile.deny)),
            tuple(_tier(tier) for tier in profile.tiers),
            None if profile.zone is None else profile.zone.name,
            int(profile.receive_only.value),
            None if profile.allowed_leaves is None else tuple(sorted(profile.allowed_leaves)),
            profile.frozen_coins.plain(),
            None if profile.intents is None else tuple(sorted(profile.intents.devices)),
            _change(profile.change),
            tuple(sorted(frozenset().union(*(places.scripts for places in profile.lists.values())))),
            None if profile.rescue is None else profile.rescue.plain(),
            profile.freeze_ms.value if profile.base is not None else profile.others_freeze_ms,
            profile.drills.value if profile.base is not None else profile.drills_a_day,
            None if profile.base is None else canonical(profile.base),
        )
    )


def _deny(rule: Deny) -> Plain:
    return (rule.name, _clauses(rule.clauses), _clauses(rule.unless), int(rule.freeze), int(rule.notify))


def _tier(tier: Tier) -> Plain:
    return (
        tier.name,
        _clauses(tier.clauses),
        _clauses(tier.unless),
        _clauses(tier.limits),
        tier.then.plain(),
        plain_conditions(tier.quorum),
        int(tier.notify),
    )


def _change(rule: ChangeRule) -> Plain:
    return (tuple(sorted(rule.nodes)), rule.people.plain(), rule.cooldown_ms, tuple(sorted(rule.cancel)))


def _clauses(clauses: tuple[Clause, ...]) -> tuple[Plain, ...]:
    return tuple(sorted(encode((clause.key, plain(clause.value))) for clause in clauses))
