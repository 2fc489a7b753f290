"""`assent sign`: ask the nodes to sign a PSBT, show each node's verdict as it comes, write what was signed."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import ClientCall, as_client, duration_s, wallet_of
from cluster.cli.intents import read_intent_file
from cluster.cli.output import Facts, foreign
from cluster.cli.verdicts import Verdicts, outcome_error, tell_news
from cluster.client_line import ClientLine, now
from cluster.client_views import ENDED, SigningView
from cluster.cosigning import with_parts
from cluster.errors import StateError, UsageError
from cluster.journal import ClosedKept, CosigningKept, FinalKept, RequestKept
from cluster.messages import NO_ID, Request
from cluster.storage import read_file, write_public
from cluster.subjects import BadRequest, Subject, describe
from cluster.wallet_book import Asked, Proposed, WalletBook
from policy import describe as describe_spend
from taproot import MAX_PSBT_BYTES, FinalTransaction

__all__ = ["ask", "formed", "read_psbt", "sign"]

_MAGIC = b"psbt\xff"


@click.command()
@common
@passphrase_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option("--note", default="", help="A word to the owners; they see it marked as unverified.")
@click.option(
    "--intent",
    type=click.Path(path_type=Path),
    help="The intent that a device signed (`assent intent make`).",
)
@click.option("--leaf", default="", help="The recovery leaf by which to spend (default: the ordinary way).")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the signed PSBT.")
@click.option("--tx", is_flag=True, help="Print the finished transaction as hex; a PSBT only with --out.")
@click.option(
    "--timeout", default="10m", show_default=True, help="How long to wait; the same command goes on later."
)
@click.option(
    "--expires", default="24h", show_default=True, help="How long the request may wait for its quorum."
)
def sign(
    call: Call,
    *,
    file: Path,
    wallet: str,
    note: str,
    intent: Path | None,
    leaf: str,
    out: Path | None,
    tx: bool,
    timeout: str,
    expires: str,
) -> None:
    """Ask the nodes to sign FILE (a PSBT: binary, base64 or hex) and wait for enough of them.

    The same command again, after an interruption, goes on with the same request. Where a participant that is no
    node signs last, the PSBT that is written is for them; `assent psbt import` takes it back.
    """
    timeout_s, life_s = duration_s(timeout, "--timeout"), duration_s(expires, "--expires")
    psbt, form = read_psbt(file)
    signed = None if intent is None else read_intent_file(intent)
    target = _target(file, out, tx=tx)
    with as_client(call) as client:
        book = client.book()
        body = Request(psbt, note, NO_ID, signed, leaf)
        subject = _understood(file, wallet_of(book, wallet), body, client.party.part.identity)
        _tell_spend(call, subject, note)
        earlier = _earlier(book, subject)
        if earlier is not None and earlier.signed is not None:
            call.output.talk("this was signed before; here it is again")
            final, verdicts = earlier.subject.finish(earlier.signed), Verdicts(client.party.need_roster())
            request_id = earlier.subject.request_id
        else:
            view, verdicts = ask(client, subject, earlier, timeout_s, life_s)
            request_id = view.subject.request_id
            if view.final is None:
                _give_partly(call, view, out or _beside(file, "cosign"), form, verdicts)
                return
            final = view.final
    if target is not None:
        write_public(target, formed(final.psbt, form), replace=False)
        call.output.talk(f"signed PSBT: {target}")
    facts = _signed_facts(request_id, subject, final, target, verdicts)
    call.output.give(facts, final.tx.hex() if tx else str(target))


def read_psbt(path: Path) -> tuple[bytes, str]:
    """A PSBT as bytes, and its form: `binary`, `base64` or `hex`; UsageError for a file that is none of them."""
    try:
        data = read_file(path, max_bytes=3 * MAX_PSBT_BYTES)
    except StateError as error:
        raise UsageError(str(error)) from None
    if data.startswith(_MAGIC):
        return data, "binary"
    text = b"".join(data.split())
    try:
        if text[:10].lower() == _MAGIC.hex().encode():
            return bytes.fromhex(text.decode("ascii")), "hex"
        psbt = base64.b64decode(text, validate=True)
    except ValueError:
        psbt = b""
    if not psbt.startswith(_MAGIC):
        raise UsageError(f"{path}: this is not a PSBT (binary, base64 or hex)")
    return psbt, "base64"


def _target(file: Path, out: Path | None, *, tx: bool) -> Path | None:
    """Where the signed PSBT goes, if anywhere; UsageError when something is there already."""
    target = out or (None if tx else _beside(file, "signed"))
    if target is not None and target.exists():
        raise UsageError(f"{target}: this exists already, and is not overwritten; name another with --out")
    return target


def _beside(file: Path, what: str) -> Path:
    return file.with_name(f"{file.stem}.{what}{file.suffix or '.psbt'}")


def _signed_facts(
    request_id: bytes, subject: Subject, final: FinalTransaction, target: Path | None, verdicts: Verdicts
) -> Facts:
    """What a script is told of a request that is signed."""
    return {
        "request_id": request_id.hex(),
        "wallet": subject.wallet.charter.name,
        "state": "final",
        "txid": final.txid_hex,
        "transaction": final.tx.hex(),
        "psbt": str(target) if target is not None else None,
        "sent_sats": subject.spend.sent_sats,
        "fee_sats": subject.spend.fee_sats,
        "verdicts": verdicts.facts(),
    }


def _give_partly(call: Call, view: SigningView, target: Path, form: str, verdicts: Verdicts) -> None:
    """All nodes of a quorum signed; write the PSBT for whoever signs last."""
    subject = view.subject
    charter = subject.wallet.charter
    names = [outsider.name for outsider in charter.outsiders]
    missing = [names[part.participant - charter.n] for part in view.parts if not part.psigs]
    data = formed(with_parts(subject, view.parts), form)
    if not (target.is_file() and target.read_bytes() == data):  # the same command again gives the same answer
        write_public(target, data, replace=False)
    leaf = f" --leaf {subject.route.name}" if subject.route.name else ""
    call.output.talk(f"the nodes signed; {', '.join(missing)} signs last: {target}")
    call.output.talk(f"and what comes back: assent psbt import FILE --wallet {charter.name}{leaf}")
    call.output.give(
        {
            "request_id": subject.request_id.hex(),
            "wallet": charter.name,
            "state": "cosigning",
            "waits_for": missing,
            "psbt": str(target),
            "sent_sats": subject.spend.sent_sats,
            "fee_sats": subject.spend.fee_sats,
            "verdicts": verdicts.facts(),
        },
        str(target),
    )


def formed(psbt: bytes, form: str) -> bytes:
    """The PSBT in the form in which it came."""
    match form:
        case "base64":
            return base64.b64encode(psbt) + b"\n"
        case "hex":
            return psbt.hex().encode() + b"\n"
        case _:
            return psbt


def _understood(file: Path, known: Proposed, body: Request, client: bytes) -> Subject:
    """Read the PSBT as every node will; what cannot be read is not worth asking for."""
    assert known.wallet is not None  # wallet_of gives finished ones only
    try:
        return describe(known.wallet, body, client)
    except BadRequest as bad:
        raise UsageError(f"{file}: {bad}") from None


def _tell_spend(call: Call, subject: Subject, note: str) -> None:
    for line in describe_spend(subject.spend):
        call.output.talk(f"  {line}")
    if note:
        call.output.talk(f"  note {foreign(note)}")


def _earlier(book: WalletBook, subject: Subject) -> Asked | None:
    """The same spend with the same note and intent, asked for before and signed, or still alive."""
    same = [
        asked
        for asked in book.asked.values()
        if (asked.subject.spend_id, asked.subject.note) == (subject.spend_id, subject.note)
        and asked.subject.intent == subject.intent
        and (asked.subject.offers == subject.offers or asked.signed is not None)
        and not asked.closed
        and (asked.signed is not None or asked.expires_at_ms > now().wall_ms)
    ]
    signed = [asked for asked in same if asked.signed is not None]
    return next(reversed(signed or same), None)


def ask(
    client: ClientCall,
    subject: Subject,
    earlier: Asked | None,
    timeout_s: int,
    life_s: int,
) -> tuple[SigningView, Verdicts]:
    """Ask, wait, and remember how it ended; the error of DESIGN 9 when it ends, or waits, without a signature.

    What comes back is final, or all but signed by participants that are no nodes (`parts`).
    """
    verdicts = Verdicts(client.party.need_roster())
    with client.line() as line:
        view = _said(client, line, subject, earlier, life_s)
        request_id, wallet_id = view.subject.request_id, subject.wallet.wallet_id

        def over() -> bool:
            tell_news(client.call.output, verdicts, view)
            if view.state == "rejected" and view.codes == ("request-unknown",):
                view.state = "unsent"  # the coordinator lost it: the very same letter goes again
            return view.final is not None or bool(view.parts) or view.state in ENDED or view.hopeless

        line.wait(over, timeout_s)
        heard = line.client.cluster.heard
    if view.final is not None and view.signed is not None:
        used = view.subject.next_indexes
        signed = view.signed
        kept = FinalKept(now().wall_ms, request_id, signed.signatures, signed.signers, view.final.tx, *used)
        client.party.remember(kept, wallet_id=wallet_id)
        return view, verdicts
    if view.parts and earlier is not None and earlier.parts:
        view.parts = earlier.parts  # another session's would be a second file for nonces that serve once
        return view, verdicts
    if view.parts:
        client.party.remember(CosigningKept(now().wall_ms, request_id, view.parts), wallet_id=wallet_id)
        return view, verdicts
    if view.state in ENDED:
        client.party.remember(ClosedKept(now().wall_ms, request_id, view.state), wallet_id=wallet_id)
    raise outcome_error(view, verdicts, line.where, heard=heard)


def _said(
    client: ClientCall,
    line: ClientLine,
    subject: Subject,
    earlier: Asked | None,
    life_s: int,
) -> SigningView:
    """The request, written down before it leaves: the earlier one again, or a new one."""
    if earlier is not None:
        client.call.output.talk("asking again for the same request")
        view = SigningView(earlier.subject, earlier.request)
        line.client.signing[earlier.subject.request_id] = view
        return view
    request_id, step = line.client.request(
        subject.wallet,
        subject.psbt,
        subject.note,
        now(),
        os.urandom(32),
        life_ms=life_s * 1000,
        intent=None if subject.intent is None else subject.intent.signed,
        leaf=subject.route.name,
    )
    view = line.client.signing[request_id]
    client.party.remember(RequestKept(now().wall_ms, view.request), wallet_id=subject.wallet.wallet_id)
    client.call.output.talk(f"request {request_id.hex()[:16]}")
    line.say(step)
    return view
