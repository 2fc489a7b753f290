"""A client: asks for signatures and proposes wallets, and believes of the answers only what it can check.

A pure machine like the others. What the coordinator says of states is shown as its word; verdicts count as their
node's only with the node's signature, a transaction only when it verifies whole, a wallet only with its recovery
data and every member's acknowledgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cluster.approvals import read_verdict
from cluster.charter import Charter
from cluster.client_drills import DrillView
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
    Heartbeat,
    Hello,
    KeygenFinal,
    KeygenRequest,
    Kind,
    PartlySigned,
    Request,
    SignedLetter,
    SignerPart,
    Status,
    StatusQuery,
    Verdict,
)
from cluster.records import Head
from cluster.roster import Roster, digest
from cluster.scheme import Known
from cluster.schemes import SCHEMES, Blame, KeygenTrouble, Wallet, read_wallet
from cluster.statements import read_beat
from cluster.subjects import BadRequest, Signed, Subject, check_parts, describe
from cluster.turn import Turn
from cluster.turning import Turning
from taproot import FinalTransaction

REPEAT_MS = 2_000
"""How long to wait for an answer before asking again."""

FALSEHOODS = frozenset({"final-invalid", "parts-invalid", "keygen-acks", "status-verdict"})
"""What no honest coordinator says: whoever hears it turns to another."""

ENDED = frozenset({"refused", "rejected", "expired", "closed", "failed"})
"""The states in which nothing more is said of a request or a proposed wallet."""

REQUEST_LIFE_MS = 24 * 3_600_000
"""How long a request may wait for its quorum unless the client says otherwise."""


@dataclass(slots=True)
class NodeView:
    """One node as far as the client knows: the coordinator's word on its reach, its own signed verdict or heartbeat."""

    reach: str
    verdict: Verdict | None = None
    signed: SignedLetter | None = None
    beat: Heartbeat | None = None


@dataclass(slots=True)
class SigningView:
    """One request as far as the client knows."""

    subject: Subject
    request: SignedLetter
    state: str = "unsent"
    codes: tuple[str, ...] = ()
    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    final: FinalTransaction | None = None
    signed: Signed | None = None
    parts: tuple[SignerPart, ...] = ()


@dataclass(slots=True)
class KeygenView:
    """One proposed wallet as far as the client knows."""

    charter: Charter
    request: SignedLetter
    state: str = "unsent"
    codes: tuple[str, ...] = ()
    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    wallet: Wallet | None = None
    acks: tuple[bytes, ...] = ()


@dataclass(slots=True)
class ClusterView:
    """Who the coordinator says is there."""

    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    heard: bool = False


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
        turn.tell(Kind.COSIGNED, self.coordinator, said, wallet_id=wallet_id, request_id=request_id)
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
        """Whether something is open of which no owner is being asked."""
        views = self.signing.values()
        return any(view.final is None and view.state in {"unsent", "gathering", "signing"} for view in views)

    def _turn_away(self, turn: Turn) -> None:
        """Speak to the next coordinator: what has not ended goes to it as the very same letter."""
        self._greet(turn)
        self._said_at_ms = None
        for view in self.signing.values():
            if view.final is None and not view.parts and view.state not in ENDED:
                view.state = "unsent"
        for plan in self.keygen.values():
            if plan.wallet is None and plan.state not in ENDED:
                plan.state = "unsent"

    def _end(self, turn: Turn) -> Step:
        now_ms = turn.now.monotonic_ms
        if self._turning.turns(now_ms, stalls=self._stalls()):
            self._turn_away(turn)
        if self._said_at_ms is None or now_ms - self._said_at_ms >= REPEAT_MS:
            self._said_at_ms = now_ms
            self._ask_again(turn)
        repeats = tuple(self._unsent(turn.now.wall_ms)) if self._said_at_ms == now_ms else ()
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
        for request_id, view in self.signing.items():
            unheard = _is_unheard(view, turn.now.wall_ms)
            if view.final is None and not unheard and view.state not in {"refused", "rejected", "expired"}:
                self._query(request_id, view.subject.wallet.wallet_id, turn)
        for subject, plan in self.keygen.items():
            unheard = _is_unheard(plan, turn.now.wall_ms)
            if plan.wallet is None and not unheard and plan.state not in {"failed", "rejected"}:
                self._query(subject, plan.charter.wallet_id, turn)
        if not self.signing and not self.keygen:
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
            case Status() as status if request_id in self.signing:
                self._status(self.signing[request_id], status, now)
            case Status() as status if request_id in self.keygen:
                plan = self.keygen[request_id]
                if plan.wallet is not None:
                    return
                plan.state, plan.codes = status.state, status.codes
                plan.nodes = {node.node: NodeView(node.reach) for node in status.nodes}
            case Status(state="rejected", codes=codes) if request_id in self.drills:
                self.drills[request_id].rejected = next(iter(codes), "rejected")
            case Status() as status:
                self._hear_cluster(status)
            case PartlySigned(parts=parts) if request_id in self.signing:
                self._partly_signed(self.signing[request_id], parts)
            case Final() as final if request_id in self.signing:
                self._final(self.signing[request_id], final)
            case KeygenFinal() as final if request_id in self.keygen:
                self._keygen_final(self.keygen[request_id], final)
            case DrillFinal() as final if request_id in self.drills:
                self.drills[request_id].hear(final, self.roster.cluster_id)
            case Busy():
                self.trouble = "the coordinator is busy; the request is repeated"
            case _:
                raise BadLetter("letter-kind", f"a client has no use for a {letter.header.kind.name}")

    def _hello(self, hello: Hello) -> None:
        self.cluster.heard = True
        if hello.protocol != PROTOCOL_VERSION or hello.schemes != SCHEMES:
            raise BadLetter(
                "version-mismatch",
                f"the coordinator speaks protocol {hello.protocol}, {', '.join(hello.schemes)}; "
                f"this program {PROTOCOL_VERSION}, {', '.join(SCHEMES)}",
            )

    def _hear_cluster(self, status: Status) -> None:
        """Who is there: the coordinator's word, and with it each node's own."""
        for node in status.nodes:
            beat = None if node.beat is None else read_beat(node.beat, node.node, self.roster.cluster_id)
            self.cluster.nodes[node.node] = NodeView(node.reach, beat=beat)
        self.cluster.heard = True

    def _status(self, view: SigningView, status: Status, now: Now) -> None:
        if view.final is not None:
            return
        view.state, view.codes = status.state, status.codes
        hear_nodes(view.nodes, status, view.subject.wallet.charter, view.subject.request_id, now.wall_ms)

    def _final(self, view: SigningView, final: Final) -> None:
        try:
            signed = Signed(final.signatures, final.signers)
            finished = view.subject.finish(signed)
        except BadRequest as bad:
            raise BadLetter("final-invalid", str(bad)) from None
        if finished.tx != final.transaction:
            raise BadLetter("final-invalid", "the transaction is not what these signatures finish")
        view.state, view.final, view.signed = "final", finished, signed

    def _partly_signed(self, view: SigningView, parts: tuple[SignerPart, ...]) -> None:
        """The nodes' part of the signatures: believed only when each is valid for this very request."""
        if view.final is not None:
            return
        try:
            check_parts(view.subject, parts)
        except (Blame, BadRequest, ValueError) as bad:
            raise BadLetter("parts-invalid", str(bad)) from None
        view.state, view.parts = "cosigning", parts

    def _keygen_final(self, view: KeygenView, final: KeygenFinal) -> None:
        try:
            wallet = read_wallet(view.charter, final.recovery_data, self.known)
        except KeygenTrouble as trouble:
            raise BadLetter(trouble.code, "the recovery data does not fit the charter") from None
        if not wallet.acknowledged(final.acks):
            raise BadLetter("keygen-acks", "an acknowledgement is missing")
        view.state, view.codes, view.acks = "complete", (), final.acks
        view.wallet = replace(wallet, complete=True)


def hear_nodes(
    nodes: dict[bytes, NodeView], status: Status, charter: Charter, request_id: bytes, wall_ms: int
) -> None:
    """Take what a status says of each node: a verdict only with that node's signature. BadLetter for any other."""
    for node in status.nodes:
        if charter.participant(node.node) is None:
            raise BadLetter("status-stranger", "a status about somebody who is no member")
        shown = nodes.setdefault(node.node, NodeView(node.reach))
        shown.reach = node.reach
        if node.verdict is None or node.verdict == shown.signed:
            continue  # nothing said, or what was checked before
        letter = read_verdict(node.verdict, charter, request_id, wall_ms)
        if letter.header.sender != node.node:
            raise BadLetter("status-verdict", "a verdict under another node's name")
        assert isinstance(letter.body, Verdict)
        shown.verdict, shown.signed = letter.body, node.verdict


def _is_unheard(view: SigningView | KeygenView, wall_ms: int) -> bool:
    """Whether the letter itself must be said again; once it has expired, only its state can be asked for."""
    if view.state != "unsent":
        return False
    kind = Kind.REQUEST if isinstance(view, SigningView) else Kind.KEYGEN_REQUEST
    return open_inner(view.request, kind).header.expires_at_ms >= wall_ms
