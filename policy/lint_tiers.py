"""Tiers against tiers, deny rules and limits: which can never decide, and where more is easier than less."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from policy.lint_rules import implies, narrower
from policy.profile import Clause, Profile, Tier
from policy.remarks import Known, Remark
from policy.setting import AMOUNT_SENT, AMOUNT_TOTAL, FEE_MAX, FEE_MAX_RATE, Setting
from policy.wording import duration

_LIMITS: tuple[tuple[str, Setting[int]], ...] = (
    ("sent", AMOUNT_SENT),
    ("total", AMOUNT_TOTAL),
    ("fee", FEE_MAX),
    ("fee_rate", FEE_MAX_RATE),
)


def rank(tier: Tier) -> int:
    """How strict a tier is: approve, ask or grant, wait, refuse."""
    then = tier.then
    if then.refuse or then.freeze:
        return 3
    return 2 if then.wait is not None else 1 if then.ask is not None or then.grant else 0


def tiers(profile: Profile, known: Known) -> Iterator[Remark]:
    """The remarks on tiers."""
    numbered = list(enumerate(profile.tiers))
    shadowed: set[int] = set()
    for (_, first), (number, later) in combinations(numbered, 2):
        if number not in shadowed and covers(first, later):
            shadowed.add(number)
            yield _shadowed(first, number, later)
        elif number not in shadowed:
            yield from _milder(first, number, later)
    for number, tier in numbered:
        if number not in shadowed:
            yield from _denied(profile, number, tier)
            yield from _cut_off(profile, number, tier)
        yield from _times(number, tier, known)
        yield from _words(number, tier)
    yield from _deny_words(profile)


def covers(first: Tier, later: Tier) -> bool:
    """Whether whatever fits the later tier surely fits the first."""
    # Who is not excused by the later's `unless` must not be by the first's: its `unless` must imply the later's.
    excused = not first.unless or (bool(later.unless) and implies(first.unless, later.unless))
    return excused and implies(later.clauses, first.clauses)


def _shadowed(first: Tier, number: int, later: Tier) -> Remark:
    text = f"`{later.name}` never decides: whatever fits it fits `{first.name}` before it"
    mend = f"move it above `{first.name}` (line {first.line}), or remove it"
    kind = Remark.error if rank(later) > rank(first) else Remark.warning
    return kind(later.line, f"tiers[{number}]", text, mend)


def _milder(first: Tier, number: int, later: Tier) -> Iterator[Remark]:
    """A larger amount falls through to a tier that asks less than the one for smaller amounts."""
    if rank(later) >= rank(first) or rank(first) == 3:
        return
    for bound in first.clauses:
        if not bound.key.endswith("_up_to") or bound.key.startswith(("fee", "inputs", "recipients")):
            continue
        higher = [c for c in later.clauses if c.key == bound.key]
        if higher and all(narrower(c, bound) for c in higher):
            continue
        rest = tuple(clause for clause in first.clauses if clause is not bound)
        others = tuple(clause for clause in later.clauses if clause.key != bound.key)
        if implies(others, rest) or (others and implies(rest, others)):
            yield Remark.warning(
                later.line, f"tiers[{number}]",
                f"`{later.name}` lets more pass with less than `{first.name}`: what is above its `{bound.key}` falls "
                f"through to `{later.then.words}`",
                f"narrow `{later.name}`, or let it be as strict as `{first.name}` (line {first.line})",
            )  # fmt: skip
            return


def _denied(profile: Profile, number: int, tier: Tier) -> Iterator[Remark]:
    every = (*tier.clauses, *tier.limits)
    for rule in profile.deny:
        if not rule.unless and implies(every, rule.clauses) and rank(tier) < 3:
            yield Remark.error(
                tier.line, f"tiers[{number}]", f"`{tier.name}` can never approve: rule `{rule.name}` denies all of it",
                f"narrow the rule (line {rule.line}), or remove the tier",
            )  # fmt: skip


def _cut_off(profile: Profile, number: int, tier: Tier) -> Iterator[Remark]:
    """Where a limit on every spend lies below what a tier is for."""
    if rank(tier) == 3:
        return
    for stem, setting in _LIMITS:
        limit = profile.value(setting)
        if limit is None:
            continue
        for clause in tier.clauses:
            if not isinstance(clause.value, int):
                continue
            path, shown = f"tiers[{number}].when.{clause.key}", setting.show(limit)
            if clause.key == f"{stem}_above" and clause.value >= limit:
                yield Remark.error(
                    clause.line, path, f"`{tier.name}` can never approve: {setting.key} is {shown}",
                    f"raise {setting.key}, or lower this",
                )  # fmt: skip
            elif clause.key == f"{stem}_up_to" and clause.value > limit and setting.key in profile.written:
                yield Remark.note(
                    clause.line, path, f"the top of `{tier.name}` is refused: {setting.key} is {shown}",
                    f"write `{clause.key}: {shown}`, or raise {setting.key}",
                )  # fmt: skip


def _times(number: int, tier: Tier, known: Known) -> Iterator[Remark]:
    life_ms = known.request_ms
    if life_ms is None:
        return
    path, life = f"tiers[{number}].then", duration(life_ms)
    wait, asked = tier.then.wait, tier.then.ask
    if wait is not None and wait.delay_ms >= life_ms:
        yield Remark.error(
            tier.line, f"{path}.wait.delay", f"`{tier.name}` can never approve: a request lives {life} at most",
            f"write a delay below {life}",
        )  # fmt: skip
    elif wait is not None and wait.expires_ms is not None and wait.expires_ms > life_ms:
        yield Remark.note(
            tier.line, f"{path}.wait.expires", f"decides nothing: a request lives {life} at most",
            "leave it out, or make it shorter",
        )  # fmt: skip
    if asked is not None and asked.within_ms is not None and asked.within_ms > life_ms:
        yield Remark.note(
            tier.line, f"{path}.ask.within", f"decides nothing: a request lives {life} at most",
            "leave it out, or make it shorter",
        )  # fmt: skip
    delay_ms = 0 if wait is None else wait.delay_ms
    if asked is not None and asked.within_ms is not None and asked.within_ms < delay_ms:
        yield Remark.warning(
            tier.line, f"{path}.ask.within",
            "is shorter than the delay: a yes that comes before it is too old at its end",
            f"write `within: {duration(delay_ms * 2)}`, or leave it out",
        )  # fmt: skip


def _words(number: int, tier: Tier) -> Iterator[Remark]:
    then, path = tier.then, f"tiers[{number}].then"
    if then.grant and then.ask is None:
        yield Remark.note(
            tier.line, path, f"`{tier.name}` refuses whatever no grant covers, and asks nobody",
            "write `{grant: true, ask: {}}` below it as another tier if the owner is to be asked",
        )  # fmt: skip
    if then.freeze and not tier.notify:
        yield Remark.note(
            tier.line, path, f"`{tier.name}` freezes the wallet silently", "write `notify: true`"
        )
    if then.ask is not None and 0 < then.ask.distinct <= max(
        (count for _, count in then.ask.people.groups), default=0
    ):
        yield Remark.note(
            tier.line, f"{path}.ask.distinct", "decides nothing: so many of one role are that many people already",
            "raise it, or leave it out",
        )  # fmt: skip


def _deny_words(profile: Profile) -> Iterator[Remark]:
    limit = profile.value(AMOUNT_SENT)
    for number, rule in enumerate(profile.deny):
        if rule.freeze and not rule.notify:
            yield Remark.note(
                rule.line,
                f"deny[{number}]",
                f"`{rule.name}` freezes the wallet silently",
                "write `notify: true`",
            )
        if limit is not None and not rule.freeze and any(_beyond(clause, limit) for clause in rule.clauses):
            yield Remark.note(
                rule.line, f"deny[{number}]",
                f"`{rule.name}` adds nothing: {AMOUNT_SENT.key} refuses that already",
                "lower it, or leave the rule out",
            )  # fmt: skip


def _beyond(clause: Clause, limit: int) -> bool:
    return clause.key == "sent_above" and isinstance(clause.value, int) and clause.value >= limit
