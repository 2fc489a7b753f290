"""`assent store`: what a node's state store holds, whether it is good, and how it is written anew."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import click

from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.output import Output
from cluster.errors import ConfigError, Refused, StateError
from cluster.keys import Keys
from cluster.mirroring import open_store, sealer_of, where_of
from cluster.party import Party, opened, read_config, read_own_part
from cluster.records import Head
from cluster.state_store import StateStore
from cluster.state_store.checking import Checked, check_by_note, check_store, take_inventory
from cluster.state_store.config import DirectoryPlace, StorePlace
from cluster.state_store.findings import Code, Finding, Seen, StoreFault, judge
from cluster.state_store.mark import Mark
from cluster.state_store.mark_file import MarkFile
from cluster.state_store.reading import look
from cluster.state_store.renewing import renew as write_anew
from cluster.state_store.sealing import Sealer
from cluster.state_store.writing import Writer
from cluster.storage import DataDir, Store

__all__ = ["store"]


@click.group()
def store() -> None:
    """Look at this node's state store, and write it anew."""


@store.command("show")
@common
@passphrase_options
def show(call: Call) -> None:
    """Show what the state store holds of this node, by its head object and its keys."""
    place, _, keys = _meant(call)
    sealer = sealer_of(place, keys)
    with closing(open_store(place, keys)) as line:
        inventory = take_inventory(line, sealer)
        try:
            seen, position = look(line, sealer, Head())
        except StoreFault as fault:
            raise StateError(fault.finding.line(where_of(place))) from None
    facts = {
        **_about(place, sealer),
        "records": position.end.height,
        "head": position.end.hash.hex(),
        "head_version": position.head_version,
        "batches": position.batches,
        "objects": len(inventory.own),
        "foreign_objects": inventory.foreign,
        "cluster_id": seen.cluster_id.hex() if isinstance(seen, Seen) else "",
    }
    rows = [
        f"state store {facts['where']}, keyspace {sealer.store_id}",
        f"  {position.end.height} records in {position.batches} batches, head {position.end.hash.hex()[:16]}",
        f"  {len(inventory.own)} objects of this node, {inventory.foreign} of others",
    ]
    call.output.give(facts, "\n".join(rows))


@store.command("check")
@common
@passphrase_options
def check(call: Call) -> None:
    """Read everything in the state store, verify it, and compare it with this node's disk.

    While the node runs, its disk is its own: then the store is compared with what it last confirmed.
    """
    place, datadir, keys = _meant(call)
    with closing(open_store(place, keys)) as line, _disk(datadir) as party:
        sealer = sealer_of(place, keys)
        mark = MarkFile(datadir.path, sealer.owner_tag).read()
        if party is None:
            checked, height = check_by_note(line, sealer, mark), mark.head.height
        else:
            cluster_id = party.need_roster().cluster_id
            checked = check_store(line, sealer, party.store, mark, cluster_id)
            height = party.store.height
    _give_checked(call.output, place, sealer, checked, height, running=party is None)


@store.command("renew")
@common
@passphrase_options
@click.option("--yes", is_flag=True, help="Do not ask (for scripts).")
def renew(call: Call, *, yes: bool) -> None:
    """Write the state store anew from this node's disk. Stop the node first.

    For a store that died, was lost, put back or damaged. It is refused where the store shows that this disk is old.
    """
    place, datadir, keys = _meant(call)
    sealer = sealer_of(place, keys)
    where = where_of(place)
    with opened(datadir, "node") as party, closing(open_store(place, keys)) as line:
        roster = party.need_roster()
        marks = MarkFile(datadir.path, sealer.owner_tag)
        finding = _found(line, sealer, party.store, marks.read(), roster.cluster_id)
        if finding is not None and (finding.fatal or finding.code is Code.SWAPPED):
            raise StateError(finding.line(where))
        inventory = take_inventory(line, sealer)
        if inventory.foreign:
            raise StateError(
                f"{where}: it also holds {inventory.foreign} objects of another; name a `store_id` of its own"
            )
        call.output.talk(
            finding.line(where) if finding is not None else f"state store {where}: nothing is wrong with it"
        )
        question = f"Write {party.store.height} records of this disk over it?"
        if not yes and call.passphrase.asks and not click.confirm(question, err=True):
            raise Refused("not renewed; nothing was changed")
        marks.forget()
        writer = Writer(sealer, roster.cluster_id, roster.epoch, os.urandom)
        mark = write_anew(
            line,
            writer,
            inventory,
            party.store,
            time.time_ns() // 1_000_000,
            _progress(call.output, party.store.height),
        )
        marks.write(mark)
    facts = {**_about(place, sealer), "records": mark.head.height, "head": mark.head.hash.hex()}
    call.output.give(facts, f"state store {where} holds {mark.head.height} records")


def _meant(call: Call) -> tuple[StorePlace, DataDir, Keys]:
    """The store of the node whose data directory is meant, and the keys to it; the directory may be in use."""
    datadir = call.place()
    config = read_config(datadir)
    if config.state_store is None:
        raise ConfigError(
            f"{datadir.config_file}: names no `state_store:`; configs/settings/node.yaml shows one"
        )
    part = read_own_part(datadir, config)
    keys = call.unlock(datadir).keys(config.network)
    if keys.identity().public != part.identity:
        raise StateError(f"{datadir.seed_file}: this seed is not the one of {part.name}'s public part")
    return config.state_store, datadir, keys


@contextmanager
def _disk(datadir: DataDir) -> Iterator[Party | None]:
    """The node's own records, or None while it runs."""
    try:
        datadir.lock().release()
    except StateError:
        yield None
        return
    with opened(datadir, "node") as party:
        yield party


def _found(line: StateStore, sealer: Sealer, chain: Store, mark: Mark, cluster_id: bytes) -> Finding | None:
    """What a start would find."""
    try:
        seen, _ = look(line, sealer, chain.head)
    except StoreFault as fault:
        return fault.finding
    return judge(seen, chain.head, chain.hash_at, mark, cluster_id)


def _about(place: StorePlace, sealer: Sealer) -> dict[str, object]:
    kind = "directory" if isinstance(place, DirectoryPlace) else "vss"
    return {"kind": kind, "where": where_of(place), "store_id": sealer.store_id}


def _give_checked(
    output: Output, place: StorePlace, sealer: Sealer, checked: Checked, height: int, *, running: bool
) -> None:
    """Say what a check found; StateError, after the facts, when something is wrong."""
    finding, end = checked.finding, checked.position.end
    found = None if finding is None else {"code": finding.code.value, "text": finding.line(where_of(place))}
    facts = {
        **_about(place, sealer),
        "good": finding is None,
        "finding": found,
        "records": end.height,
        "head": end.hash.hex(),
        "batches": checked.position.batches,
        "objects": len(checked.inventory.own),
        "foreign_objects": checked.inventory.foreign,
        "behind": max(0, height - end.height),
        "compared_with": "note" if running else "disk",
    }
    against = "what the running node confirmed" if running else "this disk"
    text = f"good: {end.height} records verified against {against}, {facts['behind']} behind"
    output.give(facts, text if finding is None else "")
    if checked.inventory.foreign:
        output.talk(f"it also holds {checked.inventory.foreign} objects that are not this node's")
    if finding is not None:
        raise StateError(finding.line(where_of(place)))


def _progress(output: Output, records: int) -> Callable[[int], None]:
    """Tells of a long renewal, every few seconds."""
    last_s = time.monotonic()

    def told(height: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s > 3:
            last_s = time.monotonic()
            output.talk(f"{height} of {records} records")

    return told
