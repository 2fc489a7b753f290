"""`assent freeze` and `assent thaw`: a node that refuses everything of a wallet, until its owner says otherwise."""

from __future__ import annotations

from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.errors import Refused

__all__ = ["freeze", "thaw"]


@click.command()
@common
@click.option("--wallet", default="", help="The wallet's name, where there is more than one.")
def freeze(call: Call, *, wallet: str) -> None:
    """Refuse every spend of a wallet at this node, from now on and after every restart."""
    reply = ask_node(call.place(), {"do": "freeze", "wallet": wallet})
    _told(call, reply, "frozen")


@click.command()
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet's name, where there is more than one.")
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
def thaw(call: Call, *, wallet: str, yes: bool) -> None:
    """Let a frozen wallet spend again at this node."""
    if not yes and call.passphrase.asks and not click.confirm("Let this wallet spend again?", err=True):
        raise Refused("not thawed; nothing was changed")
    reply = proven(call, call.place(), {"do": "thaw", "wallet": wallet})
    _told(call, reply, "thawed")


def _told(call: Call, reply: dict[str, object], what: str) -> None:
    name = cast("str", reply["wallet"])
    call.output.give({"wallet": name, "frozen": cast("bool", reply["frozen"])}, f"{what}: {name}")
