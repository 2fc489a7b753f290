"""What is odd in one profile that loads: rules that never decide, limits that cut others off, facts without a source.

Each remark says where, what, and how to mend it. An error is something that nobody can mean (a rule that can never
do anything); a warning is most likely a mistake; a note is worth knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policy.lint_budgets import budgets
from policy.lint_names import names
from policy.lint_rules import rules
from policy.lint_tiers import tiers
from policy.profile import Profile
from policy.registry import RULES
from policy.remarks import NOTHING_KNOWN, Known, Remark, Severity
from policy.wording import duration

__all__ = ["Known", "Remark", "Severity", "lint"]

_SHORT_COOLDOWN_MS = 3_600_000


def lint(profile: Profile, known: Known = NOTHING_KNOWN) -> tuple[Remark, ...]:
    """Every remark on a profile, by line. What is below it (its base) is looked at as a file of its own."""
    checks: tuple[Callable[[Profile, Known], Iterator[Remark]], ...] = (
        _whole, rules, tiers, budgets, names, _change,
    )  # fmt: skip
    found = dict.fromkeys(remark for check in checks for remark in check(profile, known))
    return tuple(sorted(found, key=lambda remark: (remark.line, -remark.severity, remark.path)))


def _whole(profile: Profile, _known: Known) -> Iterator[Remark]:
    if profile.receive_only.value:
        if profile.tiers:
            yield Remark.note(
                profile.tiers_line, "tiers", "decide nothing while `receive_only` is true",
                "leave them out, or write `receive_only: false`",
            )  # fmt: skip
    elif not profile.tiers and profile.base is None:
        yield Remark.warning(
            profile.tiers_line, "tiers", "are missing, so everything is refused",
            "write a tier, or `receive_only: true` if that is meant",
        )  # fmt: skip
    for tag in RULES:
        for setting in tag.settings:
            if "no source" in tag.source and setting.key in profile.written:
                yield Remark.error(
                    profile.line(setting), setting.key,
                    "needs the chain, which has no source here yet: every spend is refused",
                    "leave it out",
                )  # fmt: skip


def _change(profile: Profile, _known: Known) -> Iterator[Remark]:
    rule = profile.change
    if not rule.line and profile.base is None:
        yield Remark.note(
            0, "change",
            f"is not written: a looser file takes force {duration(rule.cooldown_ms)} after the owner alone says so",
            "write `change: {cooldown: 48h, nodes: [ROLE]}` if others are to agree",
        )  # fmt: skip
    elif rule.line and rule.cooldown_ms < _SHORT_COOLDOWN_MS:
        yield Remark.warning(
            rule.line, "change.cooldown", f"is only {duration(rule.cooldown_ms)}, too short to notice and cancel",
            "write hours or days, such as `cooldown: 24h`",
        )  # fmt: skip
