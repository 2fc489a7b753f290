"""`assent grant`: a yes given once for many spends, at a node that runs or stands still."""

from __future__ import annotations

import os
import re
import time
from typing import cast

import click

from cluster.charter import Charter
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.owner import ask_node
from cluster.cli.values import amount_sats, script_of, until_ms
from cluster.codec import decode
from cluster.errors import ConfigError, StateError, UsageError
from cluster.grants import GrantBody, Grants, Kept, sign_grant
from cluster.journal import GrantKept, GrantRevoked, WalletKept, read
from cluster.owner_desk import proof_of
from cluster.owner_grants import grant_facts
from cluster.party import Party, opened, read_config
from cluster.storage import DataDir
from policy.granting import until as last_day
from policy.wording import sats

__all__ = ["grant"]

_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_BAR = 20

Found = dict[str, object]


@click.group()
def grant() -> None:
    """Grant a payee so much until a date: spends within it then need no further yes at this node."""


@grant.command("make")
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option("--to", "payee", required=True, metavar="ADDRESS", help="Whom it is for.")
@click.option("--sum", "total", required=True, metavar="AMOUNT", help="How much in all, such as 0.01btc.")
@click.option("--until", required=True, metavar="DATE", help="Its last day, by UTC, such as 2027-01-31.")
@click.option("--payments", required=True, type=click.IntRange(1, 2**31 - 1), help="The most payments.")
@click.option(
    "--must-sign",
    default="",
    metavar="ROLE",
    help="The one node that must sign each; every node then counts the whole. Without it, each counts its part.",
)
def grant_make(
    call: Call, *, wallet: str, payee: str, total: str, until: str, payments: int, must_sign: str
) -> None:
    """Grant a payee up to so much, in so many payments, until a date. Give it at each node that is to sign."""
    place = call.place()
    if read_config(place).role != "node":
        raise ConfigError(f"{place.path}: this is no node's data directory, and a grant is a node's")
    body = GrantBody(
        wallet_id=_wallet_id(_wallets(place), wallet),
        script=script_of(payee, place.network, "--to"),
        sum_sats=amount_sats(total, "--sum"),
        until_ms=until_ms(until, "--until"),
        payments=payments,
        must_sign=must_sign,
        made_at_ms=time.time_ns() // 1_000_000,
        nonce=os.urandom(32),
    )
    call.output.talk(f"grant {sats(body.sum_sats)} to {payee}, in {payments:_} payments, until {until}")
    made = _give(call, place, body) if _runs(place) else _write(call, place, body)
    here = cast("dict[str, int] | None", made.get("here"))
    if here is not None and not (here["sum_sats"] and here["payments"]):
        call.output.talk("this node's part of it rounds down to nothing: name a node with --must-sign")
    call.output.give(made, f"granted: {made['id']}")


@grant.command("list")
@common
def grant_list(call: Call) -> None:
    """List the grants of this node, with what is left of each here (as a running node knows it)."""
    place = call.place()
    found = _listed(place)
    call.output.give({"grants": found}, "\n".join(_shown(one) for one in found) or "nothing is granted here")


@grant.command("revoke")
@common
@click.argument("grant_id", metavar="ID")
def grant_revoke(call: Call, *, grant_id: str) -> None:
    """End the grant ID (at least 8 hex digits of it), at once."""
    place = call.place()
    wanted = grant_id.lower()
    if not _PREFIX.fullmatch(wanted):
        raise UsageError("ID: give at least 8 hex digits of it; `assent grant list` shows the ids")
    found = [one for one in _listed(place) if cast("str", one["id"]).startswith(wanted)]
    if len(found) != 1:
        what = "several grants start so: give more of it" if found else "no such grant; `assent grant list`"
        raise UsageError(f"{wanted}: {what}")
    full = cast("str", found[0]["id"])
    if _runs(place):
        ask_node(place, {"do": "end-grant", "id": full})
    else:
        with opened(place, "node") as party:
            kept = _grants_of(party).find(bytes.fromhex(full))
            ended = GrantRevoked(time.time_ns() // 1_000_000, kept.grant.id)
            party.remember(ended, wallet_id=kept.wallet_id)
    call.output.give({"id": full, "ended": True}, f"ended: {full}")


# At a running node.


def _runs(place: DataDir) -> bool:
    """Whether a process works on this data directory."""
    try:
        ask_node(place, {"do": "grants"})
    except StateError:
        return False
    return True


def _give(call: Call, place: DataDir, body: GrantBody) -> Found:
    """Sign it with the key that the passphrase opens, and hand it over with the proof of whose command it is."""
    seed = call.unlock(place)
    identity = seed.keys(place.network).identity()
    seed.wipe()
    exact, signature = sign_grant(body, identity.sign)
    challenge = ask_node(place, {"do": "challenge"})["challenge"]
    request = {"do": "give-grant", "grant": exact.hex(), "signature": signature.hex(), "challenge": challenge}
    return ask_node(place, proof_of(request, identity.sign))


def _wallets(place: DataDir) -> dict[str, bytes]:
    """The wallets known here, by name."""
    if _runs(place):
        found = cast("list[Found]", ask_node(place, {"do": "wallets"})["wallets"])
        return {cast("str", one["name"]): bytes.fromhex(cast("str", one["wallet_id"])) for one in found}
    with opened(place, "node") as party:
        return {charter.name: charter.wallet_id for charter in _charters(party).values()}


def _wallet_id(wallets: dict[str, bytes], name: str) -> bytes:
    if name in wallets:
        return wallets[name]
    if name or len(wallets) != 1:
        known = ", ".join(sorted(wallets)) or "none"
        raise ConfigError(f"--wallet: name one of the wallets here: {known}")
    return next(iter(wallets.values()))


def _listed(place: DataDir) -> list[Found]:
    if _runs(place):
        return cast("list[Found]", ask_node(place, {"do": "grants"})["grants"])
    with opened(place, "node") as party:
        charters = _charters(party)
        return [_bare(kept, charters, place) for kept in _grants_of(party).all]


def _shown(one: Found) -> str:
    wallet, payee = one["wallet"], one["to"] or one["script"]
    head = (
        f"{cast('str', one['id'])[:16]}  {wallet}: to {payee} until {last_day(cast('int', one['until_ms']))}"
    )
    must = f", {one['must_sign']} must sign" if one["must_sign"] else ""
    rows = [head + must + (" (over)" if one["expired"] else "")]
    here = cast("dict[str, int] | None", one["here"])
    if here is None:
        rows.append(f"  {sats(cast('int', one['sum_sats']))} in {one['payments']} payments granted in all")
        return "\n".join(rows)
    part = "" if here["sum_sats"] == one["sum_sats"] else " (this node's part)"
    rows += [
        f"  {_bar(left, whole)} {words} left{part}"
        for left, whole, words in (
            (here["left_sats"], here["sum_sats"], f"{sats(here['left_sats'])} of {sats(here['sum_sats'])}"),
            (
                here["left_payments"],
                here["payments"],
                f"{here['left_payments']:_} of {here['payments']:_} payments",
            ),
        )
    ]
    return "\n".join(rows)


def _bar(left: int, whole: int) -> str:
    full = left * _BAR // whole if whole else 0
    return f"[{'#' * full}{'-' * (_BAR - full)}]"


# At a node that stands still.


def _write(call: Call, place: DataDir, body: GrantBody) -> Found:
    with opened(place, "node") as party:
        charters, roster = _charters(party), party.need_roster()

        def roles(wallet_id: bytes) -> tuple[str, ...]:
            members = charters[wallet_id].members if wallet_id in charters else ()
            nodes = [roster.node(member.identity) for member in members]
            return tuple(node.role for node in nodes if node is not None)

        exact, signature = sign_grant(body, party.keys(call.unlock(place)).identity().sign)
        now_ms = time.time_ns() // 1_000_000
        try:
            kept = _grants_of(party).check_new(exact, signature, roles, now_ms)
        except ValueError as wrong:
            raise StateError(str(wrong)) from None
        party.remember(GrantKept(now_ms, exact, signature), wallet_id=kept.wallet_id)
        return _bare(kept, charters, place)


def _grants_of(party: Party) -> Grants:
    grants = Grants(party.part.identity)
    try:
        for record in party.records:
            if record.kind in {"grant", "grant-revoked"}:
                grants.restore(read(record), record.wallet_id)
    except ValueError as wrong:
        raise StateError(f"{party.place.database}: a record makes no sense ({wrong})") from None
    return grants


def _charters(party: Party) -> dict[bytes, Charter]:
    found = {}
    for record in party.records:
        if record.kind == "wallet":
            entry = read(record)
            assert isinstance(entry, WalletKept)
            found[record.wallet_id] = decode(entry.charter, Charter)
    return found


def _bare(kept: Kept, charters: dict[bytes, Charter], place: DataDir) -> Found:
    name = charters[kept.wallet_id].name
    return {**grant_facts(kept.grant, name, place.network, time.time_ns() // 1_000_000), "here": None}
