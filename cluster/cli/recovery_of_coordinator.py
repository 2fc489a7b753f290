"""`assent recover --role coordinator`: the same keys on another machine, and an empty database that the nodes fill."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cluster.cli.call import Call
from cluster.cli.output import words_table
from cluster.cli.setup import free_place, kdf_cost, make_datadir, make_part, read_roster
from cluster.codec import encode
from cluster.errors import ConfigError, StateError, UsageError
from cluster.journal import RecoveredKept, RosterKept, note
from cluster.keys import Seed
from cluster.party import Config, public_file
from cluster.public_part import own_entry
from cluster.records import Record
from cluster.roster import CoordinatorEntry, Roster, RosterError, match_words
from cluster.storage import read_private
from cluster.transport import check_endpoint

__all__ = ["compare_roster", "read_words", "recover_coordinator"]


def recover_coordinator(
    call: Call,
    name: str,
    roster_file: Path | None,
    bind: str,
    words_file: Path | None,
    *,
    yes: bool,
    kdf_memory: int | None,
) -> None:
    """Make the data directory of a coordinator of the roster anew, from its words, and say where it is."""
    if not name:
        raise UsageError("--name: which of the roster's coordinators this is")
    if roster_file is None:
        raise UsageError("--roster: the roster's file, which every party has")
    roster, entry = _read_entry(call, name, roster_file)
    if bind:
        check_endpoint(bind, listen=True)
    place = free_place(call, roster.network)
    cost = kdf_cost(kdf_memory)
    seed = read_words(words_file)
    config = Config("coordinator", name, roster.network, bind=bind)
    part = make_part(config, seed, entry.endpoint, ())
    try:
        own_entry(roster, part)
    except RosterError as error:
        raise ConfigError(f"these words are not those of coordinator {name}: {error}") from None
    exact = encode(roster)
    compare_roster(call, exact, yes=yes)
    passphrase = call.passphrase.read("New passphrase", confirm=True)
    make_datadir(place, config, seed, part, passphrase, cost, records=_first_records(exact))
    seed.wipe()
    call.output.talk(f"coordinator {name}, to be reached at {entry.endpoint}: its memory is empty;")
    call.output.talk(
        "the nodes give it back what is open once it runs, and clients ask again under the same ids"
    )
    facts = {"role": "coordinator", "name": name, "network": place.network, "datadir": str(place.path)}
    call.output.give({**facts, "public_part": str(public_file(place))}, str(place.path))


def _first_records(roster: bytes) -> tuple[Record, ...]:
    """The roster, and that what came before is lost: an audit goes by it."""
    at_ms = time.time_ns() // 1_000_000
    return note(RosterKept(at_ms, roster)), note(RecoveredKept(at_ms, confirmed=False))


def _read_entry(call: Call, name: str, roster_file: Path) -> tuple[Roster, CoordinatorEntry]:
    """The roster, and the coordinator's own entry in it."""
    roster = read_roster(roster_file)
    if call.network not in {None, roster.network}:
        raise UsageError(f"--network {call.network}: the roster is for {roster.network}")
    entry = next((one for one in roster.coordinators if one.name == name), None)
    if entry is None:
        raise UsageError(
            f"--name: no coordinator {name} in the roster ({', '.join(c.name for c in roster.coordinators)})"
        )
    return roster, entry


def read_words(words_file: Path | None) -> Seed:
    """The seed of the 24 words, typed or from a private file."""
    if words_file is None:
        text = click.prompt("The 24 words", hide_input=True, err=True)
    else:
        try:
            text = read_private(words_file, max_bytes=4096).decode()
        except UnicodeDecodeError:
            raise UsageError(f"{words_file}: this is not text") from None
    return Seed.from_words(text)


def compare_roster(call: Call, exact: bytes, *, yes: bool) -> None:
    """Whoever can hand over a false roster decides who is listened to; so people compare again."""
    if yes:
        return
    call.output.talk("the roster's words, to be compared with any other party (`assent roster show`):")
    call.output.talk(words_table(match_words("roster", exact)))
    if (
        click.prompt("All the same? Type yes", default="no", show_default=False, err=True).strip().lower()
        != "yes"
    ):
        raise StateError("not recovered; nothing was written")
