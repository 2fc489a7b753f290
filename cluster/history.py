"""A node's past requests as events that a draft can be tried on, from its own records.

Nothing is remembered or booked here: the records are read again, in their order, by a judge that nobody else knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from cluster.codec import Letter, open_inner
from cluster.effects import Now
from cluster.journal import FrozenKept, JudgedKept, RequestKept, SignedKept, ThawedKept, read
from cluster.judge import PolicyJudge
from cluster.judging import NOTHING_SAID
from cluster.messages import Kind
from cluster.records import Record
from cluster.restoring import sense_made_of
from cluster.schemes import Wallet
from cluster.subjects import understand
from policy import Outcome
from policy.simulate import Event

__all__ = ["history_of"]


@dataclass(frozen=True, slots=True)
class _Request:
    """One request as it came: its letter, when, and whether the wallet was frozen then."""

    letter: Letter
    at_ms: int
    frozen: str


def history_of(
    records: Iterable[Record], wallet: Wallet, judge: PolicyJudge, newest: int | None = None
) -> tuple[Event, ...]:
    """The requests of one wallet that were judged, oldest first; only the `newest` so many, or all.

    `judge` is a fresh one. ValueError when a record makes no sense.
    """
    requests: deque[_Request] = deque(maxlen=newest)
    said: dict[bytes, Outcome] = {}
    signed: set[bytes] = set()
    for height, record in enumerate(records):
        with sense_made_of(record, height):
            entry = read(record)
            judge.restore(entry, record.wallet_id)
            if record.wallet_id != wallet.wallet_id:
                continue
            match entry:
                case RequestKept(request=request):
                    letter = open_inner(request, Kind.REQUEST)
                    requests.append(_Request(letter, entry.at_ms, judge.frozen(wallet.wallet_id)))
                case JudgedKept(request_id=request_id, decision=decision):
                    said.setdefault(request_id, Outcome(decision))
                case SignedKept(request_id=request_id):
                    signed.add(request_id)
                case _:
                    pass
    return tuple(
        _event(one, wallet, judge, said[request_id], signed=request_id in signed)
        for one in requests
        if (request_id := one.letter.header.request_id) in said
    )


def _event(one: _Request, wallet: Wallet, judge: PolicyJudge, said: Outcome, *, signed: bool) -> Event:
    subject = understand(wallet, one.letter)
    # A wallet that is frozen now was not always; what it was then counts.
    was = FrozenKept(one.at_ms, one.frozen) if one.frozen else ThawedKept(one.at_ms)
    judge.restore(was, wallet.wallet_id)
    facts = judge.facts(subject, NOTHING_SAID, Now(one.at_ms, one.at_ms))
    return Event(subject.request_id.hex(), one.at_ms, facts, said, signed)
