"""How the coordinator gathers a quorum: take the request, propose it, collect verdicts and nonces, keep the time.

It decides nothing about money: it can only carry letters, choose who signs together, and put partial signatures
into one.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.approvals import CLOCK_SKEW_MS, read_verdict
from cluster.codec import BadLetter, Letter, open_inner
from cluster.coordinator_choice import Choice
from cluster.coordinator_sessions import Sessions
from cluster.coordinator_telling import REPEAT_MS, Telling
from cluster.jobs import Job, Jobs
from cluster.journal import ComplaintKept, RequestKept
from cluster.messages import (
    KINDS,
    NO_ID,
    Busy,
    Cosigned,
    Decision,
    Final,
    Gone,
    HeldFinal,
    HeldParts,
    Kind,
    Nonces,
    PartialSignatures,
    Propose,
    SignedLetter,
    Verdict,
    Withdraw,
)
from cluster.presence import Presence
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.subjects import BadRequest, Subject, understand
from cluster.turn import Turn

MAX_RETRY_MS = 60_000
"""However busy a node says it is, it is asked again after this long."""

MAX_TOLD = 64
"""How many letters of what it holds of one request a node is listened to; an honest one says half as many at once."""

LOOK_EVERY_MS = 100
"""While letters come in, what only time brings is looked at this often, and not with every letter."""

_ENTRY_BYTES = KINDS[Kind.VERDICT].cap + 1024  # a verdict, and what is in a Nonces letter beside the nonces
_HEADER_BYTES = 1024


def _is_too_large(subject: Subject) -> bool:
    """Whether a letter that its signing takes would be over its cap: the order, or what goes to whoever signs last."""
    members, outsiders = subject.wallet.charter.n, len(subject.route.outsiders)
    order = members * (_ENTRY_BYTES + 68 * subject.count)
    parts = (members + outsiders) * (32 + (68 + 34) * subject.count) if outsiders else 0
    return order > KINDS[Kind.ORDER].cap or _HEADER_BYTES + parts > KINDS[Kind.PARTLY_SIGNED].cap


class SigningDesk:
    """The signing half of a coordinator."""

    def __init__(self, roster: Roster, presence: Presence, wallets: dict[bytes, Wallet]) -> None:
        self._roster = roster
        self._presence = presence
        self._wallets = wallets
        self.jobs = Jobs(wallets)
        self._voice = Telling(presence)
        self._sessions = Sessions(Choice(roster, presence), self.jobs, self._voice)
        self._looked_at_ms: int | None = None

    # What clients ask.

    def request(self, letter: Letter, turn: Turn) -> None:
        """A client's signed request: store it, acknowledge it, propose it to every member."""
        header = letter.header
        if self._tell_known(letter, turn):
            return
        wallet = self._wallets.get(header.wallet_id)
        if wallet is None or not wallet.complete:
            self._voice.reject(letter, "request-wallet", turn)
            return
        code = self._take(wallet, letter, turn)
        if code == "busy":
            turn.tell(
                Kind.BUSY,
                header.sender,
                Busy(10_000),
                wallet_id=header.wallet_id,
                request_id=header.request_id,
            )
        elif code:
            self._voice.reject(letter, code, turn)
        else:
            self._voice.tell_client(self.jobs.whole[header.request_id], header.sender, turn)

    def _take(self, wallet: Wallet, letter: Letter, turn: Turn) -> str:
        """Store a request and propose it; why not, as a code."""
        if not self.jobs.room_for(letter.header.sender, turn.now.wall_ms):
            return "busy"
        try:
            subject = understand(wallet, letter)
        except BadRequest as bad:
            return bad.code
        if _is_too_large(subject):
            return "request-inputs"
        job = Job(subject, letter.signed, letter.header.expires_at_ms, turn.now.wall_ms)
        self.jobs.add(job)
        turn.note(RequestKept(turn.now.wall_ms, letter.signed), wallet.wallet_id)
        self._propose(job, turn)  # first, as every signature waits for it
        return ""

    # What nodes give back.

    def knows(self, request_id: bytes) -> bool:
        """Whether this request is, or was, here."""
        return request_id in self.jobs.whole or request_id in self.jobs.ended

    def held(self, request_id: bytes, request: SignedLetter, turn: Turn) -> None:
        """A node has a request that is not here: taken as if its client had brought it, and answered to nobody."""
        inner = open_inner(request, Kind.REQUEST)
        header = inner.header
        enrolled = self._roster.client(header.sender) is not None
        if not enrolled or (header.cluster_id, header.request_id) != (self._roster.cluster_id, request_id):
            raise BadLetter("held-request", "no enrolled client signed a request of this id")
        wallet = self._wallets.get(header.wallet_id)
        is_late = header.expires_at_ms < turn.now.wall_ms
        if wallet is None or not wallet.complete or self.knows(request_id) or is_late:
            return
        # If it makes no sense its client made it so, or its addresses are not known here yet: it is offered again.
        self._take(wallet, inner, turn)

    def held_parts(self, letter: Letter, parts: HeldParts, turn: Turn) -> None:
        """A node signed in a session that outsiders end: when all its nodes say so, that is how the request stands."""
        job = self._job_of(letter)
        if job is not None and job.state == "open":
            self._sessions.held_parts(job, letter, parts, turn)

    def held_final(self, letter: Letter, final: HeldFinal, turn: Turn) -> None:
        """A node knows how a request ended: believed when it finishes the transaction."""
        job = self._job_of(letter)
        if job is not None and job.state != "final":
            self._sessions.held_final(job, final, turn)

    def _job_of(self, letter: Letter) -> Job | None:
        """The request that a member's letter is about, if it is kept whole here; BadLetter from anybody else.

        Each letter of this sort is work, most of all for a tree with many inputs.
        """
        job, node = self.jobs.whole.get(letter.header.request_id), letter.header.sender
        if job is None:
            return None
        if job.subject.wallet.charter.participant(node) is None:
            raise BadLetter("request-stranger", "not this node's request")
        job.told[node] = job.told.get(node, 0) + 1
        if job.told[node] > MAX_TOLD:
            raise BadLetter("held-often", "it has said enough of this request")
        return job

    def cosigned(self, letter: Letter, body: Cosigned, turn: Turn) -> None:
        """What whoever is no node added to a partly signed request, from its client."""
        job = self.jobs.whole.get(letter.header.request_id)
        if job is None or job.state != "cosigning" or job.subject.client != letter.header.sender:
            self.query(letter, turn)
            return
        self._sessions.cosigned(job, letter, body, turn)

    def query(self, letter: Letter, turn: Turn) -> None:
        """A client asks how its request stands."""
        if not self._tell_known(letter, turn):
            self._voice.reject(letter, "request-unknown", turn)

    def _tell_known(self, letter: Letter, turn: Turn) -> bool:
        """Say to the client how its own request stands; False when it has none of that id."""
        header = letter.header
        job = self.jobs.whole.get(header.request_id)
        trace = self.jobs.ended.get(header.request_id)
        if job is not None and job.subject.client == header.sender:
            self._voice.tell_client(job, header.sender, turn)
            return True
        if trace is not None and trace.client == header.sender:
            self._voice.tell_ended(trace, self._wallets[trace.wallet_id].charter, turn)
            return True
        return False

    # What nodes answer.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one signing letter from a node; raises BadLetter when it makes no sense."""
        node = letter.header.sender
        trace = self.jobs.ended.get(letter.header.request_id)
        if trace is not None and self._wallets[trace.wallet_id].charter.participant(node) is not None:
            self._tell_node(trace.final, letter, turn)
            return
        job = self.jobs.whole.get(letter.header.request_id)
        if job is None:
            raise BadLetter("request-unknown", "no such request is kept here")
        if job.subject.wallet.charter.participant(node) is None:
            raise BadLetter("request-stranger", "not this node's request")
        if letter.header.wallet_id != job.subject.wallet.wallet_id:
            raise BadLetter(
                "letter-wallet", "it names another wallet, and no node would take an order with it"
            )
        if job.state != "open":
            if isinstance(letter.body, PartialSignatures):  # a late signature still counts
                self._sessions.psigs(job, letter, letter.body, turn)
            return
        self._dispatch(job, letter, turn)
        self._sessions.advance(job, turn)
        if job.untold and letter.header.kind is not Kind.VERDICT:
            self._voice.tell_client(job, job.subject.client, turn)

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
                self._sessions.lost(job, node, turn)
                self._voice.tell_client(job, job.subject.client, turn)
            case Gone(about=about):
                self._sessions.lost(job, node, turn, about)
            case PartialSignatures():
                self._sessions.psigs(job, letter, letter.body, turn)
            case Busy(retry_after_ms=retry_after_ms):
                wait_ms = min(retry_after_ms, MAX_RETRY_MS) - REPEAT_MS
                job.said_at_ms[(Kind.PROPOSE, node + NO_ID)] = turn.now.monotonic_ms + wait_ms
            case _:
                raise BadLetter("letter-kind", f"the coordinator has no use for a {letter.header.kind.name}")

    def _tell_node(self, final: Final | None, letter: Letter, turn: Turn) -> None:
        """A node that still speaks of an ended request has not heard how it ended."""
        header = letter.header
        if final is not None and header.kind in {Kind.VERDICT, Kind.PARTIAL_SIGNATURES}:
            turn.tell(
                Kind.FINAL, header.sender, final, wallet_id=header.wallet_id, request_id=header.request_id
            )

    def _verdict(self, job: Job, letter: Letter, verdict: Verdict, turn: Turn) -> None:
        charter = job.subject.wallet.charter
        # Stricter than its signers are: else one whose clock is behind ours would find fault with our order.
        read_verdict(letter.signed, charter, job.subject.request_id, turn.now.wall_ms, skew_ms=CLOCK_SKEW_MS)
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
            self._sessions.lost(job, node, turn)
        if before is None or (before[0].decision, before[0].codes) != (verdict.decision, verdict.codes):
            self._judge_refusals(job, turn)
            job.untold = True
        if job.untold and verdict.decision is not Decision.APPROVE:
            # An approval is told of with its nonces, which come right after: their order goes first.
            self._voice.tell_client(job, job.subject.client, turn)

    def _judge_refusals(self, job: Job, turn: Turn) -> None:
        """Close the request once so many nodes refuse that no quorum is left."""
        charter = job.subject.wallet.charter
        refusing = (n for n, (verdict, _) in job.verdicts.items() if verdict.decision is Decision.REFUSE)
        gone = charter.participants(refusing)
        if job.state == "open" and not job.subject.possible_without(gone):
            self._sessions.close(job, "refused", "refused", turn)

    def _nonces(self, job: Job, letter: Letter, body: Nonces, turn: Turn) -> None:
        node = letter.header.sender
        job.approved_at_ms.pop(node, None)
        if len(body.pubnonces) != job.subject.nonce_count:
            raise BadLetter("nonces-count", "not one nonce per signing task")
        if not job.subject.route.group.takes_nonces(body.pubnonces):
            if node not in job.culprits:
                job.culprits[node] = "nonces-invalid"
                turn.note(
                    ComplaintKept(turn.now.wall_ms, node, "nonces-invalid", (letter.signed,)),
                    job.subject.wallet.wallet_id,
                )
                self._voice.tell_client(job, job.subject.client, turn)
            return
        used = {s.pubnonces for session in job.sessions for s in session.signers}
        if body.pubnonces and body.pubnonces in used:
            return
        job.asked_at_ms.pop(node, None)
        job.nonces[node] = (body, letter.signed)
        if node in job.arrivals:
            job.arrivals.remove(node)
        job.arrivals.append(node)

    # Going on.

    def tick(self, turn: Turn) -> int | None:
        """Repeat what was not answered, pass over the silent, close what expired; when to come again."""
        self.jobs.sweep(turn.now.wall_ms)
        jobs = self.jobs.open()
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
                silent = set(session.members) - set(session.psigs)
                job.stalled.update(silent)
                self._sessions.pass_over(job, session, silent, turn)
                self._voice.tell_client(job, job.subject.client, turn)
            self._repeat(job, turn)
            self._sessions.advance(job, turn)
            if job.untold:
                self._voice.tell_client(job, job.subject.client, turn)

    def _repeat(self, job: Job, turn: Turn) -> None:
        session = job.current
        for node in job.nodes:
            wanted = node not in job.verdicts or job.stale(node, turn.now)
            if wanted and self._presence.online(node, turn.now.monotonic_ms):  # else when it comes back
                self._voice.say_again(Kind.PROPOSE, node, Propose(job.request), job, turn)
            if session is not None and node in session.members and node not in session.psigs:
                self._voice.say_again(
                    Kind.ORDER, node, session.order, job, turn, session_id=session.session_id
                )

    def _expire(self, job: Job, turn: Turn) -> None:
        self._sessions.close(job, "expired", "request-expired", turn)
        self._voice.tell_client(job, job.subject.client, turn)

    def heard(self, node: bytes) -> None:
        """A node is there: whoever was passed over for its silence may be asked again."""
        for job in self.jobs.open():
            job.stalled.discard(node)
        self._looked_at_ms = None  # it may be just the one that was missing

    def greeted(self, node: bytes, turn: Turn) -> None:
        """A node started, or came back: propose what is open again; its old nonces are gone."""
        for job in self.jobs.open():
            if node in job.nodes:
                self._sessions.lost(job, node, turn)
                self._voice.say_again(Kind.PROPOSE, node, Propose(job.request), job, turn)

    def _propose(self, job: Job, turn: Turn) -> None:
        for node in job.nodes:
            self._voice.say_again(Kind.PROPOSE, node, Propose(job.request), job, turn)
