"""Limits over time: whether anything bounds what leaves, and whether a node's part of it carries a payment."""

from __future__ import annotations

from collections.abc import Iterator

from policy.facts import WalletFacts
from policy.profile import Profile, Tier
from policy.remarks import Known, Remark
from policy.setting import AMOUNT_SENT
from policy.velocity import evil_nodes, node_part
from policy.windows import Velocity
from policy.wording import sats


def budgets(profile: Profile, known: Known) -> Iterator[Remark]:
    """The remarks on velocity."""
    if profile.base is not None and profile.velocity is None:
        return  # it leaves that to what it extends
    auto = [
        tier
        for tier in profile.tiers
        if not (tier.then.refuse or tier.then.freeze or tier.then.ask or tier.then.grant)
    ]
    yield from _unbounded(profile, auto)
    if known.wallet is not None:
        if profile.evil_nodes is not None and profile.evil_nodes >= known.wallet.t:
            yield Remark.note(
                0, "evil_nodes", f"counts as {evil_nodes(profile, known.wallet)}: {known.wallet.t} evil nodes can sign "
                "anything", f"write `evil_nodes: {known.wallet.t - 1}`",
            )  # fmt: skip
        for tier in profile.tiers:
            yield from _part(profile, tier, known.wallet, automatic=tier in auto)


def _unbounded(profile: Profile, auto: list[Tier]) -> Iterator[Remark]:
    rules = profile.velocity or ()
    if any(rule.sum_sats is not None and rule.per is None for rule in rules):
        return
    bare = [
        tier for tier in auto if not any(isinstance(c.value, Velocity) for c in (*tier.clauses, *tier.limits))
    ]
    what = "no window limits the sum" if rules else "velocity is unlimited"
    line = rules[0].line if rules else 0
    mend = "write a window, such as `{window: 24h, sum: 0.1btc}`"
    if bare:
        text = f"{what}, and tier `{bare[0].name}` approves by itself: nothing bounds what leaves in a day"
        yield Remark.warning(line or bare[0].line, "limits.velocity", text, mend)
    elif profile.tiers and not auto:
        text = f"{what}: only people's yes bounds what leaves"
        yield Remark.note(line, "limits.velocity", text, mend)


def _part(profile: Profile, tier: Tier, wallet: WalletFacts, *, automatic: bool) -> Iterator[Remark]:
    """The first window whose part for this node is below the largest payment of a tier."""
    if tier.then.refuse or tier.then.freeze:
        return
    caps = [
        c.value for c in (*tier.clauses, *tier.limits)
        if c.key in {"sent_up_to", "total_up_to"} and isinstance(c.value, int)
    ]  # fmt: skip
    limit = profile.value(AMOUNT_SENT)
    largest = min([*caps, *([limit] if limit is not None else [])], default=None)
    for rule in profile.velocity or ():
        if rule.sum_sats is None:
            continue
        part = node_part(rule.sum_sats, profile, wallet)
        if largest is not None and largest <= part:
            continue
        most = "any amount" if largest is None else sats(largest)
        text = (
            f"tier `{tier.name}` is for {most}, but more than {sats(part)} is refused: this node's part of "
            f"{sats(rule.sum_sats)} per {rule.window} ({wallet.t}-of-{wallet.n})"
        )
        kind = Remark.warning if automatic and caps else Remark.note
        yield kind(rule.line, "limits.velocity", text, "raise the sum, or lower the tier")
        return
