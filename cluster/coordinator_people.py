"""The coordinator's side of people: it shows them what is open, keeps what they say, and carries it to every node.

It decides nothing: a person reads wallets and requests alone, and a node believes a person's signature only. What
was said is on the disk before it is passed on, and is said again until each node has given its receipt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.approvals import check_person_about, read_person
from cluster.codec import BadLetter, Letter, open_inner
from cluster.coordinator_telling import REPEAT_MS, Telling
from cluster.jobs import Job, Jobs, JobTrace
from cluster.journal import PersonSaidKept
from cluster.makings import Making
from cluster.messages import (
    NO_ID,
    Kind,
    NodeStatus,
    OpenList,
    OpenRequest,
    PersonReceipt,
    PersonRelay,
    PersonSays,
    Propose,
    SignedLetter,
    Status,
    StatusQuery,
    WalletShown,
)
from cluster.presence import Presence
from cluster.record_body import Body
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn

MAX_WORDS = 16
"""How often one person may say something new of one request; then only a no is taken."""

MAX_LISTED = 512
"""How many requests are listed: those that are open, then the newest of the others."""

MAX_WALLETS = 64
"""How many wallets are listed."""

ENDED_FOR_MS = 10 * 60_000
"""How long the receipts of a request that has ended are kept, for whoever said something of it just before."""

LOOK_EVERY_MS = 100
"""While letters come in, what must be said again is looked at this often, and not with every letter."""


@dataclass(slots=True)
class _Word:
    """The newest word of one person about one request, and who has it."""

    signed: SignedLetter
    yes: bool
    said_at_ms: int
    count: int
    receipts: dict[bytes, SignedLetter] = field(default_factory=dict)
    told_at_ms: dict[bytes, int] = field(default_factory=dict)


class PeopleDesk:
    """What people ask and say, at one coordinator."""

    def __init__(
        self,
        roster: Roster,
        presence: Presence,
        jobs: Jobs,
        wallets: dict[bytes, Wallet],
        makings: dict[bytes, Making],
    ) -> None:
        self._roster = roster
        self._presence = presence
        self._jobs = jobs
        self._wallets = wallets
        self._makings = makings
        self._voice = Telling(presence)
        self._words: dict[bytes, dict[bytes, _Word]] = {}
        self._ended_at_ms: dict[bytes, int] = {}
        self._looked_at_ms: int | None = None

    # What people ask.

    def query(self, letter: Letter, turn: Turn) -> None:
        """A person asks for what is open, for a wallet, for a request, or how a request stands."""
        assert isinstance(letter.body, StatusQuery)
        header = letter.header
        job, trace = self._jobs.whole.get(header.request_id), self._jobs.ended.get(header.request_id)
        if trace is not None:
            self._tell_ended(trace, header.sender, turn)
        elif header.request_id != NO_ID and job is None:
            self._voice.reject(letter, "request-unknown", turn)
        elif job is not None:
            if letter.body.want == "request":
                self._say(Kind.PROPOSE, Propose(job.request), job, header.sender, turn)
            self._tell(job, header.sender, turn)
        elif header.wallet_id != NO_ID:
            self._show_wallet(header.wallet_id, header.sender, turn)
        else:
            turn.tell(Kind.OPEN_LIST, header.sender, self._list())

    def _list(self) -> OpenList:
        jobs = sorted(self._jobs.whole.values(), key=lambda job: (job.state != "open", -job.made_at_ms))
        wallets = [
            making.charter.wallet_id for making in self._makings.values() if making.stage == "complete"
        ]
        return OpenList(
            tuple(wallets[-MAX_WALLETS:]),
            tuple(
                OpenRequest(job.subject.request_id, job.subject.wallet.wallet_id, job.state)
                for job in jobs[:MAX_LISTED]
            ),
        )

    def _show_wallet(self, wallet_id: bytes, person: bytes, turn: Turn) -> None:
        for making in self._makings.values():
            if making.charter.wallet_id == wallet_id and making.stage == "complete":
                wallet = self._wallets[wallet_id]
                acks = tuple(making.acks[index] for index in range(making.charter.n))
                shown = WalletShown(
                    making.exact, making.recovery_data, acks, wallet.next_receive, wallet.next_change
                )
                turn.tell(Kind.WALLET_SHOWN, person, shown, wallet_id=wallet_id)

    # What people say.

    def says(self, letter: Letter, turn: Turn) -> None:
        """A person's yes or no: keep it, pass it on, and tell them how the request stands."""
        body, person = letter.body, letter.header.sender
        assert isinstance(body, PersonSays)
        job = self._jobs.whole.get(letter.header.request_id)
        trace = self._jobs.ended.get(letter.header.request_id)
        if trace is not None:
            self._tell_ended(trace, person, turn)
            return
        if job is None:
            self._voice.reject(letter, "request-unknown", turn)
            return
        fault = self._fault(letter, body, job, turn)
        if fault:
            self._voice.reject(letter, fault, turn)
            return
        self._hear(letter, body, job, turn)
        self._tell(job, person, turn)

    def held(self, word: SignedLetter, turn: Turn) -> None:
        """A node has a person's word that may not be here: taken as if the person had brought it."""
        letter = open_inner(word, Kind.PERSON_SAYS)
        body = letter.body
        assert isinstance(body, PersonSays)
        job = self._jobs.whole.get(letter.header.request_id)
        if job is not None and not self._fault(letter, body, job, turn):
            self._hear(letter, body, job, turn)

    def _hear(self, letter: Letter, body: PersonSays, job: Job, turn: Turn) -> None:
        """Keep a word that is newer than what is here, and pass it on."""
        old = self._words.get(job.subject.request_id, {}).get(letter.header.sender)
        if old is None or (body.said_at_ms, not body.yes) > (old.said_at_ms, not old.yes):
            turn.note(PersonSaidKept(turn.now.wall_ms, letter.signed, 0), job.subject.wallet.wallet_id)
            self._keep(letter)
            self._carry(job, turn)

    def _fault(self, letter: Letter, body: PersonSays, job: Job, turn: Turn) -> str:
        """Why no node would take this word, as a code; "" when each should."""
        subject = job.subject
        if job.state not in {"open", "refused"}:
            return f"request-{job.state}"
        try:
            read_person(letter.signed, self._roster, turn.now.wall_ms)
            check_person_about(
                letter,
                request_id=subject.request_id,
                wallet_id=subject.wallet.wallet_id,
                spend_id=subject.spend_id,
            )
        except BadLetter as bad:
            return bad.code
        old = self._words.get(subject.request_id, {}).get(letter.header.sender)
        is_repeat = old is not None and old.signed == letter.signed
        if old is not None and old.count >= MAX_WORDS and (body.yes or not old.yes) and not is_repeat:
            return "person-too-often"
        return ""

    def _keep(self, letter: Letter) -> None:
        body = letter.body
        assert isinstance(body, PersonSays)
        words = self._words.setdefault(letter.header.request_id, {})
        old = words.get(letter.header.sender)
        count = 1 if old is None else old.count + 1
        words[letter.header.sender] = _Word(letter.signed, body.yes, body.said_at_ms, count)

    @property
    def busy(self) -> bool:
        """Whether there is any word left to carry, or receipts to show."""
        return bool(self._words)

    # What nodes answer.

    def receipt(self, letter: Letter, turn: Turn) -> None:
        """A node has it; when what it has is newer, or the same, nothing is to be said again."""
        body, node = letter.body, letter.header.sender
        assert isinstance(body, PersonReceipt)
        word = self._words.get(letter.header.request_id, {}).get(body.person)
        if word is not None and body.said_at_ms >= word.said_at_ms:
            word.receipts[node] = letter.signed

    # Going on.

    def tick(self, turn: Turn) -> int | None:
        """Say again what a node has not acknowledged; when to come again."""
        now_ms = turn.now.monotonic_ms
        if not self._words:
            return None
        if self._looked_at_ms is None or now_ms - self._looked_at_ms >= LOOK_EVERY_MS:
            self._looked_at_ms = now_ms
            for request_id in list(self._words):
                job = self._jobs.whole.get(request_id)
                if job is not None:
                    self._carry(job, turn)
                elif now_ms - self._ended_at_ms.setdefault(request_id, now_ms) >= ENDED_FOR_MS:
                    del self._words[request_id], self._ended_at_ms[request_id]
        return self._looked_at_ms + REPEAT_MS if self._words else None

    def greeted(self, node: bytes) -> None:
        """A node started, or came back: it may have an older disk, so it is told everything again."""
        for words in self._words.values():
            for word in words.values():
                word.receipts.pop(node, None)
                word.told_at_ms.pop(node, None)
        self._looked_at_ms = None

    def _carry(self, job: Job, turn: Turn) -> None:
        if job.state not in {"open", "refused"}:
            return
        for word in self._words.get(job.subject.request_id, {}).values():
            for node in self._lacking(job, word, turn):
                word.told_at_ms[node] = turn.now.monotonic_ms
                if node not in job.verdicts:
                    self._say(Kind.PROPOSE, Propose(job.request), job, node, turn)
                self._say(Kind.PERSON_RELAY, PersonRelay(word.signed), job, node, turn)

    def _lacking(self, job: Job, word: _Word, turn: Turn) -> list[bytes]:
        """Who can take the word now and has given no receipt: whoever has read the request.

        One that was refused waits for nobody's verdict any more: it goes to the others with the request.
        """
        now_ms = turn.now.monotonic_ms
        spends = {node: verdict.spend_id for node, (verdict, _) in job.verdicts.items()}
        unheard = job.subject.spend_id if job.state == "refused" else b""
        return [
            node
            for node in (member.identity for member in job.subject.wallet.charter.members)
            if node not in word.receipts
            and spends.get(node, unheard) == job.subject.spend_id
            and self._presence.online(node, now_ms)
            and now_ms - word.told_at_ms.get(node, now_ms - REPEAT_MS) >= REPEAT_MS
        ]

    def _tell(self, job: Job, person: bytes, turn: Turn) -> None:
        """How a request stands, with each node's receipt for what this person said of it."""
        nodes = tuple(
            NodeStatus(
                member.identity,
                self._voice.reach(job, member.identity, turn.now),
                job.verdicts[member.identity][1] if member.identity in job.verdicts else None,
                self._receipt_of(job.subject.request_id, person, member.identity),
            )
            for member in job.subject.wallet.charter.members
        )
        self._say(Kind.STATUS, Status(job.state_now(turn.now), job.codes, nodes), job, person, turn)

    def _tell_ended(self, trace: JobTrace, person: bytes, turn: Turn) -> None:
        """How a request ended."""
        nodes = tuple(
            NodeStatus(
                member.identity,
                "online" if self._presence.online(member.identity, turn.now.monotonic_ms) else "unreachable",
                None,
                self._receipt_of(trace.request_id, person, member.identity),
            )
            for member in self._wallets[trace.wallet_id].charter.members
        )
        status = Status(trace.state, trace.codes, nodes)
        turn.tell(Kind.STATUS, person, status, wallet_id=trace.wallet_id, request_id=trace.request_id)

    def _receipt_of(self, request_id: bytes, person: bytes, node: bytes) -> SignedLetter | None:
        word = self._words.get(request_id, {}).get(person)
        return None if word is None else word.receipts.get(node)

    def _say(
        self, kind: Kind, body: Propose | PersonRelay | Status, job: Job, addressee: bytes, turn: Turn
    ) -> None:
        subject = job.subject
        turn.tell(kind, addressee, body, wallet_id=subject.wallet.wallet_id, request_id=subject.request_id)

    # What records say, read again at start.

    def restore(self, entry: Body) -> None:
        """Take one record into account; what is about a request that has ended goes with the first tick."""
        if isinstance(entry, PersonSaidKept):
            self._keep(open_inner(entry.word, Kind.PERSON_SAYS))
