"""`assent wallets`, `address` and `descriptor`: what is public of the wallets known here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import click

from cluster.backup import read_backup
from cluster.cli.call import Call, common
from cluster.cli.clients import book_of, wallet_of
from cluster.cli.owner import ask_node
from cluster.desk_facts import wallet_facts
from cluster.errors import ConfigError, StateError, UsageError
from cluster.journal import AddressKept
from cluster.party import opened, read_config
from cluster.people_records import known_wallets
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.storage import DataDir
from taproot import RECEIVE, PublicWallet, WalletPath

__all__ = ["address", "descriptor", "known_thresholds", "shown_wallet", "wallets"]


@click.command()
@common
def wallets(call: Call) -> None:
    """List the wallets known here."""
    place = call.place()
    found: list[dict[str, object]]
    if read_config(place).role == "client":
        with opened(place, "client") as party:
            found = [
                wallet_facts(one.wallet, "complete")
                for one in book_of(party).wallets.values()
                if one.wallet is not None
            ]
    elif read_config(place).role == "person":
        with opened(place, "person") as party:
            found = [wallet_facts(wallet, "complete") for wallet in known_wallets(party.records).values()]
    else:
        found = cast("list[dict[str, object]]", ask_node(place, {"do": "wallets"})["wallets"])
    call.output.give(
        {"wallets": found},
        "\n".join(_line(one) for one in found) or "no wallet here yet",
    )


def _line(facts: Mapping[str, object]) -> str:
    """One wallet: how many sign of how many, node or not, and how."""
    scheme = str(facts["scheme"]).partition(" ")[0]
    leaves = cast("list[str]", facts["leaves"])
    more = f"; leaves: {', '.join(leaves)}" if leaves else ""
    return (
        f"{facts['name']}: {facts['t']} of {facts['cosigners']}, {scheme}, {facts['network']}, "
        f"{facts['stage']}{more}"
    )


@click.command()
@common
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option("--new", is_flag=True, help="Client: the next address that was not handed out yet.")
@click.option("--index", type=click.IntRange(0), help="The address of this index.")
def address(call: Call, *, wallet: str, new: bool, index: int | None) -> None:
    """Show a receiving address. None is shown before every owner has confirmed a copy of the backup."""
    if new and index is not None:
        raise UsageError("--new and --index do not go together")
    place = call.place()
    if read_config(place).role == "client":
        shown, at = _client_address(place, wallet, new=new, index=index)
    else:
        if new:
            raise UsageError("--new: only a client hands out new addresses; at a node give --index")
        facts, public = _running_wallet(place, wallet)
        at = cast("int", facts["next_receive"]) if index is None else index
        shown = _address(public, at, cast("int", facts["next_receive"]))
    call.output.give({"address": shown, "index": at, "branch": RECEIVE}, shown)


@click.command()
@common
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
def descriptor(call: Call, *, wallet: str) -> None:
    """Show the descriptor, with origin and checksum, that Bitcoin Core and Sparrow import to watch the wallet."""
    place = call.place()
    if read_config(place).role == "client":
        with opened(place, "client") as party:
            public = _finished(wallet_of(book_of(party), wallet).wallet).public
    else:
        _, public = _running_wallet(place, wallet)
    text = public.descriptor()
    call.output.give({"descriptor": text, "fingerprint": public.fingerprint.hex(), "xpub": public.xpub}, text)


def _client_address(place: DataDir, name: str, *, new: bool, index: int | None) -> tuple[str, int]:
    with opened(place, "client") as party:
        proposed = wallet_of(book_of(party), name)
        wallet = _finished(proposed.wallet)
        if index is None:
            index = proposed.next_address if new else max(0, proposed.next_address - 1)
        shown = _address(wallet.public, index, wallet.next_receive)
        if index >= proposed.next_address:
            party.remember(AddressKept(time.time_ns() // 1_000_000, index), wallet_id=wallet.wallet_id)
    return shown, index


def _finished(wallet: Wallet | None) -> Wallet:
    if wallet is None or not wallet.complete:
        raise StateError("this wallet is not finished: no address before every owner has confirmed a copy")
    return wallet


def _running_wallet(place: DataDir, name: str) -> tuple[dict[str, object], PublicWallet]:
    """A finished wallet of a running node or coordinator; StateError before every owner has confirmed a copy."""
    found = cast("list[dict[str, object]]", ask_node(place, {"do": "wallets"})["wallets"])
    fitting = [one for one in found if name in {"", one["name"]}]
    if len(fitting) != 1:
        known = ", ".join(str(one["name"]) for one in found) or "none"
        raise ConfigError(f"name the wallet with --wallet; wallets here: {known}")
    facts = fitting[0]
    if facts["stage"] != "complete":
        raise StateError(
            f"wallet {facts['name']} is not finished: no address before every owner has confirmed a copy"
        )
    file = cast("str", ask_node(place, {"do": "backup", "wallet": facts["name"]})["file"])
    return facts, read_backup(file.encode())[1].public


def shown_wallet(place: DataDir, name: str) -> tuple[Wallet, Roster]:
    """A finished wallet that is known here, and the roster; StateError before it is finished."""
    if read_config(place).role == "client":
        with opened(place, "client") as party:
            return _finished(wallet_of(book_of(party), name).wallet), party.need_roster()
    facts, _ = _running_wallet(place, name)
    file = cast("str", ask_node(place, {"do": "backup", "wallet": facts["name"]})["file"])
    backup, wallet = read_backup(file.encode())
    return wallet, backup.read_roster()


def known_thresholds(place: DataDir) -> dict[bytes, int]:
    """How many must sign in each wallet known here, by wallet id."""
    if read_config(place).role == "client":
        with opened(place, "client") as party:
            return book_of(party).thresholds
    found = cast("list[dict[str, object]]", ask_node(place, {"do": "wallets"})["wallets"])
    return {bytes.fromhex(str(one["wallet_id"])): cast("int", one["t"]) for one in found}


def _address(public: PublicWallet, index: int, next_receive: int) -> str:
    end = public.gap_end(RECEIVE, next_receive=next_receive)
    if index >= end:
        raise UsageError(f"index {index} is too far ahead: nodes look for the wallet's coins below {end}")
    return public.address(WalletPath(RECEIVE, index))
