"""Random profiles over every condition there is, random edits of them, and random facts on which they differ.

All values come from small sets, so that two of them are often equal, or only just not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from random import Random
from typing import TypeVar

from policy_house import FRIEND, NOW_MS, SPEND_ID, STRANGER, change, coin, output, spend

from policy import (
    Book,
    Booking,
    ChainFacts,
    ClockReading,
    Facts,
    Grant,
    Intent,
    OwnerSaid,
    PersonSaid,
    Profile,
    WalletFacts,
)
from policy.actions import Action, Ask, Wait
from policy.condition import LIMITS, read_flag
from policy.conditions import CONDITIONS
from policy.facts import CoinFacts
from policy.profile import ChangeRule, Clause, Deny, IntentRule, Tier, Written
from policy.quorum import Conditions
from policy.setting import SETTINGS
from policy.values import NOBODY, CoinSet, Destinations, Hours, People, Value, Words
from policy.when_times import DAYS
from policy.windows import Calendar, Lifetime, Per, Period, Rolling, Velocity, Window, Zone
from taproot import LeafFacts, Network, OutPoint, Spend, SpendOutput, WalletPath

T = TypeVar("T")
HOUR, DAY = 3_600_000, 24 * 3_600_000
THIRD = b"\x51\x20" + b"\x44" * 32
PLACES = (FRIEND, STRANGER, THIRD)
AMOUNTS = (100_000, 200_000, 300_000, 400_000)
ROLES = ("home", "phone", "offline")
PEOPLE_ROLES = ("treasurer", "security")
ZONES = (Zone("UTC", UTC), Zone("Test/East", timezone(timedelta(hours=9))))


def some(r: Random, items: tuple[T, ...], most: int) -> frozenset[T]:
    return frozenset(r.sample(items, r.randint(0, min(most, len(items)))))


# Profiles.


def destinations(r: Random) -> Destinations:
    held = frozenset(r.sample(PLACES, r.choice([0, 1, 2, 2, 3, 3])))
    return Destinations(held, r.random() < 0.6, r.random() < 0.25, ("somewhere",))


def window(r: Random) -> Velocity:
    windows: list[Window] = [
        Rolling(HOUR),
        Rolling(DAY),
        Rolling(3 * DAY),
        Calendar(Period.DAY, ZONES[0]),
        Lifetime(),
    ]
    made = Velocity(
        r.choice(windows),
        r.choice([None, 600_000, 1_200_000, 2_400_000]),
        r.choice([None, 3, 6]),
        r.choice([None, None, 6_000, 9_000]),
        None,
        r.choice([None, None, *Per]),
    )
    bare = made.sum_sats is made.count is made.fees_sats is None
    if made.per is not Per.RECIPIENT and r.random() < 0.2:
        made = replace(made, recipients=r.randint(1, 3))
    return replace(made, sum_sats=800_000) if bare and made.recipients is None else made


def people(r: Random) -> People:
    roles = r.sample(PEOPLE_ROLES, r.randint(1, 2))
    return People(tuple(sorted((role, r.randint(1, 2)) for role in roles)))


def coins(r: Random) -> CoinSet:
    outpoints = some(r, tuple(coin(n).outpoint for n in range(3)), 3)
    return CoinSet(outpoints, some(r, tuple(WalletPath(0, n) for n in range(3)), 2), ("some",))


def words(known: tuple[str, ...]) -> Callable[[Random], Value]:
    return lambda r: Words(frozenset(r.sample(known, r.randint(1, len(known)))))


def number(*known: int) -> Callable[[Random], Value]:
    return lambda r: r.choice(known)


def hours(r: Random) -> Value:
    start = 60 * r.choice([0, 6, 12])
    return Hours(start, start + 60 * r.choice([6, 12]))


LEAVES = ("inheritance", "sweep", "lost")
NUMBERS: dict[str, tuple[int, ...]] = {
    "sent": AMOUNTS, "total": AMOUNTS, "each": AMOUNTS, "balance_share": (1_000, 2_000, 3_000),
    "fee": (400, 1_000, 3_000), "fee_rate": (3_000, 6_000, 9_000), "fee_share": (20, 60, 120),
    "recipients": (1, 2), "inputs": (1, 2),
}  # fmt: skip
VALUES: dict[str, Callable[[Random], Value]] = {
    **{key: lambda r: r.randint(0, 1) for key, made in CONDITIONS.items() if made.read is read_flag},
    **{f"{name}_{how}": number(*known) for name, known in NUMBERS.items() for how in ("up_to", "above")},
    "keeps": number(1_000_000, 1_500_000), "velocity": window, "pays_only": destinations, "pays_any": destinations,
    "listed_for": number(HOUR, DAY), "script_types": words(("p2tr", "p2wpkh", "nulldata")),
    "days": words(DAYS), "hours": hours, "before": number(NOW_MS - DAY, NOW_MS, NOW_MS + DAY),
    "since": number(NOW_MS - DAY, NOW_MS, NOW_MS + DAY), "confirmations": number(1, 6), "coin_age": number(HOUR, DAY),
    "tip_within": number(HOUR, 2 * HOUR), "coins_only": coins, "coins_any": coins,
    "asked_by": words(("desk", "app")), "by_leaf": words(LEAVES),
    "asked_by_role": words(PEOPLE_ROLES), "approved_by": people,
}  # fmt: skip
COMMON = (
    "pays_only",
    "pays_only",
    "sent_up_to",
    "sent_up_to",
    "sent_above",
    "total_up_to",
    "round_trip",
    "hours",
)
WHEN_KEYS = tuple(CONDITIONS)
LIMIT_KEYS = tuple(key for key, made in CONDITIONS.items() if LIMITS in made.places)


def clause(r: Random, known: tuple[str, ...]) -> Clause:
    usual = tuple(key for key in COMMON if key in known)
    key = r.choice(usual) if usual and r.random() < 0.6 else r.choice(known)
    return Clause(key, VALUES[key](r), r.randint(1, 99))


def clauses(r: Random, least: int, most: int, known: tuple[str, ...] = WHEN_KEYS) -> tuple[Clause, ...]:
    made = {one.key: one for one in (clause(r, known) for _ in range(r.randint(least, most)))}
    return tuple(made.values())


def asking(r: Random) -> Ask:
    groups = people(r) if r.random() < 0.4 else NOBODY
    distinct = r.choice([0, 0, 1, 2])
    owner = r.random() < 0.7 or (not groups.groups and not distinct)
    return Ask(owner, groups, distinct, r.choice([None, None, HOUR, DAY]), owner and r.random() < 0.3)


def waiting(r: Random) -> Wait:
    return Wait(
        r.choice([HOUR, DAY]), r.choice([None, 2 * DAY, 3 * DAY]), tuple(sorted(some(r, PEOPLE_ROLES, 2)))
    )


def action(r: Random) -> Action:
    word = r.choice(["approve"] * 4 + ["ask"] * 4 + ["refuse", "freeze", "grant", "grant", "wait"])
    return Action(
        refuse=word == "refuse",
        freeze=word == "freeze",
        grant=word == "grant",
        ask=asking(r) if word == "ask" or (word in {"grant", "wait"} and r.random() < 0.3) else None,
        wait=waiting(r) if word == "wait" or (word in {"grant", "ask"} and r.random() < 0.15) else None,
    )


def quorum(r: Random) -> Conditions | None:
    if r.random() < 0.7:
        return None
    return Conditions(
        r.choice([0, 2, 3]),
        tuple(sorted(some(r, ROLES, 1))),
        tuple(dict.fromkeys(some(r, ROLES, 2) for _ in range(r.randint(0, 2)))),
        (("phone", frozenset({b"\x01" * 32} | some(r, (b"\x02" * 32,), 1))),) if r.random() < 0.3 else (),
    )


def deny(r: Random, name: str) -> Deny:
    unless = clauses(r, 1, 2) if r.random() < 0.3 else ()
    return Deny(name, clauses(r, 1, 2), r.randint(1, 99), unless, r.random() < 0.2, r.random() < 0.2)


def tier(r: Random, name: str) -> Tier:
    return Tier(
        name,
        clauses(r, 1, 3),
        clauses(r, 0, 2, LIMIT_KEYS) if r.random() < 0.4 else (),
        action(r),
        r.randint(1, 99),
        clauses(r, 1, 2) if r.random() < 0.25 else (),
        quorum(r),
        r.random() < 0.15,
    )


def tiers(r: Random, least: int) -> tuple[Tier, ...]:
    """Some tiers; often one at the end that much of what nothing else fits does fit."""
    made = tuple(tier(r, f"t{n}") for n in range(r.randint(least, 4)))
    if not made or r.random() < 0.4:
        return made
    broad = Clause("pays_only", Destinations(frozenset(PLACES), True, r.random() < 0.5, ("all",)), 50)
    rest = () if r.random() < 0.5 else (Clause("sent_up_to", r.choice(AMOUNTS), 51),)
    return (*made, Tier("rest", (broad, *rest), (), action(r), 50))


SETTING_VALUES: dict[str, tuple[int, ...]] = {
    "baseline.max_inputs": (1, 2), "baseline.max_outputs": (1, 2, 3), "baseline.max_vsize": (150, 300),
    "baseline.max_version": (1, 2), "baseline.min_output": (100_000, 200_000), "limits.fee.max": (1_000, 3_000),
    "limits.fee.min": (400, 1_000), "limits.fee.max_rate": (6_000, 9_000), "limits.fee.min_rate": (1_000, 3_000),
    "limits.fee.max_share": (60, 120), "limits.amount.share": (1_000, 3_000), "limits.pace.min_blocks": (1, 6),
    "limits.amount.keep": (1_000_000, 1_500_000), "baseline.max_locktime_height": (500, 900),
}  # fmt: skip


def setting(r: Random) -> tuple[str, Written[int | None]]:
    key = r.choice(SETTINGS).key
    return key, Written(r.choice(SETTING_VALUES.get(key, AMOUNTS)), r.randint(1, 99))


def change_rule(r: Random) -> ChangeRule:
    return ChangeRule(
        tuple(sorted(some(r, ROLES, 2))), people(r) if r.random() < 0.5 else NOBODY, r.choice([HOUR, DAY]),
        tuple(sorted(some(r, PEOPLE_ROLES, 1))),
    )  # fmt: skip


def profile(r: Random, base: Profile | None = None) -> Profile:
    if base is None and r.random() < 0.2:
        base = profile(r, None)
    return Profile(
        name=f"p{0 if base is None else len(base.name)}" + "x" * (0 if base is None else len(base.name)),
        network=Network.REGTEST,
        evil_nodes=r.choice([None, None, 0, 1]),
        written=dict(setting(r) for _ in range(r.choice([0, 0, 1, 2]))),
        velocity=tuple(window(r) for _ in range(r.randint(1, 2))) if r.random() < 0.2 else None,
        deny=tuple(deny(r, f"d{n}") for n in range(r.choice([0, 0, 0, 0, 1, 2]))),
        tiers=tiers(r, 0 if base is not None else 1),
        zone=r.choice([None, ZONES[0], ZONES[0], ZONES[1]]),
        receive_only=Written(r.random() < 0.02, 9),
        leaves=Written(r.choice([None, some(r, LEAVES, 2), some(r, LEAVES, 2)]), 10),
        coins={"frozen": coins(r)} if r.random() < 0.07 else {},
        intents=IntentRule(some(r, ("desk", "app"), 2)) if r.random() < 0.06 else None,
        change=change_rule(r) if r.random() < 0.2 else ChangeRule(),
        lists={"some": Destinations(some(r, PLACES, 2), words=("some",))} if r.random() < 0.3 else {},
        base=base,
    )


# Edits.


def edited_clauses(
    r: Random, old: tuple[Clause, ...], known: tuple[str, ...], least: int
) -> tuple[Clause, ...]:
    way = r.random()
    if old and way < 0.6:
        at = r.randrange(len(old))
        again = Clause(old[at].key, VALUES[old[at].key](r), 1)
        return (*old[:at], again, *old[at + 1 :])
    if len(old) > least and way < 0.8:
        at = r.randrange(len(old))
        return (*old[:at], *old[at + 1 :])
    made = clause(r, known)
    return (*(one for one in old if one.key != made.key), made)


def edited_tier(r: Random, old: Tier) -> Tier:
    match r.choice(["when", "when", "when", "unless", "limits", "then", "then", "quorum", "notify"]):
        case "when":
            return replace(old, clauses=edited_clauses(r, old.clauses, WHEN_KEYS, 1))
        case "unless":
            return replace(old, unless=edited_clauses(r, old.unless, WHEN_KEYS, 0))
        case "limits":
            return replace(old, limits=edited_clauses(r, old.limits, LIMIT_KEYS, 0))
        case "then":
            return replace(old, then=action(r))
        case "quorum":
            return replace(old, quorum=quorum(r))
        case _:
            return replace(old, notify=not old.notify)


def edited_tiers(r: Random, old: tuple[Tier, ...]) -> tuple[Tier, ...]:
    way, at = r.random(), r.randrange(len(old)) if old else 0
    if old and way < 0.5:
        return (*old[:at], edited_tier(r, old[at]), *old[at + 1 :])
    if old and way < 0.65:
        return (*old[:at], *old[at + 1 :])
    if len(old) > 1 and way < 0.75:
        return tuple(r.sample(old, len(old)))
    return (*old[:at], tier(r, f"n{r.randrange(10**9)}"), *old[at:])


def edited_deny(r: Random, old: tuple[Deny, ...]) -> tuple[Deny, ...]:
    way, at = r.random(), r.randrange(len(old)) if old else 0
    if not old or way < 0.3:
        return (*old, deny(r, f"n{r.randrange(10**9)}"))
    if way < 0.5:
        return (*old[:at], *old[at + 1 :])
    match r.choice(["when", "when", "unless", "freeze", "notify"]):
        case "when":
            made = replace(old[at], clauses=edited_clauses(r, old[at].clauses, WHEN_KEYS, 1))
        case "unless":
            made = replace(old[at], unless=edited_clauses(r, old[at].unless, WHEN_KEYS, 0))
        case "freeze":
            made = replace(old[at], freeze=not old[at].freeze)
        case _:
            made = replace(old[at], notify=not old[at].notify)
    return (*old[:at], made, *old[at + 1 :])


def edited(r: Random, old: Profile) -> Profile:
    other = profile(r, old.base)
    match r.choice(["tiers"] * 12 + ["deny"] * 4 + ["setting", "velocity", "base", "base", "rest", "rest"]):
        case "tiers":
            return replace(old, tiers=edited_tiers(r, old.tiers))
        case "deny":
            return replace(old, deny=edited_deny(r, old.deny))
        case "setting":
            key, written = setting(r)
            return replace(old, written={**old.written, key: written})
        case "velocity":
            return replace(old, velocity=tuple(window(r) for _ in range(r.randint(0, 2))) or None)
        case "base" if old.base is None:
            return replace(profile(r, old), name="over")
        case "base":
            return r.choice([replace(old, base=edited(r, old.base or other)), old.base or other])
        case _:
            part = r.choice(
                [
                    "evil_nodes",
                    "zone",
                    "receive_only",
                    "leaves",
                    "coins",
                    "intents",
                    "change",
                    "lists",
                    "name",
                ]
            )
            return replace(old, **{part: getattr(other, part)})


# Facts.


def outputs(r: Random, left: int) -> tuple[SpendOutput, ...]:
    made: list[SpendOutput] = []
    for index in range(r.choice([0, 1, 1, 1, 2])):
        if r.random() < 0.1:
            made.append(output(index, 0, b"\x6a\x01x", address=None, script_type="nulldata"))
        else:
            amount = r.choice(AMOUNTS) + r.choice([-1, 0, 0, 1])
            made.append(output(index, amount, r.choice(PLACES)))
    back = left - sum(one.amount_sats for one in made)
    if back > 1_000:
        made.append(change(len(made), back))
    return tuple(made)


def spending(r: Random) -> Spend:
    inputs = tuple(
        coin(n, sequence=r.choice([0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF]))
        for n in r.sample(range(3), r.randint(1, 2))
    )
    vsize = r.choice([100, 150, 300])
    fee = vsize * r.choice([1, 3, 6, 9])
    total = sum(one.amount_sats for one in inputs)
    return spend(
        inputs=inputs, outputs=outputs(r, total - fee), fee_sats=fee, signed_vsize=vsize,
        locktime=r.choice([0, 0, 0, 600]), version=r.choice([1, 2]), most_vsize=vsize,
        leaf=None if r.random() < 0.7 else LeafFacts(r.choice(LEAVES), 0, r.choice([0, 500]), 1, 1),
    )  # fmt: skip


def book(r: Random, made: Spend) -> Book:
    found = Book()
    for number_, ago in enumerate(
        sorted((r.randint(0, 4 * DAY) for _ in range(r.randint(0, 3))), reverse=True)
    ):
        amount = r.choice(AMOUNTS)
        found = found.with_booking(
            Booking(
                bytes([number_ + 1]) * 32, NOW_MS - ago, amount + 500,
                r.choice([(OutPoint(b"\x44" * 32, number_),), (made.inputs[0].outpoint,)]), fee_sats=500,
                payments=((r.choice(PLACES), amount),), initiator=r.choice(["desk", "app"]),
            )
        )  # fmt: skip
    return found.exhausted(NOW_MS - 2 * HOUR) if r.random() < 0.08 else found


def said(r: Random) -> tuple[PersonSaid, ...]:
    known = {"ann": ("treasurer",), "bob": ("treasurer", "security"), "cas": ("security",), "dan": ()}
    return tuple(
        PersonSaid(name, roles, r.random() < 0.85, NOW_MS - r.choice([0, 2 * HOUR, 2 * DAY]))
        for name, roles in known.items()
        if r.random() < 0.6
    )


def facts(r: Random) -> Facts:
    made = spending(r)
    n = r.choice([2, 3, 3, 3, 5])
    chain = ChainFacts(
        1_000, NOW_MS - r.choice([0, HOUR + 1, 3 * HOUR]), r.choice([1_500_000, 3_000_000]),
        {one.outpoint: CoinFacts(r.choice([None, 990, 1_000]), NOW_MS - r.choice([HOUR, DAY])) for one in made.inputs},
    )  # fmt: skip
    mine = r.choice([None, None, OwnerSaid(True, NOW_MS - r.choice([0, 2 * HOUR]), r.random() < 0.5)])
    payments = tuple((one.script_pubkey, one.amount_sats) for one in made.outputs_to_others)
    return Facts(
        made, SPEND_ID,
        WalletFacts(True, "savings", Network.REGTEST, n, r.randint(1, n), 20, (1, 1), (*ROLES, "a", "b")[:n], "home"),
        r.choice(["desk", "desk", "app", ""]), r.choice(["", "ann", "bob"]), tuple(some(r, PEOPLE_ROLES, 2)),
        r.choice([ClockReading(NOW_MS, False)] * 14 + [ClockReading(NOW_MS, True), None]),
        book(r, made) if r.random() < 0.95 else None, chain if r.random() < 0.6 else None, mine, said(r),
        r.choice([None, NOW_MS - 2 * HOUR, NOW_MS - 2 * DAY, NOW_MS - 4 * DAY]), "",
        tuple(grant(r, number_) for number_ in range(r.choice([0, 0, 1, 2]))),
        Intent(b"\x09" * 32, r.choice(["desk", "app"]), made.inputs[0].outpoint, payments, 9_000, NOW_MS + DAY)
        if r.random() < 0.8 else None,
        {place: NOW_MS - r.choice([0, 2 * HOUR, 2 * DAY]) for place in PLACES if r.random() < 0.8},
    )  # fmt: skip


def grant(r: Random, number_: int) -> Grant:
    return Grant(
        bytes([number_ + 0x60]) * 32, r.choice(PLACES), r.choice([200_000, 600_000]), NOW_MS + DAY, r.choice([1, 4]),
        must_sign=r.choice(["", "home", "phone"]),
    )  # fmt: skip
