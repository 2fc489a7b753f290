"""What the client's commands share: its open data directory, its wallets, its line to the coordinator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.cli.call import Call
from cluster.client_line import ClientLine
from cluster.errors import ConfigError, StateError, UsageError
from cluster.keys import Keys
from cluster.party import Party, opened
from cluster.wallet_book import Proposed, WalletBook

__all__ = ["ClientCall", "as_client", "duration_s", "wallet_of"]

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration_s(text: str, option: str) -> int:
    """A time with its unit (`90s`, `10m`, `24h`, `7d`) in seconds; UsageError for anything else, and for none."""
    match = _DURATION.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not seconds:
        raise UsageError(f"{option}: write a time with its unit, such as 90s, 10m, 24h or 7d")
    return seconds


@dataclass(frozen=True, slots=True)
class ClientCall:
    """A client's command at work."""

    call: Call
    party: Party
    keys: Keys

    def book(self) -> WalletBook:
        """Its wallets and requests."""
        return book_of(self.party)

    def line(self) -> ClientLine:
        """Dial the coordinator."""
        return ClientLine(self.party, self.keys)


@contextmanager
def as_client(call: Call) -> Iterator[ClientCall]:
    """The client's data directory, locked and unlocked, while the block runs."""
    with opened(call.place(), "client") as party:
        party.need_roster()
        yield ClientCall(call, party, party.keys(call.unlock(party.place)))


def book_of(party: Party) -> WalletBook:
    """A client's wallets and requests; StateError when its records make no sense."""
    try:
        return WalletBook.of(party.records)
    except ValueError as error:
        raise StateError(f"{party.place.database}: {error}") from None


def wallet_of(book: WalletBook, name: str) -> Proposed:
    """The finished wallet of this name, or the only one; ConfigError when that names none."""
    wallets = book.wallets
    if name and name not in wallets:
        known = ", ".join(sorted(wallets)) or "none"
        raise ConfigError(f"no wallet {name} here; wallets: {known}")
    if not name and len(wallets) != 1:
        raise ConfigError(
            f"there are several wallets ({', '.join(sorted(wallets))}): name one with --wallet"
            if wallets
            else "there is no finished wallet here yet: `assent keygen` makes one"
        )
    return wallets[name] if name else next(iter(wallets.values()))
