"""The requests of a node, one ticket each, what its owner and people said of them, and what records say of both.

Life of a request: `open` (judged; the verdict may change with the owner's answer, the budget or the clock), then
`refused` (for good: whoever still wants the spend must ask anew), `closed` (expired unsigned), or `may-be-signed`
(a partial signature is on disk: never expired or cancelled, its budget stays booked) and at last `final` (a
verified transaction was seen). What has ended is kept as a trace (`cluster.requests`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from msgspec.structs import replace

from cluster.codec import BadLetter, Letter, open_inner
from cluster.held_letters import HeldParts, HeldRequest, HeldWord
from cluster.held_records import SessionKept
from cluster.journal import (
    AnswerKept,
    ClosedKept,
    FinalKept,
    JudgedKept,
    NoticeKept,
    PersonSaidKept,
    RequestKept,
    SignedKept,
    UsedKept,
    WaitKept,
)
from cluster.judging import Judge, Judgement, OwnerWord, Words
from cluster.messages import (
    NO_ID,
    Decision,
    Gone,
    HeldFinal,
    Kind,
    Nonces,
    PartialSignatures,
    PersonSays,
    SignedLetter,
    SignerPart,
    Verdict,
    Withdraw,
)
from cluster.nonce_batches import Batch
from cluster.people_words import PeopleWords
from cluster.record_body import Body
from cluster.requests import FAILED_WINDOW_MS, Shelf, Trace, used_up
from cluster.schemes import Wallet
from cluster.subjects import Subject
from cluster.turn import Turn
from policy.rescuing import is_rescue

MAX_REQUEST_LIFE_MS = 7 * 24 * 3_600_000
"""No request is good for longer than this, whatever its letter says."""

MAX_NOTICES = 20
"""How many notices are shown."""


@dataclass(frozen=True, slots=True)
class Said:
    """The owner's word on a spend, a no for good, a yes until its request expires; and the freezes before it."""

    word: OwnerWord
    until_ms: int
    freezes: int


@dataclass(slots=True)
class Waiting:
    """Since when, by the policy clock, a spend waits, and for which requests: it ends with the last of them."""

    since_ms: int
    requests: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Ticket:
    """One request as this node sees it; nonces (`batches`) and sessions (`orders`) each coordinator has of its own."""

    subject: Subject
    request: SignedLetter
    expires_at_ms: int
    made_at_ms: int
    judgement: Judgement
    state: str = "open"
    verdict_until_ms: int = 0
    batches: dict[bytes, Batch] = field(default_factory=dict)
    orders: Counter[bytes] = field(default_factory=Counter)
    signed: dict[bytes, SignedKept] = field(default_factory=dict)
    said_no: bool = False
    sessions: dict[bytes, tuple[SignerPart, ...]] = field(default_factory=dict)
    final: HeldFinal | None = None

    @property
    def live(self) -> bool:
        """Whether it can still be signed."""
        return self.state in {"open", "may-be-signed"}

    def exhausted(self, coordinator: bytes, coordinators: int) -> bool:
        """Whether this node signs no more of it for this one of so many coordinators."""
        charter, signed, ordered = self.subject.wallet.charter, len(self.signed), self.orders[coordinator]
        return used_up(charter, signed=signed, ordered=ordered, coordinators=coordinators)


@dataclass(slots=True)
class TicketTrace(Trace):
    """What is left of a ticket: what a repeated proposal or order is answered, and what this node last thought."""

    decision: Decision = Decision.REFUSE
    judged: tuple[str, ...] = ()
    spend_id: bytes = NO_ID
    policy_digest: bytes = NO_ID
    signed: dict[bytes, SignedKept] = field(default_factory=dict)
    said_no: bool = False
    sessions: dict[bytes, tuple[SignerPart, ...]] = field(default_factory=dict)
    final: HeldFinal | None = None


class Tickets(Shelf[Ticket, TicketTrace]):
    """The requests of one node, and the words of its owner."""

    def __init__(self, wallets: dict[bytes, Wallet], judge: Judge) -> None:
        super().__init__(wallets, _trace)
        self._judge = judge
        self.people = PeopleWords()
        self._answers: dict[bytes, Said] = {}
        self._waits: dict[bytes, Waiting] = {}
        self._told: dict[tuple[bytes, str], None] = {}

    def live(self) -> list[Ticket]:
        """Those that can still be signed, oldest first."""
        return [ticket for ticket in self.whole.values() if ticket.live]

    def of(self, letter: Letter) -> Ticket:
        """The ticket that a letter is about; BadLetter when there is none."""
        ticket = self.whole.get(letter.header.request_id)
        if ticket is None:
            raise BadLetter("request-unknown", "no such request was proposed here")
        if ticket.subject.wallet.wallet_id != letter.header.wallet_id:
            raise BadLetter("letter-wallet", "the request is about another wallet")
        return ticket

    def refused(self, ticket: Ticket, wall_ms: int) -> None:
        """It was refused just now; a no to this very request the owner may take back until it expires."""
        ticket.state = "refused"
        until_ms = wall_ms + FAILED_WINDOW_MS
        self.failed(ticket, max(until_ms, ticket.expires_at_ms) if ticket.said_no else until_ms)

    def failed(self, item: Ticket, until_ms: int) -> None:
        """It came to nothing; so did its wait, unless another request for the same spend goes on with it."""
        super().failed(item, until_ms)
        self._stops_waiting(item.subject.spend_id, item.subject.request_id)

    # The owner's words.

    def hear_owner(self, ticket: Ticket, word: OwnerWord) -> None:
        """The answer holds for the spend; a yes opens again what only the owner's own no had refused."""
        freezes = self._judge.holds.count(ticket.subject.wallet.wallet_id)
        self._answers[ticket.subject.spend_id] = Said(word, ticket.expires_at_ms, freezes)
        ticket.said_no = not word.yes
        if word.yes and ticket.state == "refused":
            ticket.state, ticket.judgement = "open", Judgement.nothing_yet()
            self.forgive(ticket.subject.client, ticket.subject.request_id)

    def words(self, ticket: Ticket, wall_ms: int) -> Words:
        """What was said of this spend and counts now, and since when it waits.

        A yes must not outlive the request that was shown: a client could keep it and have a forgotten payment
        made a year later. What may be signed already is finished under the yes it began with. Nor must a yes outlive
        a freeze: a theft that was stopped by it would only have to be asked for again.
        """
        spend_id, freezes = ticket.subject.spend_id, self._since(ticket)
        begun = ticket.state == "may-be-signed"
        said = self._answers.get(spend_id)
        stands = said is not None and (
            not said.word.yes or (said.freezes >= freezes and (begun or wall_ms <= said.until_ms))
        )
        people = self.people.of(spend_id, wall_ms, begun=begun, freezes=freezes)
        wait = self._waits.get(spend_id)
        since_ms = None if wait is None else wait.since_ms
        return Words(said.word if said is not None and stands else None, people, since_ms)

    def _since(self, ticket: Ticket) -> int:
        """After how many freezes a yes must have come: all that there were, but for a rescue, which they leave open."""
        wallet_id = ticket.subject.wallet.wallet_id
        profile = self._judge.profiles.profile_for(wallet_id)
        leaves_open = profile is not None and is_rescue(profile, ticket.subject.spend)
        return 0 if leaves_open else self._judge.holds.count(wallet_id)

    # Waits and notices.

    def starts_waiting(self, ticket: Ticket, policy_ms: int | None) -> int | None:
        """When, if its judgement lets it wait and nothing waited for before, the wait of this spend begins: now.

        Where nobody knows what time it is (None), it does not begin yet.
        """
        spend_id, request_id = ticket.subject.spend_id, ticket.subject.request_id
        if spend_id in self._waits:
            self._waits[spend_id].requests.add(request_id)
            return None
        if ticket.judgement.decision is not Decision.WAIT or policy_ms is None:
            return None
        self._waits[spend_id] = Waiting(policy_ms, {request_id})
        return policy_ms

    def _stops_waiting(self, spend_id: bytes, request_id: bytes) -> None:
        """A delay that runs where nobody can see and cancel the request is none: who asks anew waits anew."""
        wait = self._waits.get(spend_id)
        if wait is not None:
            wait.requests.discard(request_id)
            if not wait.requests:
                del self._waits[spend_id]

    def untold(self, ticket: Ticket) -> tuple[str, ...]:
        """What the owner is to be told of a request and was not told yet."""
        request_id = ticket.subject.request_id
        new = tuple(text for text in ticket.judgement.notices if (request_id, text) not in self._told)
        self._told.update(((request_id, text), None) for text in new)
        return new

    @property
    def notices(self) -> tuple[str, ...]:
        """The newest things that the owner was told, each with the start of its request's id."""
        newest = list(self._told)[-MAX_NOTICES:]
        return tuple(f"{request_id.hex()[:16]}: {text}" for request_id, text in newest)

    # What records say, read again at start.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case RequestKept(request=request):
                self._restore_request(open_inner(request, Kind.REQUEST), wallet_id, entry.at_ms)
            case PersonSaidKept():
                letter = open_inner(entry.word, Kind.PERSON_SAYS)
                until_ms = self.ended[letter.header.request_id].expires_at_ms
                assert isinstance(letter.body, PersonSays)
                freezes = self._judge.holds.count_at(wallet_id, letter.body.said_at_ms)
                self.people.keep(letter, entry.policy_ms, until_ms, freezes)
            case WaitKept(spend_id=spend_id, since_ms=since_ms):
                self._waits[spend_id] = Waiting(since_ms)
            case NoticeKept(request_id=request_id, text=text):
                self._told[request_id, text] = None
            case AnswerKept(request_id=request_id, yes=yes):
                trace = self.ended[request_id]
                word = OwnerWord(yes, entry.policy_ms, entry.matched)
                freezes = self._judge.holds.count(wallet_id)
                self._answers[entry.spend_id] = Said(word, trace.expires_at_ms, freezes)
                trace.said_no = not yes
                if yes and trace.state == "refused":
                    trace.state, trace.codes = "open", ()
                    self.forgive(trace.client, request_id)
            case JudgedKept(request_id=request_id):
                self._restore_judgement(self.ended[request_id], entry)
            case SignedKept(request_id=request_id):
                trace = self.ended[request_id]
                trace.state, trace.signed[entry.session_id] = "may-be-signed", entry
                self._judge.book(entry, wallet_id)
                self.saw(wallet_id, entry.next_receive, entry.next_change)
            case SessionKept(request_id=request_id):
                trace = self.ended[request_id]
                trace.sessions[entry.session_id] = entry.signers
            case FinalKept(request_id=request_id):
                self._restore_end(self.ended[request_id], "final", "request-final")
                self.ended[request_id].final = HeldFinal(entry.signatures, entry.signers)
                self.forgive(self.ended[request_id].client, request_id)
                self.saw(wallet_id, entry.next_receive, entry.next_change)
            case ClosedKept(request_id=request_id, code=code):
                self._restore_failure(self.ended[request_id])
                self._restore_end(self.ended[request_id], "closed", code)
            case UsedKept():
                self.saw(wallet_id, entry.next_receive, entry.next_change)
            case _:
                pass

    def _restore_request(self, letter: Letter, wallet_id: bytes, at_ms: int) -> None:
        if wallet_id not in self._wallets:
            raise LookupError("no such wallet exists")
        self._drop_letters(at_ms)
        self.ended[letter.header.request_id] = TicketTrace(
            request_id=letter.header.request_id,
            wallet_id=wallet_id,
            client=letter.header.sender,
            made_at_ms=at_ms,
            expires_at_ms=_good_until(letter, at_ms),
            letter=letter,
            next_indexes=self._wallets[wallet_id].next_indexes,
        )

    def _restore_judgement(self, trace: TicketTrace, entry: JudgedKept) -> None:
        """A refusal stands; anything milder is judged again before it is said."""
        trace.spend_id = entry.spend_id
        trace.decision, trace.judged = Decision(entry.decision), entry.codes
        if entry.spend_id in self._waits:
            self._waits[entry.spend_id].requests.add(entry.request_id)
        if Decision(entry.decision) is Decision.REFUSE:
            trace.codes, trace.policy_digest = entry.codes, entry.policy_digest
            if trace.state == "open":
                trace.state = "refused"
                self._restore_failure(trace)
                until_ms = entry.at_ms + FAILED_WINDOW_MS
                self.keep_until(
                    trace.request_id, max(until_ms, trace.expires_at_ms) if trace.said_no else until_ms
                )

    def _drop_letters(self, wall_ms: int) -> None:
        """As `sweep` while records are read: until then the owner may have taken back a no."""
        for request_id in self.due(wall_ms):
            if self.ended[request_id].state == "refused":
                self.ended[request_id].letter = None

    def _restore_failure(self, trace: TicketTrace) -> None:
        size = len(trace.letter.signed.letter) if trace.letter is not None else 0
        self.count_failure(trace.client, trace.request_id, trace.made_at_ms, size)
        self._stops_waiting(trace.spend_id, trace.request_id)

    def _restore_end(self, trace: TicketTrace, state: str, code: str) -> None:
        trace.state, trace.codes, trace.letter = state, (code,), None
        trace.signed, trace.sessions = _repeatable(trace.signed), {}

    def settle(self, newest_ms: int) -> None:
        """All records are read: read what has not ended whole, and drop the letters of the rest."""
        for trace in list(self.ended.values()):
            letter, trace.letter = trace.letter, None
            may_be_taken_back = trace.said_no and trace.expires_at_ms >= newest_ms
            if letter is None or (trace.state == "refused" and not may_be_taken_back):
                continue
            del self.ended[trace.request_id]
            ticket = new_ticket(self.read_again(trace, letter), letter, trace.made_at_ms)
            ticket.state, ticket.signed, ticket.sessions = trace.state, trace.signed, trace.sessions
            if trace.codes:
                ticket.judgement = Judgement.refusal(trace.codes, trace.policy_digest)
            self.add(ticket)
            ticket.said_no = trace.said_no


def _trace(ticket: Ticket) -> TicketTrace:
    subject = ticket.subject
    codes = {"final": ("request-final",), "closed": ("request-expired",)}
    return TicketTrace(
        request_id=subject.request_id,
        wallet_id=subject.wallet.wallet_id,
        client=subject.client,
        made_at_ms=ticket.made_at_ms,
        expires_at_ms=ticket.expires_at_ms,
        state=ticket.state,
        codes=codes.get(ticket.state, ticket.judgement.codes),
        decision=ticket.judgement.decision,
        judged=ticket.judgement.codes,
        spend_id=subject.spend_id,
        policy_digest=ticket.judgement.policy_digest,
        signed=_repeatable(ticket.signed),
        final=ticket.final,
    )


def _repeatable(signed: dict[bytes, SignedKept]) -> dict[bytes, SignedKept]:
    """Of stored answers, what a repeated order is answered with."""
    return {key: replace(kept, pubnonces=(), outpoints=(), payments=()) for key, kept in signed.items()}


def new_ticket(subject: Subject, request: Letter, at_ms: int) -> Ticket:
    """A ticket that nobody has judged; good for as long as its client signed, within bounds."""
    return Ticket(subject, request.signed, _good_until(request, at_ms), at_ms, Judgement.nothing_yet())


def _good_until(request: Letter, at_ms: int) -> int:
    return min(request.header.expires_at_ms, at_ms + MAX_REQUEST_LIFE_MS)


def gone(letter: Letter, code: str, turn: Turn, about: bytes = NO_ID) -> None:
    """Say that what a letter asks for no longer exists, or is not done with the node that it is `about`."""
    header = letter.header
    body = Gone(code, about)
    turn.tell(Kind.GONE, header.sender, body, wallet_id=header.wallet_id, request_id=header.request_id)


def tell(
    kind: Kind,
    body: Verdict | Nonces | PartialSignatures | Gone | Withdraw | HeldRequest | HeldWord | HeldParts,
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
