"""Requests as a machine keeps them: those in work whole, the ended ones in a few words; and what one client may have.

Everybody may end requests by the thousand, each with half a megabyte of PSBT. So an ended one keeps neither PSBT
nor Subject, only its trace: now, for an hour after it failed (somebody may ask why) or at once after it was signed;
at a start, without being read at all.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from cluster.charter import Charter
from cluster.codec import Letter
from cluster.messages import SignedLetter
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, Subject, understand

FAILED_WINDOW_MS = 3_600_000
"""How long failed requests count, and are kept whole: one hour."""

HALFWAY = frozenset({"may-be-signed", "cosigning"})
"""The states of what some have signed and others have not: it never expires, so it is kept whole until it ends."""

SPARE_SESSIONS = 30
"""How many sessions of one request there may be beyond the n-t+1 that robust signing needs: nodes restart."""


def most_sessions(charter: Charter) -> int:
    """How many sessions of one request a coordinator orders, and how many a node signs in for it."""
    return SPARE_SESSIONS + max(charter.n - charter.t, 0) + 1


def used_up(charter: Charter, *, signed: int, ordered: int, coordinators: int) -> bool:
    """Whether a node that `signed` in so many sessions, of them so many `ordered` by one, signs no more for that one.

    Who ordered those of earlier runs is unknown: when they are too many, each still has what robust signing needs.
    """
    most = most_sessions(charter)
    spare = signed < most * max(1, coordinators)
    return ordered >= (most if spare else most - SPARE_SESSIONS)


@dataclass(frozen=True, slots=True)
class Quota:
    """What one client may have: so many open, so many and so many bytes signed by some and not by all, and so many and
    so many bytes that failed within the hour.

    The first two are kept whole in memory, and each is on the disk for good; with more, the client is answered Busy.
    """

    open: int = 32
    halfway: int = 256
    halfway_bytes: int = 16 * 1024 * 1024
    failed: int = 256
    failed_bytes: int = 16 * 1024 * 1024


@dataclass(slots=True)
class Trace:
    """What is left of a request; its `letter` only while records are read and the rest may still be wanted.

    `next_indexes` are those of its wallet when it came: what counted as the wallet's own then does so for good.
    """

    request_id: bytes
    wallet_id: bytes
    client: bytes
    made_at_ms: int
    expires_at_ms: int
    letter: Letter | None = None
    state: str = "open"
    codes: tuple[str, ...] = ()
    next_indexes: tuple[int, int] = (0, 0)


class Whole(Protocol):
    """A request with its Subject: a node's ticket, a coordinator's job."""

    @property
    def subject(self) -> Subject:
        """What it is about."""

    @property
    def request(self) -> SignedLetter:
        """The client's letter."""

    @property
    def made_at_ms(self) -> int:
        """When it came."""

    @property
    def state(self) -> str:
        """How far it is."""


W = TypeVar("W", bound=Whole)
T = TypeVar("T", bound=Trace)


@dataclass(frozen=True, slots=True)
class _Failure:
    request_id: bytes
    made_at_ms: int
    size: int


class Shelf(Generic[W, T]):
    """The requests of one machine, by request id, and which addresses they have used."""

    def __init__(self, wallets: dict[bytes, Wallet], traced: Callable[[W], T]) -> None:
        self.quota = Quota()
        self.whole: dict[bytes, W] = {}
        self.ended: dict[bytes, T] = {}
        self._wallets = wallets
        self._traced = traced
        self._failures: dict[bytes, list[_Failure]] = {}
        self._leaving: list[tuple[int, bytes]] = []

    def add(self, item: W) -> None:
        """One that is new."""
        self.whole[item.subject.request_id] = item

    def failed(self, item: W, until_ms: int) -> None:
        """It came to nothing: it counts against its client, and is kept whole until then."""
        subject = item.subject
        self.count_failure(subject.client, subject.request_id, item.made_at_ms, len(item.request.letter))
        self.keep_until(subject.request_id, until_ms)

    def count_failure(self, client: bytes, request_id: bytes, made_at_ms: int, size: int) -> None:
        """A request of so many bytes came to nothing."""
        self._failures.setdefault(client, []).append(_Failure(request_id, made_at_ms, size))

    def keep_until(self, request_id: bytes, until_ms: int) -> None:
        """Keep one that has failed whole until then."""
        heapq.heappush(self._leaving, (until_ms, request_id))

    def forgive(self, client: bytes, request_id: bytes) -> None:
        """It did not fail after all."""
        kept = [f for f in self._failures.get(client, []) if f.request_id != request_id]
        self._failures[client] = kept

    def end(self, item: W) -> None:
        """Keep no more than its trace."""
        if self.whole.pop(item.subject.request_id, None) is not None:
            self.ended[item.subject.request_id] = self._traced(item)

    def due(self, wall_ms: int) -> Iterator[bytes]:
        """The requests that were to be kept until now; each is named once."""
        while self._leaving and self._leaving[0][0] <= wall_ms:
            yield heapq.heappop(self._leaving)[1]

    def sweep(self, wall_ms: int) -> None:
        """End what failed long enough ago; what is open again stays."""
        for request_id in self.due(wall_ms):
            item = self.whole.get(request_id)
            if item is not None and item.state not in {"open", *HALFWAY}:
                self.end(item)

    def crowded(self, client: bytes, wall_ms: int) -> bool:
        """Whether a client has too much open or halfway, or too much that failed lately, to be listened to."""
        failures = [f for f in self._failures.get(client, []) if f.made_at_ms > wall_ms - FAILED_WINDOW_MS]
        self._failures[client] = failures
        mine = [item for item in self.whole.values() if item.subject.client == client]
        halfway = [len(item.request.letter) for item in mine if item.state in HALFWAY]
        return (
            sum(item.state == "open" for item in mine) >= self.quota.open
            or len(halfway) >= self.quota.halfway
            or sum(halfway) >= self.quota.halfway_bytes
            or len(failures) >= self.quota.failed
            or sum(failure.size for failure in failures) >= self.quota.failed_bytes
        )

    def saw(self, wallet_id: bytes, next_receive: int, next_change: int) -> None:
        """A wallet's addresses below these indexes count as used from here on."""
        self._wallets[wallet_id] = self._wallets[wallet_id].having_used(next_receive, next_change)

    def counts(self) -> Counter[str]:
        """How many requests are in each state."""
        states = [item.state for item in self.whole.values()] + [t.state for t in self.ended.values()]
        return Counter(states)

    # At a start.

    def read_again(self, trace: T, letter: Letter) -> Subject:
        """What a request that has not ended is about; ValueError, naming it, when it makes no sense any more."""
        next_receive, next_change = trace.next_indexes
        wallet = replace(self._wallets[trace.wallet_id], next_receive=next_receive, next_change=next_change)
        try:
            return understand(wallet, letter)
        except BadRequest as bad:
            raise ValueError(f"request {trace.request_id.hex()} makes no sense: {bad}") from bad
