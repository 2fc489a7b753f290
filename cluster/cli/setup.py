"""`assent init` and `assent roster`: one party's directory, and who is in the cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from cluster.cli.anchors import anchor_advice, anchored, new_anchor
from cluster.cli.call import Call, common, passphrase_options
from cluster.cli.output import words_table
from cluster.cli.profile_files import first_policy, read_profile_files
from cluster.codec import encode
from cluster.errors import ConfigError, StateError, UsageError
from cluster.journal import RosterKept, note
from cluster.keys import Seed
from cluster.party import ROLES, Config, opened, public_file, seal_seed, write_config
from cluster.public_part import (
    HOST_KEYS,
    PublicPart,
    own_entry,
    read_public_part,
    roster_of,
    write_public_part,
)
from cluster.records import Record
from cluster.roster import MAX_ROLES, NAME, ROSTER_VERSION, Roster, RosterError, match_words
from cluster.roster_file import read_roster_file, write_roster_file
from cluster.sealed import DEFAULT_COST, MINIMUM_COST, KdfCost
from cluster.storage import DataDir, Store, read_file, write_private, write_public

__all__ = [
    "free_place",
    "init",
    "kdf_cost",
    "make_datadir",
    "make_part",
    "read_roster",
    "roster",
    "show_words",
]


@click.command()
@common
@passphrase_options
@click.option("--role", type=click.Choice(ROLES), required=True, help="What this party is.")
@click.option("--name", required=True, help="Its name: a-z, 0-9 and -, at most 31.")
@click.option("--listen", default="", help="Coordinator: the address that others dial, tcp://HOST:PORT.")
@click.option("--bind", default="", help="Coordinator: where to listen, if not there.")
@click.option(
    "--quorum-role", "quorum_roles", multiple=True, help="Its role in a quorum (default: its name)."
)
@click.option(
    "--person-role",
    "person_roles",
    multiple=True,
    help="Person: a role they hold, such as treasurer (repeat it).",
)
@click.option(
    "--person", default="", help="Client: the person whose device this is; they never approve what it asks."
)
@click.option("--policy", type=click.Path(path_type=Path), help="Node: the profile to put in force.")
@click.option(
    "--anchor",
    default="",
    help="Node: a file on another disk that says how far its records have come; it then starts without its peers.",
)
@click.option(
    "--kdf-memory", type=int, help="MiB for the passphrase's key derivation (default 256, at least 19)."
)
def init(
    call: Call,
    *,
    role: str,
    name: str,
    listen: str,
    bind: str,
    quorum_roles: tuple[str, ...],
    person_roles: tuple[str, ...],
    person: str,
    policy: Path | None,
    anchor: str,
    kdf_memory: int | None,
) -> None:
    """Make a data directory for one party: seed, keys, database and public part.

    The 24 seed words are shown once: write them down, they are the only secret that you must back up.
    """
    network = call.network or "regtest"
    config = Config(role, name, network, bind=bind)
    _check_init(config, listen, quorum_roles, policy)
    _check_people(config, person_roles, person)
    place = free_place(call, network)
    config = replace(config, anchor=new_anchor(anchor, role, place))
    records = (
        () if policy is None else (note(first_policy(read_profile_files(policy, None, network), network)),)
    )
    cost = kdf_cost(kdf_memory)
    passphrase = call.passphrase.read("New passphrase", confirm=True)
    call.output.talk("Making the seed and sealing it...")
    seed = Seed(os.urandom(32))
    part = make_part(config, seed, listen, quorum_roles or person_roles, person)
    with anchored(config, seed):
        make_datadir(place, config, seed, part, passphrase, cost, records=records)
    show_words(call, seed)
    seed.wipe()
    public = public_file(place)
    call.output.talk(f"{role} {name} on {network}: {place.path}")
    if role == "node" and (advice := anchor_advice(config, place)):
        call.output.talk(advice)
    call.output.talk("Hand its public part to whoever builds the roster:")
    call.output.give(
        {
            "role": role,
            "name": name,
            "network": network,
            "datadir": str(place.path),
            "public_part": str(public),
            "anchor": config.anchor,
            "identity": part.identity.hex(),
        },
        str(public),
    )


def free_place(call: Call, network: str) -> DataDir:
    """Where a new party will live; StateError when somebody lives there."""
    place = DataDir.locate(call.datadir, network)
    for file in (place.seed_file, place.database, place.config_file):
        if file.exists():
            raise StateError(f"{file}: this exists already; nothing was changed")
    return place


def kdf_cost(memory_mib: int | None) -> KdfCost:
    """The cost of one guess of the passphrase: the default, or less memory down to the floor."""
    if memory_mib is None:
        return DEFAULT_COST
    least, most = MINIMUM_COST.memory_kib // 1024, 1024
    if not least <= memory_mib <= most:
        raise UsageError(f"--kdf-memory: between {least} and {most} MiB")
    return KdfCost(memory_mib * 1024, DEFAULT_COST.passes if memory_mib > least else MINIMUM_COST.passes)


def _check_init(config: Config, listen: str, quorum_roles: tuple[str, ...], policy: Path | None) -> None:
    """Everything that can be wrong with the arguments, before anything is asked or written."""
    for word in (config.name, *quorum_roles):
        if not NAME.fullmatch(word):
            raise UsageError(f"a name is a-z, 0-9 and -, starts with a letter or digit, at most 31: {word!r}")
    if config.role == "coordinator":
        if not listen:
            raise UsageError("a coordinator needs --listen tcp://HOST:PORT, where nodes and clients dial it")
        from cluster.transport import check_endpoint

        check_endpoint(listen)
        if config.bind:
            check_endpoint(config.bind, listen=True)
    elif listen or config.bind:
        raise UsageError("only a coordinator listens: --listen and --bind are for --role coordinator")
    if policy is not None and config.role != "node":
        raise UsageError("only a node has a policy: --policy is for --role node")
    if quorum_roles and config.role != "node":
        raise UsageError("only nodes have a role in a quorum; a person's roles are --person-role")
    if len(quorum_roles) > 1:
        raise UsageError("a node has one role in a quorum")


def _check_people(config: Config, roles: tuple[str, ...], person: str) -> None:
    """What can be wrong with the words about people."""
    for word in (*roles, *([person] if person else ())):
        if not NAME.fullmatch(word):
            raise UsageError(f"a name is a-z, 0-9 and -, starts with a letter or digit, at most 31: {word!r}")
    if roles and config.role != "person":
        raise UsageError("--person-role is for --role person")
    if len(set(roles)) != len(roles) or len(roles) > MAX_ROLES:
        raise UsageError(f"--person-role: each role once, and at most {MAX_ROLES}")
    if person and config.role != "client":
        raise UsageError("--person says whose device a client is: it is for --role client")


def make_part(
    config: Config, seed: Seed, listen: str, roles: tuple[str, ...], person: str = ""
) -> PublicPart:
    """The public part of a party with this seed; `roles` are a node's one or a person's, `person` a client's."""
    keys = seed.keys(config.network)
    is_node = config.role == "node"
    default_roles = (config.name,) if is_node else ()
    return PublicPart(
        version=ROSTER_VERSION,
        network=config.network,
        role=config.role,  # type: ignore[arg-type]  # the option's choices are exactly these
        name=config.name,
        identity=keys.identity().public,
        transport=keys.transport().public,
        host_pubkeys=tuple(keys.host_key(i).point().to_bytes() for i in range(HOST_KEYS)) if is_node else (),
        signing_pubkeys=tuple(keys.musig2_key(i).point().to_bytes() for i in range(HOST_KEYS))
        if is_node
        else (),
        roles=roles or default_roles,
        endpoint=listen,
        person=person,
    )


def make_datadir(
    place: DataDir,
    config: Config,
    seed: Seed,
    part: PublicPart,
    passphrase: bytes,
    cost: KdfCost,
    *,
    records: Sequence[Record] = (),
    fill: Callable[[Store], None] = lambda store: None,
) -> None:
    """Write everything of a new data directory; the seed comes last, so that nothing half-made looks whole.

    `fill` writes what comes before the records.
    """
    sealed = seal_seed(seed, passphrase, cost)
    place.create()
    write_private(place.config_file, write_config(config), replace=False)
    with Store.create(place.database) as store:
        fill(store)
        store.append(records)
    identity = seed.keys(config.network).identity()
    write_public(public_file(place), write_public_part(part, identity), replace=False)
    write_private(place.seed_file, sealed, replace=False)


def show_words(call: Call, seed: Seed) -> None:
    """Show the seed words, once, to the person only: stderr, never a file, never JSON."""
    words = seed.words()
    call.output.talk(
        "\nWrite these 24 words on paper, in order. They are shown once, and nobody can show them again:\n"
    )
    call.output.talk(words_table(words))
    call.output.talk("")
    if call.passphrase.asks:
        click.pause("Press any key when you have written them down...", err=True)


# The roster.


@click.group()
def roster() -> None:
    """Build, show and accept the roster: who is in the cluster."""


@roster.command("build")
@common
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write the roster.")
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path))
def roster_build(call: Call, *, out: Path, parts: tuple[Path, ...]) -> None:
    """Put the public parts of all parties into one roster, to be accepted by each of them."""
    read = tuple(_read_part(path) for path in parts)
    try:
        built = roster_of(read, cluster_id=os.urandom(32))
    except RosterError as error:
        raise ConfigError(str(error)) from None
    write_public(out, write_roster_file(built), replace=False)
    call.output.talk(f"Now each party runs: assent roster accept {out}")
    _give_roster(call, built, {"file": str(out)})


@roster.command("show")
@common
@click.argument("file", type=click.Path(path_type=Path))
def roster_show(call: Call, *, file: Path) -> None:
    """Show who is in a roster, and its twelve words."""
    _give_roster(call, read_roster(file), {"file": str(file)})


@roster.command("accept")
@common
@click.option("--yes", is_flag=True, help="The words were compared already (for scripts).")
@click.argument("file", type=click.Path(path_type=Path))
def roster_accept(call: Call, *, file: Path, yes: bool) -> None:
    """Accept a roster here, after comparing its twelve words with every other party."""
    place = call.place()
    proposed = read_roster(file)
    with opened(place) as party:
        try:
            own_entry(proposed, party.part)
        except RosterError as error:
            raise ConfigError(f"{file}: {error}") from None
        exact = encode(proposed)
        if party.roster is not None and party.roster_exact != exact:
            raise StateError(
                "another roster was accepted here already; a changed roster is a new epoch, which this version "
                "cannot take yet: make new data directories, or keep the old roster"
            )
        words = match_words("roster", exact)
        if not yes:
            call.output.talk(_roster_text(proposed, words))
            answer = click.prompt(
                "Do all parties see these twelve words? Type yes", default="no", show_default=False, err=True
            )
            if answer.strip().lower() != "yes":
                raise StateError("the roster was not accepted; nothing was changed")
        if party.roster is None:
            party.remember(RosterKept(time.time_ns() // 1_000_000, exact))
    _give_roster(call, proposed, {"file": str(file), "accepted": True}, words)


def read_roster(path: Path) -> Roster:
    """The roster in a file; ConfigError says what is wrong with it."""
    try:
        return read_roster_file(read_file(path))
    except RosterError as error:
        raise ConfigError(f"{path}: {error}") from None


def _read_part(path: Path) -> PublicPart:
    try:
        return read_public_part(read_file(path))
    except RosterError as error:
        raise ConfigError(f"{path}: {error}") from None


def _give_roster(
    call: Call, shown: Roster, more: dict[str, str | bool], words: tuple[str, ...] | None = None
) -> None:
    words = match_words("roster", encode(shown)) if words is None else words
    call.output.give(
        {
            **more,
            "network": shown.network,
            "cluster_id": shown.cluster_id.hex(),
            "epoch": shown.epoch,
            "nodes": [{"name": node.name, "role": node.role} for node in shown.nodes],
            "coordinators": [{"name": c.name, "endpoint": c.endpoint} for c in shown.coordinators],
            "clients": [{"name": client.name, "person": client.person} for client in shown.clients],
            "people": [{"name": person.name, "roles": list(person.roles)} for person in shown.people],
            "words": list(words),
        },
        _roster_text(shown, words),
    )


def _roster_text(shown: Roster, words: tuple[str, ...]) -> str:
    rows = [f"cluster {shown.cluster_id.hex()[:16]} on {shown.network}, epoch {shown.epoch}"]
    rows += [f"  node         {node.name} (role {node.role})" for node in shown.nodes]
    rows += [f"  coordinator  {entry.name} at {entry.endpoint}" for entry in shown.coordinators]
    rows += [
        f"  client       {entry.name}{f' (device of {entry.person})' if entry.person else ''}"
        for entry in shown.clients
    ]
    rows += [f"  person       {entry.name} ({', '.join(entry.roles) or 'no role'})" for entry in shown.people]
    return "\n".join([*rows, "its words, to be compared by all parties:", words_table(words)])
