"""From a tree to a typed profile: what is not understood exactly does not load, and the error says how to mend it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import count

from policy.profile import SCHEMA, ChangeRule, IntentRule, Profile, Written
from policy.reading_alarms import read_drills, read_freeze, read_rescue
from policy.reading_cases import read_cases
from policy.reading_limits import UNLIMITED, read_settings
from policy.reading_rules import MAX_RULES, read_denies, read_tiers
from policy.reading_values import (
    FROZEN,
    MAX_DESCRIPTORS,
    NAME,
    RESERVED,
    Context,
    Readers,
    ScriptsOf,
    read_bool,
    read_coins,
    read_destination,
    read_leaves,
    read_name,
    read_people,
    read_whos,
    union,
)
from policy.registry import TAGS
from policy.tree import Fields, Mapping, Node, ProfileError, Scalar, kind_of, need_items, need_text
from policy.units import DURATION, NODES
from policy.values import NOBODY, CoinSet, Destinations
from policy.windows import Velocity, Zone, read_velocity
from policy.wording import shown
from taproot import Network

_TOP = (
    "schema", "name", "network", "extends", "zone", "evil_nodes", "receive_only", "leaves", "lists", "coins",
    "baseline", "limits", "intents", "deny", "tiers", "rescue", "freeze", "drills", "change", "tests",
)  # fmt: skip


def read_profile(tree: Node, readers: Readers, base: Profile | None = None) -> Profile:
    """The profile a file describes; ProfileError(line, path, text) at the first thing that is not understood.

    `base` is the profile that its `extends:` names; a file that extends one may leave out whatever the base says.
    """
    top = Fields(tree, _TOP)
    # One address in many rules is decoded once.
    readers = replace(readers, address=cache(readers.address), descriptor=_few(readers.descriptor))
    _schema(top)
    name = read_name(top.need("name", "name the profile, such as `name: home`"))
    network_node = top.need("network", "write mainnet, testnet4, signet or regtest")
    network = _network(network_node)
    _base(top, network, base)
    context = _context(top, network, readers, base)
    evil, receive_only, tiers = top.get("evil_nodes"), top.get("receive_only"), top.get("tiers")
    leaves = top.get("leaves")
    limits = _limits(top, base)
    written_lists, written_coins = _keys(top.get("lists")), _keys(top.get("coins"))
    return Profile(
        name=name,
        network=network,
        evil_nodes=_evil_nodes(evil, base),
        written=read_settings(top, limits, required=base is None),
        velocity=_velocity(limits, context, required=base is None),
        deny=read_denies(top.get("deny"), context),
        tiers=read_tiers(tiers, context),
        network_line=network_node.line,
        tiers_line=top.node.line if tiers is None else tiers.line,
        zone=context.zone,
        receive_only=Written(False)
        if receive_only is None
        else Written(read_bool(receive_only), receive_only.line),
        leaves=Written(None) if leaves is None else Written(read_leaves(leaves).words, leaves.line),
        coins={name: coins for name, coins in context.coins.items() if name in written_coins},
        intents=_intents(top.get("intents")),
        change=_change(top.get("change")),
        rescue=read_rescue(top.get("rescue"), context, base),
        freeze_ms=read_freeze(top.get("freeze")),
        drills=read_drills(top.get("drills")),
        lists={name: places for name, places in context.lists.items() if name in written_lists},
        base=base,
        tests=read_cases(top.get("tests"), context, frozenset(tag.name for tag in TAGS)),
    )


# The head of the file.


def _schema(top: Fields) -> None:
    node = top.need("schema", f"begin the file with `schema: {SCHEMA}`")
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or node.value != SCHEMA:
        found = shown(str(node.value), 20) if isinstance(node, Scalar) else kind_of(node)
        raise ProfileError(node.line, node.path, f"is {found}; this program reads schema {SCHEMA}")


def _network(node: Node) -> Network:
    names = [network.value for network in Network]
    name = need_text(node, f"write one of {', '.join(names)}")
    if name not in names:
        raise ProfileError(
            node.line, node.path, f"`{shown(name, 40)}` is not a network; write one of {', '.join(names)}"
        )
    return Network(name)


def _base(top: Fields, network: Network, base: Profile | None) -> None:
    node = top.get("extends")
    if node is None:
        if base is not None:
            raise ProfileError(top.node.line, "extends", f"is missing; this file is to extend {base.name}")
        return
    name = read_name(node)
    if base is None:
        raise ProfileError(node.line, node.path, f"extends `{name}`, and no such file was given with it")
    if name != base.name:
        raise ProfileError(node.line, node.path, f"is `{name}`, and the file given with it is `{base.name}`")
    if network is not base.network:
        raise ProfileError(
            node.line, node.path, f"`{name}` is for {base.network.value}; both need one network"
        )


def extends(tree: Node) -> str | None:
    """The name of the profile that a file extends; None when it stands alone."""
    if not isinstance(tree, Mapping):
        return None
    node = next((entry.node for entry in tree.entries if entry.key == "extends"), None)
    return None if node is None else read_name(node)


def _evil_nodes(node: Node | None, base: Profile | None) -> int | None:
    if node is None:
        return None if base is None else base.evil_nodes
    return NODES.read(node)


def _few(read: ScriptsOf) -> ScriptsOf:
    """The same reader of descriptors, but only for the first few of a file."""
    numbers = count(1)

    def few(text: str, first: int, last: int, network: Network) -> tuple[bytes, ...]:
        if next(numbers) > MAX_DESCRIPTORS:
            raise ValueError(f"a file may hold {MAX_DESCRIPTORS}, and this is one more")
        return read(text, first, last, network)

    return few


def _context(top: Fields, network: Network, readers: Readers, base: Profile | None) -> Context:
    """What the rules are read by: the zone, lists and coins of this file and of those that it extends."""
    zone, lists, coins = _zone(top.get("zone"), readers, base), *_inherited(base)
    lists = _lists(top.get("lists"), Context(network, readers, lists, zone=zone))
    return Context(
        network, readers, lists, _coins(top.get("coins"), Context(network, readers, coins=coins)), zone
    )


def _inherited(base: Profile | None) -> tuple[dict[str, Destinations], dict[str, CoinSet]]:
    if base is None:
        return {}, {}
    lists, coins = _inherited(base.base)
    # Each file freezes its own coins; what `frozen` names is always this file's.
    named = {name: some for name, some in base.coins.items() if name != FROZEN}
    return {**lists, **base.lists}, {**coins, **named}


def _keys(node: Node | None) -> frozenset[str]:
    return frozenset(entry.key for entry in node.entries) if isinstance(node, Mapping) else frozenset()


def _zone(node: Node | None, readers: Readers, base: Profile | None) -> Zone | None:
    if node is None:
        return None if base is None else base.zone
    name = need_text(node, "write a time zone such as Europe/Berlin or UTC")
    try:
        return readers.zone(name)
    except ValueError as wrong:
        raise ProfileError(node.line, node.path, shown(str(wrong), 200)) from None


# Lists.


def _lists(node: Node | None, context: Context) -> dict[str, Destinations]:
    lists = dict(context.lists)
    for name, items in _named(node, "`NAME: [ADDRESS, ...]`", "write at least one address", frozenset(lists)):
        so_far = Context(context.network, context.readers, lists)
        found = union(read_destination(item, so_far) for item in items)
        lists[name] = Destinations(found.scripts, found.own, words=(name,))
    return lists


def _coins(node: Node | None, context: Context) -> dict[str, CoinSet]:
    coins, known = dict(context.coins), frozenset(context.coins)
    hint = "write at least one coin"
    for name, items in _named(node, "`NAME: [TXID:INDEX, ...]`", hint, known, reserved=False):
        so_far = Context(context.network, context.readers, coins=coins)
        found = [read_coins(item, so_far) for item in items]
        coins[name] = CoinSet(
            frozenset().union(*(some.outpoints for some in found)),
            frozenset().union(*(some.paths for some in found)),
            (name,),
        )
    return coins


def _named(
    node: Node | None, form: str, hint: str, inherited: frozenset[str], *, reserved: bool = True
) -> list[tuple[str, tuple[Node, ...]]]:
    """The named lists of a group: each name with its items."""
    if node is None:
        return []
    if not isinstance(node, Mapping):
        raise ProfileError(node.line, node.path, f"is {kind_of(node)}; write {form} lines")
    for entry in node.entries:
        if not NAME.fullmatch(entry.key) or (reserved and entry.key in RESERVED):
            raise ProfileError(
                entry.line,
                f"{node.path}.{shown(entry.key, 40)}",
                "is not a name for a list; use small letters, digits, - and _ "
                f"(not {', '.join(sorted(RESERVED))})",
            )
        if entry.key in inherited:
            raise ProfileError(
                entry.line,
                f"{node.path}.{entry.key}",
                "names a list of the file it extends; take another name",
            )
    return [(entry.key, need_items(entry.node, hint)) for entry in node.entries]


# Limits.


def _limits(top: Fields, base: Profile | None) -> Fields:
    hint = "state limits for amount and velocity, or spell `unlimited`"
    node = top.get("limits") if base is not None else top.need("limits", hint)
    known = ("amount", "fee", "velocity", "pace")
    return Fields(Mapping(top.node.line, "limits", ()) if node is None else node, known)


def _velocity(limits: Fields, context: Context, *, required: bool) -> tuple[Velocity, ...] | None:
    hint = f"write a list of windows such as `- {{window: 24h, sum: 0.1btc}}`, or spell `{UNLIMITED}`"
    node = limits.need("velocity", hint) if required else limits.get("velocity")
    if node is None or (isinstance(node, Scalar) and node.value == UNLIMITED):
        return None
    items = need_items(node, hint)
    if len(items) > MAX_RULES:
        raise ProfileError(node.line, node.path, f"{len(items)} windows; the most is {MAX_RULES}")
    return tuple(read_velocity(item, context.readers.zone, context.zone) for item in items)


# Who may ask, and who may change this.


def _intents(node: Node | None) -> IntentRule | None:
    """`intents: {from: [phone-app]}`, or `intents: required`."""
    if node is None:
        return None
    if isinstance(node, Scalar) and node.value == "required":
        return IntentRule(frozenset(), node.line)
    fields = Fields(node, ("from",))
    return IntentRule(
        read_whos(fields.need("from", "name the devices, or write `intents: required`")).words, node.line
    )


def _change(node: Node | None) -> ChangeRule:
    if node is None:
        return ChangeRule()
    fields = Fields(node, ("nodes", "people", "cooldown", "cancel"))
    nodes, people, cancel = fields.get("nodes"), fields.get("people"), fields.get("cancel")
    cooldown = fields.need("cooldown", "write how long a loosening waits, such as `cooldown: 48h`")
    return ChangeRule(
        () if nodes is None else tuple(sorted(read_whos(nodes).words)),
        NOBODY if people is None else read_people(people),
        DURATION.read(cooldown),
        () if cancel is None else tuple(sorted(read_whos(cancel).words)),
        node.line,
    )
