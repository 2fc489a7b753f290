"""The circumstances that rules ask for besides place and amount: who asks, when, with which coin, in how many outputs.

Only what some rule of the profiles asks for varies. A thief chooses what suits him, so whatever is possible under
any of these circumstances counts as possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, product

from policy.places import clauses_of, layers
from policy.profile import Clause, Profile
from policy.setting import AMOUNT_OUTPUT, MAX_OUTPUTS
from policy.values import CoinSet, Hours, Value, Words
from policy.when_times import DAYS
from taproot import OutPoint, WalletPath

MAX_CIRCUMSTANCES = 64
"""How many are looked at; of more, the survey says so."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COIN = OutPoint(b"\x5a" * 32, 0)
_PATH = WalletPath(0, 0)


@dataclass(frozen=True, slots=True)
class Circumstance:
    """One way things may stand; the first of all is the plain one."""

    now_ms: int
    client: str = "client"
    roles: tuple[str, ...] = ()
    device: str = "client"
    coin: OutPoint = _COIN
    path: WalletPath = _PATH
    paid_before: bool = False
    replaceable: bool = True
    outputs: int = 1


def circumstances_of(profiles: Iterable[Profile], now_ms: int) -> tuple[tuple[Circumstance, ...], bool]:
    """The circumstances that these profiles tell apart, and whether there are more than are looked at."""
    every = tuple(profiles)
    clauses = [clause for profile in every for clause in clauses_of(profile)]
    keys = {clause.key for clause in clauses}
    devices = sorted(
        {name for p in every for layer in layers(p) if layer.intents for name in layer.intents.devices}
    )
    found = product(
        list(_moments(every, now_ms)),
        ["client", *_words(clauses, "asked_by")],
        [(), *((role,) for role in _words(clauses, "asked_by_role"))],
        devices or ["client"],
        list(_coins(clauses)),
        [False, True] if "paid_before" in keys else [False],
        [True, False] if "replaceable" in keys else [True],
        [1, *_many_outputs(every, keys)],
    )
    kept = tuple(
        Circumstance(moment, client, roles, device, coin, path, before, replaceable, outputs)
        for moment, client, roles, device, (coin, path), before, replaceable, outputs in islice(
            found, MAX_CIRCUMSTANCES + 1
        )
    )
    return kept[:MAX_CIRCUMSTANCES], len(kept) > MAX_CIRCUMSTANCES


def _words(clauses: list[Clause], key: str) -> list[str]:
    return sorted(
        {word for c in clauses if c.key == key and isinstance(c.value, Words) for word in c.value.words}
    )


def _coins(clauses: list[Clause]) -> Iterator[tuple[OutPoint, WalletPath]]:
    """A coin that nobody names, and one of each set that a rule names."""
    yield _COIN, _PATH
    for value in dict.fromkeys(clause.value for clause in clauses if isinstance(clause.value, CoinSet)):
        if value.outpoints:
            yield min(value.outpoints), _PATH
        if value.paths:
            yield _COIN, min(value.paths)


def _many_outputs(profiles: tuple[Profile, ...], keys: set[str]) -> list[int]:
    """As many outputs as all profiles allow, where a limit is on each output: a thief pays himself in many."""
    layered = [layer for profile in profiles for layer in layers(profile)]
    limited = {"each_up_to", "each_above"} & keys or any(
        layer.value(AMOUNT_OUTPUT) is not None for layer in layered
    )
    most = min((layer.value(MAX_OUTPUTS) or 1 for layer in layered), default=1)
    return [most] if limited and most > 1 else []


def _moments(profiles: tuple[Profile, ...], now_ms: int) -> Iterator[int]:
    """This moment; and where rules name days or hours, one moment of the week for each way they can fall."""
    clocks = [
        (layer.zone.tz, clause.value)
        for profile in profiles
        for layer in layers(profile)
        for clause in clauses_of(layer, below=False)
        if clause.key in {"days", "hours"} and layer.zone is not None
    ]
    found: dict[tuple[bool, ...], int] = {_falls(clocks, now_ms): now_ms}
    for zone in dict.fromkeys(zone for zone, _ in clocks):
        minutes = {m for _, v in clocks if isinstance(v, Hours) for m in (v.start, v.end % (24 * 60))}
        local = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone)
        for minute in sorted(minutes or {12 * 60}):
            for day in range(7):
                at = (local + timedelta(days=day)).replace(
                    hour=minute // 60, minute=minute % 60, second=0, microsecond=0
                )
                at_ms = (at - _EPOCH) // timedelta(milliseconds=1)
                found.setdefault(_falls(clocks, at_ms), at_ms)
    yield from found.values()


def _falls(clocks: list[tuple[tzinfo, Value]], at_ms: int) -> tuple[bool, ...]:
    """Which of these days and hours a moment falls into."""
    said = []
    for zone, value in clocks:
        local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
        if isinstance(value, Hours):
            said.append(value.holds(local.hour * 60 + local.minute))
        elif isinstance(value, Words):
            said.append(DAYS[local.weekday()] in value.words)
    return tuple(said)
