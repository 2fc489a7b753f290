"""`assent drill`: every share of a wallet shows that it still signs, and every node that its copy still fits."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import ClientCall, as_client, duration_s, wallet_of
from cluster.cli.copies import read_backup_file
from cluster.client_drills import DrillView
from cluster.client_line import now
from cluster.drill_records import DrillPassed
from cluster.drills import copy_digest
from cluster.errors import ConfigError, NoQuorum, PeerError, Refused
from cluster.schemes import Wallet

__all__ = ["drill"]

_WORDS = {
    "signs": "signs, and its copy fits",
    "silent": "NO ANSWER: is it running?",
    "drill-failed": "DID NOT SIGN: look at its log",
    "drill-copy": "HAS ANOTHER COPY of this wallet than the one that was named: look at once",
    "drill-too-many": "takes part in no more drills today (its policy says so)",
    "rollback": "IS AN OLDER COPY of itself, and signs nothing (assent quarantine show)",
    "rollback-unproven": "has not heard yet from its peers that its records are the newest: try again",
    "request-wallet": "DOES NOT KNOW this wallet",
    "drill-outsiders": "cannot be drilled: every quorum has somebody in it who is no node",
}


@click.command()
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option(
    "--backup",
    "file",
    type=click.Path(path_type=Path),
    help="Check this copy of the wallet, too (file or QR texts).",
)
@click.option("--timeout", default="60s", show_default=True, help="How long to wait.")
def drill(call: Call, *, wallet: str, file: Path | None, timeout: str) -> None:
    """Have every node prove that its share signs and that its copy of the wallet is the same as here (client).

    What is signed is a challenge under a key of its own: it is no transaction, moves nothing, and uses no budget.
    """
    timeout_s = duration_s(timeout, "--timeout")
    with as_client(call) as client:
        found = wallet_of(client.book(), wallet).wallet
        assert found is not None  # wallet_of gives finished ones only
        if file is not None:
            _same(found, file)
            call.output.talk(f"{file}: a whole copy of wallet {found.charter.name}")
        view = _ask(client, found, timeout_s)
        if view.whole:
            kept = DrillPassed(now().wall_ms, view.drill_id, tuple(sorted(view.proven)))
            client.party.remember(kept, wallet_id=found.wallet_id)
        _give(client, view)


def _same(wallet: Wallet, file: Path) -> None:
    """ConfigError unless the copy in a file is of this very wallet."""
    _, copied = read_backup_file(file)
    if copied.wallet_id != wallet.wallet_id:
        raise ConfigError(f"{file}: this is a copy of another wallet ({copied.charter.name})")
    if copy_digest(copied) != copy_digest(wallet):
        raise ConfigError(
            f"{file}: this copy differs from what is kept here; make a new one: `assent backup show`"
        )


def _ask(client: ClientCall, wallet: Wallet, timeout_s: int) -> DrillView:
    with client.line() as line:
        found, step = line.client.drill(wallet, copy_digest(wallet), now(), os.urandom(32))
        view = line.client.drills[found]
        line.say(step)
        line.wait(lambda: view.over or bool(view.rejected), timeout_s)
        trouble, where = line.client.trouble, line.where
    if view.rejected:
        raise Refused(f"the coordinator did not take the drill ({view.rejected})")
    if not view.over:
        raise PeerError(f"{where} did not end the drill in time {trouble}".rstrip())
    return view


def _give(client: ClientCall, view: DrillView) -> None:
    roster, name = client.party.need_roster(), view.wallet.charter.name
    words = {roster.name_of(m.identity): view.word(m.identity) for m in view.wallet.charter.members}
    for node, word in words.items():
        client.call.output.talk(f"  {node}: {_WORDS.get(word, word)}")
    text = f"wallet {name}: {'every node signs' if view.whole else 'NOT EVERY NODE SIGNS'}"
    client.call.output.give({"wallet": name, "whole": view.whole, "nodes": words}, text)
    if not view.whole:
        bad = [node for node, word in words.items() if word != "signs"]
        raise NoQuorum(f"not shown to sign: {', '.join(bad)}; mend that while the others are well")
