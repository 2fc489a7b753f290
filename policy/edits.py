"""The single edits between two profiles: each in words, with its place, and with what the old one is with it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from policy.clause_words import (
    action_words,
    change_words,
    clause_words,
    quorum_words,
    rescue_words,
    value_words,
    velocity_words,
)
from policy.layers import Layer, Layers, layers_of
from policy.profile import Clause, Deny, Profile, Tier
from policy.setting import SETTINGS
from policy.values import CoinSet, Destinations, Value
from policy.windows import Per, Velocity, Window
from policy.wording import duration


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: its path, its line in the new profile (0: none), its words, and the old layers with it made."""

    path: str
    line: int
    text: str
    layers: Layers


@dataclass(frozen=True, slots=True)
class _Pair:
    """A layer of the old profile and the one that takes its place, each with the profile it is of."""

    old: Layer
    new: Layer
    was: Profile
    now: Profile


Part = tuple[str, int, str, Layer]
"""An edit of one layer: path, line, words, and the layer with it made."""


def edits(old: Profile, new: Profile) -> Iterator[Edit]:
    """Everything that differs in meaning; names, order of deny rules and the like aside."""
    before, after = layers_of(old), layers_of(new)
    were, are = _chain(old), _chain(new)
    pairs = _paired(before, after)
    for at, to in pairs:
        pair = _Pair(before[at], after[to], were[at], are[to])
        where = "" if to == 0 else f"{pair.now.name}: "
        for path, line, text, layer in _layer_edits(pair):
            yield Edit(where + path, line, text, (*before[:at], layer, *before[at + 1 :]))
    yield from _listed(old, new, before, after)
    for at in sorted(set(range(len(before))) - {at for at, _ in pairs}):
        yield Edit(
            "extends", 0, f"no longer judged with `{before[at].name}`", (*before[:at], *before[at + 1 :])
        )
    for to in sorted(set(range(len(after))) - {to for _, to in pairs}):
        place = 0 if to == 0 else len(before)
        layers = (*before[:place], after[to], *before[place:])
        yield Edit("extends", 0, f"judged with `{after[to].name}` as well", layers)


def _chain(profile: Profile) -> list[Profile]:
    found = [profile]
    while found[-1].base is not None:
        found.append(found[-1].base)
    return found


def _paired(old: Layers, new: Layers) -> list[tuple[int, int]]:
    """By name; what is left, in order."""
    names = {layer.name: place for place, layer in enumerate(new)}
    pairs = [(place, names[layer.name]) for place, layer in enumerate(old) if layer.name in names]
    left = (place for place in range(len(old)) if place not in {at for at, _ in pairs})
    free = (place for place in range(len(new)) if place not in {to for _, to in pairs})
    return sorted([*pairs, *zip(left, free, strict=False)])


def _listed(old: Profile, new: Profile, before: Layers, after: Layers) -> Iterator[Edit]:
    """What stands in the lists, which only `listed_for` looks at; rules that name a list are edits of their own."""
    if old.listed_scripts == new.listed_scripts:
        return
    listed = after[0].ground.listed
    layers = tuple(replace(layer, ground=replace(layer.ground, listed=listed)) for layer in before)
    text = _more_fewer(len(listed - old.listed_scripts), len(old.listed_scripts - listed), "place")
    yield Edit("lists", 0, f"the lists hold {text}", layers)


def _more_fewer(more: int, fewer: int, what: str) -> str:
    parts = [
        f"{count} {what}{'' if count == 1 else 's'} {word}"
        for count, word in ((more, "more"), (fewer, "fewer"))
        if count
    ]
    return " and ".join(parts)


# One layer.


def _layer_edits(pair: _Pair) -> Iterator[Part]:
    yield from _plain(pair)
    yield from _settings(pair)
    yield from _velocity(pair)
    yield from _deny(pair)
    yield from _tiers(pair)


def _plain(pair: _Pair) -> Iterator[Part]:
    """All that is one value."""
    old, new, was, now = pair.old, pair.new, pair.was, pair.now
    if old.name != new.name:
        yield "name", 0, f"`name`: {old.name} -> {new.name}", replace(old, name=new.name)
    if old.network is not new.network:
        text = f"`network`: {old.network.value} -> {new.network.value}"
        yield "network", now.network_line, text, replace(old, network=new.network)
    if old.ground.zone != new.ground.zone:
        text = f"`zone`: {old.ground.zone or 'none'} -> {new.ground.zone or 'none'}"
        yield "zone", 0, text, replace(old, ground=replace(old.ground, zone=new.ground.zone))
    if old.ground.evil != new.ground.evil:
        text = f"`evil_nodes`: {_evil(was)} -> {_evil(now)}"
        yield "evil_nodes", 0, text, replace(old, ground=replace(old.ground, evil=new.ground.evil))
    if old.receive_only is not new.receive_only:
        text = "`receive_only`: now nothing may be spent" if new.receive_only else "`receive_only` is gone"
        line = now.receive_only.line
        yield "receive_only", line, text, replace(old, receive_only=new.receive_only)
    if old.leaves != new.leaves:
        text = f"`leaves`: {_leaves(old.leaves)} -> {_leaves(new.leaves)}"
        yield "leaves", now.leaves.line, text, replace(old, leaves=new.leaves)
    if old.frozen != new.frozen:
        text = f"`coins.frozen`: {_differing(old.frozen, new.frozen)}"
        yield "coins.frozen", 0, text, replace(old, frozen=new.frozen)
    if old.intents != new.intents:
        texts = [
            "none needed" if rule is None else f"from {', '.join(sorted(rule.devices)) or 'any device'}"
            for rule in (old.intents, new.intents)
        ]
        line = 0 if now.intents is None else now.intents.line
        yield "intents", line, f"`intents`: {' -> '.join(texts)}", replace(old, intents=new.intents)
    if old.freeze_ms != new.freeze_ms:
        text = f"`freeze.by_others_up_to`: {_length(old.freeze_ms)} -> {_length(new.freeze_ms)}"
        yield "freeze", now.freeze_ms.line, text, replace(old, freeze_ms=new.freeze_ms)
    if old.drills != new.drills:
        text = f"`drills`: {_drills(old.drills)} -> {_drills(new.drills)}"
        yield "drills", now.drills.line, text, replace(old, drills=new.drills)
    if old.rescue != new.rescue:
        line = 0 if now.rescue is None else now.rescue.line
        text = f"`rescue`: {rescue_words(old.rescue)} -> {rescue_words(new.rescue)}"
        yield "rescue", line, text, replace(old, rescue=new.rescue)
    if old.change != new.change:
        text = f"`change`: {change_words(old.change)} -> {change_words(new.change)}"
        yield "change", now.change.line, text, replace(old, change=new.change)


def _length(length_ms: int | None) -> str:
    return "as the base has it" if length_ms is None else duration(length_ms)


def _drills(number: int | None) -> str:
    return "as the base has it" if number is None else f"{number} a day"


def _leaves(leaves: frozenset[str] | None) -> str:
    return "as the base has it" if leaves is None else ", ".join(sorted(leaves)) or "none"


def _evil(profile: Profile) -> str:
    return "by the rule" if profile.evil_nodes is None else str(profile.evil_nodes)


def _settings(pair: _Pair) -> Iterator[Part]:
    for place, setting in enumerate(SETTINGS):
        was, now = pair.old.settings[place], pair.new.settings[place]
        if was != now:
            values = (*pair.old.settings[:place], now, *pair.old.settings[place + 1 :])
            text = f"`{setting.key}`: {setting.show(was)} -> {setting.show(now)}"
            yield setting.key, pair.now.line(setting), text, replace(pair.old, settings=values)


def _velocity(pair: _Pair) -> Iterator[Part]:
    def key(rule: Velocity) -> tuple[Window, Per | None]:
        return rule.window, rule.per

    old, new = pair.old.velocity, pair.new.velocity
    gone = [rule for rule in old if rule not in new]
    come = [rule for rule in new if rule not in old]
    for rule in gone:
        rest = tuple(each for each in old if each != rule)
        instead = next((each for each in come if key(each) == key(rule)), None)
        if instead is None:
            yield (
                "limits.velocity",
                0,
                f"window {velocity_words(rule)}: removed",
                replace(pair.old, velocity=rest),
            )
        else:
            come.remove(instead)
            text = f"window {velocity_words(rule)} -> {velocity_words(instead)}"
            yield "limits.velocity", instead.line, text, replace(pair.old, velocity=(*rest, instead))
    for rule in come:
        text = f"window {velocity_words(rule)}: added"
        yield "limits.velocity", rule.line, text, replace(pair.old, velocity=(*old, rule))


# Rules.


def _deny(pair: _Pair) -> Iterator[Part]:
    old = {rule.name: rule for rule in pair.old.deny}
    new = {rule.name: rule for rule in pair.new.deny}
    written = {rule.name: rule for rule in pair.now.deny}
    for name, rule in old.items():
        rest = tuple(each for each in pair.old.deny if each.name != name)
        if name not in new:
            yield f"deny.{name}", 0, f"deny `{name}`: removed", replace(pair.old, deny=rest)
            continue
        for path, line, text, changed in _deny_edits(rule, new[name], written[name], pair):
            layer = replace(pair.old, deny=(*rest, changed))
            yield f"deny.{name}.{path}", line, f"deny `{name}`: {text}", layer
    for name, rule in new.items():
        if name not in old:
            text = f"deny `{name}`: added, {clause_words(rule.clauses, pair.now.zone)}"
            layer = replace(pair.old, deny=(*pair.old.deny, rule))
            yield f"deny.{name}", written[name].line, text, layer


def _deny_edits(old: Deny, new: Deny, written: Deny, pair: _Pair) -> Iterator[tuple[str, int, str, Deny]]:
    for path, line, text, clauses in _clause_edits("when", old.clauses, new.clauses, written.clauses, pair):
        yield path, line, text, replace(old, clauses=clauses)
    for path, line, text, clauses in _clause_edits("unless", old.unless, new.unless, written.unless, pair):
        yield path, line, text, replace(old, unless=clauses)
    if old.freeze is not new.freeze:
        text = "freezes the wallet" if new.freeze else "no longer freezes the wallet"
        yield "then", written.line, text, replace(old, freeze=new.freeze)
    if old.notify is not new.notify:
        yield "notify", written.line, _notify(new.notify), replace(old, notify=new.notify)


def _notify(now: bool) -> str:
    return "tells the owner" if now else "no longer tells the owner"


def _tiers(pair: _Pair) -> Iterator[Part]:
    old, new, written = pair.old.tiers, pair.new.tiers, {tier.name: tier for tier in pair.now.tiers}
    if old is None or new is None:
        if old != new:
            text = "tiers of its own" if old is None else "no tiers of its own: it leaves them to its base"
            yield "tiers", pair.now.tiers_line, text, replace(pair.old, tiers=new)
        return

    def with_tiers(tiers: tuple[Tier, ...]) -> Layer:
        return replace(pair.old, tiers=tiers)

    after = {tier.name: tier for tier in new}
    for place, tier in enumerate(old):
        name = tier.name
        if name not in after:
            yield f"tiers.{name}", 0, f"tier `{name}`: removed", with_tiers((*old[:place], *old[place + 1 :]))
            continue
        for path, line, text, changed in _tier_edits(tier, after[name], written[name], pair):
            tiers = (*old[:place], changed, *old[place + 1 :])
            yield f"tiers.{name}.{path}", line, f"tier `{name}`: {text}", with_tiers(tiers)
    before = {tier.name: tier for tier in old}
    for place, tier in enumerate(new):
        if tier.name not in before:
            at = _place_for(new[:place], old)
            words = f"{clause_words(tier.clauses, pair.now.zone)}, then {action_words(tier.then)}"
            text = f"tier `{tier.name}`: added, {words}"
            tiers = (*old[:at], tier, *old[at:])
            yield f"tiers.{tier.name}", written[tier.name].line, text, with_tiers(tiers)
    yield from _order(old, new, pair)


def _place_for(earlier: tuple[Tier, ...], old: tuple[Tier, ...]) -> int:
    """Where in the old order a new tier stands: behind the last that stands before it in the new one."""
    names = {tier.name for tier in earlier}
    return max((place + 1 for place, tier in enumerate(old) if tier.name in names), default=0)


def _order(old: tuple[Tier, ...], new: tuple[Tier, ...], pair: _Pair) -> Iterator[Part]:
    tiers = {tier.name: tier for tier in old}
    names = {tier.name for tier in new}
    was = [tier.name for tier in old if tier.name in names]
    now = [tier.name for tier in new if tier.name in tiers]
    if was != now and len(tiers) == len(old):
        order = iter(now)
        moved = tuple(tiers[next(order)] if tier.name in names else tier for tier in old)
        text = f"order of the tiers: {', '.join(was)} -> {', '.join(now)}"
        yield "tiers", pair.now.tiers_line, text, replace(pair.old, tiers=moved)


def _tier_edits(old: Tier, new: Tier, written: Tier, pair: _Pair) -> Iterator[tuple[str, int, str, Tier]]:
    for path, line, text, clauses in _clause_edits("when", old.clauses, new.clauses, written.clauses, pair):
        yield path, line, text, replace(old, clauses=clauses)
    for path, line, text, clauses in _clause_edits("unless", old.unless, new.unless, written.unless, pair):
        yield path, line, text, replace(old, unless=clauses)
    for path, line, text, clauses in _clause_edits("limits", old.limits, new.limits, written.limits, pair):
        yield path, line, text, replace(old, limits=clauses)
    if old.then != new.then:
        text = f"then {action_words(old.then)} -> {action_words(new.then)}"
        yield "then", written.line, text, replace(old, then=new.then)
    if old.quorum != new.quorum:
        text = f"quorum {quorum_words(old.quorum)} -> {quorum_words(new.quorum)}"
        yield "quorum", written.line, text, replace(old, quorum=new.quorum)
    if old.notify is not new.notify:
        yield "notify", written.line, _notify(new.notify), replace(old, notify=new.notify)


def _clause_edits(
    group: str, old: tuple[Clause, ...], new: tuple[Clause, ...], written: tuple[Clause, ...], pair: _Pair
) -> Iterator[tuple[str, int, str, tuple[Clause, ...]]]:
    """Of a group of conditions; `when` needs no name, because it is what a rule is about."""
    word = "" if group == "when" else f"{group} "
    lines = {clause.key: clause.line for clause in written}
    before, after = {clause.key: clause for clause in old}, {clause.key: clause for clause in new}
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        rest = tuple(clause for clause in old if clause.key != key)
        path, line = f"{group}.{key}", lines.get(key, 0)
        if was is not None and now is None:
            yield path, 0, f"{word}{key} {value_words(key, was.value, pair.was.zone)} removed", rest
        elif was is None and now is not None:
            text = f"{word}{key} {value_words(key, now.value, pair.now.zone)} added"
            yield path, line, text, (*rest, now)
        elif was is not None and now is not None and was != now:
            yield path, line, f"{word}{key} {_from_to(key, was.value, now.value, pair)}", (*rest, now)


def _from_to(key: str, was: Value, now: Value, pair: _Pair) -> str:
    before, after = value_words(key, was, pair.was.zone), value_words(key, now, pair.now.zone)
    if before != after:
        return f"{before} -> {after}"
    # The same words for other places: a list of that name changed.
    return (
        f"{after}, which now holds {_differing(was, now)}"
        if isinstance(was, Destinations | CoinSet)
        else after
    )


def _differing(was: Value, now: Value) -> str:
    match was, now:
        case Destinations(), Destinations():
            more, fewer = len(now.scripts - was.scripts), len(was.scripts - now.scripts)
            return _more_fewer(more, fewer, "place") or "other places"
        case CoinSet(), CoinSet():
            have, had = (
                {*now.outpoints, *now.paths},
                {*was.outpoints, *was.paths},
            )
            return _more_fewer(len(have - had), len(had - have), "entry").replace("entrys", "entries")
        case _:
            return "something else"
