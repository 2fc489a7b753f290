"""The requests of a node, one ticket each, and what one client may have of them.

Life of a request: `open` (judged; the verdict may change with the owner's answer, the budget or the clock), then
`refused` (for good: whoever still wants the spend must ask anew), `closed` (expired unsigned), or `may-be-signed`
(a partial signature is on disk: never expired or cancelled, its budget stays booked) and at last `final` (a
verified transaction was seen).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cluster.codec import BadLetter, Letter
from cluster.journal import SignedKept
from cluster.judging import Judgement
from cluster.messages import NO_ID, Gone, Kind, Nonces, PartialSignatures, SignedLetter, Verdict, Withdraw
from cluster.schemes import Wallet
from cluster.subjects import Subject
from cluster.turn import Turn

MAX_OPEN_PER_CLIENT = 32
"""How many undecided requests one client may have at a node; one more is answered Busy."""

MAX_FAILED = 256
"""How many requests of one client may come to nothing within `FAILED_WINDOW_MS`; then it is answered Busy."""

MAX_FAILED_BYTES = 16 * 1024 * 1024
"""How many bytes they may have together: each is on this node's disk for good."""

FAILED_WINDOW_MS = 3_600_000
"""The window of both, one hour; after it, all that is kept in memory of such a request is its id and a code."""

MAX_REQUEST_LIFE_MS = 7 * 24 * 3_600_000
"""No request is good for longer than this, whatever its letter says."""

MAX_SESSIONS = 32
"""How many sessions of one request a node signs in; robust signing needs at most n-t+1."""


@dataclass(slots=True)
class Batch:
    """Nonces that were given out: still unused, and until when."""

    pubnonces: tuple[bytes, ...]
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Said:
    """What the owner said of a spend: a no for good, a yes until the request it was given to expires."""

    yes: bool
    until_ms: int


@dataclass(slots=True)
class Ticket:
    """One request as this node sees it."""

    subject: Subject
    request: SignedLetter
    expires_at_ms: int
    made_at_ms: int
    judgement: Judgement
    state: str = "open"
    verdict_until_ms: int = 0
    batch: Batch | None = None
    signed: dict[bytes, SignedKept] = field(default_factory=dict)
    transaction: bytes = b""

    @property
    def live(self) -> bool:
        """Whether it can still be signed."""
        return self.state in {"open", "may-be-signed"}


class Tickets:
    """The requests of one node."""

    def __init__(self, wallets: dict[bytes, Wallet]) -> None:
        self._wallets = wallets
        self.all: dict[bytes, Ticket] = {}
        self.forgotten: dict[bytes, str] = {}
        self._live: dict[bytes, Ticket] = {}
        self._counted: dict[bytes, list[Ticket]] = {}
        self._queue: deque[Ticket] = deque()

    def add(self, ticket: Ticket) -> None:
        """A ticket that is new, or open again."""
        self.all[ticket.subject.request_id] = self._live[ticket.subject.request_id] = ticket
        counted = self._counted.setdefault(ticket.subject.client, [])
        if not any(other is ticket for other in counted):
            counted.append(ticket)

    def enter(self, ticket: Ticket) -> None:
        """A ticket that is new."""
        self.add(ticket)
        self._queue.append(ticket)

    def forget_ended(self, wall_ms: int) -> None:
        """Of what came to nothing over `FAILED_WINDOW_MS` ago keep only that it did, and with which code.

        A client may have requests refused for ever, each of them large. This is done exactly where a request is
        remembered, so that a start, which reads the same records in the same order, forgets the same ones.
        """
        for _ in range(len(self._queue)):
            if self._queue[0].made_at_ms > wall_ms - FAILED_WINDOW_MS:
                break
            ticket = self._queue.popleft()
            if ticket.state in {"refused", "closed"}:
                request_id = ticket.subject.request_id
                codes = ticket.judgement.codes if ticket.state == "refused" else ()
                self.forgotten[request_id] = codes[0] if codes else "request-expired"
                del self.all[request_id]
            elif ticket.state == "open":
                self._queue.append(ticket)

    def live(self) -> list[Ticket]:
        """Those that can still be signed, oldest first; the ended ones, of which there may be many, cost nothing."""
        for request_id in [request_id for request_id, ticket in self._live.items() if not ticket.live]:
            del self._live[request_id]
        return list(self._live.values())

    def of(self, letter: Letter) -> Ticket:
        """The ticket that a letter is about; BadLetter when there is none."""
        ticket = self.all.get(letter.header.request_id)
        if ticket is None or ticket.subject.wallet.wallet_id != letter.header.wallet_id:
            raise BadLetter("request-unknown", "no such request was proposed here")
        return ticket

    def saw(self, subject: Subject) -> None:
        """Its addresses count as used from here on."""
        wallet_id = subject.wallet.wallet_id
        self._wallets[wallet_id] = self._wallets[wallet_id].having_seen(subject.spend)

    def crowded(self, client: bytes, wall_ms: int) -> bool:
        """Whether a client has too much undecided, or was refused too much lately, to be listened to."""
        counted = self._counted.get(client, [])
        mine = [t for t in counted if t.state == "open"]
        failed = [
            t
            for t in counted
            if t.state in {"refused", "closed"} and t.made_at_ms > wall_ms - FAILED_WINDOW_MS
        ]
        self._counted[client] = [*mine, *failed]  # the others never count again
        return (
            len(mine) >= MAX_OPEN_PER_CLIENT
            or len(failed) >= MAX_FAILED
            or sum(len(t.request.letter) for t in failed) >= MAX_FAILED_BYTES
        )


def new_ticket(subject: Subject, request: Letter, at_ms: int) -> Ticket:
    """A ticket that nobody has judged; good for as long as its client signed, within bounds."""
    expires_at_ms = min(request.header.expires_at_ms, at_ms + MAX_REQUEST_LIFE_MS)
    return Ticket(subject, request.signed, expires_at_ms, at_ms, Judgement.nothing_yet())


def gone(letter: Letter, code: str, turn: Turn) -> None:
    """Say that what a letter asks for no longer exists."""
    header = letter.header
    turn.tell(Kind.GONE, header.sender, Gone(code), wallet_id=header.wallet_id, request_id=header.request_id)


def tell(
    kind: Kind,
    body: Verdict | Nonces | PartialSignatures | Gone | Withdraw,
    ticket: Ticket,
    coordinator: bytes,
    turn: Turn,
    *,
    session_id: bytes = NO_ID,
) -> None:
    """Say something about a ticket."""
    turn.tell(
        kind,
        coordinator,
        body,
        wallet_id=ticket.subject.wallet.wallet_id,
        request_id=ticket.subject.request_id,
        session_id=session_id,
    )
