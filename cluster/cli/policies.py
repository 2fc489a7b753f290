"""`assent policy`: put a profile in force at a node, and show the one that is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.cli.setup import read_profile_file
from cluster.errors import StateError
from cluster.journal import PolicyKept
from cluster.party import opened
from cluster.settings import profile_of_text
from cluster.storage import DataDir

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """Set and show the policy in force at a node."""


@policy.command("set")
@common
@passphrase_options
@click.argument("file", type=click.Path(path_type=Path))
def policy_set(call: Call, *, file: Path) -> None:
    """Put the profile in FILE in force, from now on and after every restart; the file itself is not read again."""
    place = call.place()
    text = read_profile_file(file, place.network)
    if _runs(place):
        reply = proven(call, place, {"do": "set-policy", "text": text})
        digest = cast("str", reply["digest"])
    else:
        with opened(place, "node") as party:
            party.keys(call.unlock(place))
            kept = PolicyKept(time.time_ns() // 1_000_000, text, profile_of_text(text).digest)
            party.remember(kept)
            digest = kept.digest.hex()
    call.output.give({"digest": digest, "in_force": True}, f"in force: {digest}")


@policy.command("show")
@common
def policy_show(call: Call) -> None:
    """Show the profile in force, as it was written."""
    place = call.place()
    if _runs(place):
        found = cast("list[dict[str, object]]", ask_node(place, {"do": "policy"})["policies"])
        shown = [(cast("str", one["digest"]), cast("str", one["text"])) for one in found]
    else:
        from cluster.runtime import policies_in_force

        with opened(place, "node") as party:
            shown = [(kept.digest.hex(), kept.text) for kept in policies_in_force(party).values()]
    if not shown:
        raise StateError("no policy is in force here, so everything is refused: `assent policy set FILE`")
    digest, text = shown[0]
    call.output.talk(f"policy {digest}")
    call.output.give({"digest": digest, "text": text}, text.rstrip("\n"))


def _runs(place: DataDir) -> bool:
    """Whether a process works on this data directory."""
    try:
        ask_node(place, {"do": "policy"})
    except StateError:
        return False
    return True
