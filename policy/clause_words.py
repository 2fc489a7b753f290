"""Conditions, actions and demands in the words in which a profile writes them, on one line each."""

from __future__ import annotations

from datetime import UTC, datetime

from policy.actions import Action, Ask, Wait
from policy.condition import read_flag
from policy.conditions import CONDITIONS
from policy.profile import ChangeRule, Clause, RescueRule
from policy.quorum import Conditions
from policy.units import COUNT, DURATION, RATE, SATS, SHARE, Unit
from policy.values import CoinSet, Destinations, Value
from policy.windows import Velocity, Zone
from policy.wording import duration, sats

_UNITS: dict[str, Unit[int]] = {
    "sent": SATS,
    "total": SATS,
    "each": SATS,
    "keeps": SATS,
    "fee": SATS,
    "fee_rate": RATE,
    "fee_share": SHARE,
    "balance_share": SHARE,
    "recipients": COUNT,
    "inputs": COUNT,
    "confirmations": COUNT,
    "coin_age": DURATION,
    "listed_for": DURATION,
    "tip_within": DURATION,
}


def value_words(key: str, value: Value, zone: Zone | None = None) -> str:
    """What a condition is compared with."""
    match value:
        case Destinations() | CoinSet():
            return f"[{', '.join(value.words)}]"
        case Velocity():
            return f"{{{velocity_words(value)}}}"
        case int() if CONDITIONS[key].read is read_flag:
            return "true" if value else "false"
        case int() if key in {"before", "since"}:
            at = datetime.fromtimestamp(value // 1000, UTC)
            return f"{at.astimezone(zone.tz) if zone is not None else at:%Y-%m-%d}"
        case int():
            unit = _UNITS.get(key.removesuffix("_up_to").removesuffix("_above"))
            return str(value) if unit is None else unit.show(value)
        case _:
            return str(value)


def clause_words(clauses: tuple[Clause, ...], zone: Zone | None = None) -> str:
    """All of these conditions."""
    return ", ".join(f"{clause.key} {value_words(clause.key, clause.value, zone)}" for clause in clauses)


def velocity_words(rule: Velocity) -> str:
    """A window and what it limits."""
    parts = [str(rule.window)]
    parts += [] if rule.sum_sats is None else [f"sum {sats(rule.sum_sats)}"]
    parts += [] if rule.count is None else [f"count {rule.count:_}"]
    parts += [] if rule.fees_sats is None else [f"fees {sats(rule.fees_sats)}"]
    parts += [] if rule.recipients is None else [f"recipients {rule.recipients:_}"]
    parts += [] if rule.per is None else [f"per {rule.per.value}"]
    return ", ".join(parts)


def action_words(action: Action) -> str:
    """What a tier does, with all that it demands."""
    if action.refuse or action.freeze or (action.ask is None and action.wait is None):
        return action.words
    parts = ["grant"] if action.grant else []
    parts += [] if action.ask is None else [_ask(action.ask)]
    parts += [] if action.wait is None else [_wait(action.wait)]
    return " and ".join(parts)


def _ask(ask: Ask) -> str:
    who = ["the owner"] if ask.owner else []
    who += [str(ask.people)] if ask.people.groups else []
    who += [f"{ask.distinct} different people"] if ask.distinct else []
    within = "" if ask.within_ms is None else f" within {duration(ask.within_ms)}"
    return f"ask {', '.join(who)}{within}{' with the number' if ask.match else ''}"


def _wait(wait: Wait) -> str:
    expires = "" if wait.expires_ms is None else f", over after {duration(wait.expires_ms)}"
    cancel = "" if not wait.cancel else f", cancelled by {', '.join(sorted(wait.cancel))}"
    return f"wait {duration(wait.delay_ms)}{expires}{cancel}"


def quorum_words(conditions: Conditions | None) -> str:
    """What is demanded of those who sign together."""
    if conditions is None:
        return "as the key has it"
    parts = [f"{conditions.need_nodes} nodes"] if conditions.need_nodes else []
    parts += [f"with {', '.join(conditions.roles)}"] if conditions.roles else []
    parts += [f"never only {' and '.join(sorted(never))}" for never in conditions.never_only]
    parts += [
        f"{role} under {' or '.join(sorted(digest.hex()[:16] for digest in digests))}"
        for role, digests in conditions.policies
    ]
    return ", ".join(parts) or "as the key has it"


def change_words(rule: ChangeRule) -> str:
    """Who must agree to a loosening, how long it waits, and who may cancel it."""
    who = [f"node {name}" for name in rule.nodes]
    who += [str(rule.people)] if rule.people.groups else []
    cancel = f", cancelled by {', '.join(rule.cancel)}" if rule.cancel else ""
    return f"{', '.join(who) or 'the owner'} after {duration(rule.cooldown_ms)}{cancel}"


def rescue_words(rule: RescueRule | None) -> str:
    """Where everything may go even while the wallet is frozen, at which fee, and after what."""
    if rule is None:
        return "none"
    return f"to [{', '.join(rule.to.words)}], fee {sats(rule.fee_sats)}, {action_words(rule.then)}"
