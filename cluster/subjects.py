"""What a request is about: the spend read from its PSBT, the signing tasks, and the ids that bind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cluster.codec import BadLetter, Letter
from cluster.cosigners import Offers, read_offers
from cluster.intents import SignedIntent, read_intent
from cluster.messages import (
    MAX_INPUTS,
    MAX_NOTE_CHARS,
    MAX_PSBT_BYTES,
    NO_ID,
    Cosigned,
    Request,
    SignedLetter,
    SignerPart,
)
from cluster.scheme import Signer
from cluster.schemes import Route, Wallet
from curve import tagged_hash
from taproot import (
    FinalTransaction,
    PsbtRefused,
    SigningTask,
    Spend,
    finish,
    finish_transaction,
    read_spend,
    signing_tasks,
)

NUMBER_DIGITS = 6
"""How long the number is that the owner takes over from the asking device."""


def request_number(request_id: bytes) -> str:
    """The number that the asking device shows, so that whoever says yes has looked at both: six digits of the id."""
    found = int.from_bytes(tagged_hash("assent/request/number", request_id)[:8], "big")
    return f"{found % 10**NUMBER_DIGITS:0{NUMBER_DIGITS}d}"


_MOST_WAYS_KEPT = 4
"""Of so many quorums of a tree the signing tasks are kept: for each there may be 250."""


class BadRequest(Exception):
    """A request that cannot be understood, with a stable code and one sentence for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Subject:
    """One request, understood: everything that decides what would be signed, and who asked."""

    wallet: Wallet
    request_id: bytes
    spend_id: bytes
    spend: Spend
    route: Route
    client: bytes
    note: str
    psbt: bytes = field(repr=False)
    intent: SignedIntent | None = field(default=None, repr=False)
    offers: Offers = field(default_factory=Offers, repr=False)
    _tasks: dict[str, tuple[SigningTask, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def count(self) -> int:
        """How many signing tasks there are: one per input."""
        return len(self.spend.inputs)

    @property
    def nonce_count(self) -> int:
        """How many public nonces a signer of it gives."""
        return self.count if self.route.group.gives_nonces else 0

    @property
    def fixed_tasks(self) -> tuple[SigningTask, ...] | None:
        """The signing tasks, where they do not depend on who signs."""
        return self.tasks(frozenset()) if self.route.is_fixed else None

    def tasks(self, participants: frozenset[int]) -> tuple[SigningTask, ...]:
        """What these participants sign; BadRequest when it cannot be said."""
        leaf = self.route.leaf_for(participants)
        name = "" if leaf is None else leaf.name
        if name not in self._tasks:
            while len(self._tasks) >= _MOST_WAYS_KEPT:
                del self._tasks[next(iter(self._tasks))]
            with _refused():
                self._tasks[name] = signing_tasks(self.psbt, self.spend, self.wallet.public, leaf)
        return self._tasks[name]

    def admits(self, nodes: frozenset[int], outsiders: frozenset[int]) -> bool:
        """Whether these may sign together now; a cosigner that is no node must have committed."""
        quorums = self.quorums
        if quorums is None:
            return not outsiders and self.route.admits(nodes)
        inside = self.route.nodes
        return nodes <= inside and not outsiders & inside and nodes | outsiders in quorums

    @property
    def quorums(self) -> tuple[frozenset[int], ...] | None:
        """Who may sign together now, the preferred first; None where any t or more may."""
        return self.offers.quorums(self.route)

    def possible_without(self, refusing: frozenset[int]) -> bool:
        """Whether a quorum that may sign now is left when these do not."""
        if self.quorums is None:
            return len(self.route.nodes - refusing) >= self.route.least
        return any(not quorum & refusing for quorum in self.quorums)

    def outside(self, participants: frozenset[int]) -> tuple[Signer, ...]:
        """The signers of a quorum that are no nodes."""
        return self.offers.of(participants, self.route)

    def session_id(self, signers: Sequence[Signer]) -> bytes:
        """What the session of these signers is called."""
        tasks = self.tasks(frozenset(signer.participant for signer in signers))
        return self.wallet.session_id(self.request_id, signers, tasks)

    def _tasks_of(self, signed: Signed) -> tuple[SigningTask, ...]:
        """What was signed. In a tree the leaf proves who signed it, so nobody else may be named."""
        signers = frozenset(signed.signers)
        if not self.route.admits(signers):
            raise BadRequest("final-signers", "those who are said to have signed make no quorum")
        return self.tasks(signers)

    def finish(self, signed: Signed) -> FinalTransaction:
        """The finished transaction, verified whole; BadRequest when these signatures do not finish it."""
        tasks = self._tasks_of(signed)
        with _refused():
            return finish(self.psbt, self.spend, tasks, signed.signatures)

    def finalise(self, signed: Signed) -> bytes:
        """The finished transaction's bytes, verified whole; BadRequest as `finish`."""
        tasks = self._tasks_of(signed)
        with _refused():
            return finish_transaction(self.spend, tasks, signed.signatures)

    @property
    def leaving_sats(self) -> int:
        """What leaves the wallet: to others, and as the fee."""
        return self.spend.sent_sats + self.spend.fee_sats

    @property
    def next_indexes(self) -> tuple[int, int]:
        """The first receive and change index beyond the addresses it uses (0 where it uses none)."""
        claims = [*(coin.path for coin in self.spend.inputs), *(output.path for output in self.spend.outputs)]
        paths = [path for path in claims if path is not None]
        receive = max((path.index + 1 for path in paths if path.branch == 0), default=0)
        change = max((path.index + 1 for path in paths if path.branch == 1), default=0)
        return receive, change


@dataclass(frozen=True, slots=True)
class Signed:
    """How a request was signed: by whom, and the signatures of each task as `taproot.finish` takes them."""

    signatures: tuple[tuple[bytes, ...], ...]
    signers: tuple[int, ...]


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except PsbtRefused as refused:
        raise BadRequest(refused.code, str(refused)) from None
    except ValueError as error:
        raise BadRequest("final-count", str(error)) from None


def joined(subject: Subject, parts: Iterable[SignerPart], added: Iterable[SignerPart]) -> Signed:
    """The signatures of a partly signed request once others added theirs. Raises BadRequest or Blame.

    Args:
        parts: what everybody gave so far, as the coordinator keeps it.
        added: what participants that are no nodes give now; whoever is named in both must have given no psigs yet.
    """
    nodes = subject.route.nodes
    given = {part.participant: part.psigs for part in parts if part.psigs}
    new = {part.participant: part.psigs for part in added if part.participant not in nodes}
    if not new or new.keys() & given.keys():
        raise BadRequest("cosign-parts", "no participant that is no node signs here for the first time")
    if any(len(psigs) != subject.count for psigs in new.values()):
        raise BadRequest("cosign-parts", "not one signature per input")
    quorum = frozenset(given | new)
    if not subject.route.admits(quorum):
        raise BadRequest("cosign-parts", "those who signed make no quorum together")
    pubnonces = {part.participant: part.pubnonces for part in parts}
    signers = tuple(Signer(i, pubnonces.get(i, ())) for i in sorted(quorum))
    if any(len(signer.pubnonces) != subject.nonce_count for signer in signers):
        raise BadRequest("cosign-parts", "somebody signed who had no part in the round of nonces")
    signatures = subject.route.group.aggregate(signers, given | new, subject.tasks(quorum))
    return Signed(signatures, tuple(sorted(quorum)))


def ended(subject: Subject, parts: Sequence[SignerPart], said: Cosigned) -> Signed:
    """How a partly signed request ends with what others added, or joined themselves. Raises BadRequest or Blame.

    Args:
        parts: what everybody gave so far, as the coordinator keeps it.
    """
    if not said.signatures:
        return joined(subject, parts, said.parts)
    signed = Signed(said.signatures, tuple(part.participant for part in parts))
    subject.finalise(signed)
    return signed


def check_parts(subject: Subject, parts: Sequence[SignerPart]) -> None:
    """Check what the nodes gave to a session that others are to end. Raises Blame, BadRequest or ValueError."""
    participants = frozenset(part.participant for part in parts)
    once = len(participants) == len(parts)
    if not once or not subject.route.admits(participants) or not participants - subject.route.nodes:
        raise BadRequest("cosign-parts", "these make no quorum that somebody else is to complete")
    signers = tuple(Signer(part.participant, part.pubnonces) for part in parts)
    outside = {signer.participant: signer for signer in subject.outside(participants)}
    for part, signer in zip(parts, signers, strict=True):
        if part.participant in subject.route.nodes and len(part.psigs) != subject.count:
            raise BadRequest("cosign-parts", "a node has not signed every input")
        if part.participant not in subject.route.nodes and outside.get(part.participant) != signer:
            raise BadRequest("cosign-parts", "a cosigner's nonces are not those of the PSBT")
        if len(part.pubnonces) != subject.nonce_count or len(part.psigs) not in {0, subject.count}:
            raise BadRequest("cosign-parts", "not one nonce, or not one signature, per input")
    given = {part.participant: part.psigs for part in parts if part.psigs}
    subject.route.group.check(signers, given, subject.tasks(participants))


def understand(wallet: Wallet, letter: Letter) -> Subject:
    """Read a client's request whole; BadRequest says why it cannot be.

    The signature of the letter has been checked; that its sender is enrolled is the caller's to check.
    """
    body = letter.body
    assert isinstance(body, Request)
    subject = describe(wallet, body, letter.header.sender)
    if subject.request_id != letter.header.request_id:
        raise BadRequest("request-id", "the request id is not that of the PSBT, the client and the note")
    return subject


def describe(wallet: Wallet, body: Request, client: bytes) -> Subject:
    """What this request body is about when this client (identity key) says it; BadRequest as `understand`."""
    if len(body.psbt) > MAX_PSBT_BYTES:
        raise BadRequest("psbt-too-large", f"the PSBT is over {MAX_PSBT_BYTES} bytes")
    note = _note_bytes(body.note)
    intent = None if body.intent is None else _intent(body.intent, wallet)
    route = wallet.routes.get(body.leaf)
    if route is None:
        raise BadRequest("request-leaf", f"this wallet has no leaf {body.leaf}")
    if not route.nodes:
        raise BadRequest("request-leaf", f"no node has a part in leaf {body.leaf}: its own keys sign by file")
    with _refused():
        spend = _read(body.psbt, wallet, route)
    if len(spend.inputs) > MAX_INPUTS:
        raise BadRequest("psbt-inputs", f"more than {MAX_INPUTS} inputs")
    spend_key = spend_id(wallet.wallet_id, spend, body.leaf)
    request_key = tagged_hash(
        "assent/request",
        spend_key,
        client,
        body.client_nonce,
        NO_ID if intent is None else intent.id,
        len(note).to_bytes(4, "big"),
        note,
        body.psbt,  # whole: with what outsiders gave, so that all who read this id read the same
    )
    subject = Subject(wallet, request_key, spend_key, spend, route, client, body.note, body.psbt, intent)
    tasks = subject.tasks(frozenset())  # now, so that what cannot be signed is refused before it is judged
    with _refused():
        offers = read_offers(body.psbt, spend, wallet, route, tasks)
    if offers.quorums(route) == ():
        raise BadRequest(
            "cosigner-nonces",
            "whoever is no node must commit first: the PSBT has no nonces of theirs (`assent psbt export` prepares it)",
        )
    return replace(subject, offers=offers)


def _intent(signed: SignedLetter, wallet: Wallet) -> SignedIntent:
    """The intent that came with a request; one about another wallet is refused with it."""
    try:
        intent = read_intent(signed, wallet.charter.cluster_id)
    except BadLetter as bad:
        raise BadRequest(bad.code, str(bad)) from None
    if intent.wallet_id != wallet.wallet_id:
        raise BadRequest("intent-wallet", "the intent is about another wallet")
    return intent


def _note_bytes(note: str) -> bytes:
    """A note as it is hashed; a sender is told at once what every reader would refuse."""
    if len(note) > MAX_NOTE_CHARS:
        raise BadRequest("note", f"the note is over {MAX_NOTE_CHARS} characters")
    try:
        return note.encode()
    except UnicodeEncodeError:
        raise BadRequest("note", "the note is not text") from None


def spend_id(wallet_id: bytes, spend: Spend, leaf: str) -> bytes:
    """What a spend is called, whoever asks for it: wallet, way, unsigned transaction, prevouts, sighash types."""
    way = leaf.encode()
    parts = [wallet_id, len(way).to_bytes(4, "big") + way]
    parts.append(len(spend.unsigned_tx).to_bytes(4, "big") + spend.unsigned_tx)
    for coin in spend.inputs:
        parts.append(coin.outpoint.txid + coin.outpoint.vout.to_bytes(4, "big"))
        parts.append(coin.amount_sats.to_bytes(8, "big"))
        parts.append(len(coin.script_pubkey).to_bytes(4, "big") + coin.script_pubkey)
        parts.append(coin.sighash_type.to_bytes(4, "big"))
    return tagged_hash("assent/spend", *parts)


def _read(psbt: bytes, wallet: Wallet, route: Route) -> Spend:
    return read_spend(
        psbt,
        wallet.public,
        next_receive=wallet.next_receive,
        next_change=wallet.next_change,
        leaf=route.leaf,
    )
