"""What may leave in a rolling window: the wallet's limit, this node's part of it, and what was signed before."""

from __future__ import annotations

from policy import wording
from policy.facts import Facts, WalletFacts
from policy.profile import Profile, Velocity
from policy.rules import Finding, Findings
from policy.wording import sats


def evil_nodes(profile: Profile, wallet: WalletFacts) -> int:
    """How many nodes are assumed evil (DESIGN 7, *f*): as written, else 1 of three or more; never more than t-1."""
    assumed = profile.evil_nodes
    if assumed is None:
        assumed = 1 if wallet.n >= 3 else 0
    return max(0, min(assumed, wallet.t - 1))


def node_part(limit: int, profile: Profile, wallet: WalletFacts) -> int:
    """This node's part of a wallet-wide limit: floor(limit * (t-f) / (n-f)).

    Rotating quorums in which f nodes are evil can spend (n-f)/(t-f) times what one honest node lets pass.
    """
    f = evil_nodes(profile, wallet)
    if not 1 <= wallet.t <= wallet.n:
        raise ValueError("a wallet needs 1 <= t <= n")
    return limit * (wallet.t - f) // (wallet.n - f)


def velocity_sum(profile: Profile, facts: Facts) -> Findings:
    """What leaves the wallet in a rolling window stays within this node's part of the wallet's limit."""
    for rule in profile.velocity or ():
        if rule.sum_sats is not None:
            yield from _window(profile, facts, rule, rule.sum_sats, in_sats=True)


def velocity_count(profile: Profile, facts: Facts) -> Findings:
    """The number of spends in a rolling window stays within this node's part of the wallet's limit."""
    for rule in profile.velocity or ():
        if rule.count is not None:
            yield from _window(profile, facts, rule, rule.count, in_sats=False)


def _window(profile: Profile, facts: Facts, rule: Velocity, limit: int, *, in_sats: bool) -> Findings:
    window = wording.duration(rule.window_ms)
    if facts.clock is None or facts.book is None:
        yield Finding(
            rule.line, f"the limit per {window} cannot be checked: no clock or no record of earlier spends"
        )
        return
    now_ms = facts.clock.now_ms
    if facts.book.is_exhausted(rule.window_ms, now_ms):
        left_ms = (facts.book.exhausted_since_ms or 0) + rule.window_ms - now_ms
        yield Finding(
            rule.line,
            f"this node was recovered and cannot know what it signed in the last {window}: "
            f"the budget counts as used up for {wording.remaining(left_ms)} more",
        )
        return
    part = node_part(limit, profile, facts.wallet)
    usage = facts.book.usage_with(facts.booking(now_ms), rule.window_ms, now_ms)
    used = usage.sum_sats if in_sats else usage.count
    if used > part:
        show = sats if in_sats else (lambda count: f"{count:_} {'spend' if count == 1 else 'spends'}")
        f = evil_nodes(profile, facts.wallet)
        share = (
            f"this node's part is {show(part)} of the wallet's {show(limit)} per {window} "
            f"({facts.wallet.t}-of-{facts.wallet.n}, {f} assumed evil)"
        )
        alone = facts.leaving_sats if in_sats else 1
        if alone > part:
            yield Finding(rule.line, f"this spend alone takes {show(alone)}; {share}; waiting does not help")
        else:
            yield Finding(
                rule.line, f"the last {window} would come to {show(used)}; {share}{_when(facts, rule, part)}"
            )


def _when(facts: Facts, rule: Velocity, part: int) -> str:
    """When there will be room again, in words; only sums have it."""
    assert facts.clock is not None
    assert facts.book is not None
    if facts.clock.in_doubt:
        return "; the clock jumped and nobody has confirmed it, so no window moves on"
    if rule.sum_sats is None:
        return ""
    room_ms = facts.book.room_at(rule.window_ms, facts.clock.now_ms, part - facts.leaving_sats)
    if room_ms is None or room_ms <= facts.clock.now_ms:
        return ""
    return f"; room again in {wording.remaining(room_ms - facts.clock.now_ms)}"
