"""How the coordinator gathers a quorum: propose, collect verdicts and nonces, order, aggregate.

It decides nothing about money: it can only carry letters, choose who signs together, and put partial signatures
into one. Sessions follow ROAST: whoever answers wrongly is out, whoever is silent is passed over until it speaks
again, and every try uses fresh nonces, so n-t+1 sessions are enough while t honest nodes can be reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cluster.approvals import NONCE_LIFE_MS, read_verdict
from cluster.codec import BadLetter, Letter, open_inner
from cluster.effects import Now
from cluster.journal import Body, ClosedKept, ComplaintKept, FinalKept, RequestKept
from cluster.messages import (
    KINDS,
    NO_ID,
    Busy,
    Decision,
    Final,
    Gone,
    Kind,
    NodeStatus,
    NonceRequest,
    Nonces,
    Order,
    OrderEntry,
    PartialSignatures,
    Propose,
    SignedLetter,
    Status,
    Verdict,
    Withdraw,
)
from cluster.presence import Presence
from cluster.quorum import Candidate, choose
from cluster.roster import Roster
from cluster.schemes import Blame, Signer, Wallet
from cluster.subjects import BadRequest, Subject, understand
from cluster.turn import Turn

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

MAX_SESSIONS = 32
"""How many sessions are tried for one request; robust signing needs n-t+1 when nobody restarts."""

PATIENCE_MS = 4_000
"""How long those who have failed fewer sessions are waited for, after a session failed."""

_FAILED = frozenset({"refused", "closed", "expired"})
_ENTRY_BYTES = KINDS[Kind.VERDICT].cap + 1024  # a verdict, and what is in a Nonces letter beside the nonces

SESSION_LIFE_MS = 8_000
"""How long the signers of an order have before a silent one is passed over."""

REPEAT_MS = 2_000
"""How long to wait before saying a thing again to somebody who has not answered."""

MAX_RETRY_MS = 60_000
"""However busy a node says it is, it is asked again after this long."""

NONCE_MARGIN_MS = 15_000
"""Nonces with less than this left are not worth an order."""

NONCES_FOLLOW_MS = 1_000
"""A node says its nonces right after an approval: so long they are not asked for."""

LOOK_EVERY_MS = 100
"""While letters come in, what only time brings is looked at this often, and not with every letter."""


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


class SigningDesk:
    """The signing half of a coordinator."""

    def __init__(self, roster: Roster, presence: Presence, wallets: dict[bytes, Wallet]) -> None:
        self._roster = roster
        self._presence = presence
        self._wallets = wallets
        self.jobs: dict[bytes, Job] = {}
        self._open: dict[bytes, Job] = {}
        self._counted: dict[bytes, list[Job]] = {}
        self._looked_at_ms: int | None = None

    # What records say, read again at start.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case RequestKept(request=request):
                letter = open_inner(request, Kind.REQUEST)
                subject = understand(self._wallets[wallet_id], letter)
                self._add(Job(subject, request, letter.header.expires_at_ms, entry.at_ms))
            case FinalKept(request_id=request_id):
                job = self.jobs[request_id]
                job.state, job.final = "final", Final(entry.signatures, entry.transaction)
                self._saw(job.subject)
            case ClosedKept(request_id=request_id, code=code):
                job = self.jobs[request_id]
                job.state, job.codes = "closed", (code,)
            case ComplaintKept():
                pass
            case _:
                pass

    # What clients ask.

    def request(self, letter: Letter, turn: Turn) -> None:
        """A client's signed request: store it, acknowledge it, propose it to every member."""
        header = letter.header
        known = self.jobs.get(header.request_id)
        if known is not None and known.subject.client == header.sender:
            self.tell_client(known, header.sender, turn)
            return
        wallet = self._wallets.get(header.wallet_id)
        if wallet is None or not wallet.complete:
            self._reject(letter, "request-wallet", turn)
            return
        if not self._room_for(header.sender, turn.now.wall_ms):
            turn.tell(
                Kind.BUSY,
                header.sender,
                Busy(10_000),
                wallet_id=header.wallet_id,
                request_id=header.request_id,
            )
            return
        try:
            subject = understand(wallet, letter)
        except BadRequest as bad:
            self._reject(letter, bad.code, turn)
            return
        if wallet.charter.n * (_ENTRY_BYTES + 68 * len(subject.tasks)) > KINDS[Kind.ORDER].cap:
            self._reject(letter, "request-inputs", turn)
            return
        job = Job(subject, letter.signed, header.expires_at_ms, turn.now.wall_ms)
        self._add(job)
        turn.note(RequestKept(turn.now.wall_ms, letter.signed), wallet.wallet_id)
        self._propose(job, turn)  # first, as every signature waits for it
        self.tell_client(job, header.sender, turn)

    def query(self, letter: Letter, turn: Turn) -> None:
        """A client asks how its request stands."""
        job = self.jobs.get(letter.header.request_id)
        if job is None or job.subject.client != letter.header.sender:
            self._reject(letter, "request-unknown", turn)
            return
        self.tell_client(job, letter.header.sender, turn)

    def tell_client(self, job: Job, client: bytes, turn: Turn) -> None:
        """Say to the client how its request stands: the final transaction, or every node's newest verdict."""
        job.untold = False
        if job.final is not None:
            self._tell(Kind.FINAL, client, job.final, job, turn)
            return
        nodes = tuple(
            NodeStatus(
                member.identity,
                self._reach(job, member.identity, turn.now),
                job.verdicts[member.identity][1] if member.identity in job.verdicts else None,
            )
            for member in job.subject.wallet.charter.members
        )
        self._tell(Kind.STATUS, client, Status(self._state(job, turn.now), job.codes, nodes), job, turn)

    def _reject(self, letter: Letter, code: str, turn: Turn) -> None:
        turn.tell(
            Kind.STATUS,
            letter.header.sender,
            Status("rejected", (code,), ()),
            wallet_id=letter.header.wallet_id,
            request_id=letter.header.request_id,
        )

    def _room_for(self, client: bytes, wall_ms: int) -> bool:
        counted = self._counted.get(client, [])
        mine = [job for job in counted if job.state == "open"]
        failed = [j for j in counted if j.state in _FAILED and j.made_at_ms > wall_ms - FAILED_WINDOW_MS]
        self._counted[client] = [*mine, *failed]  # the others never count again
        return (
            len(self._open_jobs()) < MAX_OPEN
            and len(mine) < MAX_OPEN_PER_CLIENT
            and len(failed) < MAX_FAILED
            and sum(len(job.request.letter) for job in failed) < MAX_FAILED_BYTES
        )

    # What nodes answer.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one signing letter from a node; raises BadLetter when it makes no sense."""
        job = self.jobs.get(letter.header.request_id)
        node = letter.header.sender
        if job is None or job.subject.wallet.charter.participant(node) is None:
            raise BadLetter("request-unknown", "no such request, or not this node's")
        if job.state != "open":
            self._after_end(job, node, letter, turn)
            return
        self._dispatch(job, letter, turn)
        self.advance(job, turn)
        if job.untold and letter.header.kind is not Kind.VERDICT:
            self.tell_client(job, job.subject.client, turn)

    def _dispatch(self, job: Job, letter: Letter, turn: Turn) -> None:
        node = letter.header.sender
        job.stalled.discard(node)
        match letter.body:
            case Verdict():
                self._verdict(job, letter, letter.body, turn)
            case Nonces():
                self._nonces(job, letter, letter.body, turn)
            case Withdraw():
                job.verdicts.pop(node, None)
                job.nonces.pop(node, None)
                self.tell_client(job, job.subject.client, turn)
            case Gone():
                self._lost(job, node, turn)
            case PartialSignatures():
                self._psigs(job, letter, letter.body, turn)
            case Busy(retry_after_ms=retry_after_ms):
                wait_ms = min(retry_after_ms, MAX_RETRY_MS) - REPEAT_MS
                job.said_at_ms[(Kind.PROPOSE, node + NO_ID)] = turn.now.monotonic_ms + wait_ms
            case _:
                raise BadLetter("letter-kind", f"the coordinator has no use for a {letter.header.kind.name}")

    def _after_end(self, job: Job, node: bytes, letter: Letter, turn: Turn) -> None:
        """A node that still speaks of an ended request has not heard how it ended; a late signature still counts."""
        if job.final is None and isinstance(letter.body, PartialSignatures):
            self._psigs(job, letter, letter.body, turn)
        elif job.final is not None and letter.header.kind in {Kind.VERDICT, Kind.PARTIAL_SIGNATURES}:
            self._tell(Kind.FINAL, node, job.final, job, turn)

    def _verdict(self, job: Job, letter: Letter, verdict: Verdict, turn: Turn) -> None:
        charter = job.subject.wallet.charter
        read_verdict(letter.signed, charter, job.subject.request_id, turn.now.wall_ms)
        node = letter.header.sender
        if verdict.decision is Decision.APPROVE and verdict.spend_id != job.subject.spend_id:
            raise BadLetter(
                "verdict-spend", "it approves another spend, and no node would take an order with it"
            )
        before = job.verdicts.get(node)
        job.verdicts[node] = (verdict, letter.signed)
        if verdict.decision is Decision.APPROVE:
            job.approved_at_ms[node] = turn.now.monotonic_ms
        else:
            job.nonces.pop(node, None)
        if before is None or (before[0].decision, before[0].codes) != (verdict.decision, verdict.codes):
            self._judge_refusals(job, turn)
            job.untold = True
        if job.untold and verdict.decision is not Decision.APPROVE:
            # An approval is told of with its nonces, which come right after: their order goes first.
            self.tell_client(job, job.subject.client, turn)

    def _judge_refusals(self, job: Job, turn: Turn) -> None:
        """Close the request once so many nodes refuse that no quorum is left."""
        charter = job.subject.wallet.charter
        refusals = [v for v, _ in job.verdicts.values() if v.decision is Decision.REFUSE]
        if len(refusals) > charter.n - charter.t and job.state == "open":
            self._close(job, "refused", "refused", turn)

    def _nonces(self, job: Job, letter: Letter, body: Nonces, turn: Turn) -> None:
        node = letter.header.sender
        job.approved_at_ms.pop(node, None)
        if len(body.pubnonces) != len(job.subject.tasks):
            raise BadLetter("nonces-count", "not one nonce per signing task")
        if not job.subject.wallet.takes_nonces(body.pubnonces):
            if node not in job.culprits:
                job.culprits[node] = "nonces-invalid"
                turn.note(
                    ComplaintKept(turn.now.wall_ms, node, "nonces-invalid", (letter.signed,)),
                    job.subject.wallet.wallet_id,
                )
                self.tell_client(job, job.subject.client, turn)
            return
        used = {s.pubnonces for session in job.sessions for s in session.signers}
        if body.pubnonces in used:
            return
        job.nonces[node] = (body, letter.signed)
        if node in job.arrivals:
            job.arrivals.remove(node)
        job.arrivals.append(node)

    def _lost(self, job: Job, node: bytes, turn: Turn) -> None:
        """A signer's nonces are gone: that session cannot end, nobody is to blame, but others come first now."""
        job.nonces.pop(node, None)
        session = job.current
        if session is not None and node in session.members and node not in session.psigs:
            session.open = False
            self._count_loss(job, [node], turn)

    def _count_loss(self, job: Job, nodes: Iterable[bytes], turn: Turn) -> None:
        for node in nodes:
            job.losses[node] = job.losses.get(node, 0) + 1
        job.lost_at_ms = turn.now.monotonic_ms

    def _psigs(self, job: Job, letter: Letter, body: PartialSignatures, turn: Turn) -> None:
        node = letter.header.sender
        session = next((s for s in job.sessions if s.session_id == letter.header.session_id), None)
        if session is None or node not in session.members:
            raise BadLetter("session-unknown", "it answers an order that was not given: nobody is convicted")
        if len(body.psigs) != len(job.subject.tasks):
            job.culprits[node] = "psig-count"
            self._convict(job, session, {node: letter.signed}, turn)
            return
        session.psigs[node] = (body.psigs, letter.signed)
        if len(session.psigs) == len(session.members):
            self._finish(job, session, turn)

    def _finish(self, job: Job, session: Session, turn: Turn) -> None:
        psigs = tuple(session.psigs[member][0] for member in session.members)
        try:
            signatures = job.subject.wallet.aggregate(session.signers, psigs, job.subject.tasks)
        except Blame as blame:
            charter = job.subject.wallet.charter
            guilty = {charter.members[index].identity for index in blame.culprits}
            for identity in guilty:
                job.culprits[identity] = "psig-invalid"
            self._convict(job, session, {identity: session.psigs[identity][1] for identity in guilty}, turn)
            return
        session.open = False
        try:
            transaction = job.subject.finalise(signatures)
        except BadRequest as bad:
            self._close(job, "closed", bad.code, turn)
            return
        turn.note(
            FinalKept(turn.now.wall_ms, job.subject.request_id, signatures, transaction),
            job.subject.wallet.wallet_id,
        )
        job.state, job.final = "final", Final(signatures, transaction)
        self._saw(job.subject)
        self.tell_client(job, job.subject.client, turn)
        for member in job.subject.wallet.charter.members:
            self._tell(Kind.FINAL, member.identity, job.final, job, turn)

    def _convict(self, job: Job, session: Session, letters: dict[bytes, SignedLetter], turn: Turn) -> None:
        """Remember who cheated, with the letters that prove it: the order's entries and the signed answer."""
        session.open = False
        proof = tuple(part for entry in session.order.entries for part in (entry.verdict, entry.nonces))
        for identity, answer in letters.items():
            job.nonces.pop(identity, None)
            turn.note(
                ComplaintKept(turn.now.wall_ms, identity, job.culprits[identity], (*proof, answer)),
                job.subject.wallet.wallet_id,
            )
        self.tell_client(job, job.subject.client, turn)

    # Going on.

    def advance(self, job: Job, turn: Turn) -> None:
        """Order a session if one is possible now; ask for the nonces that one would need."""
        if job.state != "open" or job.current is not None:
            return
        now = turn.now
        approving = self._preferred(job, now)
        ready = [node for node in job.arrivals if node in approving and self._has_nonces(job, node, now)]
        chosen = choose([self._candidate(job, node) for node in ready], job.subject.wallet.charter.t)
        if chosen is not None and len(job.sessions) >= MAX_SESSIONS:
            self._close(job, "closed", "sessions-exhausted", turn)
            self.tell_client(job, job.subject.client, turn)
            return
        if chosen is not None:
            self._order(job, chosen, turn)
            return
        if choose([self._candidate(job, node) for node in approving], job.subject.wallet.charter.t):
            for node in approving:
                if node not in ready and not self._nonces_follow(job, node, now):
                    self._say_again(Kind.NONCE_REQUEST, node, NonceRequest(len(job.sessions)), job, turn)

    def _preferred(self, job: Job, now: Now) -> list[bytes]:
        """Who may be ordered now: for a while after a failure, the fewest-failed who make a quorum between them.

        Else one node that is always first and never signs would be in every session.
        """
        approving = [node for node in self._approving(job, now) if not self._presence.mismatched(node)]
        if job.lost_at_ms is None or now.monotonic_ms - job.lost_at_ms >= PATIENCE_MS:
            return approving
        for most in sorted({job.losses.get(node, 0) for node in approving}):
            few = [node for node in approving if job.losses.get(node, 0) <= most]
            if choose([self._candidate(job, node) for node in few], job.subject.wallet.charter.t):
                return few
        return approving

    def _order(self, job: Job, chosen: tuple[bytes, ...], turn: Turn) -> None:
        charter = job.subject.wallet.charter
        members = tuple(m.identity for m in charter.members if m.identity in chosen)
        entries = []
        signers = []
        for index, member in enumerate(charter.members):
            if member.identity in chosen:
                nonces, signed = job.nonces.pop(member.identity)
                entries.append(OrderEntry(job.verdicts[member.identity][1], signed))
                signers.append(Signer(index, nonces.pubnonces))
        session_id = job.subject.wallet.session_id(job.subject.request_id, tuple(signers), job.subject.tasks)
        session = Session(
            session_id,
            members,
            tuple(signers),
            Order(tuple(entries)),
            turn.now.monotonic_ms + SESSION_LIFE_MS,
        )
        job.sessions.append(session)
        for node in members:
            self._say_again(Kind.ORDER, node, session.order, job, turn, session_id=session_id)

    def tick(self, turn: Turn) -> int | None:
        """Repeat what was not answered, pass over the silent, close what expired; when to come again."""
        jobs = self._open_jobs()
        now_ms = turn.now.monotonic_ms
        if self._looked_at_ms is None or now_ms - self._looked_at_ms >= LOOK_EVERY_MS:
            self._looked_at_ms = now_ms
            self._look(jobs, turn)
        return self._looked_at_ms + REPEAT_MS if jobs else None

    def _look(self, jobs: Iterable[Job], turn: Turn) -> None:
        for job in jobs:
            if job.expires_at_ms < turn.now.wall_ms and job.current is None:
                self._expire(job, turn)
                continue
            session = job.current
            if session is not None and session.ends_at_ms <= turn.now.monotonic_ms:
                session.open = False
                silent = set(session.members) - set(session.psigs)
                job.stalled.update(silent)
                self._count_loss(job, silent, turn)
                self.tell_client(job, job.subject.client, turn)
            self._repeat(job, turn)
            self.advance(job, turn)
            if job.untold:
                self.tell_client(job, job.subject.client, turn)

    def _repeat(self, job: Job, turn: Turn) -> None:
        session = job.current
        for member in job.subject.wallet.charter.members:
            node = member.identity
            wanted = node not in job.verdicts or self._stale(job, node, turn.now)
            if wanted and self._presence.online(node, turn.now.monotonic_ms):  # else when it comes back
                self._say_again(Kind.PROPOSE, node, Propose(job.request), job, turn)
            if session is not None and node in session.members and node not in session.psigs:
                self._say_again(Kind.ORDER, node, session.order, job, turn, session_id=session.session_id)

    def _close(self, job: Job, state: str, code: str, turn: Turn) -> None:
        turn.note(ClosedKept(turn.now.wall_ms, job.subject.request_id, code), job.subject.wallet.wallet_id)
        job.state, job.codes = state, (code,)

    def _expire(self, job: Job, turn: Turn) -> None:
        self._close(job, "expired", "request-expired", turn)
        self.tell_client(job, job.subject.client, turn)

    def heard(self, node: bytes) -> None:
        """A node is there: whoever was passed over for its silence may be asked again."""
        for job in self._open_jobs():
            job.stalled.discard(node)
        self._looked_at_ms = None  # it may be just the one that was missing

    def greeted(self, node: bytes, turn: Turn) -> None:
        """A node started, or came back: propose what is open again; its old nonces are gone."""
        for job in self._open_jobs():
            if job.subject.wallet.charter.participant(node) is not None:
                self._lost(job, node, turn)
                self._say_again(Kind.PROPOSE, node, Propose(job.request), job, turn)

    # Small things.

    def _add(self, job: Job) -> None:
        self.jobs[job.subject.request_id] = self._open[job.subject.request_id] = job
        self._counted.setdefault(job.subject.client, []).append(job)

    def _open_jobs(self) -> list[Job]:
        """Those that have not ended, oldest first; the ended ones, of which there may be many, cost nothing."""
        for request_id in [request_id for request_id, job in self._open.items() if job.state != "open"]:
            del self._open[request_id]
        return list(self._open.values())

    def _saw(self, subject: Subject) -> None:
        """Its addresses count as used from here on."""
        wallet_id = subject.wallet.wallet_id
        self._wallets[wallet_id] = self._wallets[wallet_id].having_seen(subject.spend)

    def _propose(self, job: Job, turn: Turn) -> None:
        for member in job.subject.wallet.charter.members:
            self._say_again(Kind.PROPOSE, member.identity, Propose(job.request), job, turn)

    def _approving(self, job: Job, now: Now) -> list[bytes]:
        return [
            node
            for node, (verdict, _) in job.verdicts.items()
            if node not in job.culprits
            and node not in job.stalled
            and verdict.decision is Decision.APPROVE
            and not self._stale(job, node, now)
        ]

    def _stale(self, job: Job, node: bytes, now: Now) -> bool:
        return node in job.verdicts and job.verdicts[node][0].expires_at_ms <= now.wall_ms + NONCE_MARGIN_MS

    def _has_nonces(self, job: Job, node: bytes, now: Now) -> bool:
        return node in job.nonces and job.nonces[node][0].expires_at_ms > now.wall_ms + NONCE_MARGIN_MS

    def _nonces_follow(self, job: Job, node: bytes, now: Now) -> bool:
        approved_at_ms = job.approved_at_ms.get(node)
        return approved_at_ms is not None and now.monotonic_ms - approved_at_ms < NONCES_FOLLOW_MS

    def _candidate(self, job: Job, node: bytes) -> Candidate:
        verdict, _ = job.verdicts[node]
        entry = self._roster.node(node)
        role = entry.role if entry is not None else ""
        return Candidate(node, role, verdict.need_nodes, frozenset(verdict.roles))

    def _reach(self, job: Job, node: bytes, now: Now) -> str:
        if node in job.culprits:
            return "misbehaved"
        if self._presence.mismatched(node):
            return "version-mismatch"
        if node in job.stalled or not self._presence.online(node, now.monotonic_ms):
            return "unreachable"
        return "online"

    def _state(self, job: Job, now: Now) -> str:
        if job.state != "open":
            return job.state
        if job.current is not None:
            return "signing"
        if any(verdict.decision is Decision.ASK for verdict, _ in job.verdicts.values()):
            return "asking"
        if any(verdict.decision is Decision.WAIT for verdict, _ in job.verdicts.values()):
            return "waiting"
        return "gathering"

    def _say_again(
        self,
        kind: Kind,
        node: bytes,
        body: Propose | NonceRequest | Order,
        job: Job,
        turn: Turn,
        *,
        session_id: bytes = NO_ID,
    ) -> None:
        """Say it, unless it was said to this node less than REPEAT_MS ago (an order: this very order)."""
        last = job.said_at_ms.get((kind, node + session_id))
        if last is not None and turn.now.monotonic_ms - last < REPEAT_MS:
            return
        job.said_at_ms[(kind, node + session_id)] = turn.now.monotonic_ms
        turn.tell(
            kind,
            node,
            body,
            wallet_id=job.subject.wallet.wallet_id,
            request_id=job.subject.request_id,
            session_id=session_id,
            life_ms=NONCE_LIFE_MS,
        )

    def _tell(self, kind: Kind, node: bytes, body: Final | Status, job: Job, turn: Turn) -> None:
        turn.tell(
            kind,
            node,
            body,
            wallet_id=job.subject.wallet.wallet_id,
            request_id=job.subject.request_id,
        )
