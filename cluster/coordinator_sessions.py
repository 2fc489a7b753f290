"""How the coordinator orders sessions and puts partial signatures into one.

Sessions follow ROAST: whoever answers wrongly is out, whoever is silent is passed over until it speaks again, and
every try uses fresh nonces, so n-t+1 sessions are enough while t honest nodes can be reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cluster.approvals import conditions_of
from cluster.codec import BadLetter, Letter
from cluster.coordinator_telling import Telling
from cluster.effects import Now
from cluster.jobs import Job, Jobs, Session
from cluster.journal import ClosedKept, ComplaintKept, CosigningKept, FinalKept
from cluster.messages import (
    Cosigned,
    Decision,
    Final,
    Kind,
    NonceRequest,
    Order,
    OrderEntry,
    PartialSignatures,
    SignedLetter,
    SignerPart,
)
from cluster.presence import Presence
from cluster.quorum import Candidate, choose, choose_exact
from cluster.requests import FAILED_WINDOW_MS
from cluster.roster import Roster
from cluster.schemes import Blame, Signer
from cluster.subjects import BadRequest, Signed, ended
from cluster.turn import Turn
from policy import Seat

MAX_SESSIONS = 32
"""How many sessions are tried for one request; robust signing needs n-t+1 when nobody restarts."""

PATIENCE_MS = 4_000
"""How long those who have failed fewer sessions are waited for, after a session failed."""

PREFERENCE_MS = 1_000
"""How long a quorum that could sign waits for one that is preferred, whose nodes may still answer."""

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
        chosen = self._chosen(job, ready)
        if chosen is not None and len(job.sessions) >= MAX_SESSIONS:
            self.close(job, "closed", "sessions-exhausted", turn)
            self._voice.tell_client(job, job.subject.client, turn)
            return
        if chosen is not None:
            if not self._awaits_better(job, chosen, now):
                self._order(job, chosen, turn)
            return
        if self._chosen(job, approving) is not None:
            for node in approving:
                if node not in ready and not job.nonces_follow(node, now):
                    self._voice.say_again(
                        Kind.NONCE_REQUEST, node, NonceRequest(len(job.sessions)), job, turn
                    )

    def _chosen(self, job: Job, nodes: list[bytes]) -> frozenset[int] | None:
        """A quorum (participants) whose nodes are among these, the preferred first; None when there is none."""
        subject = job.subject
        charter, quorums = subject.wallet.charter, subject.quorums
        if quorums is None:
            fastest = choose([self._candidate(job, node) for node in nodes], subject.route.least)
            return None if fastest is None else charter.participants(fastest)
        candidates = {charter.participant(node): self._candidate(job, node) for node in nodes}
        known = {participant: one for participant, one in candidates.items() if participant is not None}
        return choose_exact(known, quorums, subject.route.nodes)

    def _awaits_better(self, job: Job, chosen: frozenset[int], now: Now) -> bool:
        """Whether to wait a moment because a quorum that is preferred to this one may still come about."""
        quorums = job.subject.quorums
        if quorums is None or quorums[0] == chosen:
            return False
        if job.possible_since_ms is None:
            job.possible_since_ms = now.monotonic_ms
        if now.monotonic_ms - job.possible_since_ms >= PREFERENCE_MS:
            return False
        better = quorums[: quorums.index(chosen)]
        return any(
            all(self._may_still_sign(job, i, now) for i in q & job.subject.route.nodes) for q in better
        )

    def _may_still_sign(self, job: Job, participant: int, now: Now) -> bool:
        node = job.subject.wallet.charter.members[participant].identity
        if node in job.culprits or node in job.stalled or job.losses.get(node):
            return False
        verdict = job.verdicts.get(node)
        there = self._presence.online(node, now.monotonic_ms) and not self._presence.mismatched(node)
        return there and (verdict is None or verdict[0].decision is Decision.APPROVE)

    def _preferred(self, job: Job, now: Now) -> list[bytes]:
        """Who may be ordered now: for a while after a failure, the fewest-failed who make a quorum between them.

        Else one node that is always first and never signs would be in every session.
        """
        approving = [node for node in job.approving(now) if not self._presence.mismatched(node)]
        if job.lost_at_ms is None or now.monotonic_ms - job.lost_at_ms >= PATIENCE_MS:
            return approving
        for most in sorted({job.losses.get(node, 0) for node in approving}):
            few = [node for node in approving if job.losses.get(node, 0) <= most]
            if self._chosen(job, few) is not None:
                return few
        return approving

    def _candidate(self, job: Job, node: bytes) -> Candidate:
        verdict, _ = job.verdicts[node]
        entry = self._roster.node(node)
        role = entry.role if entry is not None else ""
        return Candidate(node, Seat(role, verdict.policy_digest), conditions_of(verdict))

    def _order(self, job: Job, chosen: frozenset[int], turn: Turn) -> None:
        subject = job.subject
        entries, inside, members = [], [], []
        for index, member in enumerate(subject.wallet.charter.members):
            if index in chosen:
                nonces, signed = job.nonces.pop(member.identity)
                entries.append(OrderEntry(job.verdicts[member.identity][1], signed))
                inside.append(Signer(index, nonces.pubnonces))
                members.append(member.identity)
        signers = (*inside, *subject.outside(chosen))
        session_id = subject.session_id(signers)
        session = Session(
            session_id,
            tuple(members),
            signers,
            Order(tuple(entries), tuple(sorted(chosen - subject.route.nodes))),
            turn.now.monotonic_ms + SESSION_LIFE_MS,
        )
        job.sessions.append(session)
        job.possible_since_ms = None
        for node in members:
            self._voice.say_again(Kind.ORDER, node, session.order, job, turn, session_id=session_id)

    def psigs(self, job: Job, letter: Letter, body: PartialSignatures, turn: Turn) -> None:
        """A signer's answer to an order; with the last one the session ends."""
        node = letter.header.sender
        # The newest first: signers that give no nonces make the same session again when they are ordered again.
        known = (s for s in reversed(job.sessions) if s.session_id == letter.header.session_id)
        session = next(known, None)
        if session is None or node not in session.members:
            raise BadLetter("session-unknown", "it answers an order that was not given: nobody is convicted")
        if node in job.culprits or session.is_complete:
            return  # a proof for each repetition would fill the disk
        if len(body.psigs) != job.subject.count:
            job.culprits[node] = "psig-count"
            self._convict(job, session, {node: letter.signed}, turn)
            return
        session.psigs[node] = (body.psigs, letter.signed)
        if session.is_complete:
            self._finish(job, session, turn)

    def _finish(self, job: Job, session: Session, turn: Turn) -> None:
        """All nodes of a session answered: put the parts into signatures, or keep them for whoever signs last."""
        charter, subject = job.subject.wallet.charter, job.subject
        parts = {
            i: session.psigs[m.identity][0]
            for i, m in enumerate(charter.members)
            if m.identity in session.psigs
        }
        parts |= {
            s.participant: subject.offers.signatures[s.participant]
            for s in session.signers
            if s.participant in subject.offers.signatures
        }
        missing = [signer for signer in session.signers if signer.participant not in parts]
        tasks = subject.tasks(frozenset(signer.participant for signer in session.signers))
        try:
            if missing:
                subject.route.group.check(session.signers, parts, tasks)
                self._keep_for_cosigners(job, session, parts, turn)
                return
            signatures = subject.route.group.aggregate(session.signers, parts, tasks)
        except Blame as blame:
            guilty = {charter.members[index].identity for index in blame.culprits if index < charter.n}
            for identity in guilty:
                job.culprits[identity] = "psig-invalid"
            self._convict(job, session, {identity: session.psigs[identity][1] for identity in guilty}, turn)
            return
        session.open = False
        self._finalise(job, Signed(signatures, tuple(s.participant for s in session.signers)), turn)

    def _finalise(self, job: Job, signed: Signed, turn: Turn) -> None:
        try:
            transaction = job.subject.finalise(signed)
        except BadRequest as bad:
            self.close(job, "closed", bad.code, turn)
            return
        self._end(job, Final(signed.signatures, signed.signers, transaction), turn)

    def _keep_for_cosigners(
        self, job: Job, session: Session, parts: Mapping[int, Sequence[bytes]], turn: Turn
    ) -> None:
        session.open = False
        if job.state != "open":
            return
        job.parts = tuple(
            SignerPart(s.participant, s.pubnonces, tuple(parts.get(s.participant, ())))
            for s in session.signers
        )
        job.state = "cosigning"
        turn.note(
            CosigningKept(turn.now.wall_ms, job.subject.request_id, job.parts), job.subject.wallet.wallet_id
        )
        self._voice.tell_client(job, job.subject.client, turn)

    def cosigned(self, job: Job, letter: Letter, body: Cosigned, turn: Turn) -> None:
        """Whoever is no node has signed, as the client says; with the last one the request ends."""
        try:
            signed = ended(job.subject, job.parts, body)
        except Blame:
            self._voice.reject(letter, "cosign-invalid", turn)
            return
        except BadRequest as bad:
            self._voice.reject(letter, bad.code, turn)
            return
        self._finalise(job, signed, turn)

    def _end(self, job: Job, final: Final, turn: Turn) -> None:
        subject = job.subject
        wallet = subject.wallet
        kept = FinalKept(
            turn.now.wall_ms,
            subject.request_id,
            final.signatures,
            final.signers,
            final.transaction,
            *subject.next_indexes,
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
