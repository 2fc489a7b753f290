"""How the coordinator orders sessions and puts partial signatures into one.

Sessions follow ROAST: whoever answers wrongly is out, whoever is silent is passed over until it speaks again, and
every try uses fresh nonces, so n-t+1 sessions are enough while t honest nodes can be reached.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.approvals import conditions_of
from cluster.codec import BadLetter, Letter
from cluster.coordinator_telling import Telling
from cluster.effects import Now
from cluster.jobs import Job, Jobs, Session
from cluster.journal import ClosedKept, ComplaintKept, FinalKept
from cluster.messages import Final, Kind, NonceRequest, Order, OrderEntry, PartialSignatures, SignedLetter
from cluster.presence import Presence
from cluster.quorum import Candidate, choose
from cluster.requests import FAILED_WINDOW_MS
from cluster.roster import Roster
from cluster.schemes import Blame, Signer
from cluster.subjects import BadRequest
from cluster.turn import Turn
from policy import Seat

MAX_SESSIONS = 32
"""How many sessions are tried for one request; robust signing needs n-t+1 when nobody restarts."""

PATIENCE_MS = 4_000
"""How long those who have failed fewer sessions are waited for, after a session failed."""

SESSION_LIFE_MS = 8_000
"""How long the signers of an order have before a silent one is passed over."""


class Sessions:
    """Who signs together, and what comes of it."""

    def __init__(self, roster: Roster, presence: Presence, jobs: Jobs, voice: Telling) -> None:
        self._roster = roster
        self._presence = presence
        self._jobs = jobs
        self._voice = voice

    def advance(self, job: Job, turn: Turn) -> None:
        """Order a session if one is possible now; ask for the nonces that one would need."""
        if job.state != "open" or job.current is not None:
            return
        now = turn.now
        approving = self._preferred(job, now)
        ready = [node for node in job.arrivals if node in approving and job.has_nonces(node, now)]
        chosen = choose([self._candidate(job, node) for node in ready], job.subject.wallet.charter.t)
        if chosen is not None and len(job.sessions) >= MAX_SESSIONS:
            self.close(job, "closed", "sessions-exhausted", turn)
            self._voice.tell_client(job, job.subject.client, turn)
            return
        if chosen is not None:
            self._order(job, chosen, turn)
            return
        if choose([self._candidate(job, node) for node in approving], job.subject.wallet.charter.t):
            for node in approving:
                if node not in ready and not job.nonces_follow(node, now):
                    self._voice.say_again(
                        Kind.NONCE_REQUEST, node, NonceRequest(len(job.sessions)), job, turn
                    )

    def _preferred(self, job: Job, now: Now) -> list[bytes]:
        """Who may be ordered now: for a while after a failure, the fewest-failed who make a quorum between them.

        Else one node that is always first and never signs would be in every session.
        """
        approving = [node for node in job.approving(now) if not self._presence.mismatched(node)]
        if job.lost_at_ms is None or now.monotonic_ms - job.lost_at_ms >= PATIENCE_MS:
            return approving
        for most in sorted({job.losses.get(node, 0) for node in approving}):
            few = [node for node in approving if job.losses.get(node, 0) <= most]
            if choose([self._candidate(job, node) for node in few], job.subject.wallet.charter.t):
                return few
        return approving

    def _candidate(self, job: Job, node: bytes) -> Candidate:
        verdict, _ = job.verdicts[node]
        entry = self._roster.node(node)
        role = entry.role if entry is not None else ""
        return Candidate(node, Seat(role, verdict.policy_digest), conditions_of(verdict))

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
            self._voice.say_again(Kind.ORDER, node, session.order, job, turn, session_id=session_id)

    def psigs(self, job: Job, letter: Letter, body: PartialSignatures, turn: Turn) -> None:
        """A signer's answer to an order; with the last one the session ends."""
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
            self.close(job, "closed", bad.code, turn)
            return
        self._end(job, Final(signatures, transaction), turn)

    def _end(self, job: Job, final: Final, turn: Turn) -> None:
        subject = job.subject
        wallet = subject.wallet
        kept = FinalKept(
            turn.now.wall_ms, subject.request_id, final.signatures, final.transaction, *subject.next_indexes
        )
        turn.note(kept, wallet.wallet_id)
        job.state, job.codes, job.final = "final", (), final
        self._jobs.saw(wallet.wallet_id, *subject.next_indexes)
        self._jobs.forgive(subject.client, subject.request_id)
        self._jobs.end(job)
        self._voice.tell_client(job, subject.client, turn)
        for member in wallet.charter.members:
            self._voice.tell(Kind.FINAL, member.identity, final, job, turn)

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
        self._voice.tell_client(job, job.subject.client, turn)

    def lost(self, job: Job, node: bytes, turn: Turn) -> None:
        """A signer's nonces are gone: that session cannot end, nobody is to blame, but others come first now."""
        job.nonces.pop(node, None)
        session = job.current
        if session is not None and node in session.members and node not in session.psigs:
            session.open = False
            self.count_loss(job, [node], turn)

    def count_loss(self, job: Job, nodes: Iterable[bytes], turn: Turn) -> None:
        """A session was lost with these nodes: others come first for a while."""
        for node in nodes:
            job.losses[node] = job.losses.get(node, 0) + 1
        job.lost_at_ms = turn.now.monotonic_ms

    def close(self, job: Job, state: str, code: str, turn: Turn) -> None:
        """End a request without a signature, and remember why."""
        turn.note(ClosedKept(turn.now.wall_ms, job.subject.request_id, code), job.subject.wallet.wallet_id)
        job.state, job.codes = state, (code,)
        self._jobs.failed(job, turn.now.wall_ms + FAILED_WINDOW_MS)
