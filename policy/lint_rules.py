"""Rules by themselves: conditions that contradict each other, that are past, or whose fact has no source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policy.conditions import CONDITIONS
from policy.profile import Clause, Profile
from policy.remarks import Known, Remark
from policy.values import CoinSet, Destinations
from policy.windows import Calendar

_CLOCK = ("days", "hours", "before", "since")


@dataclass(frozen=True, slots=True)
class Rule:
    """A deny rule or a tier, as far as its conditions go. `path` is where it stands, such as `tiers[0]`."""

    path: str
    name: str
    line: int
    when: tuple[Clause, ...]
    unless: tuple[Clause, ...]
    limits: tuple[Clause, ...] = ()

    @property
    def is_tier(self) -> bool:
        """Whether it is a tier, and not a deny rule."""
        return self.path.startswith("tiers")

    def places(self) -> Iterator[tuple[str, Clause]]:
        """Each of its conditions with its path."""
        for word, clauses in (("when", self.when), ("unless", self.unless), ("limits", self.limits)):
            for clause in clauses:
                yield f"{self.path}.{word}.{clause.key}", clause


def rules_in(profile: Profile) -> Iterator[Rule]:
    """All deny rules and tiers of one file."""
    for number, deny in enumerate(profile.deny):
        yield Rule(f"deny[{number}]", deny.name, deny.line, deny.clauses, deny.unless)
    for number, tier in enumerate(profile.tiers):
        yield Rule(f"tiers[{number}]", tier.name, tier.line, tier.clauses, tier.unless, tier.limits)


def narrower(a: Clause, b: Clause) -> bool:
    """Whether whatever fits the one surely fits the other."""
    return a.key == b.key and CONDITIONS[a.key].narrower(a.value, b.value)


def implies(have: tuple[Clause, ...], wanted: tuple[Clause, ...]) -> bool:
    """Whether whatever fits all of these surely fits all of the others."""
    return all(any(narrower(mine, theirs) for mine in have) for theirs in wanted)


def rules(profile: Profile, known: Known) -> Iterator[Remark]:
    """The remarks on each rule by itself."""
    clocked = False
    for rule in rules_in(profile):
        yield from _contradicts(rule)
        yield from _excused(rule)
        yield from _past(rule, known)
        yield from _no_source(rule)
        if not clocked:
            for remark in _clock(rule):
                clocked = True
                yield remark
                break
    for rule_ in profile.velocity or ():
        if isinstance(rule_.window, Calendar):
            yield Remark.note(
                rule_.line, "limits.velocity",
                f"a window by the calendar counts as the longest {rule_.window.period.value} there is while the clock "
                "is in doubt, as after every restart", "confirm the clock then (`assent clock`), or write a length",
            )  # fmt: skip
            break


# Contradictions.


def _contradicts(rule: Rule) -> Iterator[Remark]:
    for clause in rule.when:
        against = next((text for other in rule.when if (text := clash(clause, other))), "")
        if against:
            effect = "fits nothing" if rule.is_tier else "never holds"
            yield Remark.error(
                clause.line, f"{rule.path}.when.{clause.key}", f"`{rule.name}` {effect}: {against}",
                "change one of the two, or remove the rule",
            )  # fmt: skip
            break
    for limit in rule.limits:
        broken = next((text for clause in rule.when if (text := clash(limit, clause))), "")
        if broken:
            yield Remark.error(
                limit.line, f"{rule.path}.limits.{limit.key}",
                f"`{rule.name}` refuses whatever fits it: {broken}", "raise the limit, or change `when`",
            )  # fmt: skip


def clash(a: Clause, b: Clause) -> str:
    """Why no spend fits both of two conditions; empty where one may."""
    if isinstance(a.value, int) and isinstance(b.value, int):
        stem = a.key.removesuffix("_up_to")
        if a.key.endswith("_up_to") and b.key == f"{stem}_above" and a.value <= b.value:
            return f"`{b.key}` is not below `{a.key}`"
        if (a.key, b.key) == ("before", "since") and a.value <= b.value:
            return "`before` is not after `since`"
        if (a.key, b.key) == ("round_trip", "sent_above") and a.value:
            return "a round trip sends nothing to others"
    if isinstance(a.value, Destinations) and isinstance(b.value, Destinations):
        apart = _apart(a.value, b.value)
        return (
            "`pays_any` names nothing that `pays_only` does"
            if apart and (a.key, b.key) == ("pays_only", "pays_any")
            else ""
        )
    if isinstance(a.value, CoinSet) and isinstance(b.value, CoinSet):
        apart = not (a.value.outpoints & b.value.outpoints or a.value.paths or b.value.paths)
        if (a.key, b.key) == ("coins_only", "coins_any") and apart:
            return "`coins_any` names no coin that `coins_only` does"
    return ""


def _apart(a: Destinations, b: Destinations) -> bool:
    return not (a.anyone or b.anyone or (a.own and b.own) or a.scripts & b.scripts)


def _excused(rule: Rule) -> Iterator[Remark]:
    if rule.unless and implies(rule.when, rule.unless):
        yield Remark.error(
            rule.unless[0].line, f"{rule.path}.unless",
            f"`{rule.name}` never applies: whatever fits `when` fits `unless` too",
            "make `unless` narrower than `when`",
        )  # fmt: skip


# Time.


def _past(rule: Rule, known: Known) -> Iterator[Remark]:
    if known.now_ms is None:
        return
    effect = "fits nothing any more" if rule.is_tier else "never holds any more"
    for clause in rule.when:
        if not isinstance(clause.value, int) or clause.value > known.now_ms:
            continue
        path = f"{rule.path}.when.{clause.key}"
        if clause.key == "before":
            text, mend = (
                f"the day is past, so `{rule.name}` {effect}",
                "remove the rule, or write a later day",
            )
            yield Remark.warning(clause.line, path, text, mend)
        elif clause.key == "since":
            yield Remark.note(clause.line, path, "the day is past, so this always holds", "leave it out")


def _clock(rule: Rule) -> Iterator[Remark]:
    for path, clause in rule.places():
        if clause.key in _CLOCK:
            effect = "the tier does not fit" if rule.is_tier else "the rule refuses"
            yield Remark.note(
                clause.line, path,
                f"cannot be decided while the clock is in doubt, as after every restart: then {effect}",
                "confirm the clock then (`assent clock`), or let peers' clocks do so",
            )  # fmt: skip


# Facts without a source.


def _no_source(rule: Rule) -> Iterator[Remark]:
    for path, clause in rule.places():
        if "no source" not in CONDITIONS[clause.key].source:
            continue
        if ".unless." in path:
            effect = "never excuses" if not rule.is_tier else "always excuses, unless another one fails"
        elif rule.is_tier:
            effect = f"`{rule.name}` refuses" if ".limits." in path else f"`{rule.name}` never fits"
        else:
            effect = f"`{rule.name}` refuses whatever its other conditions fit"
        yield Remark.warning(
            clause.line, path, f"needs the chain, which has no source here yet: {effect}", "leave it out"
        )
