"""What a judgement rests on: only what this node itself read, keeps or checked."""

from __future__ import annotations

from dataclasses import dataclass

from policy.book import Book, Booking
from policy.clock import ClockReading
from taproot import Network, Spend


@dataclass(frozen=True, slots=True)
class WalletFacts:
    """The wallet as this node's own records have it.

    `known` says that its keygen is complete. `next_index` holds the first unused index of branch 0 and of branch 1,
    and `gap_limit` how far beyond it an output still counts as found by every wallet that watches.
    """

    known: bool
    name: str
    network: Network
    n: int
    t: int
    gap_limit: int
    next_index: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about one request at this moment. None stands for a fact that has no source here.

    `owner_said` is the owner's standing answer to this very spend id: yes, no, or None when not (yet) given.
    """

    spend: Spend
    spend_id: bytes
    wallet: WalletFacts
    initiator: str = ""
    initiator_roles: tuple[str, ...] = ()
    clock: ClockReading | None = None
    book: Book | None = None
    owner_said: bool | None = None

    @property
    def leaving_sats(self) -> int:
        """What leaves the wallet: the payments and the fee."""
        return self.spend.sent_sats + self.spend.fee_sats

    def booking(self, now_ms: int) -> Booking:
        """What signing this spend costs the budgets."""
        coins = tuple(coin.outpoint for coin in self.spend.inputs)
        return Booking(self.spend_id, now_ms, self.leaving_sats, coins)
