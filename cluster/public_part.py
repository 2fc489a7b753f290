"""The public part of one party: what it hands to whoever builds the roster, signed by its own identity key.

The signature proves nothing about who the party is (people compare the roster's words for that); it shows that
no character was lost or changed on the way.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from cluster.codec import Identity, decode, encode
from cluster.messages import Bytes32, Bytes33
from cluster.roster import (
    MAX_ROLES,
    ROSTER_VERSION,
    ClientEntry,
    CoordinatorEntry,
    Entry,
    Name,
    NameOrNone,
    NodeEntry,
    PersonEntry,
    Roster,
    RosterError,
    check_roster,
)

__all__ = [
    "FORMAT",
    "HOST_KEYS",
    "PublicPart",
    "entry_of",
    "own_entry",
    "read_public_part",
    "roster_of",
    "write_public_part",
]

FORMAT = "assent-public"
"""What the file calls itself."""

HOST_KEYS = 16
"""How many wallets a node can be a member of: one host key and one signing key each."""

_DOMAIN = b"assent/public-part/v1\x00"

Role = Literal["node", "coordinator", "client", "person"]

E = TypeVar("E", bound=Entry)


class PublicPart(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Everything others need to know of one party; what does not apply to its role is empty."""

    version: int
    network: Name
    role: Role
    name: Name
    identity: Bytes32
    transport: bytes
    host_pubkeys: Annotated[tuple[Bytes33, ...], Meta(max_length=HOST_KEYS)]
    signing_pubkeys: Annotated[tuple[Bytes33, ...], Meta(max_length=HOST_KEYS)]
    roles: Annotated[tuple[Name, ...], Meta(max_length=MAX_ROLES)]
    endpoint: Annotated[str, Meta(max_length=255)]
    person: NameOrNone


class _File(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The same as people see it: hex in JSON."""

    format: str
    version: int
    network: str
    role: Role
    name: str
    identity: str
    signature: str
    transport: str = ""
    endpoint: str = ""
    person: str = ""
    roles: tuple[str, ...] = ()
    host_pubkeys: tuple[str, ...] = ()
    signing_pubkeys: tuple[str, ...] = ()


def write_public_part(part: PublicPart, identity: Identity) -> bytes:
    """The file (JSON) that stands for a public part, signed by its own identity key."""
    file = _File(
        format=FORMAT,
        version=part.version,
        network=part.network,
        role=part.role,
        name=part.name,
        identity=part.identity.hex(),
        signature=identity.sign(_DOMAIN + encode(part)).hex(),
        transport=part.transport.hex(),
        endpoint=part.endpoint,
        person=part.person,
        roles=part.roles,
        host_pubkeys=tuple(key.hex() for key in part.host_pubkeys),
        signing_pubkeys=tuple(key.hex() for key in part.signing_pubkeys),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def read_public_part(data: bytes) -> PublicPart:
    """Read the file of a public part; RosterError when it is damaged, altered or of another version."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RosterError(f"this is not a public part ({error})") from None
    if (file.format, file.version) != (FORMAT, ROSTER_VERSION):
        raise RosterError(
            f"its format is {file.format} {file.version}; this program reads {FORMAT} {ROSTER_VERSION}"
        )
    try:
        part = PublicPart(
            version=file.version,
            network=file.network,
            role=file.role,
            name=file.name,
            identity=bytes.fromhex(file.identity),
            transport=bytes.fromhex(file.transport),
            host_pubkeys=tuple(map(bytes.fromhex, file.host_pubkeys)),
            signing_pubkeys=tuple(map(bytes.fromhex, file.signing_pubkeys)),
            roles=file.roles,
            endpoint=file.endpoint,
            person=file.person,
        )
        decode(encode(part), PublicPart)
        entry_of(part)
        VerifyKey(part.identity).verify(_DOMAIN + encode(part), bytes.fromhex(file.signature))
    except BadSignatureError:
        raise RosterError("its signature does not fit: it was altered, or badly copied") from None
    except ValueError as error:
        raise RosterError(f"this public part makes no sense ({error})") from None
    return part


def entry_of(part: PublicPart) -> NodeEntry | CoordinatorEntry | ClientEntry | PersonEntry:
    """What a roster says of a party; ValueError when its public part makes no sense for its role."""
    match part.role:
        case "node":
            if len(part.roles) != 1:
                raise RosterError("a node has one role in the quorum")
            return _checked(
                NodeEntry(
                    part.name,
                    part.identity,
                    part.transport,
                    part.host_pubkeys,
                    part.signing_pubkeys,
                    part.roles[0],
                ),
                NodeEntry,
            )
        case "coordinator":
            return _checked(
                CoordinatorEntry(part.name, part.identity, part.transport, part.endpoint), CoordinatorEntry
            )
        case "client":
            return _checked(ClientEntry(part.name, part.identity, part.transport, part.person), ClientEntry)
        case "person":
            return _checked(PersonEntry(part.name, part.identity, part.transport, part.roles), PersonEntry)


def roster_of(parts: tuple[PublicPart, ...], cluster_id: bytes, epoch: int = 1) -> Roster:
    """The roster of these parties, each kind in order of name; RosterError when it makes no sense."""
    networks = sorted({part.network for part in parts})
    if len(networks) != 1:
        raise RosterError(f"these public parts are for {len(networks)} networks: {', '.join(networks)}")
    entries = [entry_of(part) for part in sorted(parts, key=lambda part: part.name)]
    roster = Roster(
        version=ROSTER_VERSION,
        network=networks[0],
        cluster_id=cluster_id,
        epoch=epoch,
        nodes=tuple(entry for entry in entries if isinstance(entry, NodeEntry)),
        coordinators=tuple(entry for entry in entries if isinstance(entry, CoordinatorEntry)),
        clients=tuple(entry for entry in entries if isinstance(entry, ClientEntry)),
        people=tuple(entry for entry in entries if isinstance(entry, PersonEntry)),
    )
    check_roster(roster)
    if not roster.nodes or not roster.coordinators:
        raise RosterError("a roster needs at least one node and one coordinator")
    try:
        return decode(encode(roster), Roster)
    except ValueError as error:
        raise RosterError(f"the roster is out of bounds ({error})") from None


def own_entry(roster: Roster, part: PublicPart) -> NodeEntry | CoordinatorEntry | ClientEntry | PersonEntry:
    """What a roster says of the party with this public part; RosterError unless it says exactly that."""
    if roster.network != part.network:
        raise RosterError(f"the roster is for {roster.network}, and this data directory for {part.network}")
    entry = entry_of(part)
    if entry in roster.everyone:
        return entry
    if any(other.identity == part.identity for other in roster.everyone):
        raise RosterError(f"the roster says other things of {part.name} than its own public part")
    raise RosterError(f"{part.name} is not in the roster: its identity key does not stand there")


def _checked(entry: E, kind: type[E]) -> E:
    """Sizes and patterns are checked where bytes are decoded, so make the round."""
    return decode(encode(entry), kind)
