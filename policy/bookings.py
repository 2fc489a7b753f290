"""What a signed spend leaves in the book, whose spends a total is about, and what a total says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from taproot import OutPoint

EVER_MS = -(2**63)
"""A start before all others: whatever was booked counts."""


@dataclass(frozen=True, slots=True)
class Booking:
    """One signed spend: what leaves with it (fee included), when by the policy clock, and which coins it uses.

    `payments` are the script and the amount of each output to others, `initiator` who asked, `height` the height
    of the chain as known at that time (None where it was not). `grant` and `intent` are the 32-byte ids of what it
    was signed under, empty where it was not. `paid_sats` is what each script receives in all.
    """

    spend_id: bytes
    at_ms: int
    leaving_sats: int
    outpoints: tuple[OutPoint, ...]
    fee_sats: int = 0
    payments: tuple[tuple[bytes, int], ...] = ()
    initiator: str = ""
    height: int | None = None
    grant: bytes = b""
    intent: bytes = b""
    # Made once: a spend may pay a thousand scripts, and every limit per recipient asks for each of them.
    paid_sats: dict[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.outpoints or self.leaving_sats < 0:
            raise ValueError("a booking has coins and an amount that is not negative")
        paid = [amount for _, amount in self.payments]
        if self.fee_sats < 0 or min(paid, default=0) < 0 or self.fee_sats + sum(paid) > self.leaving_sats:
            raise ValueError("a fee and payments are not negative, and together no more than what leaves")
        if len(self.grant) not in {0, 32} or len(self.intent) not in {0, 32}:
            raise ValueError("a grant and an intent have ids of 32 bytes")
        sums: dict[bytes, int] = {}
        for script, amount in self.payments:
            sums[script] = sums.get(script, 0) + amount
        object.__setattr__(self, "paid_sats", sums)


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking and the one outpoint it stands under."""

    booking: Booking
    under: OutPoint


class Party(Enum):
    """What kind of party a total can be about."""

    WALLET = "wallet"
    RECIPIENT = "recipient"
    INITIATOR = "initiator"
    GRANT = "grant"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose spends a total is about: all, those that pay a script, that someone asked for, or under a grant.

    What a spend costs depends on it: a recipient's part is what it receives, a grant's is what is paid without the
    fee, and of the wallet and of who asks it is all that leaves. Its fee counts in full for each.
    """

    party: Party
    key: bytes | str = b""

    @classmethod
    def recipient(cls, script_pubkey: bytes) -> Scope:
        """The spends that pay this script."""
        return cls(Party.RECIPIENT, script_pubkey)

    @classmethod
    def initiator(cls, name: str) -> Scope:
        """The spends that this one asked for; those of nobody known share the empty name."""
        return cls(Party.INITIATOR, name)

    @classmethod
    def grant(cls, grant_id: bytes) -> Scope:
        """The spends signed under this grant."""
        return cls(Party.GRANT, grant_id)

    @property
    def _script(self) -> bytes:
        assert isinstance(self.key, bytes)  # only an initiator is named by a text
        return self.key

    def cost_sats(self, booking: Booking) -> int:
        """What a booking counts here."""
        match self.party:
            case Party.RECIPIENT:
                return booking.paid_sats.get(self._script, 0)
            case Party.GRANT:
                return booking.leaving_sats - booking.fee_sats
            case _:
                return booking.leaving_sats

    def holds(self, booking: Booking) -> bool:
        """Whether a booking counts here at all."""
        match self.party:
            case Party.RECIPIENT:
                return self._script in booking.paid_sats
            case Party.INITIATOR:
                return booking.initiator == self.key
            case Party.GRANT:
                return bool(booking.grant) and booking.grant == self.key
            case _:
                return True


WALLET = Scope(Party.WALLET)
"""All spends."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a window holds: sums that count, how many spends can all confirm at most, how many scripts are paid.

    Of spends that replace one another the largest sum and the largest fee count; all their recipients do.
    """

    sum_sats: int = 0
    count: int = 0
    fees_sats: int = 0
    recipients: int = 0
