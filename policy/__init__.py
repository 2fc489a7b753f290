"""Each node's own judgement: facts in, a verdict with reasons out.

This package decides and explains; it never asks, stores, sends or looks at a clock. What is true (the spend, the
wallet, the owner's answer, the budgets, the time) is an argument, and what must be remembered is in the answer.
"""

from policy.book import Book
from policy.bookings import Booked, Booking, Scope, Usage
from policy.clock import ClockReading, PolicyClock, peers_agree
from policy.facts import ChainFacts, CoinFacts, Facts, OwnerSaid, PersonSaid, WalletFacts, WayFacts
from policy.grants import Grant
from policy.intents import Intent
from policy.judge import judge
from policy.profile import Profile
from policy.quorum import Conditions, Seat
from policy.reading import read_profile
from policy.reading_values import AddressToScript, Readers
from policy.registry import TAGS, Tag
from policy.tree import ProfileError
from policy.verdict import Judgement, Outcome, Reason, strictest
from policy.windows import Zone
from policy.wording import describe

__all__ = [
    "read_profile",
    "Readers",
    "AddressToScript",
    "Zone",
    "Profile",
    "ProfileError",
    "Facts",
    "WalletFacts",
    "WayFacts",
    "ChainFacts",
    "CoinFacts",
    "OwnerSaid",
    "PersonSaid",
    "Grant",
    "Intent",
    "judge",
    "Judgement",
    "Outcome",
    "Reason",
    "Conditions",
    "Seat",
    "strictest",
    "describe",
    "Book",
    "Booking",
    "Booked",
    "Usage",
    "Scope",
    "PolicyClock",
    "ClockReading",
    "peers_agree",
    "Tag",
    "TAGS",
]
