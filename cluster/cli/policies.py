"""`assent policy`: put a profile in force at a node, and see, agree to or cancel what would loosen one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.cli.policy_owner import OWNER_TOOLS, show_budgets
from cluster.cli.policy_tools import TOOLS
from cluster.cli.profile_files import profile_of, profiles_of, read_profile_files, wall_ms
from cluster.errors import Refused, StateError, UsageError, Waiting, one_line
from cluster.party import Party, opened
from cluster.profiles import Profiles, Texts, Weighing
from cluster.records import NO_WALLET
from cluster.storage import DataDir
from policy.diff import compare

__all__ = ["policy"]

Found = dict[str, object]


@click.group(commands=[*TOOLS, *OWNER_TOOLS])
def policy() -> None:
    """Set, show, compare and change the policy in force at a node."""


_base = click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="The profile that FILE extends (default: NAME.yaml beside it).",
)
_wallet = click.option(
    "--wallet", default="", help="For this wallet only (default: for all without their own)."
)


@policy.command("set")
@common
@passphrase_options
@_base
@_wallet
@click.argument("file", type=click.Path(path_type=Path))
def policy_set(call: Call, *, file: Path, base: Path | None, wallet: str) -> None:
    """Propose the profile in FILE: what only tightens is in force at once, a looser one waits.

    A looser profile takes force when everybody whom the profile in force names has agreed and its cooldown is over.
    The file itself is not read again.
    """
    place = call.place()
    texts = read_profile_files(file, base, place.network)
    if not _runs(place):
        _set_at_rest(call, place, texts, wallet)
        return
    request: Found = {"do": "set-policy", "text": texts.text, "base": texts.base, "wallet": wallet}
    reply = proven(call, place, request)
    for line in _difference(reply):
        call.output.talk(line)
    if reply["in_force"]:
        digest, version = cast("str", reply["digest"]), cast("int", reply["version"])
        call.output.give(
            {
                "digest": digest,
                "in_force": True,
                "version": version,
                "direction": cast("str", reply["direction"]),
            },
            f"in force: version {version}, {digest}",
        )
        return
    change = cast("Found", reply["change"])
    call.output.give({"in_force": False, "change": change}, str(change["id"]))
    missing = "; ".join(cast("list[str]", change["missing"]))
    raise Waiting(f"it is looser, so it waits as change {str(change['id'])[:16]}; still missing: {missing}")


def _set_at_rest(call: Call, place: DataDir, texts: Texts, wallet: str) -> None:
    """At a node that does not run: only what tightens, as a cooldown needs a clock and others must hear of it."""
    if wallet:
        raise StateError("the node does not run, and --wallet needs it: start it, and give the command again")
    with opened(place, "node") as party:
        party.keys(call.unlock(place))
        profiles = _profiles_at_rest(call, party)
        weighing = profiles.weigh(texts, NO_WALLET)
        for line in _lines(weighing):
            call.output.talk(line)
        if weighing.loosens:
            raise StateError(
                "this profile is looser, and the node does not run: start it, and give the command again, "
                "so that its cooldown begins and the others hear of it"
            )
        kept = profiles.adopt(texts, NO_WALLET, at_ms=wall_ms(), policy_ms=wall_ms())
        party.remember(kept)
    call.output.give(
        {
            "digest": kept.digest.hex(),
            "in_force": True,
            "version": kept.version,
            "direction": "first" if weighing.first else weighing.diff.direction.value,
        },
        f"in force: version {kept.version}, {kept.digest.hex()}",
    )


def _profiles_at_rest(call: Call, party: Party) -> Profiles:
    """The profile for all on record; one that no longer loads stops every start, so it may be replaced."""
    from cluster.runtime import policies_in_force

    profiles = profiles_of(party.place.network)
    kept = policies_in_force(party).get(NO_WALLET)
    if kept is None:
        return profiles
    profiles.restore(kept, NO_WALLET)
    try:
        profiles.settle()
    except ValueError as error:
        call.output.talk(f"nothing can be compared: {error}")
        profiles = profiles_of(party.place.network)
        profiles.supersede(kept)
    return profiles


@policy.command("show")
@common
@_wallet
@click.option("--budgets", is_flag=True, help="Show what is used and left of each limit over time instead.")
def policy_show(call: Call, *, wallet: str, budgets: bool) -> None:
    """Show the profile in force, as it was written."""
    place = call.place()
    if budgets:
        show_budgets(call, place, wallet)
        return
    if _runs(place):
        found = cast("list[Found]", ask_node(place, {"do": "policy"})["policies"])
    else:
        from cluster.owner_policies import kept_facts
        from cluster.runtime import policies_in_force

        with opened(place, "node") as party:
            found = [
                kept_facts(kept, None if wallet_id == NO_WALLET else wallet_id.hex()[:16])
                for wallet_id, kept in policies_in_force(party).items()
            ]
    if not found:
        raise StateError("no policy is in force here, so everything is refused: `assent policy set FILE`")
    own = [one for one in found if wallet and one["wallet"] == wallet]
    for_all = [one for one in found if one["wallet"] is None]
    shown = (own or for_all or found)[0]
    call.output.talk(f"policy {shown['digest']}, version {shown['version']}")
    call.output.give(shown, cast("str", shown["text"]).rstrip("\n"))


@policy.command("changes")
@common
def policy_changes(call: Call) -> None:
    """Show the looser profiles that wait here, and those that other nodes have announced."""
    found = cast("list[Found]", ask_node(call.place(), {"do": "changes"})["changes"])
    shown = "\n\n".join(_change_shown(change) for change in found) or "no change of a policy is known here"
    call.output.give({"changes": found}, shown)


@policy.command("consent")
@common
@passphrase_options
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
@click.argument("change_id", metavar="CHANGE-ID")
def policy_consent(call: Call, *, change_id: str, yes: bool) -> None:
    """Agree, as the owner of this node, to another node's looser policy."""
    place = call.place()
    change = _find_change(place, change_id)
    call.output.talk(_change_shown(change))
    if not yes and call.passphrase.asks and not click.confirm("Agree to this?", err=True):
        raise Refused("not agreed; nothing was changed")
    reply = proven(call, place, {"do": "answer", "id": change["id"], "yes": True})
    about = cast("Found", reply["about"])
    call.output.give({"id": str(about["id"]), "state": str(about["state"])}, f"agreed: {about['id']}")


@policy.command("cancel")
@common
@click.argument("change_id", metavar="CHANGE-ID")
def policy_cancel(call: Call, *, change_id: str) -> None:
    """Cancel a change: one's own, or another node's where its policy gives this node a say. At once, and for good."""
    place = call.place()
    change = _find_change(place, change_id)
    reply = ask_node(place, {"do": "answer", "id": change["id"], "yes": False})
    about = cast("Found", reply["about"])
    call.output.give({"id": str(about["id"]), "state": str(about["state"])}, f"cancelled: {about['id']}")


@policy.command("diff")
@common
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="What the newer file extends (default: NAME.yaml beside it).",
)
@_wallet
@click.argument("old", metavar="[OLD]", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path), required=False)
def policy_diff(call: Call, *, old: Path, new: Path | None, base: Path | None, wallet: str) -> None:
    """Say what a profile changes: NEW against OLD, or the one file against the profile in force here."""
    if new is not None:
        before = profile_of(read_profile_files(old, None, None), str(old))
        after = profile_of(read_profile_files(new, base, None), str(new))
        weighing = Weighing(compare(before, after), after.digest, before.digest)
    else:
        place = call.place()
        texts = read_profile_files(old, base, place.network)
        weighing = _profiles_of_node(call, place, wallet).weigh(texts, NO_WALLET)
    facts = {
        "direction": "first" if weighing.first else weighing.diff.direction.value,
        "digest": weighing.digest.hex(),
        "base_digest": weighing.base_digest.hex(),
        "changes": [
            {"direction": one.direction.value, "path": one.path, "line": one.line, "text": one.text}
            for one in weighing.diff.changes
        ],
    }
    call.output.give(facts, "\n".join(_lines(weighing)))


def _profiles_of_node(call: Call, place: DataDir, wallet: str) -> Profiles:
    """What is in force for a wallet at a node, as if it were for all."""
    if not _runs(place):
        with opened(place, "node") as party:
            return _profiles_at_rest(call, party)
    found = cast("list[Found]", ask_node(place, {"do": "policy"})["policies"])
    profiles = profiles_of(place.network)
    own = [one for one in found if wallet and one["wallet"] == wallet]
    for one in own or [one for one in found if one["wallet"] is None]:
        texts = Texts(cast("str", one["text"]), cast("str | None", one["base"]) or "")
        profiles.adopt(texts, NO_WALLET, at_ms=0, policy_ms=0)
    return profiles


# Small things.


def _find_change(place: DataDir, prefix: str) -> Found:
    found = cast("list[Found]", ask_node(place, {"do": "find", "prefix": prefix.lower()})["found"])
    changes = [one for one in found if one["kind"] == "policy-change"]
    if len(prefix) < 8 or len(changes) != 1:
        raise UsageError(
            "CHANGE-ID: give at least 8 hex digits of one; `assent policy changes` shows the ids"
        )
    return changes[0]


def _lines(weighing: Weighing) -> list[str]:
    if weighing.first:
        return ["nothing was in force: the first profile"]
    changes = [
        {"direction": one.direction.value, "line": one.line, "text": one.text}
        for one in weighing.diff.changes
    ]
    return _difference({"direction": weighing.diff.direction.value, "changes": changes})


def _difference(facts: Found) -> list[str]:
    """A difference as lines: which way it goes, then each change."""
    changes = cast("Sequence[Found]", facts["changes"])
    words = {"same": "the same", "both": "looser and tighter", "first": "the first profile here"}
    rows = [f"against the profile in force: {words.get(str(facts['direction']), facts['direction'])}"]
    for one in changes:
        where = f" (line {one['line']})" if one["line"] else ""
        rows.append(f"  {one['direction']}: {one_line(str(one['text']))}{where}")
    return rows


def _change_shown(change: Found) -> str:
    if "version" not in change:
        return f"change {change['id']}: {change['state']}"
    wallet = change["wallet"] or "every wallet without its own"
    rows = [
        f"change {change['id']}",
        f"  {one_line(str(change['node']))}, {one_line(str(wallet))}: version {change['version']}, {change['state']}",
    ]
    rows += [f"  {row.strip()}" for row in _difference(change)[1:]]
    if change["own"]:
        rows.append(f"  agreed: {', '.join(cast('list[str]', change['consents']))}")
        rows += [f"  still missing: {one}" for one in cast("list[str]", change["missing"])]
    for one in cast("list[str]", change["can"]):
        rows.append(f"  you may: assent policy {one} {str(change['id'])[:16]}")
    return "\n".join(rows)


def _runs(place: DataDir) -> bool:
    """Whether a process works on this data directory."""
    try:
        ask_node(place, {"do": "policy"})
    except StateError:
        return False
    return True
