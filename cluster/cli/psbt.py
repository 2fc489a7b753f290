"""`assent psbt`: what a PSBT says, and the two trips of one that a participant who is no node signs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from cluster.charter_words import participant_names
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import ClientCall, as_client, book_of, wallet_of
from cluster.cli.sign import formed, read_psbt
from cluster.client_line import now
from cluster.client_views import SigningView
from cluster.cosigning import answer_in, prepared, script_parts
from cluster.errors import NoQuorum, PeerError, Refused, UsageError
from cluster.journal import FinalKept
from cluster.messages import Cosigned
from cluster.party import opened, read_config
from cluster.routes import Route
from cluster.schemes import Blame, Wallet
from cluster.storage import write_public
from cluster.subjects import BadRequest, Signed, Subject, ended
from cluster.wallet_book import Asked, WalletBook
from taproot import (
    FinalTransaction,
    Network,
    PsbtFacts,
    PsbtRefused,
    Spend,
    finish,
    inspect_psbt,
    read_spend,
    signing_tasks,
    strip,
)

__all__ = ["psbt"]

_TELL_S = 10


@click.group()
def psbt() -> None:
    """Show a PSBT, and exchange it with participants that are no nodes."""


@psbt.command()
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--wallet", default="", help="Whose coins and change are named (only needed if there are several)."
)
def show(call: Call, *, file: Path, wallet: str) -> None:
    """Show what FILE would do, and who has given what so far. This proves nothing: nodes read for themselves."""
    data, _ = read_psbt(file)
    place = call.place()
    known: list[Wallet] = []
    if read_config(place).role == "client":
        with opened(place, "client") as party:
            book = book_of(party)
            wanted = (wallet_of(book, wallet),) if wallet else book.wallets.values()
            known = [one.wallet for one in wanted if one.wallet is not None]
    try:
        facts = _inspected(data, Network(read_config(place).network), known)
    except PsbtRefused as refused:
        raise UsageError(f"{file}: {refused}") from None
    call.output.give(_facts(facts), "\n".join(_lines(facts)))


def _inspected(data: bytes, network: Network, known: Iterable[Wallet]) -> PsbtFacts:
    """What the PSBT says, in the eyes of the wallet whose coins it spends; without one, in nobody's."""
    facts = inspect_psbt(data, network)
    for one in known:
        if not any(coin.path for coin in facts.inputs):
            facts = inspect_psbt(
                data, network, one.public, next_receive=one.next_receive, next_change=one.next_change
            )
    return facts


@psbt.command()
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option("--leaf", default="", help="The recovery leaf by which to spend (default: the ordinary way).")
@click.option(
    "--with", "signers", default="", help="Who signs together, with commas (default: the first quorum)."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it.")
def export(call: Call, *, file: Path, wallet: str, leaf: str, signers: str, out: Path | None) -> None:
    """Write FILE with all that a participant who is no node needs: to add its nonce, or to sign its leaf.

    Nonces and signatures that stand in FILE are left out, so that a stale round is never continued.
    """
    data, form = read_psbt(file)
    with opened(call.place(), "client") as party:
        found = wallet_of(book_of(party), wallet).wallet
        assert found is not None  # wallet_of gives finished ones only
        roster = party.need_roster()
        route = _route(found, leaf)
        quorum = _quorum(found, route, participant_names(found.charter, roster), signers)
        try:
            clean = strip(data)
            filled = prepared(clean, found, _spend(clean, found, route), route, quorum)
        except PsbtRefused as refused:
            raise UsageError(f"{file}: {refused}") from None
        names = [participant_names(found.charter, roster)[i] for i in sorted(quorum)]
    target = out or file.with_name(f"{file.stem}.export{file.suffix or '.psbt'}")
    write_public(target, formed(filled, form), replace=False)
    call.output.give(
        {"psbt": str(target), "wallet": found.charter.name, "leaf": leaf, "signers": names},
        f"{target}: for {', '.join(names)}",
    )


@psbt.command("import")
@common
@passphrase_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option(
    "--leaf", default="", help="The recovery leaf by which it is spent (default: the ordinary way)."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the finished PSBT.")
@click.option("--tx", is_flag=True, help="Print the finished transaction as hex; a PSBT only with --out.")
def import_(call: Call, *, file: Path, wallet: str, leaf: str, out: Path | None, tx: bool) -> None:
    """Take FILE back from whoever signs last, finish the transaction, verify it, and tell the nodes.

    A PSBT with nonces only is not for this command: `assent sign` takes it.
    """
    data, form = read_psbt(file)
    target = out or (None if tx else file.with_name(f"{file.stem}.signed{file.suffix or '.psbt'}"))
    if target is not None and target.exists():
        raise UsageError(f"{target}: this exists already, and is not overwritten; name another with --out")
    with as_client(call) as client:
        book = client.book()
        found = wallet_of(book, wallet).wallet
        assert found is not None  # wallet_of gives finished ones only
        route = _route(found, leaf)
        try:
            spend = _spend(strip(data), found, route)
            final = _finished(client, book, found, route, spend, data)
        except PsbtRefused as refused:
            raise UsageError(f"{file}: {refused}") from None
    if target is not None:
        write_public(target, formed(final.psbt, form), replace=False)
    call.output.give(
        {
            "wallet": found.charter.name,
            "state": "final",
            "txid": final.txid_hex,
            "transaction": final.tx.hex(),
            "psbt": None if target is None else str(target),
        },
        final.tx.hex() if tx else str(target),
    )


def _route(wallet: Wallet, leaf: str) -> Route:
    route = wallet.routes.get(leaf)
    if route is None:
        known = ", ".join(name for name in wallet.routes if name) or "none"
        raise UsageError(f"--leaf: the wallet has no leaf {leaf}; leaves: {known}")
    return route


def _quorum(wallet: Wallet, route: Route, names: tuple[str, ...], wanted: str) -> frozenset[int]:
    quorums = route.quorums or (frozenset(range(wallet.charter.t)),)
    if not wanted:
        outside = [quorum for quorum in quorums if quorum - route.nodes]
        return (outside or list(quorums))[0]
    chosen = [name.strip() for name in wanted.split(",")]
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise UsageError(f"--with: {unknown[0]} is no participant ({', '.join(names)})")
    quorum = frozenset(names.index(name) for name in chosen)
    if not route.admits(quorum):
        known = "; ".join(", ".join(names[i] for i in sorted(one)) for one in quorums)
        raise UsageError(f"--with: {', '.join(chosen)} cannot sign this together; who can: {known}")
    return quorum


def _spend(psbt: bytes, wallet: Wallet, route: Route) -> Spend:
    return read_spend(
        psbt,
        wallet.public,
        next_receive=wallet.next_receive,
        next_change=wallet.next_change,
        leaf=route.leaf,
    )


def _finished(
    client: ClientCall, book: WalletBook, wallet: Wallet, route: Route, spend: Spend, data: bytes
) -> FinalTransaction:
    """The finished transaction: of a request that the nodes signed, or by a leaf in which no node stands."""
    asked = [
        one
        for one in book.asked.values()
        if one.parts
        and one.subject.spend.unsigned_tx == spend.unsigned_tx
        and one.subject.route.name == route.name
    ]
    if asked:
        return _cosigned(client, asked, data)
    if (route.nodes and route.group.gives_nonces) or route.approvals:
        raise UsageError("no node has signed this yet: give the PSBT with the nonces to `assent sign` first")
    tasks = signing_tasks(strip(data), spend, wallet.public, route.leaf)
    parts = script_parts(route, wallet, spend, tasks, data)
    given = {part.participant: part.psigs for part in parts}
    needed = route.least
    if len(given) < needed:
        raise NoQuorum(f"{len(given)} of {needed} signatures of that leaf are in the PSBT")
    chosen = dict(sorted(given.items())[:needed])
    return finish(strip(data), spend, tasks, route.group.aggregate((), chosen, tasks))


def _cosigned(client: ClientCall, asked: list[Asked], data: bytes) -> FinalTransaction:
    """Finish the newest of these requests that the PSBT fits, remember it, and tell the coordinator."""
    why = "nobody who signs last has signed it yet"
    for one in reversed(asked):
        try:
            said = answer_in(one.subject, one.parts, data)
            signed = ended(one.subject, one.parts, said)
            final = one.subject.finish(signed)
        except Blame as blame:
            names = participant_names(one.subject.wallet.charter, client.party.need_roster())
            why = f"the signature of {', '.join(names[i] for i in blame.culprits)} is not valid for it"
            continue
        except BadRequest as bad:
            why = str(bad) if bad.code != "cosign-parts" else why
            continue
        _remember(client, one.subject, signed, final)
        _tell(client, one, said)
        return final
    raise Refused(f"not finished: {why}")


def _remember(client: ClientCall, subject: Subject, signed: Signed, final: FinalTransaction) -> None:
    kept = FinalKept(
        now().wall_ms, subject.request_id, signed.signatures, signed.signers, final.tx, *subject.next_indexes
    )
    client.party.remember(kept, wallet_id=subject.wallet.wallet_id)


def _tell(client: ClientCall, asked: Asked, said: Cosigned) -> None:
    """Hand the last parts in, so that the nodes close the request; the transaction is finished in any case."""
    try:
        with client.line() as line:
            view = SigningView(asked.subject, asked.request, state="cosigning", parts=asked.parts)
            line.client.signing[asked.subject.request_id] = view
            line.say(line.client.cosign(asked.subject.request_id, said, now(), os.urandom(32)))
            told = line.wait(lambda: view.final is not None, _TELL_S)
    except PeerError:
        told = False
    if not told:
        client.call.output.talk(
            "the coordinator did not answer; the nodes learn of it when you import it again"
        )


# What `show` says.


def _facts(facts: PsbtFacts) -> dict[str, object]:
    return {
        "stage": facts.stage,
        "psbt_version": facts.version,
        "txid": facts.txid_hex,
        "locktime": facts.locktime,
        "fee_sats": facts.fee_sats,
        "inputs": [
            {
                "coin": one.outpoint,
                "amount_sats": one.amount_sats,
                "address": one.address,
                "path": None if one.path is None else str(one.path),
                "sequence": one.sequence,
                "leaves": one.leaves,
                "nonces": one.nonces,
                "partial_signatures": one.partial_signatures,
                "script_signatures": one.script_signatures,
                "key_signature": one.key_signature,
                "final": one.final,
            }
            for one in facts.inputs
        ],
        "outputs": [
            {
                "amount_sats": one.amount_sats,
                "address": one.address,
                "script": one.script.hex(),
                "path": None if one.path is None else str(one.path),
            }
            for one in facts.outputs
        ],
    }


def _lines(facts: PsbtFacts) -> list[str]:
    lines = [f"{facts.stage}; version {facts.version}, transaction {facts.txid_hex}"]
    if facts.locktime:
        lines.append(f"locked until {facts.locktime} (a height below 500000000, else a time)")
    for i, one in enumerate(facts.inputs):
        whose = "not known here" if one.path is None else f"ours at {one.path}"
        counts = (
            (one.leaves, "leaf offered"),
            (one.nonces, "nonces"),
            (one.partial_signatures, "partial signatures"),
            (one.script_signatures, "leaf signatures"),
        )
        given = [f"{count} {what}" for count, what in counts if count]
        given += ["final"] if one.final else ["signed"] if one.key_signature else []
        amount = "unknown amount" if one.amount_sats is None else f"{one.amount_sats:_}sat"
        lines.append(f"input {i}: {amount}, {whose}; {', '.join(given) or 'nothing given'}")
    for i, out in enumerate(facts.outputs):
        whose = "" if out.path is None else f" (ours at {out.path})"
        lines.append(f"output {i}: {out.amount_sats:_}sat to {out.address or out.script.hex()[:64]}{whose}")
    lines.append("fee unknown" if facts.fee_sats is None else f"fee {facts.fee_sats:_}sat")
    return lines
