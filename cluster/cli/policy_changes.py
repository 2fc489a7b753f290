"""`assent policy changes`, `consent` and `cancel`: what waits to loosen a policy, as a node's owner sees it.

At a person's data directory the same commands do what `cluster.cli.person_changes` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.errors import Refused, UsageError, one_line
from cluster.party import read_config
from cluster.storage import DataDir

__all__ = ["CHANGES", "change_shown", "confirm", "difference"]

Found = dict[str, object]


@click.command("changes", short_help="Looser profiles that wait, here and elsewhere.")
@common
@passphrase_options
def policy_changes(call: Call) -> None:
    """Show the looser profiles that wait here, and those that other nodes have announced."""
    place = call.place()
    if _is_person(place):
        from cluster.cli.person_changes import show_changes

        show_changes(call)
        return
    found = cast("list[Found]", ask_node(place, {"do": "changes"})["changes"])
    shown = "\n\n".join(change_shown(change) for change in found) or "no change of a policy is known here"
    call.output.give({"changes": found}, shown)


@click.command("consent", short_help="Agree to a change.")
@common
@passphrase_options
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
@click.argument("change_id", metavar="CHANGE-ID")
def policy_consent(call: Call, *, change_id: str, yes: bool) -> None:
    """Agree, as the owner of this node or as a person of the roster, to another node's looser policy."""
    place = call.place()
    if _is_person(place):
        from cluster.cli.person_changes import answer_change

        answer_change(call, change_id, yes=True, sure=yes)
        return
    change = _find(place, change_id)
    call.output.talk(change_shown(change))
    confirm(call, sure=yes)
    reply = proven(call, place, {"do": "answer", "id": change["id"], "yes": True})
    about = cast("Found", reply["about"])
    call.output.give({"id": str(about["id"]), "state": str(about["state"])}, f"agreed: {about['id']}")


@click.command("cancel", short_help="Cancel a change.")
@common
@passphrase_options
@click.argument("change_id", metavar="CHANGE-ID")
def policy_cancel(call: Call, *, change_id: str) -> None:
    """Cancel a change: one's own, or a node's whose policy gives this node or person a say. At once, and for good."""
    place = call.place()
    if _is_person(place):
        from cluster.cli.person_changes import answer_change

        answer_change(call, change_id, yes=False, sure=True)
        return
    change = _find(place, change_id)
    reply = ask_node(place, {"do": "answer", "id": change["id"], "yes": False})
    about = cast("Found", reply["about"])
    call.output.give({"id": str(about["id"]), "state": str(about["state"])}, f"cancelled: {about['id']}")


CHANGES: tuple[click.Command, ...] = (policy_changes, policy_consent, policy_cancel)
"""The commands of `assent policy` that are about pending changes."""


def difference(facts: Found) -> list[str]:
    """A difference as lines: which way it goes, then each change."""
    words = {"same": "the same", "both": "looser and tighter", "first": "the first profile here"}
    rows = [f"against the profile in force: {words.get(str(facts['direction']), facts['direction'])}"]
    for one in cast("Sequence[Found]", facts["changes"]):
        where = f" (line {one['line']})" if one["line"] else ""
        rows.append(f"  {one['direction']}: {one_line(str(one['text']))}{where}")
    return rows


# At a node.


def _find(place: DataDir, prefix: str) -> Found:
    found = cast("list[Found]", ask_node(place, {"do": "find", "prefix": prefix.lower()})["found"])
    changes = [one for one in found if one["kind"] == "policy-change"]
    if len(prefix) < 8 or len(changes) != 1:
        raise UsageError(
            "CHANGE-ID: give at least 8 hex digits of one; `assent policy changes` shows the ids"
        )
    return changes[0]


def confirm(call: Call, *, sure: bool) -> None:
    """Ask whether to agree, unless somebody is sure already; Refused when not."""
    if not sure and call.passphrase.asks and not click.confirm("Agree to this?", err=True):
        raise Refused("not agreed; nothing was changed")


def change_shown(change: Found) -> str:
    """A change as text; of another node's, what loosens comes first, so that nothing tighter can bury it."""
    if "version" not in change:
        return f"change {change['id']}: {change['state']}"
    wallet = change["wallet"] or "every wallet without its own"
    rows = [
        f"change {change['id']}",
        f"  {one_line(str(change['node']))}, {one_line(str(wallet))}: version {change['version']}, {change['state']}",
    ]
    changes = cast("Sequence[Found]", change["changes"])
    ordered = sorted(changes, key=lambda one: one["direction"] in {"same", "tighter"} and not change["own"])
    rows += [f"  {row.strip()}" for row in difference({**change, "changes": ordered})[1:]]
    if change["own"]:
        rows.append(f"  agreed: {', '.join(cast('list[str]', change['consents']))}")
        rows += [f"  still missing: {one}" for one in cast("list[str]", change["missing"])]
    for one in cast("list[str]", change["can"]):
        rows.append(f"  you may: assent policy {one} {str(change['id'])[:16]}")
    return "\n".join(rows)


def _is_person(place: DataDir) -> bool:
    return place.config_file.exists() and read_config(place).role == "person"
