"""`assent freeze` and `assent thaw`: stop a wallet at this node, or at every node, and let this one go on again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import duration_s
from cluster.cli.owner import ask_node, proven
from cluster.cli.people import LOOK_S, as_person
from cluster.client_line import PersonLine, now
from cluster.errors import PeerError, Refused, StateError, UsageError, Waiting
from cluster.party import read_config
from cluster.people_freezes import FreezeView
from cluster.roster import Roster
from cluster.schemes import Wallet
from policy.reading_alarms import MAX_FREEZE_MS

__all__ = ["freeze", "thaw"]

HEARD_S = 15.0
"""How long to wait until the nodes say what became of a freeze."""

Receipts = Mapping[str, Mapping[str, object]]


@click.command()
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet's name, where there is more than one.")
@click.option("--everywhere", is_flag=True, help="At every node (at a person's device always).")
@click.option("--for", "length", default="72h", show_default=True, help="How long, at the other nodes.")
def freeze(call: Call, *, wallet: str, everywhere: bool, length: str) -> None:
    """Refuse every spend of a wallet at this node until you thaw it, or at every node for a while.

    Every node and person may freeze a wallet everywhere once in 30 days; each node holds it for as long as its own
    policy lets others, and nobody can end it earlier. A rescue stays possible.
    """
    wanted_ms = duration_s(length, "--for") * 1000
    if not 0 < wanted_ms <= MAX_FREEZE_MS:
        raise UsageError("--for: at most 30d")
    place = call.place()
    if read_config(place).role == "person":
        _by_person(call, wallet, wanted_ms)
        return
    request = {"do": "freeze", "wallet": wallet, "everywhere_ms": wanted_ms if everywhere else 0}
    reply = ask_node(place, request)
    if everywhere:
        reply = _heard(call, reply)
    _told(call, reply, "frozen")


@click.command()
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet's name, where there is more than one.")
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
def thaw(call: Call, *, wallet: str, yes: bool) -> None:
    """Let a frozen wallet spend again at this node, unless others froze it: that ends by itself, and only so."""
    if not yes and call.passphrase.asks and not click.confirm("Let this wallet spend again?", err=True):
        raise Refused("not thawed; nothing was changed")
    reply = proven(call, call.place(), {"do": "thaw", "wallet": wallet})
    _told(call, reply, "thawed")


def _told(call: Call, reply: Mapping[str, object], what: str) -> None:
    name = cast("str", reply["wallet"])
    for hold in cast("list[dict[str, object]]", reply["frozen_by"]):
        call.output.talk(f"  {hold['who']} froze it as well: {_left(hold)} left, and nobody can end that")
    call.output.give(dict(reply), f"{what}: {name}")


def _left(hold: Mapping[str, object]) -> str:
    hours, rest = divmod(cast("int", hold["left_ms"]) // 60_000, 60)
    return f"{hours}h{rest:02}min"


def _heard(call: Call, reply: dict[str, object]) -> dict[str, object]:
    """Wait until the other nodes answer, and say so; this node goes on asking those that do not."""
    place, name = call.place(), reply["wallet"]
    ends_s = time.monotonic() + HEARD_S
    while True:
        wallets = cast("list[dict[str, object]]", ask_node(place, {"do": "status"})["wallets"])
        wallet = next(one for one in wallets if one["name"] == name)
        found = cast("dict[str, object]", wallet["frozen_everywhere"])
        if not found["not_heard_of"] or time.monotonic() >= ends_s:
            break
        time.sleep(0.2)
    _tell(call, cast("Receipts", found["taken"]), cast("list[str]", found["not_heard_of"]))
    if found["not_heard_of"]:
        call.output.talk("  this node goes on asking them; `assent status` shows who has taken it")
    return {**reply, "frozen_everywhere": found}


def _tell(call: Call, taken: Receipts, missing: list[str]) -> None:
    for node, receipt in taken.items():
        held = f"frozen, {_left(receipt)} left" if receipt["left_ms"] else "NOT FROZEN"
        why = "" if receipt["code"] == "frozen" else f" ({receipt['code']})"
        call.output.talk(f"  {node}: {held}{why}")
    for node in missing:
        call.output.talk(f"  {node}: no answer; it may not be frozen")


# A person's device.


def _by_person(call: Call, name: str, wanted_ms: int) -> None:
    with as_person(call) as (line, roster):
        wallet = _wallet(line, name)
        view, step = line.person.freeze(wallet, wanted_ms, now(), os.urandom(32))
        line.say(step)
        line.wait(lambda: view.answered, HEARD_S)
    _give(call, view, roster)
    if not view.stops_it:
        raise Waiting(
            f"too few nodes have it: {wallet.charter.t} of the others could still sign. Give the same command again, "
            "and call their owners, who have `assent freeze`"
        )
    if view.liars < wallet.charter.t:
        call.output.talk(
            f"  it holds unless {view.liars} of them lie: give the same command again, or call the owners of the rest"
        )


def _wallet(line: PersonLine, name: str) -> Wallet:
    """The wallet that is meant, as far as a coordinator shows it and this device can check it."""
    person = line.person

    def named() -> list[Wallet]:
        return [one for one in person.wallets.values() if name in {"", one.charter.name}]

    for _ in line.rounds():
        if name and named():
            break  # who freezes is in a hurry, and one that is named is known for good
        line.say(person.look(set(), now(), os.urandom(32)))
        line.wait(lambda: person.has_looked, LOOK_S)
    found = named()
    if not person.wallets and not person.has_listed:
        raise PeerError(f"{line.where} did not answer {person.trouble}".strip())
    if not found:
        raise StateError(f"no wallet {name} is known here" if name else "no wallet is known here yet")
    if len(found) > 1:
        raise UsageError(f"say which wallet: {', '.join(sorted(one.charter.name for one in found))}")
    return found[0]


def _give(call: Call, view: FreezeView, roster: Roster) -> None:
    taken = {
        roster.name_of(node): {"code": receipt.code, "left_ms": receipt.left_ms}
        for node, receipt in view.receipts.items()
    }
    members = [roster.name_of(member.identity) for member in view.wallet.charter.members]
    missing = [member for member in members if member not in taken]
    _tell(call, taken, missing)
    name = view.wallet.charter.name
    facts = {
        "wallet": name,
        "taken": taken,
        "not_heard_of": missing,
        "stopped": view.stops_it,
        "liars": view.liars,
    }
    call.output.give(facts, f"{'frozen' if view.stops_it else 'NOT STOPPED'}: {name}")
