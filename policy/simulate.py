"""A wallet's history judged anew by a draft: what it would have said first of each request, and where that differs.

The budgets are those that the draft itself would have had: a spend is booked when the draft does not refuse it and it
was signed, or when the draft approves it by itself. What people said afterwards is left out on both sides, so what is
compared is each policy's first word, and how often it would have asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from curve import tagged_hash
from policy.book import Book
from policy.cases import Case
from policy.clock import ClockReading
from policy.facts import Facts
from policy.golden import facts_of
from policy.judge import judge
from policy.profile import Profile
from policy.verdict import Outcome
from policy.wording import describe
from taproot import OutPoint

MAX_REASONS = 3
"""How many reasons of a surprise are told."""


@dataclass(frozen=True, slots=True)
class Event:
    """One past request: its id, when it was judged, its facts (their book, clock and words are not looked at).

    `said` is the first outcome that it had, `signed` whether this node signed it in the end.
    """

    id: str
    at_ms: int
    facts: Facts
    said: Outcome
    signed: bool


@dataclass(frozen=True, slots=True)
class Surprise:
    """A request of which the draft would have said something else: what it pays, both outcomes, tags and reasons."""

    id: str
    at_ms: int
    lines: tuple[str, ...]
    said: Outcome
    would: Outcome
    signed: bool
    codes: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """How often each outcome was said and would have been, and every difference, the strictest first."""

    events: int
    said: Mapping[Outcome, int]
    would: Mapping[Outcome, int]
    surprises: tuple[Surprise, ...]


def simulate(profile: Profile, history: Sequence[Event]) -> Report:
    """Judge every event, in the order of its time, with the budgets that the draft would have had until then."""
    books: dict[tuple[str, str], Book] = {}
    said: Counter[Outcome] = Counter()
    would: Counter[Outcome] = Counter()
    surprises: list[Surprise] = []
    listed = dict.fromkeys(profile.listed_scripts, 0)
    for event in sorted(history, key=lambda event: event.at_ms):
        wallet = (event.facts.wallet.name, event.facts.wallet.network.value)
        facts = replace(
            event.facts,
            book=books.get(wallet, Book()),
            clock=ClockReading(event.at_ms, in_doubt=False),
            owner_said=None,
            people=(),
            waiting_since_ms=None,
            listed_since_ms=listed,
        )
        found = judge(profile, facts)
        said[event.said] += 1
        would[found.outcome] += 1
        if found.outcome is not event.said:
            reasons = [r.text for r in found.reasons if r.outcome is found.outcome]
            surprises.append(
                Surprise(
                    event.id,
                    event.at_ms,
                    describe(event.facts.spend),
                    event.said,
                    found.outcome,
                    event.signed,
                    found.codes,
                    tuple(reasons[:MAX_REASONS]),
                )
            )
        if found.outcome is Outcome.APPROVE or (event.signed and found.outcome is not Outcome.REFUSE):
            grant = b"" if found.booking is None else found.booking.grant
            books[wallet] = books.get(wallet, Book()).with_booking(facts.booking(event.at_ms, grant))
    surprises.sort(key=lambda surprise: (-surprise.would, surprise.said, surprise.at_ms))
    return Report(len(history), dict(said), dict(would), tuple(surprises))


def event_of(profile: Profile, case: Case, number: int, *, said: Outcome, signed: bool) -> Event:
    """An event made from what a case says of a spend; `number` tells it from all others of its history."""
    facts = facts_of(profile, case)
    label = number.to_bytes(8, "big")
    inputs = tuple(
        replace(coin, outpoint=OutPoint(tagged_hash("assent/policy/event", label, coin.outpoint.txid), 0))
        for coin in facts.spend.inputs
    )
    spend_id = tagged_hash("assent/policy/event", label)
    facts = replace(facts, spend=replace(facts.spend, inputs=inputs), spend_id=spend_id)
    return Event(case.name, case.at_ms, facts, said, signed)
