"""The table of all conditions, by key: what a `when:`, an `unless:` and a tier's `limits:` can say."""

from __future__ import annotations

from policy.condition import Condition, Said, check
from policy.facts import Facts
from policy.profile import Clause, Profile
from policy.when_amounts import AMOUNTS
from policy.when_coins import COINS
from policy.when_paying import PAYING
from policy.when_people import PEOPLE
from policy.when_times import TIMES
from policy.when_ways import WAYS

CONDITIONS: dict[str, Condition] = {
    condition.key: condition for condition in (*PAYING, *AMOUNTS, *TIMES, *COINS, *PEOPLE, *WAYS)
}
"""Every condition there is, in the order of the reference page."""


def said_of(clause: Clause, profile: Profile, facts: Facts) -> Said:
    """What a clause says of a spend."""
    return check(CONDITIONS[clause.key], clause, profile, facts)
