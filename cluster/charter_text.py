"""From what a person writes of a wallet to the parts of its charter: outsiders, the favourite quorum, leaves.

Leaves are written as in a descriptor, with names for keys: `and_v(v:pk(heir),older(52560))`. A lock time may also
be a duration (`older(365d)`) or a date (`after(2030-01-31)`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cluster.charter import FROST_SCHEME, MUSIG2_SCHEME, Charter, LeafPlan, Outsider
from cluster.errors import UsageError
from cluster.messages import NO_ID
from cluster.roster import NAME
from cluster.schemes import SCHEMES
from cluster.wallet_book import Proposed
from taproot import OLDER_IS_TIME

_TIMED = re.compile(r"and_v\(v:(?P<inner>.+),(?P<lock>older|after)\((?P<until>[^()]+)\)\)")
_PK = re.compile(r"pk\((?P<key>[^()]+)\)")
_MUSIG = re.compile(r"pk\(musig\((?P<keys>[^()]+)\)\)")
_FROST = re.compile(r"pk\(frost\((?P<wallet>[^()]+)\)\)")
_MULTI = re.compile(r"multi_a\((?P<needed>[0-9]{1,2}),(?P<keys>[^()]+)\)")
_SPAN = re.compile(r"([0-9]{1,6})([dh])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNIT_S = 512
_HELP = (
    "write `NAME=MINISCRIPT`, such as `inheritance=and_v(v:pk(heir),older(52560))`; inside stand pk(NAME), "
    "pk(musig(NAME,NAME)), pk(frost(WALLET)) or multi_a(2,NAME,NAME,NAME)"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the text gives, with participants by number."""

    outsiders: tuple[Outsider, ...] = ()
    leaves: tuple[LeafPlan, ...] = ()
    favourite: tuple[int, ...] = ()

    @property
    def cosigning(self) -> int:
        """How many outsiders cosign."""
        return sum(outsider.cosigns for outsider in self.outsiders)


@dataclass(frozen=True, slots=True)
class Template:
    """What a person asks for; `threshold` 0 means everybody."""

    scheme: str
    threshold: int = 0
    favourite: str = ""
    cosigners: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()

    def parts(self, members: Sequence[str], wallets: Mapping[str, Proposed]) -> Parts:
        """The parts of a charter of these members; UsageError names what is wrong with the text.

        Args:
            wallets: the finished wallets known here, which `frost(NAME)` may name.
        """
        cosigning = [_outsider(text, "--cosigner", cosigns=True) for text in self.cosigners]
        outsiders = (*cosigning, *(_outsider(text, "--heir", cosigns=False) for text in self.heirs))
        names = [*members, *(outsider.name for outsider in outsiders)]
        leaves = tuple(_leaf(text, names, wallets) for text in self.leaves)
        favourite = _numbers(self.favourite, names, "--favourite") if self.favourite else ()
        return Parts(outsiders, leaves, favourite)


@dataclass(frozen=True, slots=True)
class Shape:
    """A wallet's scheme, threshold and parts."""

    scheme: str
    threshold: int
    parts: Parts

    @property
    def spec(self) -> str:
        """The versions of the scheme's specifications that this program speaks."""
        return next(known.partition(" ")[2] for known in SCHEMES if known.startswith(f"{self.scheme} "))

    def favourite(self, members: int) -> tuple[int, ...]:
        """Who signs a tree by its key path: as asked for, or the first so many."""
        cosigners = members + self.parts.cosigning
        if self.scheme != MUSIG2_SCHEME or self.threshold >= cosigners:
            return self.parts.favourite
        return self.parts.favourite or tuple(range(self.threshold))

    def fits(self, charter: Charter) -> bool:
        """Whether a charter has this shape."""
        return (charter.scheme, charter.t, charter.outsiders, charter.leaves, charter.favourite) == (
            self.scheme,
            self.threshold,
            self.parts.outsiders,
            self.parts.leaves,
            self.favourite(charter.n),
        )


def _outsider(text: str, option: str, *, cosigns: bool) -> Outsider:
    name, equals, key = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise UsageError(f"{option}: write NAME=[fingerprint/path]xpub")
    return Outsider(name, key.strip(), cosigns)


def _numbers(text: str, names: Sequence[str], option: str) -> tuple[int, ...]:
    wanted = [name.strip() for name in text.split(",")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UsageError(f"{option}: {unknown[0]} is no participant ({', '.join(names)})")
    if len(set(wanted)) != len(wanted):
        raise UsageError(f"{option}: a name stands twice")
    return tuple(sorted(names.index(name) for name in wanted))


def _leaf(text: str, names: Sequence[str], wallets: Mapping[str, Proposed]) -> LeafPlan:
    name, equals, script = text.partition("=")
    script = "".join(script.split())
    if not equals or not NAME.fullmatch(name):
        raise UsageError(f"--leaf: {_HELP}")
    timed = _TIMED.fullmatch(script)
    inner, older, after = script, 0, 0
    if timed:
        inner = timed["inner"]
        older, after = (
            (_older(timed["until"]), 0) if timed["lock"] == "older" else (0, _after(timed["until"]))
        )
    if found := _MUSIG.fullmatch(inner):
        keys = _numbers(found["keys"], names, f"--leaf {name}")
        return LeafPlan(name, "musig", keys, len(keys), older, after)
    if found := _FROST.fullmatch(inner):
        other = wallets.get(found["wallet"])
        if other is None or other.wallet is None:
            raise UsageError(f"--leaf {name}: no finished wallet {found['wallet']} is known here")
        if other.charter.scheme != FROST_SCHEME:
            raise UsageError(
                f"--leaf {name}: {found['wallet']} is no FROST wallet; name its members, as in musig(...)"
            )
        key = other.wallet.public.key.key.public_key
        return LeafPlan(name, "frost", (), 0, older, after, other.charter.wallet_id, key)
    if found := _MULTI.fullmatch(inner):
        keys = _numbers(found["keys"], names, f"--leaf {name}")
        return LeafPlan(name, "multi", keys, int(found["needed"]), older, after, NO_ID)
    if found := _PK.fullmatch(inner):
        return LeafPlan(name, "pk", _numbers(found["key"], names, f"--leaf {name}"), 1, older, after)
    raise UsageError(f"--leaf {name}: {_HELP}")


def _older(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= 0xFFFF:
        return int(text)
    found = _SPAN.fullmatch(text)
    seconds = int(found[1]) * (86_400 if found[2] == "d" else 3_600) if found else 0
    units = -(-seconds // _UNIT_S)
    if not 0 < units <= 0xFFFF:
        raise UsageError(
            "--leaf: older() takes 1 to 65535 blocks (455 days), or a time up to 388d, such as older(365d)"
        )
    return OLDER_IS_TIME | units


def _after(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 1 << 31:
        return int(text)
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        moment = int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        moment = 0
    if not 0 < moment < 1 << 31:
        raise UsageError("--leaf: after() takes a block height, or a day such as after(2030-01-31)")
    return moment
