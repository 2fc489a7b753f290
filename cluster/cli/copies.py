"""`assent backup`: show a wallet's backup as file and QR codes, and check that a copy of it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from cluster.backup import (
    Backup,
    BackupError,
    backup_of,
    qr_parts,
    qr_png,
    qr_text,
    read_backup,
    write_backup,
)
from cluster.cli.call import Call, common
from cluster.cli.clients import book_of, wallet_of
from cluster.cli.output import words_table
from cluster.cli.owner import ask_node
from cluster.errors import ConfigError
from cluster.party import opened, read_config
from cluster.roster import match_words
from cluster.schemes import Wallet
from cluster.storage import DataDir, read_file, write_private

__all__ = ["backup", "read_backup_file"]


@click.group()
def backup() -> None:
    """Show and check the backup of a wallet: with the 24 words it gives a node's share again."""


@backup.command("show")
@common
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option("--out", type=click.Path(path_type=Path), help="Write the file here instead of printing it.")
@click.option("--qr", is_flag=True, help="As QR codes: PNG files beside --out, else in the terminal.")
def backup_show(call: Call, *, wallet: str, out: Path | None, qr: bool) -> None:
    """Show the backup of a wallet. It is not secret, but whoever reads it learns every address."""
    place = call.place()
    name, stage, file = backup_file(place, wallet)
    parts = qr_parts(read_backup(file)[0]) if qr else ()
    written: list[str] = []
    if out is not None:
        write_private(out, file, replace=False)
        written.append(str(out))
        for place_of, part in enumerate(parts, 1):
            image = out.with_name(f"{out.stem}-{place_of}-of-{len(parts)}.png")
            write_private(image, qr_png(part), replace=False)
            written.append(str(image))
    call.output.talk(
        f"wallet {name}: copy this to another place, then show the copy with `assent backup check FILE`"
    )
    text = "\n".join(written)
    if out is None:
        drawn = [f"part {at} of {len(parts)}\n{qr_text(part)}" for at, part in enumerate(parts, 1)]
        text = "\n".join(drawn) if qr else file.decode().rstrip()
    call.output.give(
        {
            "wallet": name,
            "stage": stage,
            "files": written,
            "backup": None if out is not None else file.decode(),
            "qr": list(parts),
        },
        text,
    )


@backup.command("check")
@common
@click.argument("file", type=click.Path(path_type=Path))
def backup_check(call: Call, *, file: Path) -> None:
    """Check a copy of a backup; at a running node this confirms it, and the node acknowledges the wallet."""
    place = call.place()
    found, wallet = read_backup_file(file)
    role = read_config(place).role
    if role == "node":
        request: dict[str, object] = {
            "do": "copy",
            "wallet_id": wallet.wallet_id.hex(),
            "recovery_data": wallet.recovery_data.hex(),
        }
        stage = cast("str", ask_node(place, request)["stage"])
    else:
        _same_here(place, wallet)
        stage = "verified"
    words = match_words("wallet", found.recovery_data)
    call.output.talk("the copy is whole. The wallet's words, to be compared with every other owner:")
    call.output.talk(words_table(words))
    call.output.give(
        {
            "file": str(file),
            "wallet": wallet.charter.name,
            "whole": True,
            "confirmed": role == "node",
            "stage": stage,
            "words": list(words),
        },
        f"{file}: a whole copy of wallet {wallet.charter.name}",
    )


def read_backup_file(path: Path) -> tuple[Backup, Wallet]:
    """A backup from a file, or from a file with the texts of its QR codes; ConfigError says what is wrong."""
    try:
        return read_backup(read_file(path))
    except BackupError as error:
        raise ConfigError(f"{path}: {error}") from None


def backup_file(place: DataDir, name: str) -> tuple[str, str, bytes]:
    """The name, stage and backup of a wallet, as a client keeps it or a running node or coordinator gives it."""
    if read_config(place).role == "client":
        with opened(place, "client") as party:
            found = wallet_of(book_of(party), name)
            assert found.wallet is not None  # wallet_of gives finished ones only
            book = book_of(party)
            others = [one.wallet for one in book.wallets.values() if one.wallet is not None]
            made = backup_of(party.roster_exact, found.wallet, found.exact, found.acks, others)
            return found.charter.name, "complete", write_backup(made)
    reply = ask_node(place, {"do": "backup", "wallet": name})
    return cast("str", reply["wallet"]), cast("str", reply["stage"]), cast("str", reply["file"]).encode()


def _same_here(place: DataDir, wallet: Wallet) -> None:
    """ConfigError unless the copy is of the wallet that is known here."""
    _, _, file = backup_file(place, wallet.charter.name)
    if read_backup(file)[1].recovery_data != wallet.recovery_data:
        raise ConfigError(f"this is a backup of another wallet called {wallet.charter.name}")
