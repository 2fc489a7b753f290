"""Why a wallet is frozen at a node: its owner or a rule froze it, or other nodes and people did, each for a while.

All of it comes from records, and all times are the policy clock's, so neither a restart nor a wall clock that is set
forwards ends a freeze early.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cluster.freeze_records import FreezeDelayed, FreezeHeard
from cluster.journal import FrozenKept, ThawedKept
from cluster.record_body import Body
from cluster.roster import Roster
from policy.wording import remaining

ONCE_IN_MS = 30 * 86_400_000
"""Whoever froze a wallet may do so again after this long."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One freeze by another: its id, who issued it (identity key), and from when until when, by the policy clock."""

    freeze_id: bytes
    issuer: bytes
    heard_ms: int
    until_ms: int
    sure: bool

    def left_ms(self, policy_ms: int) -> int:
        """How long it still holds."""
        return max(0, self.until_ms - policy_ms)


class Holds:
    """The freezes of all wallets at one node."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._own: dict[bytes, str] = {}
        self._frozen_ms: dict[bytes, list[int]] = {}
        self._by_others: dict[bytes, dict[tuple[bytes, bytes], Hold]] = {}

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case FrozenKept(why=why):
                self._own[wallet_id] = why
                self._frozen_ms.setdefault(wallet_id, []).append(entry.at_ms)
            case ThawedKept():
                self._own.pop(wallet_id, None)
            case FreezeHeard():
                hold = Hold(entry.freeze_id, entry.issuer, entry.heard_ms, entry.until_ms, entry.sure)
                self._by_others.setdefault(wallet_id, {})[entry.issuer, entry.freeze_id] = hold
                self._frozen_ms.setdefault(wallet_id, []).append(entry.at_ms)
            case FreezeDelayed():
                name = entry.issuer, entry.freeze_id
                old = self._by_others[wallet_id][name]
                moved = replace(old, heard_ms=entry.heard_ms, until_ms=entry.until_ms, sure=True)
                self._by_others[wallet_id][name] = moved
            case _:
                pass

    def own(self, wallet_id: bytes) -> str:
        """Why this node's owner, or a rule, froze a wallet; "" where neither did."""
        return self._own.get(wallet_id, "")

    def count(self, wallet_id: bytes) -> int:
        """How often a wallet was frozen so far, by whomever."""
        return len(self._frozen_ms.get(wallet_id, []))

    def count_at(self, wallet_id: bytes, wall_ms: int) -> int:
        """How often it had been frozen when somebody said something at this time, which may be heard much later."""
        return sum(at_ms < wall_ms for at_ms in self._frozen_ms.get(wallet_id, []))

    def of(self, wallet_id: bytes) -> tuple[Hold, ...]:
        """Every freeze by others that was ever heard of, the newest last."""
        return tuple(self._by_others.get(wallet_id, {}).values())

    def find(self, wallet_id: bytes, issuer: bytes, freeze_id: bytes) -> Hold | None:
        """This issuer's freeze of this id, if it was heard of; another's of the same id is another freeze."""
        return self._by_others.get(wallet_id, {}).get((issuer, freeze_id))

    def last_by(self, wallet_id: bytes, issuer: bytes) -> Hold | None:
        """The newest freeze of a wallet by this issuer."""
        mine = [hold for hold in self.of(wallet_id) if hold.issuer == issuer]
        return max(mine, key=lambda hold: hold.heard_ms, default=None)

    def lasting(self, policy_ms: int) -> tuple[tuple[bytes, Hold], ...]:
        """Every freeze whose issuer may not freeze again yet, with its wallet's id: all that a clock could shorten."""
        return tuple(
            (wallet_id, hold)
            for wallet_id, holds in self._by_others.items()
            for hold in holds.values()
            if max(hold.until_ms, hold.heard_ms + ONCE_IN_MS) > policy_ms
        )

    def why(self, wallet_id: bytes, policy_ms: int | None) -> str:
        """Why a wallet is frozen at this moment (None: nobody knows which), in words; "" where it is not."""
        parts = [self.own(wallet_id)]
        parts += [
            self._words(hold, policy_ms)
            for hold in self.of(wallet_id)
            if policy_ms is None or hold.until_ms > policy_ms
        ]
        return "; ".join(part for part in parts if part)

    def _words(self, hold: Hold, policy_ms: int | None) -> str:
        left = "" if policy_ms is None else f" for {remaining(hold.left_ms(policy_ms))} more"
        return f"{self._roster.name_of(hold.issuer)} froze it{left}"
