"""How the coordinator orders sessions and puts partial signatures into one.

Sessions follow ROAST: whoever answers wrongly is out, whoever leaves a session without its answer is set aside until
it gives it (`cluster.coordinator_choice`), and every try uses fresh nonces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cluster.codec import BadLetter, Letter
from cluster.coordinator_choice import Choice
from cluster.coordinator_telling import Telling
from cluster.jobs import Job, Jobs, Session
from cluster.journal import ClosedKept, ComplaintKept, CosigningKept, FinalKept
from cluster.messages import (
    NO_ID,
    Cosigned,
    Final,
    HeldFinal,
    HeldParts,
    Kind,
    NonceRequest,
    Order,
    OrderEntry,
    PartialSignatures,
    SignedLetter,
    SignerPart,
)
from cluster.requests import FAILED_WINDOW_MS, most_sessions
from cluster.schemes import Blame, Signer
from cluster.subjects import BadRequest, Signed, Subject, ended
from cluster.turn import Turn

MAX_HELD_SESSIONS = 4
"""Of how many sessions of one request a node may tell a coordinator that forgot them."""

SESSION_LIFE_MS = 8_000
"""How long the signers of an order have before a silent one is passed over."""


class Sessions:
    """Who signs together, and what comes of it."""

    def __init__(self, choice: Choice, jobs: Jobs, voice: Telling) -> None:
        self._choice = choice
        self._jobs = jobs
        self._voice = voice

    def advance(self, job: Job, turn: Turn) -> None:
        """Order a session if one is possible now; ask for the nonces that one would need."""
        if job.state != "open" or job.current is not None or job.waits(turn.now):
            return
        for nodes in self._choice.tiers(job, turn.now):
            if self._choice.quorum(job, nodes, turn.now) is not None:
                self._gather(job, nodes, turn)
                return

    def _gather(self, job: Job, nodes: list[bytes], turn: Turn) -> None:
        """A quorum is among these: order it once it has nonces."""
        now = turn.now
        ready = [node for node in job.arrivals if node in nodes and job.has_nonces(node, now)]
        chosen = self._choice.quorum(job, ready, now)
        if chosen is not None and len(job.sessions) >= most_sessions(job.subject.wallet.charter):
            self.close(job, "closed", "sessions-exhausted", turn)
            self._voice.tell_client(job, job.subject.client, turn)
            return
        if chosen is not None:
            if not self._choice.awaits_better(job, chosen, now):
                self._order(job, chosen, turn)
            return
        for node in nodes:
            if node not in ready and not job.nonces_follow(node, now):
                job.asked_at_ms.setdefault(node, now.monotonic_ms)
                self._voice.say_again(Kind.NONCE_REQUEST, node, NonceRequest(len(job.sessions)), job, turn)

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
        if session is None:
            return  # it answers an order of this coordinator's earlier life: sessions end with the process
        if node not in session.members:
            raise BadLetter("session-unknown", "it answers an order that others were given")
        if node in job.culprits or session.is_complete:
            return  # a proof for each repetition would fill the disk
        if len(body.psigs) != job.subject.count:
            self._convict(job, session, {node: ("psig-count", letter.signed)}, turn)
            return
        first = session.psigs.get(node)
        if first is not None:  # said before: whatever was to be looked at in it was
            if first[0] != body.psigs and job.subject.route.group.gives_nonces:
                job.culprits[node] = "psig-twice"
                self._write_down(job, node, (first[1], letter.signed), turn)
            return
        session.psigs[node] = (body.psigs, letter.signed)
        if session.is_complete:
            self._finish(job, session, turn)
        elif not session.open:  # passed over, and here at last
            self._look_through(job, session, turn)

    def _look_through(self, job: Job, session: Session, turn: Turn) -> None:
        """Of a session that will hardly end: who lied is out, and who answered owes nothing."""
        guilty = self._liars(job, session)
        for node in session.psigs.keys() - guilty:
            job.settle(node, session.session_id)
        lies = {node: ("psig-invalid", session.psigs[node][1]) for node in guilty - job.culprits.keys()}
        if lies:
            self._convict(job, session, lies, turn)

    def _liars(self, job: Job, session: Session) -> set[bytes]:
        """Whose partial signatures, of those that are here, are invalid."""
        charter = job.subject.wallet.charter
        given = {
            i: session.psigs[m.identity][0]
            for i, m in enumerate(charter.members)
            if m.identity in session.psigs
        }
        tasks = job.subject.tasks(frozenset(signer.participant for signer in session.signers))
        try:
            job.subject.route.group.check(session.signers, given, tasks)
        except Blame as blame:
            return {charter.members[index].identity for index in blame.culprits if index < charter.n}
        return set()

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
            lies = {identity: ("psig-invalid", session.psigs[identity][1]) for identity in guilty}
            self._convict(job, session, lies, turn)
            return
        session.open = False
        signed = Signed(signatures, tuple(s.participant for s in session.signers))
        self._finalise_or_close(job, signed, turn)

    def _finalise(self, job: Job, signed: Signed, turn: Turn) -> None:
        """Finish the transaction and verify it whole; BadRequest when that cannot be."""
        transaction = job.subject.finalise(signed)
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

    def held_parts(self, job: Job, letter: Letter, held: HeldParts, turn: Turn) -> None:
        """One node's part of a session that this coordinator forgot; with the last node's it stands again."""
        subject, session_id = job.subject, letter.header.session_id
        me = subject.wallet.charter.participant(letter.header.sender)
        signers = tuple(Signer(part.participant, part.pubnonces) for part in held.signers)
        participants = frozenset(signer.participant for signer in signers)
        outside = {signer for signer in signers if signer.participant not in subject.route.nodes}
        sound = len(participants) == len(signers) and subject.route.admits(participants)
        # Nonces that no outsider committed to would be parts that nobody could ever complete.
        if not sound or not subject.route.outsiders or outside != set(subject.outside(participants)):
            raise BadLetter("held-parts", "these make no quorum of this request in a wallet of outsiders")
        mine = next((part.psigs for part in held.signers if part.participant == me), ())
        if me is None or not _is_part(subject, signers, me, mine, session_id):
            raise BadLetter("held-parts", "it is not this node's part of the session that it names")
        kept = job.held.setdefault(letter.header.sender, {})
        kept[session_id] = (mine, letter.signed)
        while len(kept) > MAX_HELD_SESSIONS:
            kept.pop(next(iter(kept)))
        if job.holds_until_ms is None:
            job.holds_until_ms = turn.now.monotonic_ms + SESSION_LIFE_MS
        self._stand_again(job, session_id, signers, turn)

    def _stand_again(self, job: Job, session_id: bytes, signers: tuple[Signer, ...], turn: Turn) -> None:
        charter = job.subject.wallet.charter
        members = tuple(charter.members[s.participant].identity for s in signers if s.participant < charter.n)
        if all(session_id in job.held.get(member, {}) for member in members):
            given = {member: job.held[member][session_id] for member in members}
            self._finish(job, Session(session_id, members, signers, Order((), ()), 0, given), turn)

    def held_final(self, job: Job, held: HeldFinal, turn: Turn) -> None:
        """How a request ended, as a node has it; BadLetter when that finishes nothing."""
        try:
            self._finalise(job, Signed(held.signatures, held.signers), turn)
        except BadRequest as bad:
            raise BadLetter("final-invalid", str(bad)) from None

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
        self._finalise_or_close(job, signed, turn)

    def _finalise_or_close(self, job: Job, signed: Signed, turn: Turn) -> None:
        try:
            self._finalise(job, signed, turn)
        except BadRequest as bad:
            self.close(job, "closed", bad.code, turn)

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

    def _convict(
        self, job: Job, session: Session, lies: Mapping[bytes, tuple[str, SignedLetter]], turn: Turn
    ) -> None:
        """Remember who cheated, with the letters that prove it: the order's entries and the signed answer."""
        session.open = False
        proof = tuple(part for entry in session.order.entries for part in (entry.verdict, entry.nonces))
        for identity, (code, answer) in lies.items():
            if identity not in job.culprits:
                job.culprits[identity] = code
                self._write_down(job, identity, (*proof, answer), turn)
        for node in session.psigs.keys() - job.culprits.keys():
            job.settle(node, session.session_id)
        self._voice.tell_client(job, job.subject.client, turn)

    def _write_down(self, job: Job, node: bytes, proof: tuple[SignedLetter, ...], turn: Turn) -> None:
        job.nonces.pop(node, None)
        kept = ComplaintKept(turn.now.wall_ms, node, job.culprits[node], proof)
        turn.note(kept, job.subject.wallet.wallet_id)

    def lost(self, job: Job, node: bytes, turn: Turn, about: bytes = NO_ID) -> None:
        """A node cannot end what it was ordered: nobody is to blame, but others come first now.

        Where it does not sign with another (`about`), that one comes last; whoever doubts two comes last itself.
        """
        job.nonces.pop(node, None)
        session = job.current
        doubts = {other for doubter, other in job.doubts if doubter == node}
        if about in job.nodes:  # of a session that others gave up before, too
            job.doubts.add((node, about))
        if session is not None and node in session.members and node not in session.psigs:
            first = about in session.members and doubts <= {about}
            self.pass_over(job, session, [about if first else node], turn)

    def pass_over(self, job: Job, session: Session, nodes: Iterable[bytes], turn: Turn) -> None:
        """A session is given up for these nodes' sake: they owe their answer from now on."""
        session.open = False
        for node in nodes:
            job.lose(node, session.session_id, turn.now)
        self._look_through(job, session, turn)

    def close(self, job: Job, state: str, code: str, turn: Turn) -> None:
        """End a request without a signature, and remember why."""
        turn.note(ClosedKept(turn.now.wall_ms, job.subject.request_id, code), job.subject.wallet.wallet_id)
        job.state, job.codes = state, (code,)
        self._jobs.failed(job, turn.now.wall_ms + FAILED_WINDOW_MS)


def _is_part(
    subject: Subject, signers: Sequence[Signer], me: int, psigs: tuple[bytes, ...], session_id: bytes
) -> bool:
    """Whether these are one signer's valid partial signatures of the session of this name."""
    counts = {len(psigs), *(len(signer.pubnonces) for signer in signers)}
    if counts != {subject.count} or not subject.route.group.gives_nonces:
        return False
    try:
        if subject.session_id(signers) != session_id:
            return False
        tasks = subject.tasks(frozenset(signer.participant for signer in signers))
        subject.route.group.check(signers, {me: psigs}, tasks)
    except (Blame, BadRequest, ValueError):
        return False
    return True
