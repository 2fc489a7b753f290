"""Spends, facts and profiles for the tests of policy: one that is approved, and ways to change a single thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster.settings import parse_settings
from cluster.time_zones import zone_of
from policy import (
    Book,
    Booking,
    ChainFacts,
    ClockReading,
    CoinFacts,
    Facts,
    OwnerSaid,
    PersonSaid,
    Profile,
    Readers,
    WalletFacts,
    read_profile,
)
from taproot import Network, OutPoint, Spend, SpendInput, SpendOutput, WalletPath, descriptor_scripts

HOUR_MS = 3_600_000
NOW_MS = 1_900_000_000_000
"""Sunday, 2030-03-17, 17:46:40 UTC; 18:46:40 in Berlin."""
ROLES = ("home", "phone", "offline")
FRIEND = b"\x51\x20" + b"\x11" * 32
STRANGER = b"\x51\x20" + b"\x22" * 32
OURS = b"\x51\x20" + b"\x33" * 32
SPEND_ID = b"\x07" * 32

PROFILE = """\
schema: 1
name: home
network: regtest
leaves: [inheritance, other]
lists:
  friends: [FRIEND]
limits:
  amount: {sent: unlimited}
  velocity: unlimited
tiers:
  - name: everyday
    when: {pays_only: [friends, own]}
    then: approve
"""


def decode(text: str, network: Network) -> bytes:
    """Addresses of these tests: two words, and hex for others."""
    known = {"FRIEND": FRIEND, "STRANGER": STRANGER}
    if network is not Network.REGTEST or text not in known:
        raise ValueError("that is not an address")
    return known[text]


READERS = Readers(decode, zone_of, descriptor_scripts)


def profile(text: str = PROFILE, base: str = "") -> Profile:
    """The profile of a text, perhaps over the base that another text describes."""
    below = profile(base) if base else None
    return read_profile(parse_settings(text, "test.yaml"), READERS, below)


def overlay(rest: str) -> str:
    """The text of a profile that extends the usual one."""
    return f"schema: 1\nname: mine\nnetwork: regtest\nextends: home\n{rest}"


def coin(number: int = 0, **changes: Any) -> SpendInput:
    made = SpendInput(
        OutPoint(bytes([number]) * 32, 0), 1_000_000, OURS, 0xFFFFFFFD, 0, WalletPath(0, number)
    )
    return replace(made, **changes)


def output(index: int = 0, amount: int = 500_000, script: bytes = FRIEND, **changes: Any) -> SpendOutput:
    made = SpendOutput(index, amount, script, f"bcrt1p{script[2:6].hex()}", "p2tr", None)
    return replace(made, **changes)


def change(index: int = 1, amount: int = 499_000, **changes: Any) -> SpendOutput:
    return output(index, amount, OURS, path=WalletPath(1, 0), claims_wallet=True, **changes)


def spend(**changes: Any) -> Spend:
    made = Spend(
        network=Network.REGTEST,
        version=2,
        locktime=0,
        inputs=(coin(),),
        outputs=(output(), change()),
        fee_sats=1_000,
        signed_vsize=154,
        unsigned_tx=b"",
        txid=bytes(32),
        psbt_version=2,
        most_vsize=154,
    )
    changed = replace(made, **changes)
    return changed if "most_vsize" in changes else replace(changed, most_vsize=changed.signed_vsize)


def wallet(**changes: Any) -> WalletFacts:
    return replace(WalletFacts(True, "savings", Network.REGTEST, 3, 2, 20, (1, 1)), **changes)


def facts(made: Spend | None = None, **changes: Any) -> Facts:
    base = Facts(
        spend=made if made is not None else spend(),
        spend_id=SPEND_ID,
        wallet=wallet(),
        initiator="desk",
        clock=ClockReading(NOW_MS, in_doubt=False),
        book=Book(),
    )
    return replace(base, **changes)


YES = OwnerSaid(True, NOW_MS)
NO = OwnerSaid(False, NOW_MS)


def person(name: str, *roles: str, yes: bool = True, at_ms: int = NOW_MS) -> PersonSaid:
    """What one person said of the spend."""
    return PersonSaid(name, roles, yes, at_ms)


def chain(balance_sats: int = 10_000_000, *, confirmed: int = 6, tip_age_ms: int = HOUR_MS) -> ChainFacts:
    """A chain whose newest block is so old, in which the usual coin was confirmed an hour for each block ago."""
    height = 1_000
    at = (
        CoinFacts(height - confirmed + 1, NOW_MS - confirmed * HOUR_MS)
        if confirmed
        else CoinFacts(None, None)
    )
    return ChainFacts(height, NOW_MS - tip_age_ms, balance_sats, {coin().outpoint: at})


def booked(number: int = 0x44, ago_ms: int = HOUR_MS, leaving_sats: int = 600_000, **changes: Any) -> Booking:
    """A spend that was signed before, with a coin of its own."""
    made = Booking(bytes([number]) * 32, NOW_MS - ago_ms, leaving_sats, (OutPoint(bytes([number]) * 32, 0),))
    return replace(made, **changes)


def book(*bookings: Booking) -> Book:
    """What this node signed before."""
    return Book.of(bookings)


class Broken:
    """Whatever is done with it fails, with a text that nobody may read."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("\x1b[2J a hostile text")

    __bool__ = __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __hash__ = _fail
    __getattr__ = __iter__ = __len__ = __call__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = _fail
