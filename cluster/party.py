"""One party's data directory, opened: what it is, its public part, its records, its roster and, unlocked, its keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.codec import decode
from cluster.errors import ConfigError, StateError, WrongPassphrase
from cluster.journal import RosterKept, note, read
from cluster.keys import Keys, Seed
from cluster.public_part import PublicPart, own_entry, read_public_part
from cluster.record_body import Body
from cluster.records import NO_WALLET, Record
from cluster.roster import NAME, Roster, RosterError, check_roster, digest
from cluster.sealed import NONCE_BYTES, SALT_BYTES, KdfCost, seal, unseal
from cluster.settings import SettingsError, load_settings
from cluster.state_store.config import StorePlace, quoted, read_place, write_place
from cluster.storage import DataDir, Store, check_private_file, read_file, read_private
from policy.tree import Fields, Node, ProfileError, Scalar, need_text

__all__ = [
    "ROLES",
    "Config",
    "Party",
    "opened",
    "own_identity_beside",
    "public_file",
    "read_config",
    "seal_seed",
    "unseal_seed",
    "write_config",
]

ROLES = ("node", "coordinator", "client", "person")

CONFIG_VERSION = 1
"""The version of config.yaml."""

_SEED_PURPOSE = "seed"

_ANCHOR = "write the full path of a file, like /media/key/assent.anchor"


@dataclass(frozen=True, slots=True)
class Config:
    """What the owner set in config.yaml; `bind` is where a coordinator listens, if not at its endpoint.

    `state_store` is where a node's records follow to; None: nowhere. `anchor` is where its anchor is; "": it has none.
    """

    role: str
    name: str
    network: str
    allow_mainnet: bool = False
    bind: str = ""
    state_store: StorePlace | None = None
    anchor: str = ""


def write_config(config: Config) -> bytes:
    """The file that `assent init` leaves."""
    lines = [
        "# What this data directory is. The keys were made for this name and network: do not change them here.",
        f"version: {CONFIG_VERSION}",
        f"role: {config.role}",
        f"name: {config.name}",
        f"network: {config.network}",
    ]
    if config.network == "mainnet":
        lines += [
            "# Real money. Read docs/threats.md, then set this to true.",
            f"allow_mainnet: {str(config.allow_mainnet).lower()}",
        ]
    if config.bind:
        lines += [
            "# Where to listen, if others reach us under another address (NAT).",
            f"bind: {config.bind}",
        ]
    if config.state_store is not None:
        lines += ["# Where this node's records follow to, sealed.", *write_place(config.state_store)]
    if config.role == "node":
        lines += [
            "# A file that says how far the records have come, best on another disk (docs/howto/a-restored-disk.md).",
            f'anchor: "{quoted(config.anchor)}"' if config.anchor else "# anchor: /media/key/assent.anchor",
        ]
    return "\n".join([*lines, ""]).encode()


def read_config(place: DataDir) -> Config:
    """Read config.yaml; ConfigError names the line, StateError says that others may open it."""
    path = place.config_file
    if path.exists():
        check_private_file(path)  # it says whom we talk to, and may hold the token of a store
    try:
        config = _config(load_settings(path))
    except ProfileError as wrong:
        raise SettingsError(str(path), wrong.line, wrong.path, wrong.text) from None
    if config.network != place.network:
        raise ConfigError(
            f"{path}: says network {config.network}, and stands in the directory {place.network}"
        )
    return config


def _config(tree: Node) -> Config:
    known = ("version", "role", "name", "network", "allow_mainnet", "bind", "state_store", "anchor")
    fields = Fields(tree, known)
    version = fields.need("version", "write `version: 1`")
    if not isinstance(version, Scalar) or version.value != CONFIG_VERSION or isinstance(version.value, bool):
        raise ProfileError(version.line, version.path, f"this program reads version {CONFIG_VERSION}")
    role = fields.need("role", f"one of {', '.join(ROLES)}")
    if need_text(role, "write a role") not in ROLES:
        raise ProfileError(role.line, role.path, f"one of {', '.join(ROLES)}")
    name = fields.need("name", "the name from `assent init`")
    if not NAME.fullmatch(need_text(name, "write a name")):
        raise ProfileError(name.line, name.path, "a name is a-z, 0-9 and -, at most 31")
    allow = fields.get("allow_mainnet")
    if allow is not None and not (isinstance(allow, Scalar) and isinstance(allow.value, bool)):
        raise ProfileError(allow.line, allow.path, "write true or false")
    store = fields.get("state_store")
    if store is not None and need_text(role, "") != "node":
        raise ProfileError(store.line, store.path, "is for a node: nobody else keeps what must not be lost")
    bind, anchor = fields.get("bind"), fields.get("anchor")
    if anchor is not None and not need_text(anchor, _ANCHOR).startswith("/"):
        raise ProfileError(anchor.line, anchor.path, _ANCHOR)
    return Config(
        role=need_text(role, ""),
        name=need_text(name, ""),
        network=need_text(fields.need("network", "the network from `assent init`"), "write a network"),
        allow_mainnet=isinstance(allow, Scalar) and allow.value is True,
        bind="" if bind is None else need_text(bind, "write tcp://ADDRESS:PORT"),
        state_store=None if store is None else read_place(store),
        anchor="" if anchor is None else need_text(anchor, _ANCHOR),
    )


def public_file(place: DataDir) -> Path:
    """Where the public part is."""
    return place.path / "public.json"


def seal_seed(seed: Seed, passphrase: bytes, cost: KdfCost) -> bytes:
    """The seed as it lies on disk."""
    return seal(
        seed.expose(),
        passphrase,
        purpose=_SEED_PURPOSE,
        salt=os.urandom(SALT_BYTES),
        nonce=os.urandom(NONCE_BYTES),
        cost=cost,
    )


def unseal_seed(place: DataDir, passphrase: bytes) -> Seed:
    """The seed; WrongPassphrase, or StateError when the file is missing or damaged."""
    try:
        return Seed(unseal(read_private(place.seed_file), passphrase, purpose=_SEED_PURPOSE))
    except WrongPassphrase:
        raise WrongPassphrase(f"wrong passphrase for {place.path}") from None
    except StateError as error:
        raise StateError(f"{place.seed_file}: {str(error).removeprefix(f'{place.seed_file}: ')}") from None
    except ValueError as error:
        raise StateError(f"{place.seed_file}: {error}") from None


@dataclass(slots=True)
class Party:
    """One party, while its data directory is ours alone."""

    place: DataDir
    config: Config
    part: PublicPart
    store: Store
    roster: Roster | None = None
    roster_exact: bytes = b""

    @property
    def records(self) -> Iterator[Record]:
        """All records in order, read from the disk each time."""
        return self.store.read()

    @property
    def roster_digest(self) -> bytes:
        """By what letters name its roster."""
        return digest(self.roster_exact)

    def need_roster(self) -> Roster:
        """The roster that the owner accepted; StateError when there is none yet."""
        if self.roster is None:
            raise StateError("no roster was accepted here yet: `assent roster accept FILE`")
        return self.roster

    def keys(self, seed: Seed) -> Keys:
        """The keys of the seed, which must be those of the public part; StateError."""
        keys = seed.keys(self.config.network)
        if keys.identity().public != self.part.identity:
            raise StateError(
                f"{self.place.seed_file}: this seed is not the one of {self.part.name}'s public part"
            )
        return keys

    def remember(self, *bodies: Body, wallet_id: bytes = NO_WALLET) -> None:
        """Write these down, all or none, before it returns."""
        self.store.append([note(body, wallet_id) for body in bodies])


@contextmanager
def opened(place: DataDir, *roles: str) -> Iterator[Party]:
    """A party's data directory, locked while the block runs.

    Raises:
        ConfigError: it belongs to another role, or to mainnet without leave.
        StateError: it is missing, in use, damaged, or does not fit together.
    """
    place.open()
    config = read_config(place)
    if roles and config.role not in roles:
        raise ConfigError(
            f"{place.path}: this is a {config.role}'s data directory, and this command is for a {' or '.join(roles)}"
        )
    if config.network == "mainnet" and not config.allow_mainnet:
        raise ConfigError(f"{place.config_file}: mainnet means real money: set `allow_mainnet: true` first")
    with place.lock():
        part = read_own_part(place, config)
        store = Store.open(place.database)
        try:
            party = Party(place, config, part, store)
            _find_roster(party)
            yield party
        finally:
            store.close()


def read_own_part(place: DataDir, config: Config) -> PublicPart:
    """The public part in a data directory; StateError when it is damaged or another's."""
    path = public_file(place)
    try:
        part = read_public_part(read_file(path))
    except RosterError as error:
        raise StateError(f"{path}: {error}") from None
    if (part.role, part.name, part.network) != (config.role, config.name, config.network):
        raise StateError(f"{path}: says role, name or network other than {place.config_file}")
    return part


def own_identity_beside(database: Path) -> bytes:
    """The identity key in the public part beside a database; empty where there is none that can be read."""
    path = database.with_name("public.json")
    try:
        return read_public_part(read_file(path)).identity if path.exists() else b""
    except (RosterError, StateError):
        return b""


def _find_roster(party: Party) -> None:
    kept = [record for record in party.records if record.kind == "roster"]
    if not kept:
        return
    try:
        entry = read(kept[-1])
        assert isinstance(entry, RosterKept)
        party.roster_exact = entry.roster
        party.roster = decode(entry.roster, Roster)
        check_roster(party.roster)
        own_entry(party.roster, party.part)
    except (RosterError, ValueError) as error:
        raise StateError(f"{party.place.database}: the roster on record makes no sense ({error})") from None
