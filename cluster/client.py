"""A client: asks for signatures and proposes wallets, and believes of the answers only what it can check.

A pure machine like the others. What the coordinator says of states is shown as its word; verdicts count as their
node's only with the node's signature, a transaction only when it verifies whole, a wallet only with its recovery
data and every member's acknowledgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cluster.charter import Charter
from cluster.client_drills import DrillView
from cluster.client_views import ENDED, ClusterView, KeygenView, NodeView, SigningView, check_versions
from cluster.codec import BadLetter, Ear, Identity, Letter, Mouth, encode, open_inner, open_letter
from cluster.drill_letters import DrillFinal, DrillRequest
from cluster.drills import DRILL_LIFE_MS, drill_id
from cluster.effects import Now, Outgoing, Step
from cluster.errors import one_line
from cluster.messages import (
    NO_ID,
    PROTOCOL_VERSION,
    Busy,
    Cosigned,
    Final,
    Hello,
    KeygenFinal,
    KeygenRequest,
    Kind,
    PartlySigned,
    Request,
    SignedLetter,
    Status,
    StatusQuery,
)
from cluster.records import Head
from cluster.roster import Roster, digest
from cluster.scheme import Known
from cluster.schemes import SCHEMES, Wallet
from cluster.statements import read_beat
from cluster.subjects import describe
from cluster.turn import Turn
from cluster.turning import Turning

REPEAT_MS = 2_000
"""How long to wait for an answer before asking again."""

FALSEHOODS = frozenset({"final-invalid", "parts-invalid", "keygen-acks", "status-verdict"})
"""What no honest coordinator says: whoever hears it turns to another."""

REQUEST_LIFE_MS = 24 * 3_600_000
"""How long a request may wait for its quorum unless the client says otherwise."""


class Client:
    """One client of one cluster, over one coordinator at a time; what it asks of several is one request."""

    def __init__(
        self,
        *,
        roster: Roster,
        roster_digest: bytes,
        identity: Identity,
        boot_id: bytes,
        coordinators: Sequence[bytes],
    ) -> None:
        """Speak to the first of these coordinators (identity keys), and turn to the others in need."""
        self.roster = roster
        self._roster_digest = roster_digest
        self._turning = Turning(coordinators)
        self._identity = identity
        self._mouth = Mouth(identity, roster.cluster_id, boot_id)
        self._ear = Ear.of(roster.cluster_id, identity.public)
        self._said_at_ms: int | None = None
        self.signing: dict[bytes, SigningView] = {}
        self.keygen: dict[bytes, KeygenView] = {}
        self.drills: dict[bytes, DrillView] = {}
        self.cluster = ClusterView()
        self.known: Known = {}
        self.trouble: str = ""

    def start(self, now: Now, entropy: bytes) -> Step:
        """Say Hello."""
        turn = self._turn(now, entropy)
        self._greet(turn)
        return turn.step(now.monotonic_ms + REPEAT_MS)

    def request(
        self,
        wallet: Wallet,
        psbt: bytes,
        note: str,
        now: Now,
        entropy: bytes,
        *,
        life_ms: int = REQUEST_LIFE_MS,
        intent: SignedLetter | None = None,
        leaf: str = "",
    ) -> tuple[bytes, Step]:
        """Ask for signatures; the request id (32 bytes) and what to say. Raises BadRequest when it makes no sense."""
        turn = self._turn(now, entropy)
        body = Request(psbt, note, turn.random(), intent, leaf)
        subject = describe(wallet, body, self._identity.public)
        outgoing = turn.tell(
            Kind.REQUEST,
            self.coordinator,
            body,
            wallet_id=wallet.wallet_id,
            request_id=subject.request_id,
            life_ms=life_ms,
        )
        self.signing[subject.request_id] = SigningView(
            subject, SignedLetter(outgoing.letter, outgoing.signature)
        )
        self._said_at_ms = now.monotonic_ms
        return subject.request_id, turn.step(now.monotonic_ms + REPEAT_MS)

    def propose(
        self, charter: Charter, now: Now, entropy: bytes, *, life_ms: int = REQUEST_LIFE_MS
    ) -> tuple[bytes, Step]:
        """Propose a wallet; the charter's digest (32 bytes) and what to say."""
        turn = self._turn(now, entropy)
        exact = encode(charter)
        subject = digest(exact)
        outgoing = turn.tell(
            Kind.KEYGEN_REQUEST,
            self.coordinator,
            KeygenRequest(exact),
            wallet_id=charter.wallet_id,
            request_id=subject,
            life_ms=life_ms,
        )
        self.keygen[subject] = KeygenView(charter, SignedLetter(outgoing.letter, outgoing.signature))
        self._said_at_ms = now.monotonic_ms
        return subject, turn.step(now.monotonic_ms + REPEAT_MS)

    def cosign(self, request_id: bytes, said: Cosigned, now: Now, entropy: bytes) -> Step:
        """Hand in what participants that are no nodes added to a partly signed request."""
        turn = self._turn(now, entropy)
        wallet_id = self.signing[request_id].subject.wallet.wallet_id
        for coordinator in self._turning.all:
            turn.tell(Kind.COSIGNED, coordinator, said, wallet_id=wallet_id, request_id=request_id)
        self._said_at_ms = now.monotonic_ms
        return turn.step(now.monotonic_ms + REPEAT_MS)

    def drill(self, wallet: Wallet, copy: bytes, now: Now, entropy: bytes) -> tuple[bytes, Step]:
        """Ask every node of a wallet to show that it signs; `copy` is what a copy of it comes to (`copy_digest`)."""
        turn = self._turn(now, entropy)
        body = DrillRequest(turn.random(), now.wall_ms, copy)
        drill = drill_id(wallet.wallet_id, self._identity.public, body)
        said = turn.tell(
            Kind.DRILL_REQUEST,
            self.coordinator,
            body,
            wallet_id=wallet.wallet_id,
            request_id=drill,
            life_ms=DRILL_LIFE_MS,
        )
        self.drills[drill] = DrillView(wallet, SignedLetter(said.letter, said.signature), drill, body)
        self._said_at_ms = now.monotonic_ms
        return drill, turn.step(now.monotonic_ms + REPEAT_MS)

    def receive(self, sender: bytes, letter: bytes, signature: bytes, now: Now, entropy: bytes) -> Step:
        """A letter arrived; one that proves nothing changes nothing, and `trouble` says what was wrong with it."""
        turn = self._turn(now, entropy)
        try:
            if sender not in self._turning.all:
                raise BadLetter("letter-stranger", "a client listens only to its coordinators")
            opened = open_letter(letter, signature, sender)
            self._ear.check(opened.header, now.wall_ms)
            self._handle(opened, now)
            self._turning.heard(sender, now.monotonic_ms)
        except BadLetter as bad:
            self.trouble = one_line(str(bad))
            if bad.code in FALSEHOODS:
                self._turning.doubt(sender)
        return self._end(turn)

    def tick(self, now: Now, entropy: bytes) -> Step:
        """Ask again about whatever has not ended."""
        return self._end(self._turn(now, entropy))

    # Inside.

    def _turn(self, now: Now, entropy: bytes) -> Turn:
        return Turn(now, entropy, Head(), self._mouth)

    @property
    def coordinator(self) -> bytes:
        """The coordinator (identity key) to which it speaks now."""
        return self._turning.current

    def _greet(self, turn: Turn) -> None:
        hello = Hello(PROTOCOL_VERSION, SCHEMES, self._roster_digest, 0, NO_ID, turn.now.wall_ms, ())
        turn.tell(Kind.HELLO, self.coordinator, hello)

    def _stalls(self) -> bool:
        """Whether something is open; that an owner is being asked is no excuse, as the answer may be kept back."""
        drilled = (not drill.over and not drill.rejected for drill in self.drills.values())
        return any(view.open for view in self.signing.values()) or any(drilled)

    def _turn_away(self, turn: Turn) -> None:
        """Speak to the next coordinator: what has not ended goes to it as the very same letter."""
        self._greet(turn)
        self._said_at_ms = None
        for view in self.signing.values():
            if view.open:
                view.ask_another()
        for plan in self.keygen.values():
            if plan.wallet is None and plan.state not in ENDED:
                plan.state = "unsent"

    def _end(self, turn: Turn) -> Step:
        now_ms = turn.now.monotonic_ms
        if self._turning.turns(now_ms, stalls=self._stalls()):
            self._turn_away(turn)
        repeats: tuple[Outgoing, ...] = ()
        if self._said_at_ms is None or now_ms - self._said_at_ms >= REPEAT_MS:
            self._said_at_ms = now_ms
            self._ask_again(turn)
            repeats = tuple(self._unsent(turn.now.wall_ms))
        step = turn.step(now_ms + REPEAT_MS)
        return replace(step, say=(*step.say, *repeats))

    def _unsent(self, wall_ms: int) -> list[Outgoing]:
        """The exact letters again that nobody has acknowledged: the same request, not another one."""
        views: list[SigningView | KeygenView] = [*self.signing.values(), *self.keygen.values()]
        return [
            Outgoing(self.coordinator, view.request.letter, view.request.signature)
            for view in views
            if _is_unheard(view, wall_ms)
        ] + [
            Outgoing(self.coordinator, drill.request.letter, drill.request.signature)
            for drill in self.drills.values()
            if not drill.over and not drill.rejected
        ]

    def _ask_again(self, turn: Turn) -> None:
        asked = False
        for request_id, view in self.signing.items():
            unheard = _is_unheard(view, turn.now.wall_ms)
            if view.final is None and not unheard and view.state not in ENDED:
                self._query(request_id, view.subject.wallet.wallet_id, turn)
                asked = True
        for subject, plan in self.keygen.items():
            unheard = _is_unheard(plan, turn.now.wall_ms)
            if plan.wallet is None and not unheard and plan.state not in {"failed", "rejected"}:
                self._query(subject, plan.charter.wallet_id, turn)
                asked = True
        if not asked:  # whoever answers this is there, though a drill takes its time
            self._query(NO_ID, NO_ID, turn)

    def _query(self, request_id: bytes, wallet_id: bytes, turn: Turn) -> None:
        turn.tell(
            Kind.STATUS_QUERY,
            self.coordinator,
            StatusQuery("state"),
            wallet_id=wallet_id,
            request_id=request_id,
        )

    def _handle(self, letter: Letter, now: Now) -> None:
        request_id = letter.header.request_id
        match letter.body:
            case Hello() as hello:
                self._hello(hello)
            case Status() | Busy() as said if letter.header.sender != self.coordinator:
                self._overhear(request_id, said)
            case Status() as status if request_id in self.signing:
                self._hear(self.signing[request_id], status, now)
            case Status() as status if request_id in self.keygen:
                self.keygen[request_id].hear(status)
            case Status(state="rejected", codes=codes) if request_id in self.drills:
                drill = self.drills[request_id]
                if not drill.over and self._drill_ends(drill, letter.header.sender):
                    drill.reject(next(iter(codes), "rejected"))
            case Status() as status:
                self._hear_cluster(status)
            case PartlySigned(parts=parts) if request_id in self.signing:
                self.signing[request_id].hear_parts(parts)
            case Final() as final if request_id in self.signing:
                self.signing[request_id].hear_final(final)
            case KeygenFinal() as final if request_id in self.keygen:
                self.keygen[request_id].hear_final(final, self.known)
            case DrillFinal() as final if request_id in self.drills:
                drill = self.drills[request_id]
                drill.hear(final, self.roster.cluster_id)
                drill.over = drill.over or self._drill_ends(drill, letter.header.sender)
            case Busy():
                self.trouble = "the coordinator is busy; the request is repeated"
            case _:
                raise BadLetter("letter-kind", f"a client has no use for a {letter.header.kind.name}")

    def _overhear(self, request_id: bytes, said: Status | Busy) -> None:
        """How things stand is the word of the one that is asked; of another, only that it carries a request still."""
        if request_id in self.signing and isinstance(said, Status) and said.state not in ENDED:
            self.signing[request_id].given_up_by.clear()

    def _hear(self, view: SigningView, status: Status, now: Now) -> None:
        """How a coordinator says that a request stands; that nothing comes of it, all must say, or nodes sign it."""
        try:
            view.hear(status, now.wall_ms)
        except BadLetter:
            view.ask_another()  # nothing of it counts
            self._turning.doubt(self.coordinator)
            raise
        given_up = view.final is None and (view.state in ENDED or view.hopeless)
        if not given_up:
            view.given_up_by.clear()  # from here on, all must say it anew
        elif not view.is_over(now.wall_ms) and not self._asked_all(view):
            view.ask_another()

    def _drill_ends(self, drill: DrillView, sender: bytes) -> bool:
        """Whether a drill that a coordinator has ended is over: all nodes signed, or nobody else is to be asked."""
        return drill.whole or (sender == self.coordinator and self._asked_all(drill))

    def _asked_all(self, view: SigningView | DrillView) -> bool:
        """Nothing comes of it here; whether the others were asked already. Else the next one is asked now."""
        since = view.given_up_by.setdefault(self.coordinator, self._turning.turned)
        if since < self._turning.turned or len(view.given_up_by) == len(self._turning.all):
            return True
        self._turning.doubt(self.coordinator)
        return False

    def _hello(self, hello: Hello) -> None:
        self.cluster.heard = True
        check_versions(hello)

    def _hear_cluster(self, status: Status) -> None:
        """Who is there: the coordinator's word, and with it each node's own."""
        for node in status.nodes:
            beat = None if node.beat is None else read_beat(node.beat, node.node, self.roster.cluster_id)
            self.cluster.nodes[node.node] = NodeView(node.reach, beat=beat)
        self.cluster.heard = True


def _is_unheard(view: SigningView | KeygenView, wall_ms: int) -> bool:
    """Whether the letter itself must be said again; once it has expired, only its state can be asked for."""
    if view.state != "unsent":
        return False
    kind = Kind.REQUEST if isinstance(view, SigningView) else Kind.KEYGEN_REQUEST
    return open_inner(view.request, kind).header.expires_at_ms >= wall_ms
