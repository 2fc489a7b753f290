"""A node's state store, put together from what its owner wrote in config.yaml and from the keys of its seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cluster.errors import ConfigError
from cluster.keys import Keys
from cluster.party import Party
from cluster.state_store import DirectoryStore, StateStore
from cluster.state_store.config import DirectoryPlace, StorePlace, VssPlace
from cluster.state_store.http_line import HttpLine, address_of
from cluster.state_store.mark_file import MarkFile
from cluster.state_store.mirror import Mirror, NoMirror
from cluster.state_store.sealing import Sealer, default_store_id
from cluster.state_store.writing import Writer
from cluster.storage import read_private
from curve import SecretScalar

__all__ = ["START_BOUND_S", "begin_mirror", "marks_of", "open_store", "sealer_of", "where_of", "writer_of"]

START_BOUND_S = 5.0
"""How long a start waits for the first look at the store."""

ANSWER_S = 10.0
"""How long one answer of a server may take."""

MAX_TOKEN_BYTES = 16 * 1024


def sealer_of(place: StorePlace, keys: Keys) -> Sealer:
    """What seals for this store; where the owner named no keyspace, it is the seed's own."""
    return Sealer.of(keys, place.store_id or default_store_id(keys))


def where_of(place: StorePlace) -> str:
    """Where the store is, for people."""
    return str(place.path) if isinstance(place, DirectoryPlace) else place.url


def open_store(place: StorePlace, keys: Keys) -> StateStore:
    """A line to the store; ConfigError where what is needed for it is not installed or not there."""
    store_id = sealer_of(place, keys).store_id
    if isinstance(place, DirectoryPlace):
        return DirectoryStore(place.path, store_id)
    try:
        from cluster.state_store.vss import VssStore, bearer_login, signature_login
    except ImportError:
        raise ConfigError(
            "`kind: vss` needs the package protobuf, which is not installed: install assent[vss]"
        ) from None
    line = HttpLine(address_of(place.url), timeout_s=ANSWER_S, ca_file=place.ca_file)
    if place.token_file is not None:
        token = _token_of(place.token_file)
        token()
        return VssStore(line, store_id, bearer_login(token))
    secret = SecretScalar.from_bytes_reduced(keys.state_store_key("login"))
    return VssStore(line, store_id, signature_login(secret, lambda: int(time.time())))


def marks_of(party: Party, place: StorePlace, keys: Keys) -> MarkFile:
    """Where it is noted how far this store has confirmed."""
    return MarkFile(party.place.path, sealer_of(place, keys).owner_tag)


def writer_of(party: Party, place: StorePlace, keys: Keys) -> Writer:
    """What writes into the store for this node."""
    roster = party.need_roster()
    return Writer(sealer_of(place, keys), roster.cluster_id, roster.epoch, os.urandom)


def begin_mirror(
    party: Party, keys: Keys, stack: ExitStack, tell: Callable[[str], None]
) -> Mirror | NoMirror:
    """The node's mirror, begun; StateError for whatever is wrong between its disk and its store.

    The stack ends it.
    """
    place = party.config.state_store
    if place is None:
        return NoMirror()
    if isinstance(place, VssPlace):
        # What is missing on this machine is found now, and not by the thread.
        open_store(place, keys).close()
    mirror = Mirror(
        lambda: open_store(place, keys),
        where_of(place),
        writer_of(party, place, keys),
        party.store.head,
        marks_of(party, place, keys),
        tell=tell,
    )
    mirror.begin(party.store, START_BOUND_S)
    stack.callback(mirror.close)
    return mirror


def _token_of(path: Path) -> Callable[[], str]:
    """Reads the token anew each time: whoever issues it replaces the file before it expires."""

    def token() -> str:
        text = read_private(path, max_bytes=MAX_TOKEN_BYTES).decode("ascii", "replace").strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ConfigError(f"{path}: this is no token: one line of ASCII without spaces")
        return text

    return token
