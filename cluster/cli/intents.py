"""`assent intent`: the device that is about to ask signs what it will ask; a profile may demand it."""

from __future__ import annotations

import base64
import os
import textwrap
import time
from pathlib import Path

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import as_client, book_of, duration_s, wallet_of
from cluster.cli.values import amount_sats, coin_of, script_of
from cluster.codec import BadLetter, Mouth, decode, encode
from cluster.errors import StateError, UsageError
from cluster.intents import SignedIntent, read_intent, sign_intent
from cluster.messages import SignedLetter
from cluster.party import Party, opened
from cluster.storage import read_file, write_public
from policy.granting import until
from policy.wording import sats
from taproot import Network, OutPoint, script_to_address

__all__ = ["intent", "read_intent_file"]

_HEAD = "assent-intent 1"
MAX_FILE_BYTES = 64 * 1024


@click.group()
def intent() -> None:
    """Sign what is about to be asked; a spend that a profile holds to it must match it exactly, once."""


@intent.command("make")
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option(
    "--to", "payees", multiple=True, metavar="ADDRESS", help="Whom it pays; again for each payment."
)
@click.option("--amount", "amounts", multiple=True, metavar="AMOUNT", help="How much, for each --to in turn.")
@click.option("--max-fee", required=True, metavar="AMOUNT", help="The most that the fee may be.")
@click.option("--coin", required=True, metavar="TXID:INDEX", help="A coin that the spend will use.")
@click.option("--expires", default="2h", show_default=True, help="How long it is good for.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
def intent_make(
    call: Call,
    *,
    wallet: str,
    payees: tuple[str, ...],
    amounts: tuple[str, ...],
    max_fee: str,
    coin: str,
    expires: str,
    out: Path,
) -> None:
    """Sign an intent and write it to a file, for `assent sign --intent`."""
    if len(payees) != len(amounts):
        raise UsageError("--to and --amount go together: give one of each for every payment")
    life_s, outpoint = duration_s(expires, "--expires"), coin_of(coin, "--coin")
    network = call.place().network
    payments = tuple(
        (script_of(payee, network, "--to"), amount_sats(amount, "--amount"))
        for payee, amount in zip(payees, amounts, strict=True)
    )
    if out.exists():
        raise UsageError(f"{out}: this exists already, and is not overwritten; name another with --out")
    with as_client(call) as client:
        found = wallet_of(client.book(), wallet)
        roster = client.party.need_roster()
        now_ms = time.time_ns() // 1_000_000
        try:
            signed = sign_intent(
                Mouth(client.keys.identity(), roster.cluster_id, os.urandom(16)),
                found.charter.wallet_id,
                outpoint,
                payments,
                max_fee_sats=amount_sats(max_fee, "--max-fee"),
                made_at_ms=now_ms,
                expires_at_ms=now_ms + life_s * 1000,
                nonce=os.urandom(32),
            )
        except ValueError as wrong:
            raise UsageError(f"--to: {wrong}; make it in parts") from None
        made = read_intent(signed, roster.cluster_id)
        facts, text = _facts(made, client.party), _text(made, client.party)
    write_public(out, _written(signed), replace=False)
    call.output.talk(text)
    call.output.give({**facts, "file": str(out)}, str(out))


@intent.command("show")
@common
@click.argument("file", type=click.Path(path_type=Path))
def intent_show(call: Call, *, file: Path) -> None:
    """Show what the intent in FILE says, once its signature is checked."""
    with opened(call.place(), "client") as party:
        made = _read(file, party)
        call.output.give(_facts(made, party), _text(made, party))


def read_intent_file(file: Path) -> SignedLetter:
    """The signed letter in an intent's file; UsageError for any other file."""
    try:
        text = read_file(file, max_bytes=MAX_FILE_BYTES).decode("ascii")
        head, _, rest = text.partition("\n")
        if head.strip() != _HEAD:
            raise ValueError
        return decode(base64.b64decode("".join(rest.split()), validate=True), SignedLetter)
    except StateError as error:
        raise UsageError(str(error)) from None
    except ValueError:
        raise UsageError(f"{file}: this is no intent's file") from None


def _written(signed: SignedLetter) -> bytes:
    lines = textwrap.wrap(base64.b64encode(encode(signed)).decode("ascii"), 76)
    return "\n".join([_HEAD, *lines, ""]).encode("ascii")


def _read(file: Path, party: Party) -> SignedIntent:
    try:
        made = read_intent(read_intent_file(file), party.need_roster().cluster_id)
    except BadLetter as bad:
        raise UsageError(f"{file}: {bad}") from None
    if party.need_roster().client(made.device) is None:
        raise UsageError(f"{file}: it is signed by nobody of the roster's clients")
    return made


def _facts(made: SignedIntent, party: Party) -> dict[str, object]:
    network, body = Network(party.config.network), made.body
    return {
        "id": made.id.hex(),
        "device": party.need_roster().name_of(made.device),
        "wallet": _wallet_name(made, party),
        "payments": [
            {
                "to": script_to_address(payment.script, network),
                "script": payment.script.hex(),
                "amount_sats": payment.amount_sats,
            }
            for payment in body.payments
        ],
        "max_fee_sats": body.max_fee_sats,
        "coin": str(OutPoint(body.outpoint.txid, body.outpoint.vout)),
        "made_at_ms": body.made_at_ms,
        "expires_at_ms": made.expires_at_ms,
    }


def _wallet_name(made: SignedIntent, party: Party) -> str | None:
    wallets = book_of(party).wallets.values()
    return next((one.charter.name for one in wallets if one.charter.wallet_id == made.wallet_id), None)


def _text(made: SignedIntent, party: Party) -> str:
    network, body = Network(party.config.network), made.body
    wallet = _wallet_name(made, party) or f"unknown ({made.wallet_id.hex()[:16]})"
    rows = [f"intent {made.id.hex()[:16]} of {party.need_roster().name_of(made.device)}, wallet {wallet}"]
    rows += [
        f"  pay {sats(payment.amount_sats)} to "
        f"{script_to_address(payment.script, network) or payment.script.hex()}"
        for payment in body.payments
    ] or ["  pay nobody"]
    rows.append(f"  fee at most {sats(body.max_fee_sats)}")
    rows.append(f"  with the coin {OutPoint(body.outpoint.txid, body.outpoint.vout)}")
    over = " (over)" if made.expires_at_ms <= time.time_ns() // 1_000_000 else ""
    rows.append(f"  good until {until(made.expires_at_ms)}{over}")
    return "\n".join(rows)
