"""What may leave in a window: the wallet's limit, this node's part of it, and what was signed before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from policy.book import Book
from policy.bookings import WALLET, Booking, Scope, Usage
from policy.clock import ClockReading
from policy.facts import Facts, WalletFacts
from policy.profile import Profile
from policy.rules import Finding, Findings
from policy.setting import MIN_BLOCKS
from policy.windows import Calendar, Lifetime, Per, Rolling, Velocity
from policy.wording import place, remaining, sats, shown

_BLOCK_AT_MOST_MS, _BLOCKS_AT_MOST_MS = 20 * 60_000, 2 * 3_600_000


def fewest_signers(profile: Profile, wallet: WalletFacts) -> int:
    """How many nodes sign at least, by whichever way this profile lets the wallet be spent (*t*)."""
    allowed = profile.allowed_leaves
    named = (max(1, count) for name, count in wallet.leaves if allowed is None or name in allowed)
    return min([wallet.t, *named])


def evil_nodes(profile: Profile, wallet: WalletFacts) -> int:
    """How many nodes are assumed evil (DESIGN 7, *f*): as written, else 1 of three or more; never more than t-1."""
    assumed = profile.evil_nodes
    if assumed is None:
        assumed = 1 if wallet.n >= 3 else 0
    return max(0, min(assumed, fewest_signers(profile, wallet) - 1))


def node_part(limit: int, profile: Profile, wallet: WalletFacts) -> int:
    """This node's part of a wallet-wide limit: floor(limit * (t-f) / (n-f)).

    Rotating quorums in which f nodes are evil can spend (n-f)/(t-f) times what one honest node lets pass.
    """
    t, f = fewest_signers(profile, wallet), evil_nodes(profile, wallet)
    if not 1 <= t <= wallet.n:
        raise ValueError("a wallet needs 1 <= t <= n")
    return limit * (t - f) // (wallet.n - f)


# What a window can limit.


def _counted(one: str, more: str) -> Callable[[int], str]:
    return lambda count: f"{count:_} {one if count == 1 else more}"


def _fees(amount: int) -> str:
    return f"{sats(amount)} of fees"


@dataclass(frozen=True, slots=True)
class _Measure:
    """One thing that a window can limit: its limit in the rule, what of a usage counts, and how it is said."""

    limit: Callable[[Velocity], int | None]
    used: Callable[[Usage], int]
    show: Callable[[int], str]


_SUM = _Measure(lambda rule: rule.sum_sats, lambda usage: usage.sum_sats, sats)
_COUNT = _Measure(lambda rule: rule.count, lambda usage: usage.count, _counted("spend", "spends"))
_FEES = _Measure(lambda rule: rule.fees_sats, lambda usage: usage.fees_sats, _fees)
_RECIPIENTS = _Measure(
    lambda rule: rule.recipients, lambda usage: usage.recipients, _counted("recipient", "recipients")
)


def velocity_sum(profile: Profile, facts: Facts) -> Findings:
    """What leaves the wallet in a window stays within this node's part of the wallet's limit."""
    yield from _each(_SUM, profile, facts)


def velocity_count(profile: Profile, facts: Facts) -> Findings:
    """The number of spends in a window stays within this node's part of the wallet's limit."""
    yield from _each(_COUNT, profile, facts)


def velocity_fees(profile: Profile, facts: Facts) -> Findings:
    """What is paid as fees in a window stays within this node's part of the wallet's limit."""
    yield from _each(_FEES, profile, facts)


def velocity_recipients(profile: Profile, facts: Facts) -> Findings:
    """The number of different recipients in a window stays within this node's part of the wallet's limit."""
    yield from _each(_RECIPIENTS, profile, facts)


def _each(measure: _Measure, profile: Profile, facts: Facts) -> Findings:
    for rule in profile.velocity or ():
        yield from _findings(measure, rule, profile, facts)


def kept(rule: Velocity, profile: Profile, facts: Facts) -> str | None:
    """Why a window has no room for this spend, as a tier's condition says it; None when it has."""
    measures = (_SUM, _COUNT, _FEES, _RECIPIENTS)
    found = (finding.text for measure in measures for finding in _findings(measure, rule, profile, facts))
    return "; ".join(dict.fromkeys(islice(found, len(measures)))) or None


# One limit, for each whom it is counted for.


def _findings(measure: _Measure, rule: Velocity, profile: Profile, facts: Facts) -> Findings:
    limit = measure.limit(rule)
    if limit is None:
        return
    if facts.clock is None or facts.book is None:
        yield Finding(
            rule.line,
            f"the limit per {rule.window} cannot be checked: no clock or no record of earlier spends",
        )
        return
    look = _Look(measure, rule, facts, facts.clock, facts.book, facts.booking(facts.clock.now_ms))
    if facts.book.is_exhausted(look.start_ms):
        yield Finding(rule.line, look.used_up())
        return
    part = node_part(limit, profile, facts.wallet)
    for scope, whose in _scopes(rule, facts):
        said = look.over(scope, whose, part)
        if said is not None:
            t, f = fewest_signers(profile, facts.wallet), evil_nodes(profile, facts.wallet)
            share = (
                f"this node's part is {measure.show(part)} of the wallet's {measure.show(limit)} per {rule.window} "
                f"({t}-of-{facts.wallet.n}, {f} assumed evil)"
            )
            yield Finding(rule.line, f"{said[0]}; {share}{said[1]}")


def _scopes(rule: Velocity, facts: Facts) -> Iterator[tuple[Scope, str]]:
    """Whose spends are counted, and in words; each recipient of this spend once."""
    match rule.per:
        case None:
            yield WALLET, ""
        case Per.INITIATOR:
            who = f"`{shown(facts.initiator, 40)}`" if facts.initiator else "nobody known"
            yield Scope.initiator(facts.initiator), f" asked for by {who}"
        case Per.RECIPIENT:
            outputs = {output.script_pubkey: output for output in facts.spend.outputs_to_others}
            for script, output in outputs.items():
                yield Scope.recipient(script), f" to {place(output)}"


@dataclass(frozen=True, slots=True)
class _Look:
    """One measure of one window at this moment."""

    measure: _Measure
    rule: Velocity
    facts: Facts
    clock: ClockReading
    book: Book
    booking: Booking

    @property
    def start_ms(self) -> int:
        """Where the window begins."""
        return self.rule.window.start_ms(self.clock.now_ms, in_doubt=self.clock.in_doubt)

    def used_up(self) -> str:
        """What a recovered node says, which cannot know what it signed."""
        window = self.rule.window
        said = f"this node was recovered and cannot know what it signed in {window.past}: the budget counts as used up"
        match window:
            case Rolling():
                end_ms = (self.book.exhausted_since_ms or 0) + window.length_ms
            case Calendar() if not self.clock.in_doubt:
                end_ms = window.end_ms(self.clock.now_ms)
            case Calendar():
                return f"{said} until the clock is confirmed"
            case _:
                return f"{said} for good; limit a window that passes instead"
        return f"{said} for {remaining(end_ms - self.clock.now_ms)} more"

    def over(self, scope: Scope, whose: str, part: int) -> tuple[str, str] | None:
        """What it would come to, and whether and when there will be room; None where it stays within the part."""
        used = self.measure.used(self.book.usage_with(self.booking, self.start_ms, scope))
        if used <= part:
            return None
        alone = self.measure.used(Book().usage_with(self.booking, self.booking.at_ms, scope))
        if alone > part:
            return f"this spend alone takes {self.measure.show(alone)}{whose}", "; waiting does not help"
        return f"{self.rule.window.past}{whose} would come to {self.measure.show(used)}", self._when(
            scope, part
        )

    def _when(self, scope: Scope, part: int) -> str:
        now_ms, window = self.clock.now_ms, self.rule.window
        if self.clock.in_doubt and window != Lifetime():
            return "; the clock jumped and nobody has confirmed it, so no window moves on"
        match window:
            case Rolling():
                last_ms = self.book.must_leave_until(
                    lambda usage: self.measure.used(usage) <= part, self.booking, self.start_ms, scope
                )
                room_ms = None if last_ms is None else last_ms + window.length_ms
            case Calendar():
                room_ms = window.end_ms(now_ms)
            case _:
                return "; nothing ever leaves it, so waiting does not help"
        return (
            "" if room_ms is None or room_ms <= now_ms else f"; room again in {remaining(room_ms - now_ms)}"
        )


# Blocks between spends.


def blocks_between(profile: Profile, facts: Facts) -> Findings:
    """So many blocks were found since the last spend that this node signed."""
    least = profile.value(MIN_BLOCKS)
    if least is None:
        return
    said = _pace(least, facts)
    if said is not None:
        yield Finding(profile.line(MIN_BLOCKS), f"{said}; {least:_} must lie between two spends")


def _pace(least: int, facts: Facts) -> str | None:
    if facts.chain is None:
        return "this node has no source for the chain, so it cannot count blocks"
    if facts.clock is None or facts.book is None:
        return "blocks cannot be counted: no clock or no record of earlier spends"
    last, since_ms = facts.book.last_but(facts.spend_id), facts.book.exhausted_since_ms
    recovered = since_ms is not None and (last is None or last.at_ms <= since_ms)
    if last is not None and not recovered:
        if last.height is not None:
            passed = max(0, facts.chain.tip_height - last.height)
            return None if passed >= least else f"{passed:_} blocks passed since the last spend"
        since_ms = last.at_ms
    if since_ms is None or (last is None and not recovered):
        return None
    # Blocks come every ten minutes; that so many take twice as long and two hours more does not happen.
    left_ms = since_ms + least * _BLOCK_AT_MOST_MS + _BLOCKS_AT_MOST_MS - facts.clock.now_ms
    if left_ms <= 0:
        return None
    what = "this node was recovered" if recovered else "the last spend was signed"
    return (
        f"{what} without knowing the height of the chain, so blocks count as passed in {remaining(left_ms)}"
    )
