"""The requests of a coordinator, one job each, and what one client may have of them.

Life of a request: `open`, then `final` (a verified transaction), or `refused` (no quorum is left), `expired` or
`closed`. What nodes said of it is only in memory: after a restart it is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.codec import open_inner
from cluster.effects import Now
from cluster.journal import Body, ClosedKept, ComplaintKept, FinalKept, RequestKept
from cluster.messages import Decision, Final, Kind, Nonces, Order, SignedLetter, Verdict
from cluster.schemes import Signer, Wallet
from cluster.subjects import Subject, understand

MAX_OPEN = 256
"""How many requests may be open at once; one more is answered Busy."""

MAX_OPEN_PER_CLIENT = 32
"""How many of them one client may have."""

MAX_FAILED = 256
"""How many requests of one client may come to nothing within `FAILED_WINDOW_MS`; then it is answered Busy."""

MAX_FAILED_BYTES = 16 * 1024 * 1024
"""How many bytes they may have together: each is on the disk for good."""

FAILED_WINDOW_MS = 3_600_000
"""The window of both, one hour."""

NONCE_MARGIN_MS = 15_000
"""Nonces with less than this left are not worth an order."""

NONCES_FOLLOW_MS = 1_000
"""A node says its nonces right after an approval: so long they are not asked for."""

_FAILED = frozenset({"refused", "closed", "expired"})


@dataclass(slots=True)
class Session:
    """One order and what came back."""

    session_id: bytes
    members: tuple[bytes, ...]
    signers: tuple[Signer, ...]
    order: Order
    ends_at_ms: int
    psigs: dict[bytes, tuple[tuple[bytes, ...], SignedLetter]] = field(default_factory=dict)
    open: bool = True


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
    losses: dict[bytes, int] = field(default_factory=dict)
    lost_at_ms: int | None = None
    said_at_ms: dict[tuple[Kind, bytes], int] = field(default_factory=dict)
    approved_at_ms: dict[bytes, int] = field(default_factory=dict)
    untold: bool = False
    final: Final | None = None

    @property
    def current(self) -> Session | None:
        """The session that is waiting for partial signatures, if one is."""
        return self.sessions[-1] if self.sessions and self.sessions[-1].open else None

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


class Jobs:
    """The requests of one coordinator."""

    def __init__(self, wallets: dict[bytes, Wallet]) -> None:
        self._wallets = wallets
        self.all: dict[bytes, Job] = {}
        self._open: dict[bytes, Job] = {}
        self._counted: dict[bytes, list[Job]] = {}

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case RequestKept(request=request):
                letter = open_inner(request, Kind.REQUEST)
                subject = understand(self._wallets[wallet_id], letter)
                self.add(Job(subject, request, letter.header.expires_at_ms, entry.at_ms))
            case FinalKept(request_id=request_id):
                job = self.all[request_id]
                job.state, job.final = "final", Final(entry.signatures, entry.transaction)
                self.saw(job.subject)
            case ClosedKept(request_id=request_id, code=code):
                job = self.all[request_id]
                job.state, job.codes = "closed", (code,)
            case ComplaintKept():
                pass
            case _:
                pass

    def add(self, job: Job) -> None:
        """A job that is new."""
        self.all[job.subject.request_id] = self._open[job.subject.request_id] = job
        self._counted.setdefault(job.subject.client, []).append(job)

    def open(self) -> list[Job]:
        """Those that have not ended, oldest first; the ended ones, of which there may be many, cost nothing."""
        for request_id in [request_id for request_id, job in self._open.items() if job.state != "open"]:
            del self._open[request_id]
        return list(self._open.values())

    def saw(self, subject: Subject) -> None:
        """Its addresses count as used from here on."""
        wallet_id = subject.wallet.wallet_id
        self._wallets[wallet_id] = self._wallets[wallet_id].having_seen(subject.spend)

    def room_for(self, client: bytes, wall_ms: int) -> bool:
        """Whether a client has so little open, and so little that failed lately, that it is listened to."""
        counted = self._counted.get(client, [])
        mine = [job for job in counted if job.state == "open"]
        failed = [j for j in counted if j.state in _FAILED and j.made_at_ms > wall_ms - FAILED_WINDOW_MS]
        self._counted[client] = [*mine, *failed]  # the others never count again
        return (
            len(self.open()) < MAX_OPEN
            and len(mine) < MAX_OPEN_PER_CLIENT
            and len(failed) < MAX_FAILED
            and sum(len(job.request.letter) for job in failed) < MAX_FAILED_BYTES
        )
