"""Where bookings are kept, a column for each of their parts, so that a million of them need little room.

A ledger only grows. Books share one (`policy.book`): each ignores what lies beyond its own length.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, MutableSequence, Sequence
from typing import TypeAlias, cast

from policy.bookings import EVER_MS, WALLET, Booked, Booking, Party, Scope
from policy.series import Series, push
from taproot import OutPoint

_NO_HEIGHT = -1

FEW = 8
"""Up to so many bookings of a recipient or a grant are listed; a series is made of them when it is asked for."""

_Few: TypeAlias = "int | array[int]"


def _coin(outpoint: OutPoint) -> bytes:
    return outpoint.txid + outpoint.vout.to_bytes(4, "big")


def _outpoint(coin: bytes) -> OutPoint:
    return OutPoint(coin[:-4], int.from_bytes(coin[-4:], "big"))


def _each(few: _Few) -> Sequence[int]:
    return (few,) if isinstance(few, int) else few


class Ledger:
    """The columns, where to find a spend or a coin in them, and the series of each scope.

    `_coin_users` and what a recipient or a grant holds is a bare position as long as it is the only one: most coins
    and many recipients come once.
    """

    __slots__ = (
        "_asked", "_askers", "_coin_users", "_coins", "_coins_end", "_fees", "_founders", "_granted", "_grants",
        "_heights", "_initiators", "_intents", "_leaving", "_paid_sats", "_paying", "_payments_end", "_positions",
        "_scripts", "_seen", "_standing", "_unders", "_wallet", "intents", "spend_ids", "times",
    )  # fmt: skip

    def __init__(self) -> None:
        self.spend_ids: list[bytes] = []
        self.times = array("q")
        self._leaving: MutableSequence[int] = array("q")
        self._fees: MutableSequence[int] = array("q")
        self._heights: MutableSequence[int] = array("q")
        self._initiators: list[str] = []
        self._grants: list[bytes] = []
        self._intents: list[bytes] = []
        self._coins: list[bytes] = []
        self._coins_end = array("I", [0])
        self._scripts: list[bytes] = []
        self._paid_sats: MutableSequence[int] = array("q")
        self._payments_end = array("I", [0])
        # The coin that each stands under, by its place among all coins, and the first that stood under it.
        self._unders = array("I")
        self._founders = array("I")

        self.intents: dict[bytes, int] = {}
        self._positions: dict[bytes, int] = {}
        self._coin_users: dict[bytes, int | list[int]] = {}
        self._standing: dict[bytes, int] = {}
        self._wallet = self.empty(WALLET)
        self._asked: dict[bytes | str, Series] = {}
        self._paying: dict[bytes | str, _Few | Series] = {}
        self._granted: dict[bytes | str, _Few | Series] = {}
        # Of a recipient that has a series: the last booking that each initiator paid it with.
        self._askers: dict[bytes, dict[str, int]] = {}
        self._seen: dict[bytes | str, bytes | str] = {}

    @classmethod
    def of(cls, entries: Iterable[Booked]) -> Ledger:
        """A ledger of these, each under the outpoint it stands under already."""
        made = cls()
        for entry in entries:
            made.add(entry.booking, entry.under)
        return made

    @property
    def length(self) -> int:
        """How many bookings there are."""
        return len(self.spend_ids)

    # Adding.

    def add(self, booking: Booking, under: OutPoint | None = None) -> None:
        """One booking more: under the outpoint given, or the one that the rule of conflicts says."""
        coins = tuple(dict.fromkeys(_coin(outpoint) for outpoint in booking.outpoints))
        coin, newest = (
            self._place(coins) if under is None else (_coin(under), self._newest_under(_coin(under)))
        )
        position = self.length
        self.times.append(max(booking.at_ms, self.time_before(position)))  # first: it may raise
        founder = position if newest is None else self._founders[newest]
        self._unders.append(len(self._coins) + coins.index(coin))
        self._founders.append(founder)
        self._write(booking, coins)
        for used in coins:
            self._use(used, position, stands=used == coin)
        self._count(booking, position)

    def founder_of(self, booking: Booking) -> int | None:
        """Which spend would name the group of one booking more; None when it would found its own."""
        newest = self._place([_coin(outpoint) for outpoint in booking.outpoints])[1]
        return None if newest is None else self._founders[newest]

    def _place(self, coins: Sequence[bytes]) -> tuple[bytes, int | None]:
        """The coin that a spend of these is to stand under, and the newest that does already."""
        standing = [(at, coin) for coin in coins if (at := self._newest_under(coin)) is not None]
        if not standing:
            return min(coins), None
        newest, coin = max(standing)
        return coin, newest

    def _newest_under(self, coin: bytes) -> int | None:
        users = self._coin_users.get(coin)
        if isinstance(users, int):
            return users if self._coins[self._unders[users]] == coin else None
        return self._standing.get(coin)

    def _use(self, coin: bytes, position: int, *, stands: bool) -> None:
        users = self._coin_users.get(coin)
        if users is None:
            self._coin_users[coin] = position
            return
        if isinstance(users, int):
            newest = self._newest_under(coin)
            if newest is not None:
                self._standing[coin] = newest
            users = self._coin_users[coin] = [users]
        users.append(position)
        if stands:
            self._standing[coin] = position

    def _write(self, booking: Booking, coins: Sequence[bytes]) -> None:
        self._positions[booking.spend_id] = self.length
        if booking.intent:
            self.intents.setdefault(booking.intent, self.length)
        self.spend_ids.append(booking.spend_id)
        self._leaving = push(self._leaving, booking.leaving_sats)
        self._fees = push(self._fees, booking.fee_sats)
        self._heights = push(self._heights, _NO_HEIGHT if booking.height is None else booking.height)
        self._initiators.append(cast("str", self._same(booking.initiator)))
        self._grants.append(cast("bytes", self._same(booking.grant)))
        self._intents.append(booking.intent)
        self._coins.extend(coins)
        self._coins_end.append(len(self._coins))
        for script, amount in booking.payments:
            again = script in self._paying
            self._scripts.append(cast("bytes", self._same(script)) if again else script)
            self._paid_sats = push(self._paid_sats, amount)
        self._payments_end.append(len(self._scripts))

    def _same(self, key: bytes | str) -> bytes | str:
        """One object for all that are equal."""
        return self._seen.setdefault(key, key)

    # Scopes.

    def _count(self, booking: Booking, position: int) -> None:
        """Enter a booking in the series of each scope that it belongs to."""
        leaving, fee, who, paid = booking.leaving_sats, booking.fee_sats, booking.initiator, booking.paid_sats
        self._wallet.add(position, leaving, fee, [self._last_paid(script, None) for script in paid])
        asked = self._asked.get(who)
        if asked is None:
            asked = self._asked[who] = self.empty(Scope.initiator(who))
        asked.add(position, leaving, fee, [self._last_paid(script, who) for script in paid])
        for script, cost in paid.items():
            found = self._paying.get(script)
            self._paying[script] = self._more(found, Party.RECIPIENT, script, position, cost, fee)
            if isinstance(found, Series):
                self._askers[script][who] = position
            elif isinstance(self._paying[script], Series):
                assert found is not None  # a series begins with what came before it
                self._askers[script] = {self._initiators[at]: at for at in (*_each(found), position)}
        if booking.grant:
            key = booking.grant
            found = self._granted.get(key)
            self._granted[key] = self._more(found, Party.GRANT, key, position, leaving - fee, fee)

    def _more(
        self, found: _Few | Series | None, party: Party, key: bytes, position: int, cost: int, fee: int
    ) -> _Few | Series:
        """What a scope holds with one booking more."""
        if found is None:
            return position
        if isinstance(found, int):
            return array("I", [found, position])
        if not isinstance(found, Series):
            if len(found) < FEW:
                found.append(position)
                return found
            found = self._series_of(Scope(party, key), found)
        found.add(position, cost, fee)
        return found

    def _series_of(self, scope: Scope, few: _Few) -> Series:
        made = self.empty(scope)
        for position in _each(few):
            booking = self.booking(position)
            made.add(position, scope.cost_sats(booking), booking.fee_sats)
        return made

    def _last_paid(self, script: bytes, who: str | None) -> int | None:
        """The last booking that pays a script, of all or of those that someone asked for."""
        found = self._paying.get(script)
        if found is None:
            return None
        if isinstance(found, Series):
            return found.positions[-1] if who is None else self._askers[script].get(who)
        return next((at for at in reversed(_each(found)) if who is None or self._initiators[at] == who), None)

    # Looking up.

    def position_of(self, spend_id: bytes, end: int) -> int | None:
        """Where a spend stands before `end`."""
        position = self._positions.get(spend_id)
        return None if position is None or position >= end else position

    def time_before(self, end: int) -> int:
        """The time of the last booking before `end`; before all times when there is none."""
        return self.times[end - 1] if end else EVER_MS

    def first_from(self, start_ms: int, end: int) -> int:
        """The first booking made at this time or later; `end` when there is none before that."""
        return bisect_left(self.times, start_ms, 0, end)

    def users(self, outpoint: OutPoint) -> Sequence[int]:
        """The bookings that use a coin, in order."""
        users = self._coin_users.get(_coin(outpoint), ())
        return (users,) if isinstance(users, int) else users

    def series(self, scope: Scope) -> Series | None:
        """The spends of a scope; None when there are none."""
        match scope.party:
            case Party.WALLET:
                return self._wallet
            case Party.INITIATOR:
                return self._asked.get(scope.key)
            case Party.RECIPIENT:
                found = self._paying.get(scope.key)
            case Party.GRANT:
                found = self._granted.get(scope.key)
        return found if found is None or isinstance(found, Series) else self._series_of(scope, found)

    def empty(self, scope: Scope) -> Series:
        """A series without a spend. Who is paid is only kept where it can be asked."""
        return Series(self._founders, payees=scope.party in {Party.WALLET, Party.INITIATOR})

    def paid_before(self, scope: Scope, booking: Booking) -> list[int | None]:
        """For each script that one booking more would pay, the last booking of the scope that paid it.

        Nobody asks it of a recipient or a grant, and a limit per recipient would ask it once for each of them.
        """
        if scope.party not in {Party.WALLET, Party.INITIATOR}:
            return []
        who = booking.initiator if scope.party is Party.INITIATOR else None
        return [self._last_paid(script, who) for script in booking.paid_sats]

    def booking(self, position: int) -> Booking:
        """The booking at a position."""
        coins = self._coins[self._coins_end[position] : self._coins_end[position + 1]]
        paid = slice(self._payments_end[position], self._payments_end[position + 1])
        height = self._heights[position]
        return Booking(
            self.spend_ids[position],
            self.times[position],
            self._leaving[position],
            tuple(_outpoint(coin) for coin in coins),
            self._fees[position],
            tuple(zip(self._scripts[paid], self._paid_sats[paid], strict=True)),
            self._initiators[position],
            None if height == _NO_HEIGHT else height,
            self._grants[position],
            self._intents[position],
        )

    def booked(self, position: int) -> Booked:
        """The booking at a position, and the outpoint it stands under."""
        return Booked(self.booking(position), _outpoint(self._coins[self._unders[position]]))
