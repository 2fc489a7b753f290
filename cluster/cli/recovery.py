"""`assent recover`: a node again, from its 24 words and a backup or its state store, or a coordinator.

A node has the same share; from a backup its budgets start exhausted, from its state store they are what they were
once its peers have vouched. A coordinator has the same keys, and gets its memory from the nodes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from cluster.backup import Backup, in_order
from cluster.cli.anchors import anchor_advice, anchored, check_anchor_path, new_anchor
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.copies import read_backup_file
from cluster.cli.recovery_of_coordinator import compare_roster, read_words, recover_coordinator
from cluster.cli.setup import free_place, kdf_cost, make_datadir, make_part
from cluster.cli.store_recovery import Wish, recover_from_store, store_place
from cluster.errors import ConfigError, UsageError
from cluster.journal import (
    CopyConfirmed,
    RecoveredKept,
    RosterKept,
    UsedKept,
    WalletComplete,
    WalletKept,
    note,
)
from cluster.keys import Keys
from cluster.messages import NO_ID
from cluster.party import Config, public_file
from cluster.public_part import own_entry
from cluster.records import Record
from cluster.roster import NodeEntry, Roster, RosterError
from cluster.schemes import KeygenTrouble, Wallet, known_keys
from cluster.vault import Vault

__all__ = ["recover"]


@click.command()
@common
@passphrase_options
@click.option(
    "--role",
    type=click.Choice(["node", "coordinator"]),
    default="node",
    show_default=True,
    help="What to rebuild.",
)
@click.option(
    "--backup",
    "backups",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Node: a wallet's backup (once for each wallet).",
)
@click.option(
    "--roster", "roster_file", type=click.Path(path_type=Path), help="Coordinator: the roster's file."
)
@click.option("--bind", default="", help="Coordinator: where to listen, if not at the roster's address.")
@click.option(
    "--from-store",
    default="",
    metavar="WHERE",
    help="Node: in place of backups, its state store: a directory, or the URL of a VSS server.",
)
@click.option("--store-id", default="", help="The keyspace there, if config.yaml named one.")
@click.option(
    "--store-token-file",
    type=click.Path(path_type=Path),
    help="A private file with the token for the server.",
)
@click.option(
    "--store-ca-file", type=click.Path(path_type=Path), help="Who vouches for the server's certificate."
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path),
    help="From a backup: a new file for its anchor, as with `init`; from a state store: the anchor that it had.",
)
@click.option("--name", default="", help="Its name in the roster; a state store knows it.")
@click.option(
    "--next-receive",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    help="The first receive index that another node's `assent wallets --json` shows as unused.",
)
@click.option(
    "--next-change",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    help="The same for change.",
)
@click.option(
    "--words-file", type=click.Path(path_type=Path), help="Read the 24 words from this private file."
)
@click.option("--yes", is_flag=True, help="The roster's words were compared already (for scripts).")
@click.option(
    "--kdf-memory", type=int, help="MiB for the passphrase's key derivation (default 256, at least 19)."
)
def recover(
    call: Call,
    *,
    role: str,
    backups: tuple[Path, ...],
    roster_file: Path | None,
    bind: str,
    from_store: str,
    store_id: str,
    store_token_file: Path | None,
    store_ca_file: Path | None,
    anchor: Path | None,
    name: str,
    next_receive: int,
    next_change: int,
    words_file: Path | None,
    yes: bool,
    kdf_memory: int | None,
) -> None:
    """Rebuild a node from its words and the backup of each wallet or its state store, or a coordinator from its words.

    It goes into a new data directory. Stop the old one for good first: two copies of one node can be made to sign
    the same money twice, and two copies of one coordinator take each other's letters.
    """
    if role == "coordinator":
        if from_store:
            raise UsageError("a coordinator has no state store: the nodes give its memory back")
        if backups or next_receive or next_change:
            raise UsageError("a coordinator needs no backup: the nodes tell it of wallets and requests")
        recover_coordinator(call, name, roster_file, bind, words_file, yes=yes, kdf_memory=kdf_memory)
        return
    if roster_file is not None or bind:
        raise UsageError("--roster and --bind are for --role coordinator; a node's backup holds the roster")
    if bool(backups) == bool(from_store):
        raise UsageError(
            "give either the backup of each wallet (--backup), or the node's state store (--from-store)"
        )
    if from_store:
        where = store_place(from_store, store_id, store_token_file, store_ca_file)
        wish = Wish(name, kdf_cost(kdf_memory), next_receive, next_change, anchor)
        recover_from_store(call, where, read_words(words_file), wish)
        return
    if anchor is not None:
        check_anchor_path(str(anchor))
    if not name:
        raise UsageError("--name: a backup does not say which of its nodes this is")
    wish = Wish(name, kdf_cost(kdf_memory), next_receive, next_change, anchor)
    _recover_from_backups(call, backups, wish, words_file, yes=yes)


def _recover_from_backups(
    call: Call,
    backups: tuple[Path, ...],
    wish: Wish,
    words_file: Path | None,
    *,
    yes: bool,
) -> None:
    name = wish.name
    read, roster, entry = _read_backups(call, backups, name)
    place = free_place(call, roster.network)
    anchor = new_anchor("" if wish.anchor is None else str(wish.anchor), "node", place)
    seed = read_words(words_file)
    config = Config("node", name, roster.network, anchor=anchor)
    part = make_part(config, seed, "", (entry.role,))
    try:
        own_entry(roster, part)
    except RosterError as error:
        raise ConfigError(f"these words are not those of node {name}: {error}") from None
    compare_roster(call, read[0][0].roster, yes=yes)
    keys = seed.keys(roster.network)
    records = _records(read, keys, entry)
    used = UsedKept(time.time_ns() // 1_000_000, wish.next_receive, wish.next_change)
    records += [note(used, wallet.wallet_id) for _, wallet in read]
    passphrase = call.passphrase.read("New passphrase", confirm=True)
    with anchored(config, seed):
        make_datadir(place, config, seed, part, passphrase, wish.cost, records=records)
    seed.wipe()
    _tell_lost(call)
    if advice := anchor_advice(config, place):
        call.output.talk(f"  - {advice}")
    names = [wallet.charter.name for _, wallet in read]
    call.output.give(
        {
            "role": "node",
            "name": name,
            "network": roster.network,
            "datadir": str(place.path),
            "public_part": str(public_file(place)),
            "anchor": config.anchor,
            "wallets": names,
            "budgets": "exhausted",
        },
        str(place.path),
    )


def _read_backups(
    call: Call, paths: tuple[Path, ...], name: str
) -> tuple[list[tuple[Backup, Wallet]], Roster, NodeEntry]:
    """The backups, their one roster, and the node's own entry in it."""
    read = [read_backup_file(path) for path in paths]
    roster = read[0][0].read_roster()
    if any(backup.roster != read[0][0].roster for backup, _ in read):
        raise ConfigError("these backups are from different rosters")
    if call.network not in {None, roster.network}:
        raise UsageError(f"--network {call.network}: the backup is for {roster.network}")
    entry = next((node for node in roster.nodes if node.name == name), None)
    if entry is None:
        raise UsageError(
            f"--name: no node {name} in the backup's roster ({', '.join(n.name for n in roster.nodes)})"
        )
    return read, roster, entry


def _records(read: list[tuple[Backup, Wallet]], keys: Keys, entry: NodeEntry) -> list[Record]:
    """What the new node starts from; ConfigError unless the words give a share of every wallet."""
    at_ms = time.time_ns() // 1_000_000
    vault = Vault(keys.secrets, keys.sealing_key())
    records = [note(RosterKept(at_ms, read[0][0].roster)), note(RecoveredKept(at_ms, confirmed=False), NO_ID)]
    recovered: dict[bytes, Wallet] = {}
    for backup, wallet in in_order(read, lambda one: one[1].charter):
        charter = wallet.charter
        missing = [one for one in charter.named_wallets if one not in recovered]
        if missing:
            raise ConfigError(
                f"a leaf of wallet {charter.name} names another wallet: give its backup too ({missing[0].hex()[:16]})"
            )
        if charter.participant(entry.identity) is None:
            raise ConfigError(f"node {entry.name} is not a member of wallet {charter.name}")
        try:
            vault.recover(charter, backup.recovery_data, known_keys(recovered))
        except (KeygenTrouble, ValueError) as error:
            raise ConfigError(f"these words give no share of wallet {charter.name} ({error})") from None
        recovered[charter.wallet_id] = wallet
        sealed = vault.seal(charter.wallet_id, backup.recovery_data, os.urandom(32))
        ack = vault.acknowledge(wallet, os.urandom(32))
        records += [
            note(WalletKept(at_ms, backup.charter, sealed), charter.wallet_id),
            note(CopyConfirmed(at_ms, ack), charter.wallet_id),
        ]
        if backup.acks:
            if not wallet.acknowledged(backup.acks):
                raise ConfigError(f"the acknowledgements in the backup of wallet {charter.name} do not fit")
            records.append(note(WalletComplete(at_ms, backup.acks), charter.wallet_id))
    return records


def _tell_lost(call: Call) -> None:
    call.output.talk("recovered: the same keys and the same shares. What was lost, and what to do:")
    call.output.talk("  - the policy in force: until `assent policy set FILE` this node refuses everything")
    call.output.talk(
        "  - what was spent: every budget starts exhausted, and fills again as its window passes"
    )
    call.output.talk(
        "  - which addresses are used: without --next-receive and --next-change it looks from index 0, "
        "a thousand addresses far"
    )
    call.output.talk("  - earlier requests, refusals and answers: they are asked again")
    call.output.talk("  - whether a wallet was frozen: `assent freeze` again before `assent policy set`")
    call.output.talk("  - its record chain starts anew, which the coordinator can see")
    call.output.talk("  - its anchor: the one that it had would not fit")
