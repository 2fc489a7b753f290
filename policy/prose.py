"""A profile in prose: what it does with a spend, rule by rule, in sentences that its owner can compare with the wish.

Every sentence is made from the typed values that the judge goes by, never from the file's own text or comments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from policy.actions import Action, Ask
from policy.profile import ChangeRule, Clause, Deny, Profile, Tier
from policy.prose_words import (
    CONDITION_WORDS,
    SETTING_WORDS,
    counted,
    listed,
    people_words,
    places_words,
    velocity_words,
)
from policy.quorum import Conditions
from policy.setting import SETTINGS
from policy.values import Destinations
from policy.windows import Zone
from policy.wording import duration, sats


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that a profile says: the heading it belongs under, the line it is from (0: a default), the words."""

    part: str
    line: int
    text: str


def explain_profile(profile: Profile) -> tuple[Sentence, ...]:
    """The whole profile, and the one that it extends, in the order in which a reader needs it."""
    layers = [profile]
    while layers[-1].base is not None:
        layers.append(layers[-1].base)
    found = [*_layer(profile)]
    for layer in layers[1:]:
        found += [replace(said, part=f"{said.part} (`{layer.name}`)") for said in _layer(layer)]
    return tuple(found)


def _layer(profile: Profile) -> list[Sentence]:
    return [
        *_about(profile),
        *_always(profile),
        *[Sentence("Never", rule.line, _deny(rule, profile.zone)) for rule in profile.deny],
        *_tiers(profile),
        *_alarms(profile),
        *_change(profile),
    ]


# What it is, and what runs on every spend.


def _about(profile: Profile) -> list[Sentence]:
    head = f"`{profile.name}` is a policy for {profile.network.value}"
    if profile.base is not None:
        head += f"; it tightens `{profile.base.name}`, which is judged with it, and the stricter of both wins"
    found = [Sentence("About", profile.network_line, head + ".")]
    if profile.zone is not None:
        found.append(Sentence("About", 0, f"Days and hours are those of {profile.zone.name}."))
    if profile.evil_nodes is not None:
        text = f"Limits for the wallet hold even if {counted(profile.evil_nodes, 'node')} of it are evil."
        found.append(Sentence("About", 0, text.replace("1 node of it are", "1 node of it is")))
    for name, places in sorted(profile.lists.items()):
        count = len(places.scripts)
        own = " and this wallet" if places.own else ""
        entries = "1 address" if count == 1 else f"{count:_} addresses"
        found.append(Sentence("About", 0, f"The list `{name}` holds {entries}{own}."))
    return found


def _always(profile: Profile) -> list[Sentence]:
    found: list[Sentence] = []
    if profile.receive_only.value:
        text = "It is for receiving only: it refuses every spend, whatever else stands here."
        found.append(Sentence("Every spend", profile.receive_only.line, text))
    if profile.leaves.value is not None:
        named = ", ".join(f"`{name}`" for name in sorted(profile.leaves.value)) or "none"
        text = f"It may be made by these recovery leaves of a wallet, and no others: {named}."
        found.append(Sentence("Every spend", profile.leaves.line, text))
    for setting in SETTINGS:
        value, line = profile.value(setting), profile.line(setting)
        if value is not None:
            default = "" if line else " (by default)"
            text = SETTING_WORDS[setting.key].format(setting.show(value))
            found.append(Sentence("Every spend", line, text + default))
        elif line:
            found.append(Sentence("Every spend", line, f"There is no limit to {setting.meaning}."))
    found += [
        Sentence("Every spend", rule.line, f"Over time: {velocity_words(rule)}.")
        for rule in profile.velocity or ()
    ]
    if profile.velocity is None and profile.base is None:
        found.append(Sentence("Every spend", 0, "There is no limit to what leaves over time."))
    if profile.frozen_coins.words or profile.frozen_coins.outpoints or profile.frozen_coins.paths:
        count = len(profile.frozen_coins.outpoints) + len(profile.frozen_coins.paths)
        text = f"The coins under `coins.frozen` ({count:_} {'entry' if count == 1 else 'entries'}) are never spent."
        found.append(Sentence("Every spend", 0, text))
    if profile.intents is not None:
        who = listed(sorted(profile.intents.devices), "or")
        by = f"by {who}" if who else "by a client device of the roster"
        text = f"It comes with an intent for exactly it, signed beforehand {by} and not used before."
        found.append(Sentence("Every spend", profile.intents.line, text))
    return found


# Rules.


def _if(clauses: tuple[Clause, ...], zone: Zone | None) -> str:
    return listed([CONDITION_WORDS[clause.key](clause.value, zone) for clause in clauses])


def _unless(clauses: tuple[Clause, ...], zone: Zone | None) -> str:
    return f", unless {_if(clauses, zone)}" if clauses else ""


def _deny(rule: Deny, zone: Zone | None) -> str:
    verb = "Freezes the wallet" if rule.freeze else "Refuses"
    told = " The owner is told." if rule.notify else ""
    return f"`{rule.name}`: {verb} if {_if(rule.clauses, zone)}{_unless(rule.unless, zone)}.{told}"


def _tiers(profile: Profile) -> list[Sentence]:
    found = []
    for place, tier in enumerate(profile.tiers, 1):
        found.append(Sentence("In this order", tier.line, f"{place}. {tier_words(tier, profile.zone)}"))
        if tier.limits:
            text = f"   If it comes to `{tier.name}`, it is refused unless {_if(tier.limits, profile.zone)}."
            found.append(Sentence("In this order", tier.limits[0].line, text))
    if profile.tiers:
        found.append(Sentence("In this order", 0, "Whatever fits none of these is refused."))
    elif profile.base is None:
        found.append(
            Sentence("In this order", profile.tiers_line, "Nothing says yes, so everything is refused.")
        )
    return found


def tier_words(tier: Tier, zone: Zone | None) -> str:
    """What a tier does, in sentences."""
    what, rest = _what(tier.clauses)
    conditions = f", if {_if(rest, zone)}" if rest else ""
    parts = [f"`{tier.name}`: {_does(tier.then, what)}{conditions}{_unless(tier.unless, zone)}."]
    wait = tier.then.wait
    if wait is not None and wait.expires_ms is not None:
        parts.append(f"It is over {duration(wait.expires_ms)} after the wait began.")
    if wait is not None and wait.cancel:
        parts.append(f"Meanwhile whoever has role {listed(wait.cancel, 'or')} may cancel it.")
    if tier.then.ask is not None and tier.then.ask.within_ms is not None:
        parts.append(f"A yes counts for {duration(tier.then.ask.within_ms)}.")
    if tier.quorum is not None:
        parts.append(quorum_words(tier.quorum))
    if tier.notify:
        parts.append("The owner is told.")
    return " ".join(parts)


def _what(clauses: tuple[Clause, ...]) -> tuple[str, tuple[Clause, ...]]:
    """What is paid, as the object of a verb, and the conditions that remain to be said."""
    by_key = {clause.key: clause for clause in clauses}
    to, most = by_key.get("pays_only"), by_key.get("sent_up_to")
    least, trip = by_key.get("sent_above"), by_key.get("round_trip")
    if to is None and trip is not None and trip.value:
        return "moves coins back to this wallet", tuple(c for c in clauses if c is not trip)
    if to is None and most is None and least is None:
        return "signs a spend", clauses
    amount = ""
    if least is not None and isinstance(least.value, int):
        amount += f" more than {sats(least.value)}"
    if most is not None and isinstance(most.value, int):
        amount += f"{' and' if amount else ''} up to {sats(most.value)}"
    whom = f" to {places_words(to.value)}" if to is not None and isinstance(to.value, Destinations) else ""
    said = {id(clause) for clause in (to, most, least) if clause is not None}
    return f"pays{amount}{whom}", tuple(clause for clause in clauses if id(clause) not in said)


def _does(action: Action, what: str) -> str:
    verb, _, rest = what.partition(" ")
    rest = f" {rest}" if rest else ""
    bare = verb.removesuffix("s")
    if action.refuse or action.freeze:
        return f"{'Freezes the wallet when asked to' if action.freeze else 'Refuses to'} {bare}{rest}"
    before = []
    if action.ask is not None:
        before.append(f"asks {ask_words(action.ask)}")
    if action.wait is not None:
        before.append(f"lets {duration(action.wait.delay_ms)} pass")
    under = " under a grant of the owner's" if action.grant else ""
    if not before:
        return f"{verb.capitalize()}{rest}{under or ' by itself'}"
    first = listed(before)
    return f"{first[0].upper()}{first[1:]} before it {verb}{rest}{under}"


def ask_words(ask: Ask) -> str:
    """Whose yes is asked for."""
    number = " (with the number that the asking device shows)" if ask.match else ""
    who = [f"the owner{number}"] if ask.owner else []
    who += [people_words(ask.people)] if ask.people.groups else []
    who += [f"{ask.distinct} different people in all"] if ask.distinct else []
    return listed(who)


def quorum_words(demands: Conditions) -> str:
    """What is demanded of those who sign together, as sentences."""
    parts = []
    if demands.need_nodes:
        parts.append(f"At least {counted(demands.need_nodes, 'node')} sign together.")
    if demands.roles:
        parts.append(f"{listed(demands.roles).capitalize()} must be among them.")
    parts += [
        f"Never only {listed(sorted(never))} {'together' if len(never) > 1 else 'alone'}."
        for never in demands.never_only
    ]
    parts += [
        f"{role.capitalize()} signs only under policy {listed(sorted(d.hex()[:16] for d in digests), 'or')}."
        for role, digests in demands.policies
    ]
    return " ".join(parts)


# Bad days.


def _alarms(profile: Profile) -> list[Sentence]:
    found = []
    rule, freeze, drills = profile.rescue, profile.freeze_ms, profile.drills
    if rule is not None:
        what = f"pays everything that it spends to {places_words(rule.to)}"
        does = _does(rule.then, what)
        text = f"{does}; no budget, amount or freeze stands against that, and the fee is at most {sats(rule.fee_sats)}."
        found.append(Sentence("Bad days", rule.line, text))
    if freeze.value is not None or profile.base is None:
        default = "" if freeze.line else " (by default)"
        length = duration(profile.others_freeze_ms)
        text = f"Any other node, and any person, may freeze a wallet here for up to {length}, once in 30d."
        found.append(Sentence("Bad days", freeze.line, text + default))
    if drills.value is not None or profile.base is None:
        default = "" if drills.line else " (by default)"
        most = (
            f"at most {counted(profile.drills_a_day, 'drill')} a day" if profile.drills_a_day else "no drills"
        )
        found.append(Sentence("Bad days", drills.line, f"It takes part in {most}." + default))
    return found


# Who may change it.


def _change(profile: Profile) -> list[Sentence]:
    if profile.base is not None and profile.change == ChangeRule():
        return []
    rule = profile.change
    who = [f"the owner of the node with role {role}" for role in rule.nodes]
    who += [people_words(rule.people)] if rule.people.groups else []
    agree = f"{listed(who)} must agree, and then" if who else "the owner alone proposes it, and"
    cancel = f" Whoever has role {listed(rule.cancel, 'or')} may cancel it." if rule.cancel else ""
    text = (
        f"To loosen anything, {agree} {duration(rule.cooldown_ms)} must pass; every node hears of it.{cancel}"
    )
    default = "" if rule.line else " (by default)"
    return [
        Sentence("Changes", 0, "The owner may tighten it at once."),
        Sentence("Changes", rule.line, text + default),
    ]
