"""Places to pay to, told apart by what profiles say of them: one stands for all that no rule can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from policy.profile import Clause, Profile
from policy.rules import dust_limit
from policy.values import Destinations
from taproot import SpendOutput, WalletPath

MAX_PLACES = 24
"""How many kinds of place are looked at; of more, the survey says so."""

_NOBODY = bytes.fromhex("5b1f0c0e") * 8
_STRANGERS = {
    "p2tr": b"\x51\x20" + _NOBODY,
    "p2wpkh": b"\x00\x14" + _NOBODY[:20],
    "p2wsh": b"\x00\x20" + _NOBODY,
    "p2pkh": b"\x76\xa9\x14" + _NOBODY[:20] + b"\x88\xac",
    "p2sh": b"\xa9\x14" + _NOBODY[:20] + b"\x87",
}
_OWN_SCRIPT = b"\x51\x20" + bytes.fromhex("0a7e55e7") * 8


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of place: how it is called, one script that stands for it, and how many there are (None: any number).

    `own` is the wallet itself. A place that is `listed` stands in a list of some profile, or is named by a rule.
    """

    name: str
    script: bytes
    scripts: int | None = 1
    own: bool = False
    listed: bool = False

    def output(self, index: int, amount_sats: int) -> SpendOutput:
        """An output that pays there."""
        kind = script_type(self.script)
        path = WalletPath(1, 0) if self.own else None
        address = None if kind in {"nulldata", "nonstandard"} else f"{self.name} ({kind})"
        return SpendOutput(index, amount_sats, self.script, address, kind, path, self.own)

    @property
    def least_sats(self) -> int:
        """The smallest payment there that is no dust."""
        return max(1, dust_limit(self.output(0, 0)))


def script_type(script: bytes) -> str:
    """The kind of an output script, by the pattern of its bytes."""
    for kind, example in _STRANGERS.items():
        head, tail = _frame(kind)
        if len(script) == len(example) and script.startswith(head) and script.endswith(tail):
            return kind
    if script[:1] == b"\x6a":
        return "nulldata"
    witness = 4 <= len(script) <= 42 and 0x51 <= script[0] <= 0x60 and script[1] == len(script) - 2
    return "witness_unknown" if witness else "nonstandard"


def _frame(kind: str) -> tuple[bytes, bytes]:
    return {
        "p2tr": (b"\x51\x20", b""),
        "p2wpkh": (b"\x00\x14", b""),
        "p2wsh": (b"\x00\x20", b""),
        "p2pkh": (b"\x76\xa9\x14", b"\x88\xac"),
        "p2sh": (b"\xa9\x14", b"\x87"),
    }[kind]


def layers(profile: Profile) -> Iterator[Profile]:
    """A profile and those below it."""
    found: Profile | None = profile
    while found is not None:
        yield found
        found = found.base


def clauses_of(profile: Profile, *, below: bool = True) -> Iterator[Clause]:
    """Every condition of a profile, and of those below it unless they are left out."""
    for layer in layers(profile) if below else (profile,):
        for tier in layer.tiers:
            yield from (*tier.clauses, *tier.unless, *tier.limits)
        for rule in layer.deny:
            yield from (*rule.clauses, *rule.unless)


def places_of(profiles: Iterable[Profile]) -> tuple[tuple[Place, ...], int]:
    """The kinds of place that these profiles tell apart, a stranger first, and how many were left out."""
    every = tuple(profiles)
    sets: list[tuple[str, Destinations]] = []
    by_kind = False
    for profile in every:
        for layer in layers(profile):
            sets += list(layer.lists.items())
        for clause in clauses_of(profile):
            by_kind = by_kind or clause.key == "script_types"
            if isinstance(clause.value, Destinations):
                sets.append(("", clause.value))
    groups: dict[tuple[object, ...], list[bytes]] = {}
    for script in sorted(frozenset().union(*(found.scripts for _, found in sets))):
        kind = script_type(script)
        seen = (
            kind if by_kind else kind in {"nulldata", "nonstandard"},
            *(script in d.scripts for _, d in sets),
        )
        groups.setdefault(seen, []).append(script)
    known = {script for scripts in groups.values() for script in scripts}
    strangers = [
        Place("a stranger" if kind == "p2tr" else f"a stranger ({kind})", _unlike(script, known), None)
        for kind, script in _STRANGERS.items()
        if by_kind or kind == "p2tr"
    ]
    listed = _named(groups, sets)
    kept = listed[: MAX_PLACES - len(strangers) - 1]
    own = Place("the wallet itself", _OWN_SCRIPT, None, own=True)
    return (*strangers, *kept, own), len(listed) - len(kept)


def _named(
    groups: dict[tuple[object, ...], list[bytes]], sets: list[tuple[str, Destinations]]
) -> list[Place]:
    """A place for each group, called by the lists that hold it; groups of the same name are numbered."""
    places, times = [], dict[str, int]()
    for scripts in groups.values():
        names = dict.fromkeys(name for name, found in sets if name and scripts[0] in found.scripts)
        base = "+".join(names) or f"script {scripts[0].hex()[:12]}"
        times[base] = times.get(base, 0) + 1
        name = base if times[base] == 1 else f"{base} ({times[base]})"
        places.append(Place(name, scripts[0], len(scripts), listed=True))
    return sorted(places, key=lambda place: place.name)


def _unlike(script: bytes, known: set[bytes]) -> bytes:
    """A script of the same kind that nobody names."""
    tail = len(script) - 3
    while script in known:
        script = script[:tail] + bytes([(script[tail] + 1) % 256]) + script[tail + 1 :]
    return script
