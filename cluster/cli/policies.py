"""`assent policy`: put a profile in force at a node, show it, and say what another would change."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from cluster.charter import Charter
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node, proven
from cluster.cli.policy_changes import CHANGES, difference
from cluster.cli.policy_owner import OWNER_TOOLS, show_budgets
from cluster.cli.policy_tools import TOOLS
from cluster.cli.profile_files import profile_of, profiles_of, read_profile_files, wall_ms
from cluster.codec import decode
from cluster.errors import StateError, Waiting
from cluster.journal import WalletKept, read
from cluster.party import Party, opened
from cluster.profiles import Profiles, Texts, Weighing
from cluster.records import NO_WALLET
from cluster.storage import DataDir
from policy.diff import compare

__all__ = ["policy"]

Found = dict[str, object]


@click.group(commands=[*TOOLS, *OWNER_TOOLS, *CHANGES])
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


@policy.command("set", short_help="Propose a profile; what tightens holds at once.")
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
    for line in difference(reply):
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
    with opened(place, "node") as party:
        party.keys(call.unlock(place))
        wallet_id = _wallet_on_record(party, wallet)
        profiles = _profiles_at_rest(call, party, wallet_id)
        is_unreadable = not profiles.kept and profiles.next_version(wallet_id) > 1
        if wallet and not is_unreadable:
            raise StateError("--wallet needs a node that runs: start it, and give the command again")
        weighing = profiles.weigh(texts, wallet_id)
        for line in _lines(weighing):
            call.output.talk(line)
        if weighing.loosens:
            raise StateError(
                "this profile is looser, and the node does not run: start it, and give the command again, "
                "so that its cooldown begins and the others hear of it"
            )
        kept = profiles.adopt(texts, wallet_id, at_ms=wall_ms(), policy_ms=wall_ms())
        party.remember(kept, wallet_id=wallet_id)
    call.output.give(
        {
            "digest": kept.digest.hex(),
            "in_force": True,
            "version": kept.version,
            "direction": "first" if weighing.first else weighing.diff.direction.value,
        },
        f"in force: version {kept.version}, {kept.digest.hex()}",
    )


def _wallet_on_record(party: Party, name: str) -> bytes:
    """The id of the wallet of this name; 32 zero bytes where no name is given."""
    if not name:
        return NO_WALLET
    for record in party.records:
        entry = read(record)
        if isinstance(entry, WalletKept) and decode(entry.charter, Charter).name == name:
            return record.wallet_id
    raise StateError(f"no wallet {name} exists here")


def _profiles_at_rest(call: Call, party: Party, wallet_id: bytes = NO_WALLET) -> Profiles:
    """What is on record under one id; a profile that no longer loads stops every start, so it may be replaced."""
    from cluster.runtime import policies_in_force

    profiles = profiles_of(party.place.network)
    kept = policies_in_force(party).get(wallet_id)
    if kept is None:
        return profiles
    profiles.restore(kept, wallet_id)
    try:
        profiles.settle()
    except ValueError as error:
        call.output.talk(f"nothing can be compared: {error}")
        profiles = profiles_of(party.place.network)
        profiles.supersede(kept)
    return profiles


@policy.command("show", short_help="The profile in force, or its budgets.")
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


@policy.command("diff", short_help="What one profile changes against another.")
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


def _lines(weighing: Weighing) -> list[str]:
    if weighing.first:
        return ["nothing was in force: the first profile"]
    changes = [
        {"direction": one.direction.value, "line": one.line, "text": one.text}
        for one in weighing.diff.changes
    ]
    return difference({"direction": weighing.diff.direction.value, "changes": changes})


def _runs(place: DataDir) -> bool:
    """Whether a process works on this data directory."""
    try:
        ask_node(place, {"do": "policy"})
    except StateError:
        return False
    return True
