"""`assent rescue`: give a wallet up, and send everything it holds where its policies said beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from cluster.backup import read_backup
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.clients import ClientCall, as_client, duration_s
from cluster.cli.copies import backup_file
from cluster.cli.owner import ask_node
from cluster.cli.sign import ask
from cluster.cli.verdicts import Verdicts, outcome_error, tell_news
from cluster.client_views import SigningView
from cluster.coins import own_coins, read_coin, read_scan, sweep
from cluster.errors import ConfigError, StateError, UsageError, Waiting
from cluster.messages import NO_ID, Request, SignedLetter
from cluster.party import read_config, read_own_part
from cluster.rescue_line import RescueLine
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.storage import DataDir, read_file, write_public
from cluster.subjects import BadRequest, Signed, Subject, describe
from policy import describe as describe_spend
from policy.units import RATE, NotAQuantity
from taproot import Coin, FinalTransaction, Network, address_to_script

__all__ = ["rescue"]

MAX_LIST_BYTES = 16 * 1024 * 1024


@click.command()
@common
@passphrase_options
@click.option("--wallet", default="", help="The wallet (only needed if there are several).")
@click.option(
    "--coins", type=click.Path(path_type=Path), help="What Bitcoin Core's `scantxoutset` printed (JSON)."
)
@click.option("--coin", "single", multiple=True, help="One coin: TXID:INDEX,ADDRESS,50_000sat (repeat it).")
@click.option("--to", default="", help="The rescue address (default: the one in this node's policy).")
@click.option("--fee-rate", default="", help="Such as 5sat/vB.", required=True)
@click.option("--most", type=click.IntRange(1, 250), default=50, show_default=True, help="Coins in one go.")
@click.option(
    "--listen", default="", help="Gather the nodes here, tcp://ADDRESS:PORT: no coordinator is left."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the unsigned PSBT here, and ask nobody.")
@click.option("--timeout", default="30m", show_default=True, help="How long to wait for the owners.")
def rescue(
    call: Call,
    *,
    wallet: str,
    coins: Path | None,
    single: tuple[str, ...],
    to: str,
    fee_rate: str,
    most: int,
    listen: str,
    out: Path | None,
    timeout: str,
) -> None:
    """Send everything to the address that the policies name under `rescue`, even while the wallet is frozen.

    At a client it asks through the coordinator. With --listen (at a client or beside a running node) it gathers the
    nodes itself, and can do nothing else; each node must be started with `assent node run --rescue NAME=tcp://...`.
    Every node asks its owner. This program sees no chain: tell it the coins.
    """
    place, timeout_s = call.place(), duration_s(timeout, "--timeout")
    role = read_config(place).role
    if role not in {"client", "node"} or (role == "node" and not listen and out is None):
        raise UsageError(
            "a rescue begins at a client; or at a node with --listen, which gathers the others itself"
        )
    name, stage, file = backup_file(place, wallet)
    backup, found = read_backup(file)
    if stage not in {"copied", "complete"}:
        raise StateError(f"wallet {name} is only in the making, so it holds nothing")
    found = replace(found, complete=True)
    network = Network(found.charter.network)
    mine, left = _coins(call, found, coins, single, network, most)
    psbt = sweep(found, mine, _script(place, role, name, to, network), _rate(fee_rate))
    if out is not None:
        write_public(out, psbt, replace=False)
        call.output.give({"wallet": name, "psbt": str(out), "coins": len(mine), "left": left}, str(out))
        return
    if listen:
        roster = backup.read_roster()
        final, verdicts = _gather(call, place, (backup.roster, roster), found, psbt, listen, timeout_s)
    else:
        final, verdicts = _through_coordinator(call, found, psbt, timeout_s)
    _give(call, name, final, verdicts, len(mine), left)


def _rate(text: str) -> int:
    try:
        return RATE.parse(text)
    except NotAQuantity as wrong:
        raise UsageError(f"--fee-rate {text[:40]}: {wrong}; write it such as 5sat/vB") from None


def _coins(
    call: Call, wallet: Wallet, file: Path | None, single: tuple[str, ...], network: Network, most: int
) -> tuple[tuple[Coin, ...], int]:
    """The coins to move, the largest first, and how many stay for another time."""
    listed = [] if file is None else list(read_scan(read_file(file, max_bytes=MAX_LIST_BYTES)))
    listed += [read_coin(text, network) for text in single]
    if not listed:
        both = ",".join(f'"{wallet.public.descriptor(branch=branch)}"' for branch in (0, 1))
        raise UsageError(
            "say which coins there are: --coins FILE, the output of "
            f"bitcoin-cli scantxoutset start '[{both}]', or --coin for each"
        )
    own, strangers = own_coins(wallet, listed)
    for stranger in strangers:
        call.output.talk(f"  {stranger.outpoint} is no coin of this wallet: left out")
    if not own:
        raise UsageError("none of these coins is this wallet's")
    if len(own) > most:
        call.output.talk(f"  {len(own)} coins: the {most} largest now, the rest with the same command again")
    return own[:most], max(0, len(own) - most)


def _script(place: DataDir, role: str, name: str, to: str, network: Network) -> bytes:
    """Where it all goes: what was said, or what this node's policy says."""
    if not to and role == "node":
        wallets = cast("list[dict[str, object]]", ask_node(place, {"do": "wallets"})["wallets"])
        known = cast("list[str]", next(one for one in wallets if one["name"] == name)["rescue"])
        if len(known) > 1:
            raise UsageError(f"the policy names several places: choose with --to ({', '.join(known)})")
        to = known[0] if known else ""
    if not to:
        raise UsageError("--to: name the address that the nodes' policies have under `rescue`")
    try:
        return (
            bytes.fromhex(to.removeprefix("script:"))
            if to.startswith("script:")
            else address_to_script(to, network)
        )
    except ValueError:
        raise UsageError(f"--to {to[:100]}: this is no address of {network.value}") from None


def _tell(call: Call, subject: Subject) -> None:
    for line in describe_spend(subject.spend):
        call.output.talk(f"  {line}")
    call.output.talk("each owner looks at `assent pending` and approves")


def _through_coordinator(
    call: Call, wallet: Wallet, psbt: bytes, timeout_s: int
) -> tuple[FinalTransaction, Verdicts]:
    with as_client(call) as client:
        subject = _described(wallet, psbt, client)
        _tell(call, subject)
        view, verdicts = ask(client, subject, None, timeout_s, 24 * 3600)
    if view.final is None:
        raise Waiting("a cosigner that is no node must sign as well: use `assent sign` with --out's PSBT")
    return view.final, verdicts


def _described(wallet: Wallet, psbt: bytes, client: ClientCall) -> Subject:
    try:
        return describe(wallet, Request(psbt, "rescue", NO_ID), client.party.part.identity)
    except BadRequest as bad:
        raise UsageError(f"the sweep makes no sense: {bad}") from None


def _gather(
    call: Call,
    place: DataDir,
    rosters: tuple[bytes, Roster],
    wallet: Wallet,
    psbt: bytes,
    listen: str,
    timeout_s: int,
) -> tuple[FinalTransaction, Verdicts]:
    from cluster.transport import check_endpoint

    check_endpoint(listen, listen=True)
    config, roster = read_config(place), rosters[1]
    seed = call.unlock(place)
    keys = seed.keys(config.network)
    part = read_own_part(place, config)
    if keys.identity().public != part.identity or not roster.role_of(part.identity):
        raise ConfigError(f"{place.path}: this is nobody of the wallet's roster")
    verdicts = Verdicts(roster)
    with RescueLine(*rosters, wallet, keys, listen) as line:
        call.output.talk(f"gathering at {line.where}; on each node's machine, its owner runs:")
        at = f"{config.name}=tcp://THIS-MACHINE:{line.where.rpartition(':')[2]}"
        call.output.talk(f"  assent node run --rescue {at}")
        if roster.people:
            call.output.talk("and a person whom the policy asks looks, and approves, at their own device:")
            call.output.talk(f"  assent requests --rescue {at}")
        subject = line.ask(psbt, 24 * 3_600_000)
        _tell(call, subject)
        call.output.talk(f"request {subject.request_id.hex()[:16]}")
        view = SigningView(subject, SignedLetter(b"", b""), "open", nodes=line.nodes)

        def look() -> None:
            tell_news(call.output, verdicts, view)

        line.wait(look, timeout_s)
        view.state = line.state
        job = line.machine.job
        if job is not None and job.final is not None:
            return subject.finish(Signed(job.final.signatures, job.final.signers)), verdicts
    raise outcome_error(view, verdicts, listen, heard=True)


def _give(call: Call, name: str, final: FinalTransaction, verdicts: Verdicts, moved: int, left: int) -> None:
    call.output.talk("signed. Send this transaction to the network, with any wallet or block explorer:")
    if left:
        call.output.talk(f"{left} coins are left: once this one is sent, give the same command again")
    call.output.give(
        {
            "wallet": name,
            "state": "final",
            "txid": final.txid_hex,
            "transaction": final.tx.hex(),
            "coins": moved,
            "left": left,
            "verdicts": verdicts.facts(),
        },
        final.tx.hex(),
    )
