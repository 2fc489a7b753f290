"""Who exists: the roster, and the words by which people compare it and the wallets' charters (`cluster.charter`).

Both are exact bytes (MessagePack, positional, canonical). A liar who builds two of them needs only a collision
of what people compare, so the words come from 128 bits of a slow hash over the bytes themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from mnemonic import Mnemonic
from msgspec import Meta, Struct
from nacl.pwhash import argon2id

from cluster.messages import MAX_NODES, Bytes32, Bytes33, Count
from curve import Point, tagged_hash

ROSTER_VERSION = 1
"""The version of both formats below."""

WORDS_MEMORY_BYTES = 256 * 1024 * 1024
"""Argon2id memory for match words; the time cost is 3."""

MAX_ROLES = 8
"""The most roles a person may hold."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
"""What a node, a person or a wallet may be called."""

Name = Annotated[str, Meta(min_length=1, max_length=31, pattern=r"^[a-z0-9][a-z0-9-]{0,30}\Z")]

NameOrNone = Annotated[str, Meta(max_length=31, pattern=r"^([a-z0-9][a-z0-9-]{0,30})?\Z")]
"""A name, or "" for nobody's."""


class RosterError(ValueError):
    """A roster or charter that makes no sense; the text says what is wrong with it."""


class Entry(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Somebody: a name, and the Ed25519 identity key (32 bytes) that signs its letters."""

    name: Name
    identity: Bytes32


class Reachable(Entry, frozen=True):
    """Somebody who speaks over the wire: the CURVE transport key (32 bytes)."""

    transport: Bytes32


class NodeEntry(Reachable, frozen=True):
    """A node: its ChillDKG host keys and MuSig2 signing keys (33 bytes) by wallet index, and its role."""

    host_pubkeys: Annotated[tuple[Bytes33, ...], Meta(min_length=1, max_length=16)]
    signing_pubkeys: Annotated[tuple[Bytes33, ...], Meta(min_length=1, max_length=16)]
    role: Name


class CoordinatorEntry(Reachable, frozen=True):
    """A coordinator: the one address it listens on."""

    endpoint: Annotated[str, Meta(max_length=255, pattern=r"^tcp://[][0-9A-Za-z.:-]+:[0-9]{1,5}\Z")]


class ClientEntry(Reachable, frozen=True):
    """A device that may ask for signatures and propose wallets, and whose it is: a person's, or nobody's ("").

    What a person's own device asks for, that person never approves.
    """

    person: NameOrNone = ""


class PersonEntry(Reachable, frozen=True):
    """A person whose signed yes or no counts, given on a device of their own, and the roles they hold."""

    roles: Annotated[tuple[Name, ...], Meta(max_length=MAX_ROLES)]


class Roster(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Who exists in one cluster, at one epoch."""

    version: Count
    network: Name
    cluster_id: Bytes32
    epoch: Count
    nodes: Annotated[tuple[NodeEntry, ...], Meta(min_length=1, max_length=MAX_NODES)]
    coordinators: Annotated[tuple[CoordinatorEntry, ...], Meta(min_length=1, max_length=8)]
    clients: Annotated[tuple[ClientEntry, ...], Meta(max_length=64)]
    people: Annotated[tuple[PersonEntry, ...], Meta(max_length=64)]

    def name_of(self, identity: bytes) -> str:
        """The name that stands for an identity key; a short hex form for a stranger."""
        names = (entry.name for entry in self.everyone if entry.identity == identity)
        return next(names, f"stranger {identity.hex()[:8]}")

    @property
    def everyone(self) -> tuple[Entry, ...]:
        """All of them, in order."""
        return (*self.nodes, *self.coordinators, *self.clients, *self.people)

    @property
    def reachable(self) -> tuple[Reachable, ...]:
        """All who speak over the wire."""
        return (*self.nodes, *self.coordinators, *self.clients, *self.people)

    def node(self, identity: bytes) -> NodeEntry | None:
        """The node with this identity key, if there is one."""
        return next((entry for entry in self.nodes if entry.identity == identity), None)

    def client(self, identity: bytes) -> ClientEntry | None:
        """The client with this identity key, if there is one."""
        return next((entry for entry in self.clients if entry.identity == identity), None)

    def person(self, identity: bytes) -> PersonEntry | None:
        """The person with this identity key, if there is one."""
        return next((entry for entry in self.people if entry.identity == identity), None)

    def person_of(self, client: bytes) -> PersonEntry | None:
        """The person whose device a client (identity key) is; None for nobody's."""
        entry = self.client(client)
        whose = entry.person if entry is not None else ""
        return next((person for person in self.people if person.name == whose), None)

    def coordinator(self, identity: bytes) -> CoordinatorEntry | None:
        """The coordinator with this identity key, if there is one."""
        return next((entry for entry in self.coordinators if entry.identity == identity), None)

    def role_of(self, identity: bytes) -> str:
        """`node`, `coordinator`, `client`, `person`, or `` for a stranger: whose letters it may send."""
        if self.node(identity):
            return "node"
        if self.coordinator(identity):
            return "coordinator"
        if self.client(identity):
            return "client"
        return "person" if self.person(identity) else ""


def check_roster(roster: Roster) -> None:
    """Raises RosterError unless the version is ours, no name or key stands twice, and all of it fits together."""
    if roster.version != ROSTER_VERSION:
        raise RosterError(f"roster version {roster.version}; this program reads version {ROSTER_VERSION}")
    distinct("name", (entry.name for entry in roster.everyone))
    distinct("identity key", (entry.identity for entry in roster.everyone))
    distinct("transport key", (entry.transport for entry in roster.reachable))
    distinct("host key or signing key", (key for node in roster.nodes for key in _keys(node)))
    for node in roster.nodes:
        if len(node.host_pubkeys) != len(node.signing_pubkeys):
            raise RosterError(f"{node.name} has not as many signing keys as host keys")
        for key in _keys(node):
            _check_point(node, key)
    people = {person.name for person in roster.people}
    for client in roster.clients:
        if client.person and client.person not in people:
            raise RosterError(
                f"client {client.name} is {client.person}'s, and nobody of that name is a person here"
            )
    for person in roster.people:
        distinct(f"role of {person.name}", person.roles)


def _keys(node: NodeEntry) -> tuple[bytes, ...]:
    return node.host_pubkeys + node.signing_pubkeys


def _check_point(node: NodeEntry, key: bytes) -> None:
    """Found now, not when a wallet is made and every owner has already said yes."""
    try:
        Point.from_bytes(key)
    except ValueError:
        raise RosterError(f"a host key or signing key of {node.name} is no public key") from None


def distinct(what: str, values: Iterable[object]) -> None:
    """Raises RosterError, naming what stands twice."""
    seen = set()
    for value in values:
        if value in seen:
            shown = value.hex() if isinstance(value, bytes) else value
            raise RosterError(f"the {what} {shown} stands twice")
        seen.add(value)


def digest(exact: bytes) -> bytes:
    """The 32-byte fingerprint by which letters name a roster or charter; people compare `match_words`."""
    return tagged_hash("assent/roster", exact)


def match_words(purpose: str, exact: bytes) -> tuple[str, ...]:
    """Twelve BIP 39 words for exact bytes: Argon2id (256 MiB, t=3), 128 bits; takes about a second.

    Args:
        purpose: what the bytes are (`roster`, `charter`, `wallet`), so that one kind's words fit no other.
        exact: the canonical bytes.
    """
    salt = tagged_hash("assent/match-words", purpose.encode())[:16]
    entropy = argon2id.kdf(16, exact, salt, opslimit=3, memlimit=WORDS_MEMORY_BYTES)
    return tuple(Mnemonic("english").to_mnemonic(entropy).split())
