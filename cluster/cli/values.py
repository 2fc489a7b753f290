"""Values that a person types at a command: amounts, addresses, dates, coins; each wrong one is a UsageError."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cluster.errors import UsageError, one_line
from cluster.roster import CoordinatorEntry, Roster
from policy.units import SATS, NotAQuantity
from taproot import Network, OutPoint, address_to_script

__all__ = ["amount_sats", "coin_of", "gatherer_of", "script_of", "until_ms"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COIN = re.compile(r"([0-9a-fA-F]{64}):([0-9]{1,10})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def amount_sats(text: str, option: str) -> int:
    """An amount with its unit (`0.01btc`, `200_000sat`) in sats."""
    try:
        return SATS.parse(text)
    except NotAQuantity as wrong:
        raise UsageError(f"{option}: {wrong}; write an amount such as 200_000sat or 0.5btc") from None


def script_of(text: str, network: str, option: str) -> bytes:
    """The output script of an address of this network."""
    try:
        return address_to_script(text, Network(network))
    except ValueError as wrong:
        raise UsageError(f"{option}: {one_line(str(wrong))}") from None


def until_ms(text: str, option: str) -> int:
    """The end of a day (`2027-01-31`, by UTC), in ms: the first moment after it."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return (day + timedelta(days=1) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise UsageError(f"{option}: write the last day, such as 2027-01-31") from None


def coin_of(text: str, option: str) -> OutPoint:
    """An outpoint as explorers write it, `TXID:INDEX`."""
    found = _COIN.fullmatch(text)
    if found is None or int(found[2]) > 0xFFFFFFFF:
        raise UsageError(f"{option}: write a coin as TXID:INDEX")
    return OutPoint(bytes.fromhex(found[1])[::-1], int(found[2]))


def gatherer_of(text: str, roster: Roster, option: str) -> CoordinatorEntry:
    """Who gathers a rescue, `NAME=tcp://HOST:PORT`: a node or client of the roster, and where it listens."""
    from cluster.transport import check_endpoint

    name, _, endpoint = text.partition("=")
    found = next((entry for entry in (*roster.nodes, *roster.clients) if entry.name == name), None)
    if found is None or not endpoint:
        raise UsageError(
            f"{option} {text[:80]}: write NAME=tcp://HOST:PORT, NAME being a node or client of the roster"
        )
    return CoordinatorEntry(name, found.identity, found.transport, check_endpoint(endpoint))
