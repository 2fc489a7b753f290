"""The roster as a file for people: JSON with names and hex, standing for exact bytes.

The words that people compare come from the exact bytes (MessagePack) that the file stands for, so its spaces and
line ends do not matter, and everything else does.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from cluster.codec import decode, encode
from cluster.roster import (
    ROSTER_VERSION,
    ClientEntry,
    CoordinatorEntry,
    NodeEntry,
    PersonEntry,
    Roster,
    RosterError,
    check_roster,
)

__all__ = ["FORMAT", "read_roster_file", "write_roster_file"]

FORMAT = "assent-roster"
"""What the file calls itself."""

Hex = Annotated[str, Meta(max_length=130)]


class _Node(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: str
    identity: Hex
    transport: Hex
    host_pubkeys: tuple[Hex, ...]
    signing_pubkeys: tuple[Hex, ...]


class _Coordinator(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    endpoint: str
    identity: Hex
    transport: Hex


class _Client(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    person: str
    identity: Hex
    transport: Hex


class _Person(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    roles: tuple[str, ...]
    identity: Hex
    transport: Hex


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    version: int
    network: str
    cluster_id: Hex
    epoch: int
    nodes: tuple[_Node, ...]
    coordinators: tuple[_Coordinator, ...]
    clients: tuple[_Client, ...]
    people: tuple[_Person, ...]


def write_roster_file(roster: Roster) -> bytes:
    """The file that stands for a roster."""
    file = _File(
        format=FORMAT,
        version=roster.version,
        network=roster.network,
        cluster_id=roster.cluster_id.hex(),
        epoch=roster.epoch,
        nodes=tuple(
            _Node(
                e.name,
                e.role,
                e.identity.hex(),
                e.transport.hex(),
                tuple(k.hex() for k in e.host_pubkeys),
                tuple(k.hex() for k in e.signing_pubkeys),
            )
            for e in roster.nodes
        ),
        coordinators=tuple(
            _Coordinator(e.name, e.endpoint, e.identity.hex(), e.transport.hex()) for e in roster.coordinators
        ),
        clients=tuple(_Client(e.name, e.person, e.identity.hex(), e.transport.hex()) for e in roster.clients),
        people=tuple(_Person(e.name, e.roles, e.identity.hex(), e.transport.hex()) for e in roster.people),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def read_roster_file(data: bytes) -> Roster:
    """The roster that a file stands for, checked; RosterError says what is wrong with any other."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RosterError(f"this is not a roster ({error})") from None
    if (file.format, file.version) != (FORMAT, ROSTER_VERSION):
        raise RosterError(
            f"its format is {file.format} {file.version}; this program reads {FORMAT} {ROSTER_VERSION}"
        )
    try:
        roster = decode(encode(_roster(file)), Roster)
    except RosterError:
        raise
    except ValueError as error:
        raise RosterError(f"this roster makes no sense ({error})") from None
    check_roster(roster)
    return roster


def _roster(file: _File) -> Roster:
    unhex = bytes.fromhex
    return Roster(
        version=file.version,
        network=file.network,
        cluster_id=unhex(file.cluster_id),
        epoch=file.epoch,
        nodes=tuple(
            NodeEntry(
                e.name,
                unhex(e.identity),
                unhex(e.transport),
                tuple(map(unhex, e.host_pubkeys)),
                tuple(map(unhex, e.signing_pubkeys)),
                e.role,
            )
            for e in file.nodes
        ),
        coordinators=tuple(
            CoordinatorEntry(e.name, unhex(e.identity), unhex(e.transport), e.endpoint)
            for e in file.coordinators
        ),
        clients=tuple(
            ClientEntry(e.name, unhex(e.identity), unhex(e.transport), e.person) for e in file.clients
        ),
        people=tuple(
            PersonEntry(e.name, unhex(e.identity), unhex(e.transport), e.roles) for e in file.people
        ),
    )
