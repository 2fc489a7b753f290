"""`assent pending`, `approve`, `refuse` and `clock`: what a node asks its owner, and what the owner says."""

from __future__ import annotations

import re
import time
from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options, person_rescue
from cluster.cli.output import foreign, words_table
from cluster.control import control_call
from cluster.errors import ConfigError, Refused, StateError, UsageError, Waiting, one_line
from cluster.heads import UNPROVEN
from cluster.owner_desk import proof_of
from cluster.party import read_config
from cluster.roster import match_words
from cluster.storage import DataDir
from policy.tags import ASK_NUMBER

__all__ = ["approve", "ask_node", "clock", "pending", "proven", "refuse"]

_PREFIX = re.compile(r"[0-9a-f]{8,64}")

Found = dict[str, object]

_HELPS = {
    ASK_NUMBER: "say it again with --number and the number that the asking device shows",
    UNPROVEN: "it goes on by itself once enough peers have answered; `assent status` says which, and what else helps",
}
"""What an owner can do, where their yes alone is not enough."""


@click.command()
@common
def pending(call: Call) -> None:
    """Show what waits for this node's owner, with the words of each proposed wallet."""
    place = call.place()
    waiting = [_with_words(about) for about in _entries(ask_node(place, {"do": "pending"}), "pending")]
    call.output.give(
        {"pending": waiting},
        "\n\n".join(_shown(about) for about in waiting) or "nothing waits for you",
    )


@click.command()
@common
@passphrase_options
@click.option("--yes", is_flag=True, help="It was compared already: do not ask (for scripts).")
@click.option(
    "--number", default="", help="The number that the asking device shows, where the policy wants it."
)
@person_rescue
@click.argument("subject", metavar="ID")
def approve(call: Call, *, subject: str, yes: bool, number: str, gatherer: str) -> None:
    """Say yes to the request or proposed wallet ID (at least 8 hex digits of it)."""
    place = call.place()
    if read_config(place).role == "person":
        _as_person(call, subject, gatherer, yes=True, sure=yes)
        return
    _no_gatherer(gatherer)
    about = _with_words(_find(place, subject))
    call.output.talk(_shown(about))
    if not yes and call.passphrase.asks:
        question = (
            "Compared with every other owner, and all the same? Type yes" if "words" in about else "Type yes"
        )
        if click.prompt(question, default="no", show_default=False, err=True).strip().lower() != "yes":
            raise Refused("not approved; nothing was changed")
    if about.get("number") and not number and call.passphrase.asks:
        number = click.prompt("The number that the asking device shows", err=True).strip()
    answer = {"do": "answer", "id": about["id"], "yes": True, "number": number}
    reply = proven(call, place, answer)
    _answered(call, reply, "approved")


@click.command()
@common
@passphrase_options
@person_rescue
@click.argument("subject", metavar="ID")
def refuse(call: Call, *, subject: str, gatherer: str) -> None:
    """Say no to the request or proposed wallet ID (at least 8 hex digits of it); a person's no is signed."""
    place = call.place()
    if read_config(place).role == "person":
        _as_person(call, subject, gatherer, yes=False, sure=True)
        return
    _no_gatherer(gatherer)
    about = _find(place, subject)
    reply = ask_node(place, {"do": "answer", "id": about["id"], "yes": False})
    _answered(call, reply, "refused")


def _as_person(call: Call, subject: str, gatherer: str, *, yes: bool, sure: bool) -> None:
    """Whoever is no node's owner, but a person of the roster, signs what they say."""
    from cluster.cli.people import answer

    answer(call, subject, gatherer, yes=yes, sure=sure)


def _no_gatherer(gatherer: str) -> None:
    if gatherer:
        raise UsageError("--rescue: a node is told who gathers by `assent node run --rescue`")


@click.group()
def clock() -> None:
    """Confirm the clock that budgets go by, after a restart or a jump."""


@clock.command("confirm")
@common
@passphrase_options
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
def clock_confirm(call: Call, *, yes: bool) -> None:
    """Tell the node that its wall clock is right, so that budgets may go by it again."""
    place = call.place()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    call.output.talk(f"the clock of this machine says {shown}")
    if not yes and call.passphrase.asks and not click.confirm("Is that right?", err=True):
        raise Refused("not confirmed; nothing was changed")
    reply = proven(call, place, {"do": "confirm-clock"})
    call.output.give({"confirmed_ms": cast("int", reply["confirmed_ms"])}, f"confirmed: {shown}")


# Speaking with the running node.


def ask_node(place: DataDir, request: Found, timeout_s: float = 30.0) -> Found:
    """Ask the process that runs on this data directory; ConfigError when it is a client's, which has none."""
    role = read_config(place).role
    if role not in {"node", "coordinator"}:
        raise ConfigError(f"{place.path}: this is a {role}'s data directory, and no process runs for it")
    return control_call(place.control_socket, request, timeout_s)


def proven(call: Call, place: DataDir, request: Found) -> Found:
    """Ask for what only the owner may: the passphrase opens the seed, whose identity key signs the request."""
    role = read_config(place).role
    if role != "node":
        raise ConfigError(f"{place.path}: this is a {role}'s data directory, and this command is for a node")
    ask_node(place, {"do": "challenge"})  # before the passphrase is asked for: does the node run at all?
    seed = call.unlock(place)
    identity = seed.keys(place.network).identity()
    seed.wipe()
    challenge = ask_node(place, {"do": "challenge"})["challenge"]
    return ask_node(place, proof_of({**request, "challenge": challenge}, identity.sign))


def _find(place: DataDir, prefix: str) -> Found:
    """The one thing whose id starts so; UsageError for none, or more than one."""
    wanted = prefix.lower()
    if not _PREFIX.fullmatch(wanted):
        raise UsageError("ID: give at least 8 hex digits of it; `assent pending` shows the ids")
    found = _entries(ask_node(place, {"do": "find", "prefix": wanted}), "found")
    if not found:
        raise UsageError(f"nothing of id {wanted} is known to this node; `assent pending` shows what waits")
    if len(found) > 1:
        raise UsageError(f"several ids start with {wanted}: give more of it")
    return found[0]


def _entries(reply: Found, key: str) -> list[Found]:
    return cast("list[Found]", reply[key])


def _with_words(about: Found) -> Found:
    """Add the twelve words of a proposed wallet, computed here from the exact bytes of its charter."""
    if about["kind"] != "wallet":
        return {key: value for key, value in about.items() if key != "charter"}
    words = match_words("charter", bytes.fromhex(cast("str", about["charter"])))
    return {**about, "words": list(words)}


def _shown(about: Found) -> str:
    rows = [f"{about['kind']} {about['id']}"]
    if about["kind"] == "request":
        rows.append(f"  wallet {about['wallet']}, from client {about['client']}, state {about['state']}")
    rows += [f"  {one_line(line)}" for line in cast("list[str]", about["lines"])]
    if about.get("note"):
        rows.append(f"  note {foreign(cast('str', about['note']))}")
    for reason in cast("list[str]", about.get("reasons") or []):
        rows.append(f"  why: {one_line(reason)}")
    if "words" in about:
        rows.append(words_table(cast("list[str]", about["words"])))
    return "\n".join(rows)


def _answered(call: Call, reply: Found, said: str) -> None:
    about = cast("Found", reply["about"])
    state = about["decision"] if about["kind"] == "request" else about["state"]
    call.output.give(
        {
            "id": cast("str", about["id"]),
            "answer": said,
            "state": cast("str", about["state"]),
            "now": cast("str", state),
        },
        f"{said} {about['id']}",
    )
    if said == "approved" and state in {"failed", "declined"}:
        raise StateError("too late: this proposal has ended; it must be made again")
    if said == "approved" and about["kind"] == "request" and state != "approve":
        raise _not_yet(str(state), cast("list[str]", about["codes"]))


def _not_yet(state: str, codes: list[str]) -> Refused | Waiting:
    """A yes that is not enough: what else the policy says, and what the owner can do about it."""
    helps = "".join(f"; {_HELPS[code]}" for code in codes if code in _HELPS)
    text = f"your yes is kept, but this node's policy still says {state} ({', '.join(codes)}){helps}"
    return Refused(text) if state == "refuse" else Waiting(text)
