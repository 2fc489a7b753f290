"""From a tree to a typed profile: what is not understood exactly does not load, and the error says how to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby

from policy.conditions import DENY_CONDITIONS, TIER_CONDITIONS, TIER_LIMITS, Condition
from policy.profile import (
    SCHEMA,
    Clause,
    Deny,
    Destinations,
    Profile,
    Tier,
    Velocity,
    Written,
)
from policy.setting import SETTINGS, Setting, Stricter
from policy.tree import (
    Entry,
    Fields,
    Mapping,
    Node,
    ProfileError,
    Scalar,
    Sequence,
    kind_of,
    need_items,
    need_text,
)
from policy.units import COUNT, DURATION, NODES, SATS
from policy.verdict import Outcome
from policy.wording import shown
from taproot import Network

AddressToScript = Callable[[str, Network], bytes]
"""Decodes an address of one network to its script; raises ValueError for anything else."""

UNLIMITED = "unlimited"
_RESERVED = frozenset({"own", "anyone", UNLIMITED})
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SCRIPT = re.compile(r"script:((?:[0-9a-f]{2}){1,520})")
_TOP = ("schema", "name", "network", "evil_nodes", "lists", "baseline", "limits", "deny", "tiers")
_THEN = {"approve": Outcome.APPROVE, "ask": Outcome.ASK, "refuse": Outcome.REFUSE}
MAX_RULES = 500

Lists = dict[str, Destinations]


def read_profile(tree: Node, address_to_script: AddressToScript) -> Profile:
    """The profile a file describes; ProfileError(line, path, text) at the first thing that is not understood."""
    top = Fields(tree, _TOP)
    _schema(top)
    name = _name(top.need("name", "name the profile, such as `name: home`"))
    network_node = top.need("network", "write mainnet, testnet4, signet or regtest")
    network = _network(network_node)
    evil = top.get("evil_nodes")
    lists = _lists(top.get("lists"), network, address_to_script)

    def destinations(node: Node) -> Destinations:
        return _destinations(node, lists, network, address_to_script)

    limits = Fields(
        top.need("limits", "state limits for amount and velocity, or spell `unlimited`"),
        ("amount", "fee", "velocity"),
    )
    tiers = top.get("tiers")
    return Profile(
        name=name,
        network=network,
        evil_nodes=None if evil is None else NODES.read(evil),
        written=_settings(top, limits),
        velocity=_velocity(limits),
        deny=_denies(top.get("deny"), destinations),
        tiers=_tiers(tiers, destinations),
        network_line=network_node.line,
        tiers_line=top.node.line if tiers is None else tiers.line,
    )


# The head of the file.


def _schema(top: Fields) -> None:
    node = top.need("schema", f"begin the file with `schema: {SCHEMA}`")
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or node.value != SCHEMA:
        found = shown(str(node.value), 20) if isinstance(node, Scalar) else kind_of(node)
        raise ProfileError(node.line, node.path, f"is {found}; this program reads schema {SCHEMA}")


def _name(node: Node) -> str:
    hint = "use small letters, digits, - and _, beginning with a letter, at most 32"
    name = need_text(node, hint)
    if not _NAME.fullmatch(name):
        raise ProfileError(node.line, node.path, f"`{shown(name, 40)}` is not a name; {hint}")
    return name


def _network(node: Node) -> Network:
    names = [network.value for network in Network]
    name = need_text(node, f"write one of {', '.join(names)}")
    if name not in names:
        raise ProfileError(
            node.line, node.path, f"`{shown(name, 40)}` is not a network; write one of {', '.join(names)}"
        )
    return Network(name)


# Destinations.


def _lists(node: Node | None, network: Network, address_to_script: AddressToScript) -> Lists:
    lists: Lists = {}
    if node is None:
        return lists
    if not isinstance(node, Mapping):
        raise ProfileError(node.line, node.path, f"is {kind_of(node)}; write `NAME: [ADDRESS, ...]` lines")
    for entry in node.entries:
        if not _NAME.fullmatch(entry.key) or entry.key in _RESERVED:
            raise ProfileError(
                entry.line,
                f"{node.path}.{shown(entry.key, 40)}",
                "is not a name for a list; use small letters, digits, - and _ (not own, anyone, unlimited)",
            )
        lists[entry.key] = _one_list(entry, lists, network, address_to_script)
    return lists


def _one_list(
    entry: Entry, lists: Lists, network: Network, address_to_script: AddressToScript
) -> Destinations:
    items = need_items(entry.node, "write at least one address")
    found = [_destination(item, lists, network, address_to_script) for item in items]
    return Destinations(
        frozenset().union(*(d.scripts for d in found)), any(d.own for d in found), words=(entry.key,)
    )


def _destinations(
    node: Node, lists: Lists, network: Network, address_to_script: AddressToScript
) -> Destinations:
    """One destination or a list of them: `own`, `anyone`, a list's name, an address, or `script:HEX`."""
    items = need_items(node, "write at least one destination") if isinstance(node, Sequence) else (node,)
    found = [
        Destinations(frozenset(), anyone=True, words=("anyone",))
        if isinstance(item, Scalar) and item.value == "anyone"
        else _destination(item, lists, network, address_to_script)
        for item in items
    ]
    return Destinations(
        frozenset().union(*(d.scripts for d in found)),
        any(d.own for d in found),
        any(d.anyone for d in found),
        tuple(dict.fromkeys(word for d in found for word in d.words)),
    )


def _destination(
    item: Node, lists: Lists, network: Network, address_to_script: AddressToScript
) -> Destinations:
    hint = f"write an address of {network.value}, a list's name, `own`, `anyone` or `script:HEX`"
    word = need_text(item, hint)
    if word == "own":
        return Destinations(frozenset(), own=True, words=("own",))
    if word in lists:
        return lists[word]
    script = _SCRIPT.fullmatch(word)
    if script is not None:
        return Destinations(frozenset({bytes.fromhex(script[1])}), words=(shown(word, 60),))
    try:
        return Destinations(frozenset({address_to_script(word, network)}), words=(shown(word),))
    except ValueError:
        near = f"; known lists: {', '.join(sorted(lists))}" if lists else ""
        raise ProfileError(
            item.line,
            item.path,
            f"`{shown(word)}` is neither an address of {network.value} nor a known list; {hint}{near}",
        ) from None


# Limits.


def _settings(top: Fields, limits: Fields) -> dict[str, Written[int | None]]:
    written: dict[str, Written[int | None]] = {}
    for group, members in groupby(SETTINGS, key=lambda setting: setting.group):
        settings = tuple(members)
        parent, _, key = group.rpartition(".")
        node = (limits if parent else top).get(key)
        if node is None:
            for setting in settings:
                if setting.required:
                    raise ProfileError(limits.node.line, setting.key, _required(setting))
            continue
        written |= _group(Fields(node, [setting.name for setting in settings]), settings)
    return written


def _required(setting: Setting[int]) -> str:
    return f"is missing; write {setting.unit.name} such as {setting.unit.example}, or spell `{UNLIMITED}`"


def _group(fields: Fields, settings: tuple[Setting[int], ...]) -> dict[str, Written[int | None]]:
    written: dict[str, Written[int | None]] = {}
    for setting in settings:
        node = fields.get(setting.name)
        if node is not None:
            written[setting.key] = Written(_value(node, setting), node.line)
        elif setting.required:
            raise ProfileError(fields.node.line, setting.key, _required(setting))
    _ranges(fields, settings, written)
    return written


def _value(node: Node, setting: Setting[int]) -> int | None:
    if isinstance(node, Scalar) and node.value == UNLIMITED:
        if setting.unlimited:
            return None
        raise ProfileError(
            node.line,
            node.path,
            f"cannot be unlimited; write {setting.unit.name} such as {setting.unit.example}",
        )
    value = setting.unit.read(node)
    if setting.tighten_only and setting.default is not None:
        looser = value > setting.default if setting.stricter is Stricter.LOWER else value < setting.default
        if looser:
            raise ProfileError(
                node.line,
                node.path,
                f"{setting.show(value)} is looser than the built-in {setting.show(setting.default)}; "
                "the baseline can only be tightened",
            )
    return value


def _ranges(
    fields: Fields, settings: tuple[Setting[int], ...], written: dict[str, Written[int | None]]
) -> None:
    """A minimum above its maximum lets nothing pass, which nobody means."""
    by_name = {setting.name: setting for setting in settings}
    for low_name, high_name in (("min", "max"), ("min_rate", "max_rate")):
        low, high = by_name.get(low_name), by_name.get(high_name)
        if low is None or high is None:
            continue
        least = written[low.key].value if low.key in written else low.default
        most = written[high.key].value if high.key in written else high.default
        if least is not None and most is not None and least > most:
            line = max(written[key].line for key in (low.key, high.key) if key in written)
            raise ProfileError(
                line,
                fields.path(low_name),
                f"{low.show(least)} is above {high.key} ({high.show(most)}); nothing could pass",
            )


def _velocity(limits: Fields) -> tuple[Velocity, ...] | None:
    hint = f"write a list of windows such as `- {{window: 24h, sum: 0.1btc}}`, or spell `{UNLIMITED}`"
    node = limits.need("velocity", hint)
    if isinstance(node, Scalar) and node.value == UNLIMITED:
        return None
    items = need_items(node, hint)
    if len(items) > MAX_RULES:
        raise ProfileError(node.line, node.path, f"{len(items)} windows; the most is {MAX_RULES}")
    return tuple(_window(item) for item in items)


def _window(node: Node) -> Velocity:
    fields = Fields(node, ("window", "sum", "count"))
    window = DURATION.read(
        fields.need("window", "write the length of the rolling window, such as `window: 24h`")
    )
    total, count = fields.get("sum"), fields.get("count")
    if total is None and count is None:
        raise ProfileError(node.line, node.path, "limits nothing; write `sum:`, `count:` or both")
    return Velocity(
        window,
        None if total is None else SATS.read(total),
        None if count is None else COUNT.read(count),
        node.line,
    )


# Rules.


def _rules_of(node: Node | None, what: str) -> tuple[Node, ...]:
    if node is None:
        return ()
    items = need_items(node, f"write {what} as a list, or leave the key out")
    if len(items) > MAX_RULES:
        raise ProfileError(node.line, node.path, f"{len(items)} rules; the most is {MAX_RULES}")
    return items


def _once(name: str, node: Node, seen: set[str]) -> str:
    if name in seen:
        raise ProfileError(node.line, node.path, f"`{name}` names two rules; give each its own name")
    seen.add(name)
    return name


def _denies(node: Node | None, destinations: Callable[[Node], Destinations]) -> tuple[Deny, ...]:
    found: list[Deny] = []
    seen: set[str] = set()
    for item in _rules_of(node, "deny rules"):
        fields = Fields(item, ("name", "when"))
        name = _once(_name(fields.need("name", "name the rule")), item, seen)
        when = fields.need("when", "say what to refuse")
        found.append(Deny(name, _clauses(when, DENY_CONDITIONS, destinations), item.line))
    return tuple(found)


def _tiers(node: Node | None, destinations: Callable[[Node], Destinations]) -> tuple[Tier, ...]:
    found: list[Tier] = []
    seen: set[str] = set()
    for item in _rules_of(node, "tiers"):
        fields = Fields(item, ("name", "when", "limits", "then"))
        name = _once(_name(fields.need("name", "name the tier")), item, seen)
        when = fields.need("when", "say which spends it is for; for all of them, `when: {pays_only: anyone}`")
        limits = fields.get("limits")
        found.append(
            Tier(
                name,
                _clauses(when, TIER_CONDITIONS, destinations),
                () if limits is None else _clauses(limits, TIER_LIMITS, destinations),
                _then(fields.need("then", f"write one of {', '.join(_THEN)}")),
                item.line,
            )
        )
    return tuple(found)


def _then(node: Node) -> Outcome:
    hint = f"write one of {', '.join(_THEN)}"
    word = need_text(node, hint)
    if word not in _THEN:
        raise ProfileError(node.line, node.path, f"`{shown(word, 40)}` is no action; {hint}")
    return _THEN[word]


def _clauses(
    node: Node, conditions: tuple[Condition, ...], destinations: Callable[[Node], Destinations]
) -> tuple[Clause, ...]:
    fields = Fields(node, [condition.key for condition in conditions])
    found = []
    for condition in conditions:
        value = fields.get(condition.key)
        if value is not None:
            read = destinations(value) if condition.unit is None else condition.unit.read(value)
            found.append(Clause(condition.key, read, value.line))
    if not found:
        raise ProfileError(
            node.line,
            node.path,
            f"says nothing; write at least one of {', '.join(c.key for c in conditions)}",
        )
    return tuple(found)
