"""`assent recover --from-store`: a dead node again, from its 24 words and its state store, with all it had decided."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cluster.charter import Charter
from cluster.cli.call import NETWORKS, Call
from cluster.cli.setup import free_place, make_datadir, make_part
from cluster.codec import decode
from cluster.errors import ClusterError, ConfigError, StateError, UsageError
from cluster.journal import RecoveredKept, RosterKept, UsedKept, WalletKept, note, read
from cluster.keys import Keys, Seed
from cluster.messages import NO_ID
from cluster.mirroring import open_store, sealer_of, where_of
from cluster.party import Config, public_file
from cluster.public_part import PublicPart, own_entry
from cluster.records import Head, Record
from cluster.roster import NodeEntry, Roster, RosterError
from cluster.sealed import KdfCost
from cluster.state_store import NoSuchKey, StateStore
from cluster.state_store.batches import Batch
from cluster.state_store.config import STORE_ID, DirectoryPlace, StorePlace, VssPlace
from cluster.state_store.findings import Code, Finding, StoreFault
from cluster.state_store.http_line import address_of
from cluster.state_store.mark import Mark
from cluster.state_store.mark_file import MarkFile
from cluster.state_store.reading import Found, read_chain
from cluster.state_store.sealing import Sealer
from cluster.storage import Anchor, DataDir, Store

__all__ = ["recover_from_store", "store_place"]


@dataclass(slots=True)
class _Told:
    """What the records of the store say of the node, as far as a new data directory needs it."""

    roster: bytes = b""
    wallets: dict[bytes, Charter] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether there is a wallet of which nobody else could say that records are missing."""
        return any(len(charter.members) == 1 for charter in self.wallets.values())

    @property
    def shared(self) -> bool:
        """Whether peers must vouch: there is a wallet of several, or none yet."""
        return not self.wallets or any(len(charter.members) > 1 for charter in self.wallets.values())

    def take(self, batch: Batch) -> None:
        """Look at a batch that was verified."""
        for record in batch.records:
            if record.kind in {"roster", "wallet"}:
                entry = read(record)
                if isinstance(entry, RosterKept):
                    self.roster = entry.roster
                elif isinstance(entry, WalletKept):
                    self.wallets[record.wallet_id] = decode(entry.charter, Charter)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner says of the node to be: its name, what guessing its passphrase costs, addresses, an anchor.

    An empty name is the roster's; the indexes are the first that somebody vouches for as unused (0: nobody does).
    """

    name: str
    cost: KdfCost
    next_receive: int
    next_change: int
    anchor: Path | None


def store_place(where: str, store_id: str, token_file: Path | None, ca_file: Path | None) -> StorePlace:
    """The store that a person names on the command line; UsageError when it cannot be one."""
    if store_id and not STORE_ID.fullmatch(store_id):
        raise UsageError("--store-id: 1 to 120 letters, digits, `.`, `_` and `-`")
    if "://" not in where:
        if token_file is not None or ca_file is not None:
            raise UsageError(
                "--store-token-file and --store-ca-file are for a server; --from-store names a directory"
            )
        return DirectoryPlace(Path(where).expanduser().absolute(), store_id)
    try:
        url = address_of(where).url
    except ValueError as error:
        raise UsageError(f"--from-store {where}: {error}") from None
    return VssPlace(url, _absolute(token_file), _absolute(ca_file), store_id)


def recover_from_store(call: Call, where: StorePlace, seed: Seed, wish: Wish) -> None:
    """Read and verify all of the store, then write the same chain into a new data directory."""
    networks = NETWORKS if call.network is None else (call.network,)
    for network in networks:
        keys = seed.keys(network)
        sealer = sealer_of(where, keys)
        with closing(open_store(where, keys)) as store:
            told = _Told()
            try:
                found = read_chain(store, sealer, told.take)
            except NoSuchKey:
                continue
            except StoreFault as fault:
                raise StateError(fault.finding.line(where_of(where))) from None
            _rebuild(call, where, _Source(store, sealer, found, told), seed, wish)
            return
    missing = Finding(Code.EMPTY, f"it holds nothing of these words on {', '.join(networks)}")
    raise StateError(missing.line(where_of(where)))


@dataclass(frozen=True, slots=True)
class _Source:
    """A store that was read and verified, and what its records told."""

    store: StateStore
    sealer: Sealer
    found: Found
    told: _Told


def _rebuild(call: Call, where: StorePlace, source: _Source, seed: Seed, wish: Wish) -> None:
    roster, entry, part = _who(source.told, seed)
    if wish.name not in {"", entry.name}:
        raise UsageError(f"--name: these words are those of node {entry.name}")
    place = free_place(call, roster.network)
    position = source.found.position
    anchor = _checked_anchor(wish.anchor, seed.keys(roster.network), position.end)
    call.output.talk(f"{position.end.height} records verified: node {entry.name} on {roster.network}")
    passphrase = call.passphrase.read("New passphrase", confirm=True)
    config = Config("node", entry.name, roster.network, anchor=anchor, state_store=where)
    make_datadir(
        place,
        config,
        seed,
        part,
        passphrase,
        wish.cost,
        records=_since(source.told, wish),
        fill=lambda store: _fill(place, source, store),
    )
    MarkFile(place.path, source.sealer.owner_tag).write(Mark(position.head_version, position.end))
    seed.wipe()
    _tell(call, source.told)
    facts = {
        "role": "node",
        "name": entry.name,
        "network": roster.network,
        "datadir": str(place.path),
        "public_part": str(public_file(place)),
        "wallets": [charter.name for charter in source.told.wallets.values()],
        "records": position.end.height,
        "head": position.end.hash.hex(),
        "from_store": where_of(where),
        "budgets": "exhausted" if source.told.alone else "unproven",
    }
    call.output.give(facts, str(place.path))


def _checked_anchor(path: Path | None, keys: Keys, end: Head) -> str:
    """The anchor as config.yaml will name it; StateError when it knows of more than the store has."""
    if path is None:
        return ""
    path = path.expanduser().absolute()
    anchored = Anchor(path, keys.anchor_key()).read()
    if anchored.head is None:
        raise StateError(f"--anchor: {anchored.fault}")
    if anchored.head.height > end.height:
        raise StateError(
            f"--anchor: it knows of {anchored.head.height} records and the store has {end.height}: the store is old; "
            "look for a newer one, or recover without the anchor and end the quarantine that peers will cause"
        )
    return str(path)


def _since(told: _Told, wish: Wish) -> list[Record]:
    """What the new disk adds: which addresses others saw used, and, where no peer can say, that records may be lost."""
    at_ms = time.time_ns() // 1_000_000
    used = UsedKept(at_ms, wish.next_receive, wish.next_change)
    vouched = (
        [note(used, wallet_id) for wallet_id in told.wallets] if wish.next_receive or wish.next_change else []
    )
    return [note(RecoveredKept(at_ms, confirmed=False), NO_ID), *vouched] if told.alone else vouched


def _who(told: _Told, seed: Seed) -> tuple[Roster, NodeEntry, PublicPart]:
    """The roster on record, and the node's own entry and part."""
    try:
        roster = decode(told.roster, Roster)
        entry = roster.node(seed.keys(roster.network).identity().public)
        if entry is None:
            raise ConfigError("the roster in the store has no node of these words")
        part = make_part(Config("node", entry.name, roster.network), seed, "", (entry.role,))
        own_entry(roster, part)
    except (RosterError, ValueError) as error:
        raise StateError(f"the roster in the store makes no sense ({error})") from None
    return roster, entry, part


def _fill(place: DataDir, source: _Source, store: Store) -> None:
    """Copy; what a store that goes away leaves half-made in this new place is taken away again."""
    try:
        _copy(source, store)
    except ClusterError:
        for file in (place.config_file, *place.path.glob(f"{place.database.name}*")):
            file.unlink(missing_ok=True)
        raise


def _copy(source: _Source, store: Store) -> None:
    """Write the store's chain, read once more; it must be the one that was verified."""
    try:
        again = read_chain(source.store, source.sealer, lambda batch: _append(store, batch))
    except StoreFault as fault:
        raise StateError(f"the store changed while it was read: {fault.finding.text}") from None
    if store.head != again.position.end or again.position.end != source.found.position.end:
        raise StateError("the store changed while it was read: is the old node still alive? Stop it for good")


def _append(store: Store, batch: Batch) -> None:
    store.append(batch.records)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def _tell(call: Call, told: _Told) -> None:
    call.output.talk(
        "recovered: keys, shares, policies, budgets, freezes and requests, as the store has them."
    )
    if told.alone:
        call.output.talk(
            "  - a wallet of this node alone has nobody who could vouch: every budget starts exhausted"
        )
    if told.shared:
        call.output.talk(
            "  - without an intact anchor it signs nothing before its peers have vouched that no record is missing: "
            "start them, then this node"
        )
        call.output.talk(
            "  - if records are missing, or no peer can be had: `assent quarantine show`, then `end`"
        )
    call.output.talk("  - the old node must never run again: two of one node conflict at the store, and stop")
