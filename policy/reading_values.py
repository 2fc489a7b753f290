"""How the values of conditions are read: destinations, coins, names, hours, people, and numbers with their units."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from policy.tree import (
    Fields,
    Node,
    ProfileError,
    Scalar,
    Sequence,
    kind_of,
    nearest,
    need_items,
    need_text,
)
from policy.tree import Mapping as Group
from policy.units import COUNT, Unit
from policy.values import CoinSet, Destinations, Hours, People, Value, Words
from policy.windows import Zone
from policy.wording import shown
from taproot import Network, OutPoint, WalletPath

AddressToScript = Callable[[str, Network], bytes]
"""Decodes an address of one network to its script; raises ValueError for anything else."""

FROZEN = "frozen"
"""The list of coins that must not be spent."""

ScriptsOf = Callable[[str, int, int, Network], tuple[bytes, ...]]
"""The output scripts of a descriptor from one index to another, both included; ValueError if it cannot be read."""

RESERVED = frozenset({"own", "anyone", "unlimited", FROZEN})
"""What no list of destinations may be called."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
WHO = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
MAX_RANGE = 1_000
MAX_DESCRIPTORS = 8
"""How many descriptors one file may hold: each costs a tenth of a second, and a file may come from a stranger."""
_SCRIPT = re.compile(r"script:((?:[0-9a-f]{2}){1,520})")
_OUTPOINT = re.compile(r"([0-9a-f]{64}):([0-9]{1,9})")
_PATH = re.compile(r"own/([01])/([0-9]{1,9})")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])|00:00-24:00")


@dataclass(frozen=True, slots=True)
class Readers:
    """What only the edge can read for a profile; each raises ValueError, saying why, for what it cannot read.

    `descriptor(text, first, last, network)` gives the output scripts of a descriptor's indexes, both included.
    """

    address: AddressToScript
    zone: Callable[[str], Zone]
    descriptor: ScriptsOf


@dataclass(frozen=True, slots=True)
class Context:
    """What stands above a rule in its file and is needed to read it."""

    network: Network
    readers: Readers
    lists: Mapping[str, Destinations] = field(default_factory=dict)
    coins: Mapping[str, CoinSet] = field(default_factory=dict)
    zone: Zone | None = None


# Plain values.


def read_unit(unit: Unit[int]) -> Callable[[Node, Context], Value]:
    """A reader of numbers of one unit."""

    def read(node: Node, _context: Context) -> Value:
        return unit.read(node)

    return read


def read_bool(node: Node) -> bool:
    """`true` or `false`."""
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        raise ProfileError(node.line, node.path, f"is {kind_of(node)}; write true or false")
    return node.value


def read_name(node: Node) -> str:
    """The name of a profile, rule or list."""
    hint = "use small letters, digits, - and _, beginning with a letter, at most 32"
    name = need_text(node, hint)
    if not NAME.fullmatch(name):
        raise ProfileError(node.line, node.path, f"`{shown(name, 40)}` is not a name; {hint}")
    return name


def one_or_more(node: Node, hint: str) -> tuple[Node, ...]:
    """The items of a list, or the one that stands there alone."""
    return need_items(node, hint) if isinstance(node, Sequence) else (node,)


def read_who(node: Node) -> str:
    """The name or role of a client, a person or a node, as the roster writes it."""
    hint = "write a name or role of the roster: small letters, digits and -"
    name = need_text(node, hint)
    if not WHO.fullmatch(name):
        raise ProfileError(node.line, node.path, f"`{shown(name, 40)}` is not a name; {hint}")
    return name


def read_whos(node: Node, _context: Context | None = None) -> Words:
    """One name or role of the roster, or a list of them."""
    return Words(frozenset(read_who(item) for item in one_or_more(node, "write at least one name")))


def read_leaves(node: Node, _context: Context | None = None) -> Words:
    """One recovery leaf of a wallet by its name, or a list of them, or `none`."""
    if isinstance(node, Scalar) and node.value == "none":
        return Words(frozenset())
    return Words(
        frozenset(read_who(item) for item in one_or_more(node, "write at least one leaf, or `none`"))
    )


def read_words(known: Iterable[str], what: str) -> Callable[[Node, Context], Value]:
    """A reader of one or more words out of a fixed set."""
    words = tuple(known)

    def read(node: Node, _context: Context) -> Value:
        found = set()
        for item in one_or_more(node, f"write at least one {what}"):
            word = need_text(item, f"write {what}s out of {', '.join(words)}")
            if word not in words:
                raise ProfileError(
                    item.line, item.path, f"`{shown(word, 40)}` is not a {what}{nearest(word, words)}"
                )
            found.add(word)
        return Words(frozenset(found))

    return read


def read_hours(node: Node, context: Context) -> Value:
    """Hours of the day such as `09:00-17:00`; past midnight where the end is not after the start."""
    hint = "write hours such as `09:00-17:00`"
    text = need_text(node, hint)
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ProfileError(node.line, node.path, f"`{shown(text, 40)}` are not hours; {hint}")
    need_zone(node, context)
    if found[1] is None:
        return Hours(0, 24 * 60)
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if start == end:
        raise ProfileError(
            node.line, node.path, "begins and ends at once; for the whole day write 00:00-24:00"
        )
    return Hours(start, end)


def need_zone(node: Node, context: Context) -> Zone:
    """The profile's time zone, which days and hours mean nothing without."""
    if context.zone is None:
        raise ProfileError(
            node.line,
            node.path,
            "needs a time zone; write `zone: Europe/Berlin` (or UTC) at the top of the file",
        )
    return context.zone


def read_people(node: Node, _context: Context | None = None) -> People:
    """How many people of each role: `{treasurer: 2, security: 1}`."""
    hint = "write roles with counts, such as `{treasurer: 2}`"
    if not isinstance(node, Group) or not node.entries:
        raise ProfileError(node.line, node.path, f"is {kind_of(node)}; {hint}")
    for entry in node.entries:
        if not WHO.fullmatch(entry.key):
            raise ProfileError(
                entry.line, f"{node.path}.{shown(entry.key, 40)}", "is not a role of the roster; " + hint
            )
    return People(tuple(sorted((entry.key, COUNT.read(entry.node)) for entry in node.entries)))


# Destinations.


def read_destinations(node: Node, context: Context) -> Destinations:
    """One destination or a list of them: `own`, `anyone`, a list's name, an address, a script, a descriptor."""
    items = one_or_more(node, "write at least one destination")
    return union(
        Destinations(frozenset(), anyone=True, words=("anyone",))
        if isinstance(item, Scalar) and item.value == "anyone"
        else read_destination(item, context)
        for item in items
    )


def union(found: Iterable[Destinations]) -> Destinations:
    """All of these places."""
    places = tuple(found)
    return Destinations(
        frozenset().union(*(d.scripts for d in places)),
        any(d.own for d in places),
        any(d.anyone for d in places),
        tuple(dict.fromkeys(word for d in places for word in d.words)),
    )


def read_destination(item: Node, context: Context) -> Destinations:
    """One destination, which is not `anyone`."""
    if isinstance(item, Group):
        return _descriptor(item, context)
    network, lists = context.network, context.lists
    hint = (
        f"write an address of {network.value}, a list's name, `own`, `anyone`, `script:HEX` or a descriptor"
    )
    word = need_text(item, hint)
    if word == "own":
        return Destinations(frozenset(), own=True, words=("own",))
    if word in lists:
        return lists[word]
    script = _SCRIPT.fullmatch(word)
    if script is not None:
        return Destinations(frozenset({bytes.fromhex(script[1])}), words=(shown(word, 60),))
    try:
        return Destinations(frozenset({context.readers.address(word, network)}), words=(shown(word),))
    except ValueError:
        near = f"; known lists: {', '.join(sorted(lists))}" if lists else ""
        raise ProfileError(
            item.line,
            item.path,
            f"`{shown(word)}` is neither an address of {network.value} nor a known list; {hint}{near}",
        ) from None


def _descriptor(item: Node, context: Context) -> Destinations:
    """`{descriptor: "wpkh(xpub.../0/*)#checksum", first: 0, last: 99}`: the addresses of these indexes."""
    fields = Fields(item, ("descriptor", "first", "last"))
    node = fields.need("descriptor", "write a descriptor with its checksum")
    text = need_text(node, "write a descriptor with its checksum")
    first = _index(fields.need("first", "write the first index, such as `first: 0`"))
    last = _index(fields.need("last", "write the last index, such as `last: 99`"))
    if not first <= last < first + MAX_RANGE:
        raise ProfileError(
            item.line, item.path, f"a range goes from `first` to `last`, at most {MAX_RANGE:_} indexes"
        )
    try:
        scripts = context.readers.descriptor(text, first, last, context.network)
    except ValueError as wrong:
        raise ProfileError(
            node.line, node.path, f"is not a descriptor that can be read ({shown(str(wrong), 120)}); check it"
        ) from None
    return Destinations(frozenset(scripts), words=(f"{shown(text, 24)} {first}-{last}",))


def _index(node: Node) -> int:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ProfileError(
            node.line, node.path, f"is {kind_of(node)}; write an index from 0 to 2_147_483_647"
        )
    return value


# Coins.


def read_coins(node: Node, context: Context) -> CoinSet:
    """One coin or a list of them: a list's name, `TXID:INDEX`, or `own/BRANCH/INDEX` for all on one address."""
    found = [_coin(item, context) for item in one_or_more(node, "write at least one coin")]
    return CoinSet(
        frozenset().union(*(coins.outpoints for coins in found)),
        frozenset().union(*(coins.paths for coins in found)),
        tuple(dict.fromkeys(word for coins in found for word in coins.words)),
    )


def _coin(item: Node, context: Context) -> CoinSet:
    hint = "write `TXID:INDEX`, `own/0/5` (all coins on that address), or the name of a list under `coins:`"
    word = need_text(item, hint)
    if word in context.coins:
        return context.coins[word]
    outpoint, path = _OUTPOINT.fullmatch(word), _PATH.fullmatch(word)
    if outpoint is not None and int(outpoint[2]) < 2**32:
        coin = OutPoint(bytes.fromhex(outpoint[1])[::-1], int(outpoint[2]))
        return CoinSet(outpoints=frozenset({coin}), words=(shown(word),))
    if path is not None and int(path[2]) < 2**31:
        return CoinSet(paths=frozenset({WalletPath(int(path[1]), int(path[2]))}), words=(shown(word),))
    raise ProfileError(
        item.line, item.path, f"`{shown(word)}` is no coin; {hint}{nearest(word, context.coins)}"
    )
