"""`assent quarantine`: a node whose records are an older copy, or a peer of which two live; how an owner ends it."""

from __future__ import annotations

from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.errors import Refused
from cluster.heads import NO_ANCHOR

__all__ = ["head_lines", "quarantine"]

Facts = dict[str, object]

_LOST = """\
Ending it means: you accept that records are lost. Every budget counts as used up until its window has passed.
Look afterwards whether the policy (assent policy show), grants and freezes are the newest: what is old stays old."""

_DEALT = """\
Ending it means: you know that only one process of this node runs, and that its owner has dealt with what was lost."""

_NEXT_TIME = (
    "    for next time: an anchor, and it starts alone (`anchor:` in config.yaml, docs/howto/run-a-node.md)"
)

_ITS_DISK = "    or stop it, bring back the anchor that it last wrote, and start it again"


@click.group()
def quarantine() -> None:
    """Records that are an older copy: this node's own, or a peer's."""


@quarantine.command("show")
@common
def show(call: Call) -> None:
    """Show whether this node's records are the newest, and how its peers stand."""
    heads = cast("Facts", ask_node(call.place(), {"do": "status"})["heads"])
    call.output.give(heads, "\n".join(head_lines(heads)))


@quarantine.command("end")
@common
@passphrase_options
@click.option("--peer", default="", help="End what this node holds against that peer, instead of its own.")
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
def end(call: Call, *, peer: str, yes: bool) -> None:
    """Let this node sign again although records are lost; or with that peer again."""
    call.output.talk(_DEALT if peer else _LOST)
    if not yes and call.passphrase.asks and not click.confirm("End the quarantine?", err=True):
        raise Refused("not ended; nothing was changed")
    reply = proven(call, call.place(), {"do": "end-quarantine", "peer": peer})
    text = f"ended for {peer}" if peer else f"ended: the records go on as lineage {reply['lineage']}"
    call.output.give({"peer": peer, "ended": True, "lineage": reply["lineage"]}, text)


def head_lines(heads: Facts) -> list[str]:
    """How record chains stand, in lines."""
    rows = []
    kept = cast("Facts | None", heads["quarantine"])
    if kept is not None:
        rows.append(
            f"  QUARANTINE: {kept['records_here']} records are here, and {kept['seen_by']} knows of "
            f"{kept['records_seen']}: an older copy, so nothing is signed (docs/howto/a-restored-disk.md)"
        )
    elif not heads["settled"]:
        rows += _unproven_lines(heads)
    for peer in cast("list[Facts]", heads["peers"]):
        rows.append(_peer_line(peer))
    return rows


def _unproven_lines(heads: Facts) -> list[str]:
    """What a node that may not be the newest waits for, and the ways out."""
    count = cast("int", heads["waits_for"])
    if not count:
        return ["  records unproven: nothing is signed for a few seconds more, in which its peers may object"]
    silent = cast("list[str]", heads["waits_of"])
    peers = ", ".join(silent) if count == len(silent) else f"{count} of {', '.join(silent)}"
    return [
        f"  records unproven: nothing is signed yet; missing answers: {peers} (anchor: {heads['anchor']})",
        "    either start and connect them: then it goes on by itself",
        "    or end the wait: `assent quarantine end`; budgets then count as used up until their windows have passed",
        _NEXT_TIME if heads["anchor"] == NO_ANCHOR.fault else _ITS_DISK,
    ]


def _peer_line(peer: Facts) -> str:
    heard = "not heard since this start" if peer["heard_s"] is None else f"heard {peer['heard_s']} s ago"
    parts = [heard, *([f"{peer['records']} records"] if "records" in peer else [])]
    parts += [f"FROZEN: {name}" for name in cast("list[str]", peer.get("frozen") or [])]
    parts += ["HIDDEN: off, cut off, or kept from us by the coordinator"] if peer["hidden"] else []
    parts += [f"DOUBTED: {peer['doubt']}, nothing is signed with it"] if peer["doubt"] else []
    return f"  peer {peer['name']}: {', '.join(parts)}"
