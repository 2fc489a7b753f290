"""What a request is about: the spend read from its PSBT, the signing tasks, and the ids that bind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cluster.codec import BadLetter, Letter
from cluster.intents import SignedIntent, read_intent
from cluster.messages import MAX_INPUTS, MAX_NOTE_CHARS, MAX_PSBT_BYTES, NO_ID, Request, SignedLetter
from cluster.schemes import Wallet
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
    tasks: tuple[SigningTask, ...]
    client: bytes
    note: str
    psbt: bytes = field(repr=False)
    intent: SignedIntent | None = field(default=None, repr=False)

    def finish(self, signatures: tuple[bytes, ...]) -> FinalTransaction:
        """The finished transaction, verified whole; BadRequest when these signatures do not finish it."""
        with _finishing():
            return finish(self.psbt, self.spend, self.tasks, signatures)

    def finalise(self, signatures: tuple[bytes, ...]) -> bytes:
        """The finished transaction's bytes, verified whole; BadRequest as `finish`."""
        with _finishing():
            return finish_transaction(self.spend, self.tasks, signatures)

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


@contextmanager
def _finishing() -> Iterator[None]:
    try:
        yield
    except PsbtRefused as refused:
        raise BadRequest(refused.code, str(refused)) from None
    except ValueError as error:
        raise BadRequest("final-count", str(error)) from None


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
    try:
        spend, tasks = _read(body.psbt, wallet)
    except PsbtRefused as refused:
        raise BadRequest(refused.code, str(refused)) from None
    if len(tasks) > MAX_INPUTS:
        raise BadRequest("psbt-inputs", f"more than {MAX_INPUTS} inputs")
    spend_key = spend_id(wallet.wallet_id, spend)
    request_key = tagged_hash(
        "assent/request",
        spend_key,
        client,
        body.client_nonce,
        NO_ID if intent is None else intent.id,
        len(note).to_bytes(4, "big"),
        note,
    )
    return Subject(wallet, request_key, spend_key, spend, tasks, client, body.note, body.psbt, intent)


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


def spend_id(wallet_id: bytes, spend: Spend) -> bytes:
    """What a spend is called, whoever asks for it: wallet, unsigned transaction, prevouts, sighash types."""
    parts = [wallet_id, len(spend.unsigned_tx).to_bytes(4, "big"), spend.unsigned_tx]
    for coin in spend.inputs:
        parts.append(coin.outpoint.txid + coin.outpoint.vout.to_bytes(4, "big"))
        parts.append(coin.amount_sats.to_bytes(8, "big"))
        parts.append(len(coin.script_pubkey).to_bytes(4, "big") + coin.script_pubkey)
        parts.append(coin.sighash_type.to_bytes(4, "big"))
    return tagged_hash("assent/spend", *parts)


def _read(psbt: bytes, wallet: Wallet) -> tuple[Spend, tuple[SigningTask, ...]]:
    public = wallet.public
    spend = read_spend(psbt, public, next_receive=wallet.next_receive, next_change=wallet.next_change)
    return spend, signing_tasks(psbt, spend, public)
