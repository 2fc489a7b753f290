"""Each node's own judgement: facts in, a verdict with reasons out.

This package decides and explains; it never asks, stores, sends or looks at a clock. What is true (the spend, the
wallet, the owner's answer, the budgets, the time) is an argument, and what must be remembered is in the answer.
"""

from policy.book import Book, Booked, Booking, Usage
from policy.clock import ClockReading, PolicyClock, peers_agree
from policy.facts import Facts, WalletFacts
from policy.judge import judge
from policy.profile import Profile
from policy.reading import AddressToScript, read_profile
from policy.registry import TAGS, Tag
from policy.tree import ProfileError
from policy.verdict import Conditions, Judgement, Outcome, Reason, strictest
from policy.wording import describe

__all__ = [
    "read_profile",
    "AddressToScript",
    "Profile",
    "ProfileError",
    "Facts",
    "WalletFacts",
    "judge",
    "Judgement",
    "Outcome",
    "Reason",
    "Conditions",
    "strictest",
    "describe",
    "Book",
    "Booking",
    "Booked",
    "Usage",
    "PolicyClock",
    "ClockReading",
    "peers_agree",
    "Tag",
    "TAGS",
]
