"""How the parts for bad days are read: the rescue, how long others may freeze, and how often nodes drill."""

from __future__ import annotations

from policy.actions import Action, Ask
from policy.profile import Profile, RescueRule, Written
from policy.reading_rules import read_action
from policy.reading_values import Context, read_destinations
from policy.tree import Fields, Node, ProfileError, Scalar
from policy.units import COUNT, DURATION, SATS

MAX_FREEZE_MS = 30 * 86_400_000
"""Whoever freezes may do so once in so long a time: a longer freeze would never end."""


def read_rescue(node: Node | None, context: Context, base: Profile | None) -> RescueRule | None:
    """`{to: [ADDRESS], fee: 500_000sat}`, and what it takes, where that is more than the owner's yes."""
    if node is None:
        return None
    fields = Fields(node, ("to", "fee", "then"))
    to = fields.need("to", "write the address where everything goes when the wallet must be given up")
    fee = fields.need("fee", "write the highest fee of a rescue, such as `fee: 500_000sat`")
    then = fields.get("then")
    places = read_destinations(to, context)
    if places.own or places.anyone or not places.scripts:
        raise ProfileError(
            to.line, to.path, "must be addresses of another wallet; `own` and `anyone` rescue nothing"
        )
    if base is not None and base.rescue_scripts == frozenset():
        raise ProfileError(
            node.line, node.path, f"`{base.name}` has no rescue, and what extends it can only tighten"
        )
    return RescueRule(places, SATS.read(fee), Action(ask=Ask()) if then is None else _asking(then), node.line)


def _asking(node: Node) -> Action:
    """What a rescue takes: whatever else, the owner's yes."""
    action = read_action(node)
    if action.ask is None or not action.ask.owner or action.grant:
        raise ProfileError(
            node.line,
            node.path,
            "must ask the owner; write `ask: owner`, or a group with `ask: {owner: true, ...}`",
        )
    return action


def read_freeze(node: Node | None) -> Written[int | None]:
    """`{by_others_up_to: 72h}`."""
    if node is None:
        return Written(None)
    most = Fields(node, ("by_others_up_to",)).need(
        "by_others_up_to", "write how long, such as `by_others_up_to: 72h`"
    )
    length_ms = DURATION.read(most)
    if length_ms > MAX_FREEZE_MS:
        raise ProfileError(
            most.line, most.path, "is more than 30d, after which the same node or person may freeze again"
        )
    return Written(length_ms, most.line)


def read_drills(node: Node | None) -> Written[int | None]:
    """`none`, or `{a_day: 10}`."""
    if node is None:
        return Written(None)
    if isinstance(node, Scalar) and node.value == "none":
        return Written(0, node.line)
    number = Fields(node, ("a_day",)).need("a_day", "write how many, such as `a_day: 10`, or `drills: none`")
    return Written(COUNT.read(number), number.line)
