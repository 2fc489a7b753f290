"""How the coordinator carries a ChillDKG session: consents, messages, the certificate, the acknowledgements.

Stages of one proposed wallet: `proposed` > `running` (all owners said yes) > `second` (all first messages are
here and written down) > `made` (certificate) > `complete` (every member acknowledged); or `failed`. A restart
loses nothing that a member has answered to: consents are asked for again, and from `second` on everything that
was sent or received is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cluster.approvals import consent_fault
from cluster.codec import BadLetter, Letter, decode, open_inner
from cluster.journal import (
    Body,
    CharterKept,
    ComplaintKept,
    CopyConfirmed,
    KeygenFailed,
    KeygenSecond,
    KeygenStarted,
    WalletComplete,
    WalletKept,
)
from cluster.messages import (
    NO_ID,
    KeygenCertificate,
    KeygenConsent,
    KeygenFault,
    KeygenFinal,
    KeygenMessage,
    KeygenPropose,
    KeygenRequest,
    KeygenStart,
    Kind,
    NodeStatus,
    RecoveryAck,
    SignedLetter,
    Status,
    WalletState,
)
from cluster.presence import Presence
from cluster.roster import Charter, Roster, RosterError, check_charter, digest
from cluster.schemes import Gathering, KeygenTrouble, Wallet, gather, read_wallet, scheme_of
from cluster.turn import Turn

SESSION_LIFE_MS = 60_000
"""How long the members of a running session have before it is started again or given up."""

REPEAT_MS = 2_000
"""How long to wait before saying a thing again to somebody who has not answered."""

MAX_PROPOSED = 16
"""How many wallets may be in the making at once."""

MAX_JOBS = 1024
"""How many proposals are kept at all; a client that fills this is to be taken off the roster."""


@dataclass(slots=True)
class Job:
    """One proposed wallet as the coordinator sees it."""

    charter: Charter
    exact: bytes
    request: SignedLetter
    client: bytes
    expires_at_ms: int
    stage: str = "proposed"
    code: str = ""
    session_id: bytes = NO_ID
    ends_at_ms: int = 0
    consents: dict[bytes, SignedLetter] = field(default_factory=dict)
    started: tuple[SignedLetter, ...] = ()
    firsts: dict[int, bytes] = field(default_factory=dict)
    seconds: dict[int, bytes] = field(default_factory=dict)
    gathering: Gathering | None = None
    certificate: bytes = b""
    recovery_data: bytes = b""
    acks: dict[int, bytes] = field(default_factory=dict)
    culprits: set[int] = field(default_factory=set)
    declined: dict[bytes, str] = field(default_factory=dict)
    said_at_ms: dict[tuple[Kind, bytes], int] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """What letters call it."""
        return digest(self.exact)


class KeygenDesk:
    """The keygen half of a coordinator; it owns the wallets that exist."""

    def __init__(self, roster: Roster, presence: Presence) -> None:
        self._roster = roster
        self._presence = presence
        self.jobs: dict[bytes, Job] = {}
        self.wallets: dict[bytes, Wallet] = {}

    # What records say, read again at start.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case CharterKept(charter=exact, request=request):
                header = open_inner(request, Kind.KEYGEN_REQUEST).header
                self.jobs[digest(exact)] = Job(
                    decode(exact, Charter), exact, request, header.sender, header.expires_at_ms
                )
            case KeygenStarted():
                job = self.jobs[entry.charter_digest]
                job.stage, job.session_id, job.started = "second", entry.session_id, entry.consents
                job.firsts = dict(enumerate(entry.messages))
                job.seconds = {}
                job.gathering = gather(job.charter, entry.messages)
            case KeygenSecond(charter_digest=subject, participant=participant, message=message):
                self.jobs[subject].seconds[participant] = message
            case KeygenFailed(charter_digest=subject, code=code):
                self.jobs[subject].stage, self.jobs[subject].code = "failed", code
            case WalletKept(charter=exact, recovery_data=recovery_data):
                self._restore_wallet(self.jobs[digest(exact)], recovery_data)
            case CopyConfirmed():
                pass  # the coordinator asks for acknowledgements again until all are here
            case WalletComplete(acks=acks):
                job = self._of_wallet(wallet_id)
                self._complete(job, acks)
            case _:
                pass

    def _restore_wallet(self, job: Job, recovery_data: bytes) -> None:
        job.stage, job.recovery_data = "made", recovery_data
        if job.gathering is not None and len(job.seconds) == job.charter.n:
            job.certificate = job.gathering.finish([job.seconds[i] for i in range(job.charter.n)])[0]
        self.wallets[job.charter.wallet_id] = read_wallet(job.charter, recovery_data)

    def _of_wallet(self, wallet_id: bytes) -> Job:
        return next(
            job for job in self.jobs.values() if job.charter.wallet_id == wallet_id and job.recovery_data
        )

    # What clients ask.

    def request(self, letter: Letter, turn: Turn) -> None:
        """A client proposes a wallet: store it, acknowledge it, propose it to every member."""
        assert isinstance(letter.body, KeygenRequest)
        exact = letter.body.charter
        job = self.jobs.get(digest(exact))
        if job is None:
            try:
                job = self._consider(exact, letter)
            except (RosterError, ValueError) as error:
                raise BadLetter("keygen-charter", str(error)) from None
            self.jobs[job.digest] = job
            turn.note(CharterKept(turn.now.wall_ms, letter.signed, exact), job.charter.wallet_id)
        self.tell_client(job, letter.header.sender, turn)
        self._repeat(job, turn)

    def _consider(self, exact: bytes, letter: Letter) -> Job:
        charter = decode(exact, Charter)
        check_charter(charter, self._roster)
        scheme_of(charter)
        if letter.header.request_id != digest(exact) or letter.header.wallet_id != charter.wallet_id:
            raise RosterError("the letter's ids are not the charter's")
        if any(job.charter.wallet_id == charter.wallet_id for job in self.jobs.values()):
            raise RosterError("its wallet id is in use")
        making = sum(job.stage not in {"failed", "complete"} for job in self.jobs.values())
        if making >= MAX_PROPOSED or len(self.jobs) >= MAX_JOBS:
            raise RosterError("too many wallets are in the making")
        return Job(charter, exact, letter.signed, letter.header.sender, letter.header.expires_at_ms)

    def query(self, letter: Letter, turn: Turn) -> bool:
        """A client asks how its keygen stands; False when there is none of that id."""
        job = self.jobs.get(letter.header.request_id)
        if job is None:
            return False
        self.tell_client(job, letter.header.sender, turn)
        return True

    def tell_client(self, job: Job, client: bytes, turn: Turn) -> None:
        """Say to the client how its keygen stands."""
        if job.stage == "complete":
            self._say(Kind.KEYGEN_FINAL, client, self._final(job), job, turn)
            return
        nodes = tuple(
            NodeStatus(member.identity, self._progress(job, index, member.identity, turn), None)
            for index, member in enumerate(job.charter.members)
        )
        codes = (job.code,) if job.code else ()
        self._say(Kind.STATUS, client, Status(job.stage, codes, nodes), job, turn)

    def _progress(self, job: Job, index: int, node: bytes, turn: Turn) -> str:
        if node in job.declined:
            return "declined"
        if index in job.culprits:
            return "misbehaved"
        if self._presence.mismatched(node):
            return "version-mismatch"
        if index in job.acks:
            return "acknowledged"
        if job.stage == "made":
            return "copy-awaited"
        if index in job.seconds:
            return "second-message"
        if index in job.firsts:
            return "first-message"
        if node in job.consents:
            return "agreed"
        return "asked" if self._presence.online(node, turn.now.monotonic_ms) else "unreachable"

    # What nodes answer.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one keygen letter from a node; raises BadLetter when it makes no sense."""
        job = self.jobs.get(letter.header.request_id)
        if job is None:
            raise BadLetter("keygen-unknown", "no such wallet was proposed here")
        index = job.charter.participant(letter.header.sender)
        if index is None:
            raise BadLetter("keygen-stranger", "it is not from a member")
        before = (job.stage, len(job.consents), len(job.acks), len(job.declined))
        match letter.body:
            case KeygenConsent():
                self._consent(job, letter, turn)
            case KeygenMessage(message=message) if letter.header.kind is Kind.KEYGEN_MESSAGE1:
                self._first(job, index, letter.header.session_id, message, turn)
            case KeygenMessage(message=message) if letter.header.kind is Kind.KEYGEN_MESSAGE2:
                self._second(job, index, letter.header.session_id, message, turn)
            case KeygenFault():
                self._fault(job, letter, letter.body, turn)
            case RecoveryAck(ack=ack):
                self._ack(job, index, ack, turn)
            case _:
                raise BadLetter("letter-kind", f"the coordinator has no use for a {letter.header.kind.name}")
        if before != (job.stage, len(job.consents), len(job.acks), len(job.declined)):
            self.tell_client(job, job.client, turn)

    def _consent(self, job: Job, letter: Letter, turn: Turn) -> None:
        sender = letter.header.sender
        assert isinstance(letter.body, KeygenConsent)
        if letter.body.charter_digest != job.digest or letter.header.wallet_id != job.charter.wallet_id:
            raise BadLetter("keygen-consent", "it consents to another charter")
        old = job.consents.get(sender)
        job.consents[sender] = letter.signed
        job.declined.pop(sender, None)
        if job.stage == "running" and old is not None:
            known = open_inner(old, Kind.KEYGEN_CONSENT).header.boot_id
            if known != letter.header.boot_id:
                job.stage = "proposed"  # it restarted before message 2: nobody is bound yet, start again
        if job.stage in {"second", "made"}:
            self._repeat(job, turn)
        if job.stage == "proposed" and len(job.consents) == job.charter.n:
            self._start(job, turn)

    def _start(self, job: Job, turn: Turn) -> None:
        consents = tuple(job.consents[member.identity] for member in job.charter.members)
        fault = consent_fault(consents, job.charter, job.digest, turn.now.wall_ms)
        if fault is not None:
            job.consents.clear()
            return
        job.stage, job.session_id, job.started = "running", turn.random(), consents
        job.ends_at_ms = turn.now.monotonic_ms + SESSION_LIFE_MS
        job.firsts.clear()
        job.said_at_ms.clear()
        self._repeat(job, turn)

    def _first(self, job: Job, index: int, session_id: bytes, message: bytes, turn: Turn) -> None:
        if job.stage != "running" or session_id != job.session_id:
            return
        job.firsts.setdefault(index, message)
        if len(job.firsts) < job.charter.n:
            return
        messages = tuple(job.firsts[i] for i in range(job.charter.n))
        try:
            job.gathering = gather(job.charter, messages)
        except KeygenTrouble as trouble:
            self._blame(job, trouble, turn)
            self._fail(job, trouble.code, trouble.culprits, turn)
            return
        job.stage = "second"
        turn.note(
            KeygenStarted(turn.now.wall_ms, job.digest, job.session_id, job.started, messages),
            job.charter.wallet_id,
        )
        self._repeat(job, turn)

    def _second(self, job: Job, index: int, session_id: bytes, message: bytes, turn: Turn) -> None:
        if job.stage != "second" or session_id != job.session_id or index in job.seconds:
            if job.stage == "made":
                self._repeat(job, turn)
            return
        assert job.gathering is not None  # made before the stage was entered
        job.seconds[index] = message
        if len(job.seconds) == job.charter.n:
            try:
                job.certificate, job.recovery_data = job.gathering.finish(
                    [job.seconds[i] for i in range(job.charter.n)]
                )
            except KeygenTrouble as trouble:
                for culprit in trouble.culprits:
                    job.seconds.pop(culprit, None)
                job.code = trouble.code
                self._blame(job, trouble, turn)
                return
        turn.note(
            KeygenSecond(turn.now.wall_ms, job.digest, session_id, index, message), job.charter.wallet_id
        )
        if job.recovery_data:
            turn.note(WalletKept(turn.now.wall_ms, job.exact, job.recovery_data), job.charter.wallet_id)
            job.stage, job.code = "made", ""
            self.wallets[job.charter.wallet_id] = read_wallet(job.charter, job.recovery_data)
            self._repeat(job, turn)

    def _fault(self, job: Job, letter: Letter, fault: KeygenFault, turn: Turn) -> None:
        node = letter.header.sender
        if job.stage == "proposed" or fault.code == "keygen-declined":
            job.declined[node] = fault.code
            if job.stage == "proposed":
                self._fail(job, fault.code, (), turn)
            return
        index = job.charter.participant(node)
        if job.stage != "second" or letter.header.session_id != job.session_id or index in job.seconds:
            return  # whoever has sent message 2 can no longer take it back
        if fault.code == "keygen-investigate" and job.gathering is not None:
            assert index is not None  # receive() checked it
            message = job.gathering.investigation(index)
            self._say(Kind.KEYGEN_INVESTIGATION, node, KeygenMessage(message), job, turn)
            return
        self._fail(job, fault.code, fault.culprits, turn)

    def _fail(self, job: Job, code: str, culprits: tuple[int, ...], turn: Turn) -> None:
        turn.note(KeygenFailed(turn.now.wall_ms, job.digest, job.session_id, code), job.charter.wallet_id)
        job.stage, job.code = "failed", code
        for member in job.charter.members:
            self._say(Kind.KEYGEN_FAULT, member.identity, KeygenFault(code, culprits), job, turn)
        self.tell_client(job, job.client, turn)

    def _blame(self, job: Job, trouble: KeygenTrouble, turn: Turn) -> None:
        """Write down, once, who sent what cannot be right."""
        for culprit in trouble.culprits:
            if culprit not in job.culprits:
                job.culprits.add(culprit)
                about = job.charter.members[culprit].identity
                turn.note(ComplaintKept(turn.now.wall_ms, about, trouble.code, ()), job.charter.wallet_id)

    def _ack(self, job: Job, index: int, ack: bytes, turn: Turn) -> None:
        if job.stage == "complete":
            self._say(Kind.KEYGEN_FINAL, job.charter.members[index].identity, self._final(job), job, turn)
        if job.stage != "made":
            return
        wallet = self.wallets[job.charter.wallet_id]
        if not wallet.acknowledged_by(index, ack):
            raise BadLetter("keygen-ack", "the acknowledgement is not for this recovery data")
        job.acks[index] = ack
        if len(job.acks) == job.charter.n:
            acks = tuple(job.acks[i] for i in range(job.charter.n))
            turn.note(WalletComplete(turn.now.wall_ms, acks), job.charter.wallet_id)
            self._complete(job, acks)
            self._repeat(job, turn)

    def _complete(self, job: Job, acks: tuple[bytes, ...]) -> None:
        job.stage, job.acks = "complete", dict(enumerate(acks))
        wallet_id = job.charter.wallet_id
        self.wallets[wallet_id] = replace(self.wallets[wallet_id], complete=True)

    # Going on.

    def tick(self, turn: Turn) -> int | None:
        """Repeat what was not answered, start a stuck session again, end what expired; when to come again."""
        wake = None
        for job in self.jobs.values():
            if job.stage in {"failed", "complete"}:
                continue
            if job.stage != "made" and job.expires_at_ms < turn.now.wall_ms:
                self._fail(job, "keygen-expired", (), turn)
                continue
            if job.stage == "running" and job.ends_at_ms <= turn.now.monotonic_ms:
                job.stage = "proposed"
                job.consents.clear()
            self._repeat(job, turn)
            wake = turn.now.monotonic_ms + REPEAT_MS
        return wake

    def greeted(self, node: bytes, turn: Turn) -> None:
        """A node started, or came back: say again what it needs to hear."""
        for job in self.jobs.values():
            if job.charter.participant(node) is not None and job.stage != "failed":
                for key in [key for key in job.said_at_ms if key[1] == node]:
                    del job.said_at_ms[key]
                self._repeat(job, turn, only=node)

    def hear_stages(self, node: bytes, wallets: tuple[WalletState, ...], turn: Turn) -> None:
        """A node says how far its wallets are: tell it how those ended that it still waits for."""
        for state in wallets:
            for job in self.jobs.values():
                waits = job.stage == "complete" and state.stage == "copied"
                if waits and job.charter.wallet_id == state.wallet_id:
                    self._repeat(job, turn, only=node)

    def _repeat(self, job: Job, turn: Turn, only: bytes | None = None) -> None:
        """Say to each member whatever this stage still needs from it."""
        for index, member in enumerate(job.charter.members):
            if only is None or only == member.identity:
                self._repeat_to(job, index, member.identity, turn)

    def _repeat_to(self, job: Job, index: int, node: bytes, turn: Turn) -> None:
        if job.stage == "proposed" and node not in job.consents:
            self._say_again(Kind.KEYGEN_PROPOSE, node, KeygenPropose(job.request), job, turn)
        elif job.stage == "running" and index not in job.firsts:
            self._say_again(Kind.KEYGEN_START, node, KeygenStart(job.started), job, turn)
        elif job.stage == "second" and index not in job.seconds and job.gathering is not None:
            message = KeygenMessage(job.gathering.message(index))
            self._say_again(Kind.KEYGEN_COORDINATOR1, node, message, job, turn)
        elif job.stage == "made" and index not in job.acks:
            certificate = KeygenCertificate(job.certificate, job.recovery_data)
            self._say_again(Kind.KEYGEN_CERTIFICATE, node, certificate, job, turn)
        elif job.stage == "complete":
            self._say_again(Kind.KEYGEN_FINAL, node, self._final(job), job, turn)

    def _final(self, job: Job) -> KeygenFinal:
        return KeygenFinal(job.recovery_data, tuple(job.acks[i] for i in range(job.charter.n)))

    def _say_again(
        self,
        kind: Kind,
        node: bytes,
        body: KeygenPropose | KeygenStart | KeygenMessage | KeygenCertificate | KeygenFinal,
        job: Job,
        turn: Turn,
    ) -> None:
        last = job.said_at_ms.get((kind, node))
        if last is not None and turn.now.monotonic_ms - last < REPEAT_MS:
            return
        job.said_at_ms[(kind, node)] = turn.now.monotonic_ms
        self._say(kind, node, body, job, turn)

    def _say(
        self,
        kind: Kind,
        addressee: bytes,
        body: KeygenPropose
        | KeygenStart
        | KeygenMessage
        | KeygenCertificate
        | KeygenFinal
        | KeygenFault
        | Status,
        job: Job,
        turn: Turn,
    ) -> None:
        turn.tell(
            kind,
            addressee,
            body,
            wallet_id=job.charter.wallet_id,
            request_id=job.digest,
            session_id=job.session_id,
        )
