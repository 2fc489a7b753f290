"""How much of each limit over time is used at this node, what is left, and when there will be room again.

The numbers are those that the rules of `policy.velocity` go by: what this node signed, against its own part of the
wallet's limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policy.book import Book
from policy.bookings import WALLET, Booking, Scope, Usage
from policy.clock import ClockReading
from policy.facts import WalletFacts
from policy.profile import Profile
from policy.velocity import evil_nodes, fewest_signers, node_part
from policy.windows import Calendar, Lifetime, Per, Rolling, Velocity
from policy.wording import remaining, sats
from taproot import OutPoint

BAR_WIDTH = 20
MAX_RECIPIENTS = 20
"""For so many recipients a limit per recipient is shown."""

_NOTHING = OutPoint(bytes(32), 0xFFFFFFFF)
"""The coin of a booking that stands for nothing: no transaction can spend it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that a window can limit: its key, its limit in a rule, what of a usage counts, how it is written."""

    key: str
    limit: Callable[[Velocity], int | None]
    used: Callable[[Usage], int]
    show: Callable[[int], str]


def _count(number: int) -> str:
    return f"{number:_}"


MEASURES = (
    Measure("sum", lambda rule: rule.sum_sats, lambda usage: usage.sum_sats, sats),
    Measure("count", lambda rule: rule.count, lambda usage: usage.count, _count),
    Measure("fees", lambda rule: rule.fees_sats, lambda usage: usage.fees_sats, sats),
    Measure("recipients", lambda rule: rule.recipients, lambda usage: usage.recipients, _count),
)
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit at this moment.

    `rule` says where it stands: "" for `limits.velocity`, else the tier's or deny rule's name. `whose` is "" for the
    whole wallet, else the recipient or who asks. `limit` is the wallet's and `part` this node's. `more_ms` and
    `all_ms` are in how long a little, and all, of what is used comes back; None where it never does or is not known.
    """

    profile: str
    rule: str
    line: int
    window: str
    measure: Measure
    whose: str
    limit: int
    part: int
    used: int
    exhausted: bool
    more_ms: int | None
    all_ms: int | None

    @property
    def left(self) -> int:
        """What may still go."""
        return 0 if self.exhausted else max(0, self.part - self.used)

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return self.left == 0

    @property
    def bar(self) -> str:
        """How much is left, as a bar: `[#####...............]`."""
        return bar(self.left, self.part)

    def lines(self) -> tuple[str, str]:
        """What it limits, and how things stand."""
        whose = f" ({self.whose})" if self.whose else ""
        where = f"tier `{self.rule}`, " if self.rule else ""
        head = f"{where}line {self.line}: {self.measure.key} per {self.window}{whose}"
        return head, f"{self.bar} {self._stands()}"

    def _stands(self) -> str:
        show = self.measure.show
        part = f"{show(self.part)} (this node's part of {show(self.limit)})"
        if self.exhausted:
            text = f"counts as used up since the recovery: 0 of {part} left"
        else:
            text = f"{show(self.used)} of {part} used, {show(self.left)} left"
        if self.more_ms is not None and self.all_ms is not None and (self.used or self.exhausted):
            text += f"; more in {remaining(self.more_ms)}"
            text += f", all in {remaining(self.all_ms)}" if self.all_ms > self.more_ms else ""
        return text


def bar(left: int, part: int, width: int = BAR_WIDTH) -> str:
    """A bar in ASCII; full only when all is left, empty only when nothing is."""
    cells = 0 if left <= 0 or part <= 0 else max(1, min(width, left * width // part))
    return f"[{'#' * cells}{'.' * (width - cells)}]"


def budgets(
    profile: Profile, wallet: WalletFacts, clock: ClockReading, book: Book, askers: tuple[str, ...] = ()
) -> tuple[Budget, ...]:
    """Every limit over time that is in force, base and tiers included, as it stands now.

    A limit per initiator is shown for each of `askers`, one per recipient for whoever stands in a list and was paid.
    """
    found: list[Budget] = []
    layer: Profile | None = profile
    while layer is not None:
        for rule, name in _rules(layer):
            scopes = _scopes(rule, layer, book, askers)
            for measure in MEASURES:
                if measure.limit(rule) is not None:
                    found += [
                        stand(layer, name, rule, measure, scope, whose, wallet, clock, book)
                        for scope, whose in scopes
                    ]
        layer = layer.base
    return tuple(found)


def _rules(profile: Profile) -> Iterator[tuple[Velocity, str]]:
    for rule in profile.velocity or ():
        yield rule, ""
    for tier in profile.tiers:
        for clause in (*tier.clauses, *tier.limits):
            if isinstance(clause.value, Velocity):
                yield clause.value, tier.name


def _scopes(
    rule: Velocity, profile: Profile, book: Book, askers: tuple[str, ...]
) -> tuple[tuple[Scope, str], ...]:
    match rule.per:
        case None:
            return ((WALLET, ""),)
        case Per.INITIATOR:
            return tuple((Scope.initiator(name), f"asked for by {name}") for name in askers)
        case Per.RECIPIENT:
            paid = [script for script in sorted(profile.listed_scripts) if book.paid_before(script, b"")]
            return tuple(
                (Scope.recipient(script), f"to {_listed(script, profile)}")
                for script in paid[:MAX_RECIPIENTS]
            )


def _listed(script: bytes, profile: Profile) -> str:
    names = sorted(name for name, places in profile.lists.items() if script in places.scripts)
    return f"{', '.join(names) or 'a listed script'} {script.hex()[:16]}"


def stand(
    profile: Profile,
    name: str,
    rule: Velocity,
    measure: Measure,
    scope: Scope,
    whose: str,
    wallet: WalletFacts,
    clock: ClockReading,
    book: Book,
) -> Budget:
    """How one limit stands for one scope."""
    limit = measure.limit(rule) or 0
    start_ms = rule.window.start_ms(clock.now_ms, in_doubt=clock.in_doubt)
    used = measure.used(book.usage(start_ms, scope))
    exhausted = book.is_exhausted(start_ms)
    more_ms, all_ms = _back(rule, measure, scope, clock, book, exhausted=exhausted, start_ms=start_ms)
    return Budget(
        profile.name,
        name,
        rule.line,
        str(rule.window),
        measure,
        whose,
        limit,
        node_part(limit, profile, wallet),
        used,
        exhausted,
        more_ms,
        all_ms,
    )


def _back(
    rule: Velocity,
    measure: Measure,
    scope: Scope,
    clock: ClockReading,
    book: Book,
    *,
    exhausted: bool,
    start_ms: int,
) -> tuple[int | None, int | None]:
    """In how long some, and all, of what is used comes back."""
    window, now_ms = rule.window, clock.now_ms
    if window == Lifetime() or clock.in_doubt:
        return None, None
    if isinstance(window, Calendar):
        end_ms = window.end_ms(now_ms) - now_ms
        return end_ms, end_ms
    assert isinstance(window, Rolling)
    if exhausted:
        over_ms = (book.exhausted_since_ms or 0) + window.length_ms - now_ms
        return over_ms, over_ms
    used = measure.used(book.usage(start_ms, scope))
    # A booking of nothing: with it the window shows what is left of it once enough has gone.
    nothing = Booking(bytes(32), now_ms, 0, (_NOTHING,))
    extra = 1 if measure.key == "count" else 0
    some = book.must_leave_until(lambda usage: measure.used(usage) < used + extra, nothing, start_ms, scope)
    most = book.must_leave_until(lambda usage: measure.used(usage) <= extra, nothing, start_ms, scope)
    return (
        None if some is None else some + window.length_ms - now_ms,
        None if most is None else most + window.length_ms - now_ms,
    )


def assumed(profile: Profile, wallet: WalletFacts) -> str:
    """From what a node's part follows, in words."""
    return f"{fewest_signers(profile, wallet)}-of-{wallet.n}, {evil_nodes(profile, wallet)} assumed evil"
