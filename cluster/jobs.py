"""The requests of a coordinator, one job each, and what records say of them.

Life of a request: `open`, perhaps `cosigning` (whoever is no node is to sign last), then `final` (a verified
transaction), or `refused` (no quorum is left), `expired` or `closed`. What nodes said of it is only in memory: after
a restart it is asked for again. What has ended is kept as a trace (`cluster.requests`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.codec import Letter, open_inner
from cluster.effects import Now
from cluster.journal import ClosedKept, CosigningKept, FinalKept, RequestKept, UsedKept
from cluster.messages import (
    Decision,
    Final,
    Kind,
    Nonces,
    Order,
    SignedLetter,
    SignerPart,
    Verdict,
)
from cluster.record_body import Body
from cluster.requests import Shelf, Trace
from cluster.schemes import Signer, Wallet
from cluster.subjects import Subject

MAX_OPEN = 256
"""How many requests may be open at once; one more is answered Busy."""

NONCE_MARGIN_MS = 15_000
"""Nonces with less than this left are not worth an order."""

RETRY_MS = 2_000
"""How long a node rests that failed two sessions before it is tried again; each further one doubles it."""

LONGEST_REST_MS = 10 * 60_000
"""It never rests longer than this."""

NONCES_FOLLOW_MS = 1_000
"""A node says its nonces right after an approval: so long they are not asked for."""

_STATES = {"refused": "refused", "request-expired": "expired"}  # by the code of a closed request


Answered = tuple[tuple[bytes, ...], SignedLetter]
"""A node's partial signatures in a session, and the letter in which it signed them."""


@dataclass(slots=True)
class Session:
    """One order and what came back."""

    session_id: bytes
    members: tuple[bytes, ...]
    signers: tuple[Signer, ...]
    order: Order
    ends_at_ms: int
    psigs: dict[bytes, Answered] = field(default_factory=dict)
    open: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether all its nodes have answered, so that it has ended in one way or another."""
        return len(self.psigs) == len(self.members)


@dataclass(frozen=True, slots=True)
class Debt:
    """A node left this session without its answer; from when on, in need, it may be ordered again all the same."""

    session_id: bytes
    rests_until_ms: int


@dataclass(slots=True)
class Job:
    """One request as the coordinator sees it."""

    subject: Subject
    request: SignedLetter
    expires_at_ms: int
    made_at_ms: int
    state: str = "open"
    codes: tuple[str, ...] = ()
    verdicts: dict[bytes, tuple[Verdict, SignedLetter]] = field(default_factory=dict)
    nonces: dict[bytes, tuple[Nonces, SignedLetter]] = field(default_factory=dict)
    arrivals: list[bytes] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    culprits: dict[bytes, str] = field(default_factory=dict)
    stalled: set[bytes] = field(default_factory=set)
    debts: dict[bytes, Debt] = field(default_factory=dict)
    losses: dict[bytes, int] = field(default_factory=dict)
    doubts: set[tuple[bytes, bytes]] = field(default_factory=set)
    lost_at_ms: int | None = None
    asked_at_ms: dict[bytes, int] = field(default_factory=dict)
    said_at_ms: dict[tuple[Kind, bytes], int] = field(default_factory=dict)
    approved_at_ms: dict[bytes, int] = field(default_factory=dict)
    untold: bool = False
    final: Final | None = None
    parts: tuple[SignerPart, ...] = ()
    possible_since_ms: int | None = None
    held: dict[bytes, dict[bytes, Answered]] = field(default_factory=dict)
    told: dict[bytes, int] = field(default_factory=dict)
    holds_until_ms: int | None = None

    def waits(self, now: Now) -> bool:
        """Whether the rest of an older session may still come, so that none is ordered beside it."""
        return self.holds_until_ms is not None and now.monotonic_ms < self.holds_until_ms

    @property
    def current(self) -> Session | None:
        """The session that is waiting for partial signatures, if one is."""
        return self.sessions[-1] if self.sessions and self.sessions[-1].open else None

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """The nodes that can take part, in the charter's order."""
        members = self.subject.wallet.charter.members
        return tuple(m.identity for i, m in enumerate(members) if i in self.subject.route.nodes)

    def stale(self, node: bytes, now: Now) -> bool:
        """Whether what a node said of it is about to run out."""
        return node in self.verdicts and self.verdicts[node][0].expires_at_ms <= now.wall_ms + NONCE_MARGIN_MS

    def approving(self, now: Now) -> list[bytes]:
        """Who approves now, and may be asked to sign."""
        return [
            node
            for node, (verdict, _) in self.verdicts.items()
            if node not in self.culprits
            and node not in self.stalled
            and verdict.decision is Decision.APPROVE
            and not self.stale(node, now)
        ]

    # Who owes an answer.

    def owes(self, node: bytes) -> bool:
        """Whether a node left a session without its answer, and has not given it since."""
        return node in self.debts

    def rested(self, node: bytes, now: Now) -> bool:
        """Whether a node may be tried again although it owes an answer."""
        debt = self.debts.get(node)
        return debt is None or debt.rests_until_ms <= now.monotonic_ms

    def lose(self, node: bytes, session_id: bytes, now: Now) -> None:
        """A session was given up because of this node."""
        count = self.losses[node] = self.losses.get(node, 0) + 1
        rest_ms = RETRY_MS * 2 ** (count - 2) if count > 1 else 0
        until_ms = now.monotonic_ms + min(rest_ms, LONGEST_REST_MS)
        self.debts[node] = Debt(session_id, until_ms)
        self.lost_at_ms = now.monotonic_ms

    def settle(self, node: bytes, session_id: bytes) -> None:
        """A node gave the answer that it owed."""
        if node in self.debts and self.debts[node].session_id == session_id:
            del self.debts[node]

    # Who may sign now.

    def has_nonces(self, node: bytes, now: Now) -> bool:
        """Whether a node gave nonces that are worth an order."""
        return node in self.nonces and self.nonces[node][0].expires_at_ms > now.wall_ms + NONCE_MARGIN_MS

    def nonces_follow(self, node: bytes, now: Now) -> bool:
        """Whether its nonces are on the way, so that they need not be asked for."""
        approved_at_ms = self.approved_at_ms.get(node)
        return approved_at_ms is not None and now.monotonic_ms - approved_at_ms < NONCES_FOLLOW_MS

    def state_now(self, now: Now) -> str:
        """How it stands, in one word, for its client."""
        if self.state != "open":
            return self.state
        if self.current is not None:
            return "signing"
        if any(verdict.decision is Decision.ASK for verdict, _ in self.verdicts.values()):
            return "asking"
        if any(verdict.decision is Decision.WAIT for verdict, _ in self.verdicts.values()):
            return "waiting"
        return "gathering"


@dataclass(slots=True)
class JobTrace(Trace):
    """What is left of a job: how it ended."""

    final: Final | None = None
    parts: tuple[SignerPart, ...] = ()


class Jobs(Shelf[Job, JobTrace]):
    """The requests of one coordinator."""

    def __init__(self, wallets: dict[bytes, Wallet]) -> None:
        super().__init__(wallets, _trace)

    def open(self) -> list[Job]:
        """Those that have not ended, oldest first."""
        return [job for job in self.whole.values() if job.state == "open"]

    def room_for(self, client: bytes, wall_ms: int) -> bool:
        """Whether there is room for one more request of a client."""
        return len(self.open()) < MAX_OPEN and not self.crowded(client, wall_ms)

    # What records say, read again at start.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case RequestKept(request=request):
                self._restore_request(open_inner(request, Kind.REQUEST), wallet_id, entry.at_ms)
            case FinalKept(request_id=request_id):
                trace = self.ended[request_id]
                trace.state, trace.codes, trace.letter = "final", (), None
                trace.final = Final(entry.signatures, entry.signers, entry.transaction)
                self.forgive(trace.client, request_id)
                self.saw(wallet_id, entry.next_receive, entry.next_change)
            case CosigningKept(request_id=request_id, parts=parts):
                self.ended[request_id].state, self.ended[request_id].parts = "cosigning", parts
            case UsedKept():
                self.saw(wallet_id, entry.next_receive, entry.next_change)
            case ClosedKept(request_id=request_id, code=code):
                trace = self.ended[request_id]
                size = len(trace.letter.signed.letter) if trace.letter is not None else 0
                self.count_failure(trace.client, request_id, trace.made_at_ms, size)
                trace.state, trace.codes, trace.letter = _STATES.get(code, "closed"), (code,), None
            case _:
                pass

    def _restore_request(self, letter: Letter, wallet_id: bytes, at_ms: int) -> None:
        if wallet_id not in self._wallets:
            raise LookupError("no such wallet exists")
        header = letter.header
        self.ended[header.request_id] = JobTrace(
            header.request_id,
            wallet_id,
            header.sender,
            at_ms,
            header.expires_at_ms,
            letter,
            next_indexes=self._wallets[wallet_id].next_indexes,
        )

    def settle(self) -> None:
        """All records are read: read what has not ended whole."""
        for trace in list(self.ended.values()):
            letter, trace.letter = trace.letter, None
            if letter is not None:
                del self.ended[trace.request_id]
                subject = self.read_again(trace, letter)
                job = Job(subject, letter.signed, trace.expires_at_ms, trace.made_at_ms, trace.state)
                job.parts = trace.parts
                self.add(job)


def _trace(job: Job) -> JobTrace:
    subject = job.subject
    return JobTrace(
        request_id=subject.request_id,
        wallet_id=subject.wallet.wallet_id,
        client=subject.client,
        made_at_ms=job.made_at_ms,
        expires_at_ms=job.expires_at_ms,
        state=job.state,
        codes=job.codes,
        final=job.final,
    )
