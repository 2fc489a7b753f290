"""Windows of time that a limit looks back on: rolling, by the calendar of a zone, or all there ever was.

A window is a value that says where it begins at a given moment; what stands in it is the book's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

from policy import wording
from policy.bookings import EVER_MS
from policy.tree import Fields, Node, ProfileError, Scalar, need_text
from policy.units import COUNT, DURATION, SATS
from policy.wording import shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000

Plain = None | int | str | tuple["Plain", ...]
"""What a window or a limit says of itself for the profile's digest."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone. Its name is what counts; the rules of its clock come from the edge."""

    name: str
    tz: tzinfo = field(compare=False, repr=False)


def only_utc(name: str) -> Zone:
    """The one zone that needs no table; ValueError for any other."""
    if name != "UTC":
        raise ValueError("no table of time zones here")
    return Zone("UTC", UTC)


class Per(Enum):
    """Whom a limit is counted for, where it is not the whole wallet."""

    RECIPIENT = "recipient"
    INITIATOR = "initiator"


class Period(Enum):
    """A stretch of the calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


_LONGEST_MS = {
    # A day of 26 hours is where summer time is two hours (Antarctica/Troll); elsewhere it has 25 at most.
    Period.DAY: 26 * _HOUR_MS,
    Period.WEEK: 8 * _DAY_MS,
    Period.MONTH: 32 * _DAY_MS,
    Period.YEAR: 367 * _DAY_MS,
}


@dataclass(frozen=True, slots=True)
class Rolling:
    """The last so many milliseconds."""

    length_ms: int

    def start_ms(self, now_ms: int, *, in_doubt: bool = False) -> int:
        """The first millisecond inside; `now_ms` itself never runs ahead of what is known."""
        return now_ms - self.length_ms + 1

    def covers(self, other: Window) -> bool:
        """Whether this window always begins no later than the other."""
        match other:
            case Rolling():
                return self.length_ms >= other.length_ms
            case Calendar():
                return self.length_ms >= _LONGEST_MS[other.period]
            case _:
                return False

    def plain(self) -> Plain:
        """For the digest."""
        return ("rolling", self.length_ms)

    @property
    def past(self) -> str:
        """What has happened in it, as the subject of a sentence."""
        return f"the last {self}"

    def __str__(self) -> str:
        return wording.duration(self.length_ms)


@dataclass(frozen=True, slots=True)
class Calendar:
    """This day, week (from Monday), month or year, as the clocks of a zone show it."""

    period: Period
    zone: Zone

    def start_ms(self, now_ms: int, *, in_doubt: bool = False) -> int:
        """The first millisecond inside.

        A boundary crossed while the clock is in doubt refills nothing: then the window is the last so many hours,
        as many as the longest of its kind has, and each spend stays in it for all of them.
        """
        if in_doubt:
            return now_ms - _LONGEST_MS[self.period] + 1
        return self._moment(*self._first_day(now_ms))

    def end_ms(self, now_ms: int) -> int:
        """The first millisecond of the next one."""
        year, month, day = self._first_day(now_ms)
        if self.period is Period.YEAR:
            return self._moment(year + 1, 1, 1)
        if self.period is Period.MONTH:
            return self._moment(year + month // 12, month % 12 + 1, 1)
        days = 1 if self.period is Period.DAY else 7
        after = datetime(year, month, day, tzinfo=UTC) + timedelta(days=days)
        return self._moment(after.year, after.month, after.day)

    def _first_day(self, now_ms: int) -> tuple[int, int, int]:
        local = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(self.zone.tz)
        match self.period:
            case Period.DAY:
                first = local
            case Period.WEEK:
                first = local - timedelta(days=local.weekday())
            case Period.MONTH:
                first = local.replace(day=1)
            case Period.YEAR:
                first = local.replace(month=1, day=1)
        return first.year, first.month, first.day

    def _moment(self, year: int, month: int, day: int) -> int:
        """The first midnight of a day. One that the clocks skip is the moment at which they skip it."""
        return (datetime(year, month, day, tzinfo=self.zone.tz) - _EPOCH) // timedelta(milliseconds=1)

    def covers(self, other: Window) -> bool:
        """Whether this window always begins no later than the other."""
        return self == other

    def plain(self) -> Plain:
        """For the digest."""
        return ("calendar", self.period.value, self.zone.name)

    @property
    def past(self) -> str:
        """What has happened in it, as the subject of a sentence."""
        return f"this {self}"

    def __str__(self) -> str:
        return f"{self.period.value} ({self.zone.name})"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """All that this node ever signed."""

    def start_ms(self, now_ms: int, *, in_doubt: bool = False) -> int:
        """Before everything."""
        return EVER_MS

    def covers(self, other: Window) -> bool:
        """Whether this window always begins no later than the other: nothing begins earlier."""
        return True

    def plain(self) -> Plain:
        """For the digest."""
        return ("lifetime",)

    @property
    def past(self) -> str:
        """What has happened in it, as the subject of a sentence."""
        return "all that was ever signed"

    def __str__(self) -> str:
        return "lifetime"


Window = Rolling | Calendar | Lifetime


@dataclass(frozen=True, slots=True)
class Velocity:
    """What may leave in a window: in all, or to each recipient, or for each who asks. Each node enforces its part.

    None is no limit of that kind. To one recipient `sum_sats` is what it receives; else it is all that leaves.
    """

    window: Window
    sum_sats: int | None = None
    count: int | None = None
    fees_sats: int | None = None
    recipients: int | None = None
    per: Per | None = None
    line: int = field(default=0, compare=False)

    def plain(self) -> Plain:
        """For the digest: all but the line."""
        per = None if self.per is None else self.per.value
        return (self.window.plain(), self.sum_sats, self.count, self.fees_sats, self.recipients, per)

    def implies(self, other: Velocity) -> bool:
        """Whether whoever keeps this surely keeps the other; no where it is not sure."""
        return (
            self.per in {None, other.per}
            and self.window.covers(other.window)
            and all(
                theirs is None or (ours is not None and ours <= theirs)
                for ours, theirs in (
                    (self.sum_sats, other.sum_sats),
                    (self.count, other.count),
                    (self.fees_sats, other.fees_sats),
                    (self.recipients, other.recipients),
                )
            )
        )


# Reading.

_KEYS = ("window", "zone", "sum", "count", "fees", "recipients", "per")
_LIMITS = "`sum:`, `count:`, `fees:` or `recipients:`"
_WORDS = (*(period.value for period in Period), "lifetime")


def read_velocity(node: Node, zones: Callable[[str], Zone], zone: Zone | None = None) -> Velocity:
    """One limit as a profile writes it: `{window: 24h, sum: 0.1btc, count: 5}`.

    `zones` finds a zone by its name and raises ValueError for one it does not know; `zone` is the profile's own.
    """
    fields = Fields(node, _KEYS)
    window = _read_window(fields, zones, zone)
    total, count = fields.get("sum"), fields.get("count")
    fees, recipients = fields.get("fees"), fields.get("recipients")
    if total is count is fees is recipients is None:
        raise ProfileError(node.line, node.path, f"limits nothing; write {_LIMITS}")
    per = _read_per(fields.get("per"))
    if recipients is not None and per is Per.RECIPIENT:
        raise ProfileError(
            recipients.line,
            recipients.path,
            "one recipient is always one; leave out `per: recipient`, or write `sum:`, `count:` or `fees:`",
        )
    return Velocity(
        window,
        None if total is None else SATS.read(total),
        None if count is None else COUNT.read(count),
        None if fees is None else SATS.read(fees),
        None if recipients is None else COUNT.read(recipients),
        per,
        node.line,
    )


def _read_window(fields: Fields, zones: Callable[[str], Zone], zone: Zone | None) -> Window:
    hint = "write the length of the rolling window, such as `window: 24h`, or one of " + ", ".join(_WORDS)
    node = fields.need("window", hint)
    word = node.value if isinstance(node, Scalar) else None
    if word in {period.value for period in Period}:
        return Calendar(Period(word), _read_zone(fields, zones, zone))
    named = fields.get("zone")
    if named is not None:
        raise ProfileError(
            named.line,
            named.path,
            "decides nothing here; only a day, week, month or year begins by a zone's clock",
        )
    if word == "lifetime":
        return Lifetime()
    try:
        return Rolling(DURATION.read(node))
    except ProfileError as wrong:
        raise ProfileError(wrong.line, wrong.path, f"{wrong.text}, or one of {', '.join(_WORDS)}") from None


def _read_zone(fields: Fields, zones: Callable[[str], Zone], zone: Zone | None) -> Zone:
    hint = "write where the calendar is kept, such as `zone: Europe/Berlin` or `zone: UTC`"
    if zone is not None and fields.get("zone") is None:
        return zone
    node = fields.need("zone", hint)
    name = need_text(node, hint)
    try:
        return zones(name)
    except ValueError:
        raise ProfileError(
            node.line, node.path, f"`{shown(name, 40)}` is not a time zone known here; {hint}"
        ) from None


def _read_per(node: Node | None) -> Per | None:
    if node is None:
        return None
    hint = "write recipient or initiator, or leave it out for the whole wallet"
    word = need_text(node, hint)
    if word not in {per.value for per in Per}:
        raise ProfileError(node.line, node.path, f"`{shown(word, 40)}` is nothing to count for; {hint}")
    return Per(word)
