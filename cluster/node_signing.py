"""How a node judges a request and signs it: verdict, nonces, order, partial signatures.

Life of a request: `open` (judged; the verdict may change with the owner's answer, the budget or the clock), then
`refused` (for good: whoever still wants the spend must ask anew), `closed` (expired unsigned), or `may-be-signed`
(a partial signature is on disk: never expired or cancelled, its budget stays booked) and at last `final` (a
verified transaction was seen). Nothing is signed without a policy check of that moment, and the same session is
answered with the stored bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from cluster.approvals import NONCE_LIFE_MS, VERDICT_LIFE_MS, Approval, read_approval
from cluster.codec import BadLetter, Letter, encode, open_inner
from cluster.effects import Question
from cluster.journal import (
    AnswerKept,
    Body,
    ClosedKept,
    FinalKept,
    JudgedKept,
    RequestKept,
    SignedKept,
)
from cluster.judging import Judge, Judgement
from cluster.messages import (
    MAX_CODES,
    NO_ID,
    Busy,
    Decision,
    Final,
    Gone,
    Kind,
    NonceRequest,
    Nonces,
    Order,
    PartialSignatures,
    Propose,
    SignedLetter,
    Verdict,
    Withdraw,
)
from cluster.roster import Roster, digest
from cluster.schemes import Signer, Wallet
from cluster.subjects import BadRequest, Subject, understand
from cluster.turn import Turn
from cluster.vault import NoncesGone, Vault

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

RENEW_BEFORE_MS = 2 * 60_000
"""An approval is renewed when it has less than this left."""


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


class SigningDesk:
    """The signing half of a node."""

    def __init__(
        self, roster: Roster, me: bytes, vault: Vault, judge: Judge, wallets: dict[bytes, Wallet]
    ) -> None:
        self._roster = roster
        self._me = me
        self._vault = vault
        self._judge = judge
        self._wallets = wallets
        self._answers: dict[bytes, Said] = {}
        self.tickets: dict[bytes, Ticket] = {}
        self._live: dict[bytes, Ticket] = {}
        self._counted: dict[bytes, list[Ticket]] = {}
        self._queue: deque[Ticket] = deque()
        self._forgotten: dict[bytes, str] = {}

    # What records say, read again at start.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case RequestKept(request=request):
                self._restore_request(request, wallet_id, entry.at_ms)
            case AnswerKept(request_id=request_id, yes=yes):
                self._hear_owner(self.tickets[request_id], yes)
            case JudgedKept(request_id=request_id, codes=codes):
                self._restore_judgement(
                    self.tickets[request_id], Decision(entry.decision), codes, entry.policy_digest
                )
            case SignedKept(request_id=request_id):
                ticket = self.tickets[request_id]
                ticket.signed[entry.session_id] = entry
                ticket.state = "may-be-signed"
                self._judge.book(entry, ticket.subject)
                self._saw(ticket.subject)
            case FinalKept(request_id=request_id, transaction=transaction):
                self.tickets[request_id].state = "final"
                self.tickets[request_id].transaction = transaction
                self._saw(self.tickets[request_id].subject)
            case ClosedKept(request_id=request_id):
                self.tickets[request_id].state = "closed"
            case _:
                pass

    def _restore_request(self, request: SignedLetter, wallet_id: bytes, at_ms: int) -> None:
        letter = open_inner(request, Kind.REQUEST)
        self._forget_ended(at_ms)
        subject = understand(self._wallets[wallet_id], letter)
        self._enter(_new_ticket(subject, letter, at_ms))

    def _restore_judgement(
        self, ticket: Ticket, decision: Decision, codes: tuple[str, ...], policy_digest: bytes
    ) -> None:
        """A refusal stands; anything milder is judged again before it is said."""
        if decision is Decision.REFUSE:
            ticket.judgement = Judgement.refusal(codes, policy_digest)
            if ticket.state == "open":
                ticket.state = "refused"

    # What the coordinator brings.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one signing letter from a coordinator; raises BadLetter when it makes no sense."""
        if letter.header.request_id in self._forgotten and isinstance(
            letter.body, NonceRequest | Order | Final
        ):
            if not isinstance(letter.body, Final):
                self._gone(letter, "nonces-closed", turn)
            return
        match letter.body:
            case Propose(request=request):
                self._propose(letter, request, turn)
            case NonceRequest():
                self._nonces(letter, turn)
            case Order():
                self._order(letter, letter.body, turn)
            case Final():
                self._final(letter, letter.body, turn)
            case Busy() | Gone():
                pass
            case _:
                raise BadLetter("letter-kind", f"a node has no use for a {letter.header.kind.name}")

    def _propose(self, letter: Letter, request: SignedLetter, turn: Turn) -> None:
        inner = open_inner(request, Kind.REQUEST)
        coordinator = letter.header.sender
        client = self._roster.client(inner.header.sender)
        if client is None:
            raise BadLetter("request-stranger", "the request is not from an enrolled client")
        if inner.header.cluster_id != self._roster.cluster_id:
            raise BadLetter("letter-cluster", "the request is about another cluster")
        wallet = self._wallets.get(inner.header.wallet_id)
        if wallet is None:
            self._refuse_unread(inner, coordinator, "request-wallet", turn)
            return
        if not wallet.complete:
            self._busy(inner, coordinator, 2_000, turn)  # the others may know before this node that it is
            return
        known = self.tickets.get(inner.header.request_id)
        if known is not None:
            self._repeat(known, coordinator, turn)
            return
        ended = self._forgotten.get(inner.header.request_id)
        if ended is not None:
            self._refuse_unread(inner, coordinator, ended, turn)
            return
        if inner.header.expires_at_ms < turn.now.wall_ms:
            self._refuse_unread(inner, coordinator, "request-expired", turn)
            return
        if self._crowded(inner.header.sender, turn.now.wall_ms):
            self._busy(inner, coordinator, 60_000, turn)
            return
        try:
            subject = understand(wallet, inner)
        except BadRequest as bad:
            self._refuse_unread(inner, coordinator, bad.code, turn)
            return
        self._judge_new(_new_ticket(subject, inner, turn.now.wall_ms), coordinator, turn)

    def _judge_new(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        subject = ticket.subject
        self._forget_ended(turn.now.wall_ms)
        self._enter(ticket)
        turn.note(RequestKept(turn.now.wall_ms, ticket.request), subject.wallet.wallet_id)
        self._judge_again(ticket, turn)
        self._say_verdict(ticket, coordinator, turn)
        if ticket.judgement.decision is Decision.ASK:
            turn.ask(self.question(ticket))

    def _refuse_unread(self, inner: Letter, coordinator: bytes, code: str, turn: Turn) -> None:
        """A request that cannot be read, or is about nothing known here: say so, keep no trace."""
        verdict = Verdict(
            decision=Decision.REFUSE,
            codes=(code,),
            spend_id=NO_ID,
            policy_digest=NO_ID,
            chain_head=turn.head.hash,
            need_nodes=0,
            roles=(),
            expires_at_ms=turn.now.wall_ms + VERDICT_LIFE_MS,
        )
        turn.tell(
            Kind.VERDICT,
            coordinator,
            verdict,
            wallet_id=inner.header.wallet_id,
            request_id=inner.header.request_id,
        )

    def _busy(self, inner: Letter, coordinator: bytes, retry_after_ms: int, turn: Turn) -> None:
        turn.tell(
            Kind.BUSY,
            coordinator,
            Busy(retry_after_ms),
            wallet_id=inner.header.wallet_id,
            request_id=inner.header.request_id,
        )

    def _repeat(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        self._judge_again(ticket, turn)
        self._say_verdict(ticket, coordinator, turn)

    def _judge_again(self, ticket: Ticket, turn: Turn) -> None:
        """Judge with the budget, clock and answers of this moment; a changed judgement is remembered."""
        if not ticket.live:
            return
        subject = ticket.subject
        before = ticket.judgement
        ticket.judgement = self._judge.judge(subject, self._owner_said(ticket, turn.now.wall_ms), turn.now)
        if ticket.judgement.decision is Decision.REFUSE and ticket.state == "open":
            ticket.state = "refused"
            self._drop_nonces(ticket)
        if ticket.judgement.same_as(before):
            return
        turn.note(
            JudgedKept(
                turn.now.wall_ms,
                subject.request_id,
                subject.spend_id,
                int(ticket.judgement.decision),
                ticket.judgement.codes,
                ticket.judgement.policy_digest,
            ),
            subject.wallet.wallet_id,
        )

    def _say_verdict(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        """Say the verdict of this moment and, with an approval, the nonces that go with it."""
        subject, judgement = ticket.subject, ticket.judgement
        if ticket.state == "closed":
            judgement = Judgement.refusal(("request-expired",), judgement.policy_digest)
        ticket.verdict_until_ms = min(turn.now.wall_ms + VERDICT_LIFE_MS, ticket.expires_at_ms)
        if ticket.state == "may-be-signed":
            ticket.verdict_until_ms = turn.now.wall_ms + VERDICT_LIFE_MS
        self._tell(
            Kind.VERDICT,
            Verdict(
                decision=judgement.decision,
                codes=judgement.codes[:MAX_CODES],
                spend_id=subject.spend_id,
                policy_digest=judgement.policy_digest,
                chain_head=turn.head.hash,
                need_nodes=judgement.need_nodes,
                roles=judgement.roles,
                expires_at_ms=ticket.verdict_until_ms,
            ),
            ticket,
            coordinator,
            turn,
        )
        if ticket.live and judgement.approves:
            self._say_nonces(ticket, coordinator, turn)

    def _say_nonces(self, ticket: Ticket, coordinator: bytes, turn: Turn) -> None:
        subject = ticket.subject
        if ticket.batch is None or ticket.batch.expires_at_ms <= turn.now.wall_ms:
            pubnonces = self._vault.nonces(subject.wallet, subject.request_id, subject.tasks, turn.random())
            ticket.batch = Batch(pubnonces, turn.now.wall_ms + NONCE_LIFE_MS)
        self._tell(
            Kind.NONCES, Nonces(ticket.batch.pubnonces, ticket.batch.expires_at_ms), ticket, coordinator, turn
        )

    def _nonces(self, letter: Letter, turn: Turn) -> None:
        ticket = self._ticket(letter)
        if not ticket.live or len(ticket.signed) >= MAX_SESSIONS:
            self._gone(letter, "nonces-closed", turn)
            return
        self._judge_again(ticket, turn)
        if not ticket.judgement.approves:
            self._say_verdict(ticket, letter.header.sender, turn)
            return
        if ticket.verdict_until_ms < turn.now.wall_ms + NONCE_LIFE_MS:
            self._say_verdict(ticket, letter.header.sender, turn)
            return
        self._say_nonces(ticket, letter.header.sender, turn)

    # The order, and the answer to it.

    def _order(self, letter: Letter, order: Order, turn: Turn) -> None:
        ticket = self._ticket(letter)
        subject = ticket.subject
        order_digest = digest(encode(order))
        stored = next((kept for kept in ticket.signed.values() if kept.order_digest == order_digest), None)
        if stored is not None:
            self._say_psigs(ticket, stored, letter.header.sender, turn)
            return
        try:
            approvals = self._read_order(ticket, order, turn)
        except BadLetter as bad:
            if bad.code not in {"approval-expired", "order-nonces-expired"}:
                raise
            self._gone(letter, bad.code, turn)  # slowness is nobody's fault, and others wait for an answer
            return
        signers = tuple(Signer(a.participant, a.pubnonces) for a in approvals)
        session_id = subject.wallet.session_id(subject.request_id, signers, subject.tasks)
        stored = ticket.signed.get(session_id)
        if stored is not None:
            self._say_psigs(ticket, stored, letter.header.sender, turn)
            return
        fault = self._fault_of(ticket, approvals, turn)
        if fault is not None:
            self._gone(letter, fault, turn)
            return
        self._judge_again(ticket, turn)
        if not ticket.judgement.approves:
            self._say_verdict(ticket, letter.header.sender, turn)
            return
        short = ticket.judgement.lacks({a.identity: self._role(a.identity) for a in approvals})
        if short is not None:
            self._gone(letter, "order-quorum", turn)
            self._say_verdict(
                ticket, letter.header.sender, turn
            )  # its conditions may be newer than the order
            return
        self._sign(ticket, signers, session_id, order_digest, letter.header.sender, turn)

    def _read_order(self, ticket: Ticket, order: Order, turn: Turn) -> tuple[Approval, ...]:
        subject = ticket.subject
        charter = subject.wallet.charter
        if not charter.t <= len(order.entries) <= charter.n:
            raise BadLetter("order-signers", f"{len(order.entries)} signers for {charter.t} of {charter.n}")
        approvals = tuple(
            read_approval(
                entry, charter, subject.request_id, subject.spend_id, len(subject.tasks), turn.now.wall_ms
            )
            for entry in order.entries
        )
        ids = [approval.participant for approval in approvals]
        if any(a >= b for a, b in pairwise(ids)):
            raise BadLetter("order-signers", "the signers are not in order, or one stands twice")
        if charter.participant(self._me) not in ids:
            raise BadLetter("order-signers", "this node is not among the signers")
        return approvals

    def _fault_of(self, ticket: Ticket, approvals: tuple[Approval, ...], turn: Turn) -> str | None:
        """Why this node has no unused nonces for such an order; None when it has."""
        if not ticket.live or len(ticket.signed) >= MAX_SESSIONS:
            return "nonces-closed"
        mine = next(approval for approval in approvals if approval.identity == self._me)
        batch = ticket.batch
        if batch is None or batch.pubnonces != mine.pubnonces:
            return "nonces-gone"
        if batch.expires_at_ms < turn.now.wall_ms:
            self._vault.forget(ticket.subject.wallet.wallet_id, ticket.subject.request_id)
            ticket.batch = None
            return "nonces-expired"
        return None

    def _sign(
        self,
        ticket: Ticket,
        signers: tuple[Signer, ...],
        session_id: bytes,
        order_digest: bytes,
        coordinator: bytes,
        turn: Turn,
    ) -> None:
        subject = ticket.subject
        assert ticket.batch is not None  # _fault_of checked it
        pubnonces, ticket.batch = ticket.batch.pubnonces, None
        try:
            psigs = self._vault.sign(subject.wallet, subject.request_id, signers, subject.tasks)
        except NoncesGone:
            self._tell(Kind.GONE, Gone("nonces-gone"), ticket, coordinator, turn)
            return
        kept = SignedKept(
            at_ms=turn.now.wall_ms,
            request_id=subject.request_id,
            spend_id=subject.spend_id,
            session_id=session_id,
            order_digest=order_digest,
            pubnonces=pubnonces,
            psigs=psigs,
            budget_ms=self._judge.budget_time(turn.now),
            policy_digest=ticket.judgement.policy_digest,
        )
        ticket.signed[session_id] = kept
        ticket.state = "may-be-signed"
        self._judge.book(kept, subject)
        self._saw(subject)
        turn.note(kept, subject.wallet.wallet_id)
        self._say_psigs(ticket, kept, coordinator, turn)

    def _say_psigs(self, ticket: Ticket, kept: SignedKept, coordinator: bytes, turn: Turn) -> None:
        self._tell(
            Kind.PARTIAL_SIGNATURES,
            PartialSignatures(kept.psigs),
            ticket,
            coordinator,
            turn,
            session_id=kept.session_id,
        )

    def _final(self, letter: Letter, final: Final, turn: Turn) -> None:
        if letter.header.request_id not in self.tickets:
            return  # it was asked for and signed while this node was away
        ticket = self._ticket(letter)
        if ticket.state == "final":
            return
        try:
            transaction = ticket.subject.finalise(final.signatures)
        except BadRequest as bad:
            raise BadLetter("final-invalid", str(bad)) from None
        if transaction != final.transaction:
            raise BadLetter("final-invalid", "the transaction is not what these signatures finish")
        turn.note(
            FinalKept(turn.now.wall_ms, ticket.subject.request_id, final.signatures, transaction),
            ticket.subject.wallet.wallet_id,
        )
        ticket.state, ticket.transaction = "final", transaction
        self._saw(ticket.subject)
        self._drop_nonces(ticket)

    # What the owner says, and what time brings.

    def answer(self, request_id: bytes, yes: bool, coordinators: Iterable[bytes], turn: Turn) -> Judgement:
        """The owner's answer to a request; raises ValueError when there is nothing left to answer."""
        ticket = self.tickets[request_id]
        said = self._owner_said(ticket, turn.now.wall_ms)
        refused_by_owner = ticket.state == "refused" and said is False
        if ticket.state != "open" and not refused_by_owner:
            raise ValueError(f"the request is {ticket.state}: there is nothing left to answer")
        if ticket.expires_at_ms < turn.now.wall_ms:
            raise ValueError("the request has expired")
        subject = ticket.subject
        was_approved = ticket.judgement.approves
        self._hear_owner(ticket, yes)
        turn.note(AnswerKept(turn.now.wall_ms, request_id, subject.spend_id, yes), subject.wallet.wallet_id)
        self._judge_again(ticket, turn)
        if not ticket.judgement.approves:
            self._drop_nonces(ticket)
        for coordinator in coordinators:
            if was_approved and not yes:
                self._tell(Kind.WITHDRAW, Withdraw("owner-refused"), ticket, coordinator, turn)
            self._say_verdict(ticket, coordinator, turn)
        return ticket.judgement

    def _hear_owner(self, ticket: Ticket, yes: bool) -> None:
        """The answer holds for the spend; a yes opens again what only the owner's own no had refused."""
        self._answers[ticket.subject.spend_id] = Said(yes, ticket.expires_at_ms)
        if yes and ticket.state == "refused":
            ticket.state, ticket.judgement = "open", Judgement.nothing_yet()
            self._add(ticket)

    def _owner_said(self, ticket: Ticket, wall_ms: int) -> bool | None:
        """What the owner's word on this spend is worth now; None where there is none, or it has run out.

        A yes must not outlive the request that was shown: a client could keep it and have a forgotten payment
        made a year later. What may be signed already is finished under the yes it began with.
        """
        said = self._answers.get(ticket.subject.spend_id)
        if said is None:
            return None
        stands = not said.yes or ticket.state == "may-be-signed" or wall_ms <= said.until_ms
        return said.yes if stands else None

    def tick(self, coordinators: Iterable[bytes], turn: Turn) -> int | None:
        """Renew standing approvals, drop old nonces, close what expired; the wall time when to come again."""
        due: list[int] = []
        for ticket in self._live_tickets():
            if ticket.batch is not None:
                if ticket.batch.expires_at_ms <= turn.now.wall_ms:
                    self._drop_nonces(ticket)
                else:
                    due.append(ticket.batch.expires_at_ms)
            if ticket.state == "open" and ticket.expires_at_ms < turn.now.wall_ms:
                self._close(ticket, "request-expired", turn)
                continue
            if ticket.state == "may-be-signed":
                continue  # it never expires, so nothing is due
            due.append(ticket.expires_at_ms + 1)
            if ticket.judgement.approves:
                if (
                    ticket.verdict_until_ms - RENEW_BEFORE_MS
                    <= turn.now.wall_ms
                    < ticket.expires_at_ms - RENEW_BEFORE_MS
                ):
                    self._judge_again(ticket, turn)
                    for coordinator in coordinators:
                        self._say_verdict(ticket, coordinator, turn)
                    if ticket.judgement.decision is Decision.ASK:
                        turn.ask(self.question(ticket))  # an earlier yes to the same spend has run out
                due.append(max(turn.now.wall_ms + 1000, ticket.verdict_until_ms - RENEW_BEFORE_MS))
        return min(due, default=None)

    def resume(self, turn: Turn) -> None:
        """After a start: judge what is open, so that the owner is asked again; anything else waits to be proposed."""
        for ticket in self._live_tickets():
            if ticket.state == "open" and ticket.expires_at_ms >= turn.now.wall_ms:
                said = self._owner_said(ticket, turn.now.wall_ms)
                judgement = self._judge.judge(ticket.subject, said, turn.now)
                if judgement.decision is Decision.ASK:
                    ticket.judgement = judgement

    def forget_nonces(self) -> None:
        """Drop every nonce in memory: the clocks jumped, so this memory may have been copied."""
        for ticket in self.tickets.values():
            self._drop_nonces(ticket)

    def question(self, ticket: Ticket) -> Question:
        """What the owner is asked about a request, in words."""
        name = ticket.subject.wallet.charter.name
        return Question(ticket.subject.request_id, name, ticket.judgement.question, ticket.expires_at_ms)

    def questions(self, wall_ms: int) -> tuple[Question, ...]:
        """Every request that waits for the owner."""
        return tuple(
            self.question(ticket)
            for ticket in self._live_tickets()
            if ticket.state == "open"
            and ticket.expires_at_ms >= wall_ms
            and ticket.judgement.decision is Decision.ASK
        )

    # Small things.

    def _add(self, ticket: Ticket) -> None:
        """A ticket that is new, or open again."""
        self.tickets[ticket.subject.request_id] = self._live[ticket.subject.request_id] = ticket
        counted = self._counted.setdefault(ticket.subject.client, [])
        if not any(other is ticket for other in counted):
            counted.append(ticket)

    def _enter(self, ticket: Ticket) -> None:
        """A ticket that is new."""
        self._add(ticket)
        self._queue.append(ticket)

    def _forget_ended(self, wall_ms: int) -> None:
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
                self._forgotten[request_id] = codes[0] if codes else "request-expired"
                del self.tickets[request_id]
            elif ticket.state == "open":
                self._queue.append(ticket)

    def _live_tickets(self) -> list[Ticket]:
        """Those that can still be signed, oldest first; the ended ones, of which there may be many, cost nothing."""
        for request_id in [request_id for request_id, ticket in self._live.items() if not ticket.live]:
            del self._live[request_id]
        return list(self._live.values())

    def _ticket(self, letter: Letter) -> Ticket:
        ticket = self.tickets.get(letter.header.request_id)
        if ticket is None or ticket.subject.wallet.wallet_id != letter.header.wallet_id:
            raise BadLetter("request-unknown", "no such request was proposed here")
        return ticket

    def _saw(self, subject: Subject) -> None:
        """Its addresses count as used from here on."""
        wallet_id = subject.wallet.wallet_id
        self._wallets[wallet_id] = self._wallets[wallet_id].having_seen(subject.spend)

    def _crowded(self, client: bytes, wall_ms: int) -> bool:
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

    def _role(self, identity: bytes) -> str:
        node = self._roster.node(identity)
        return node.role if node is not None else ""

    def _close(self, ticket: Ticket, code: str, turn: Turn) -> None:
        self._drop_nonces(ticket)
        ticket.state = "closed"
        turn.note(
            ClosedKept(turn.now.wall_ms, ticket.subject.request_id, code), ticket.subject.wallet.wallet_id
        )

    def _drop_nonces(self, ticket: Ticket) -> None:
        ticket.batch = None
        self._vault.forget(ticket.subject.wallet.wallet_id, ticket.subject.request_id)

    def _gone(self, letter: Letter, code: str, turn: Turn) -> None:
        header = letter.header
        turn.tell(
            Kind.GONE, header.sender, Gone(code), wallet_id=header.wallet_id, request_id=header.request_id
        )

    def _tell(
        self,
        kind: Kind,
        body: Verdict | Nonces | PartialSignatures | Gone | Withdraw,
        ticket: Ticket,
        coordinator: bytes,
        turn: Turn,
        *,
        session_id: bytes = NO_ID,
    ) -> None:
        turn.tell(
            kind,
            coordinator,
            body,
            wallet_id=ticket.subject.wallet.wallet_id,
            request_id=ticket.subject.request_id,
            session_id=session_id,
        )


def _new_ticket(subject: Subject, request: Letter, at_ms: int) -> Ticket:
    """A ticket that nobody has judged; good for as long as its client signed, within bounds."""
    expires_at_ms = min(request.header.expires_at_ms, at_ms + MAX_REQUEST_LIFE_MS)
    return Ticket(subject, request.signed, expires_at_ms, at_ms, Judgement.nothing_yet())
