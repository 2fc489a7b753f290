"""What a store of state is: objects under keys, each with a version, written all together or not at all.

The words and rules are those of the Versioned Storage Service (lightningdevkit/vss-server, `proto/vss.proto`). The
version of an object rises by one with each write. A write names the version that it replaces, 0 for a new object;
where another stands, nothing of the whole write happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cluster.errors import AuthenticationError, PeerError, StateError

__all__ = [
    "ANY_VERSION",
    "FIRST_VERSION",
    "GLOBAL_VERSION_KEY",
    "MAX_ITEMS",
    "MAX_KEY_CHARS",
    "MAX_PAGE",
    "MAX_VALUE_BYTES",
    "MAX_VERSION",
    "KeyValue",
    "KeyVersion",
    "NoSuchKey",
    "Page",
    "StateStore",
    "StoreDamaged",
    "StoreLoginRefused",
    "StoreUnavailable",
    "VersionConflict",
    "check_put",
    "list_all",
]

ANY_VERSION = -1
"""Named in place of a version, the write happens whatever stands there; what is written then has version 1."""

FIRST_VERSION = 1
"""The version of an object once it was written for the first time."""

GLOBAL_VERSION_KEY = "global_version"
"""Kept by the store itself: how often it was written with a global version. Never an object of ours."""

MAX_ITEMS = 1000
"""How many items one write may have."""

MAX_PAGE = 100
"""How many keys one page of a listing has at most."""

MAX_KEY_CHARS = 600
"""The longest key."""

MAX_VALUE_BYTES = 10 * 1024 * 1024
"""The largest value that we write or read."""

MAX_VERSION = 2**62
"""No object is ever written so often: a version is 64 bits wide, and must be counted on from."""

MAX_LISTED = 200_000
"""A longer listing is not believed."""


class StoreUnavailable(PeerError):
    """The state store cannot be reached now, or what it answers is no answer; nothing is known about the write."""


class StoreLoginRefused(AuthenticationError):
    """The state store does not know who we are."""


class StoreDamaged(StateError):
    """The state store is there, and can no longer be read."""


class NoSuchKey(StateError):
    """The state store says that there is no object under this key."""


class VersionConflict(StateError):
    """Another version stands there than the write named; nothing of it happened."""


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """An object without its value: in a listing its version, in a write the version to be removed."""

    key: str
    version: int


@dataclass(frozen=True, slots=True)
class KeyValue:
    """An object: read, with its version; to be written, with the version that it replaces."""

    key: str
    version: int
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing; an empty token says that it is the last. Only the first tells the global version."""

    key_versions: tuple[KeyVersion, ...]
    next_page_token: str
    global_version: int | None


class StateStore(Protocol):
    """One keyspace of a store; every call may raise StoreUnavailable, StoreLoginRefused and StoreDamaged."""

    @property
    def where(self) -> str:
        """Where the store is, for people."""

    def get_object(self, key: str) -> KeyValue:
        """The object under a key, as of the last write; NoSuchKey."""

    def put_objects(
        self,
        transaction_items: Sequence[KeyValue],
        delete_items: Sequence[KeyVersion] = (),
        global_version: int | None = None,
    ) -> None:
        """Write and remove objects, all or none; VersionConflict when one of them has another version.

        Where a `global_version` is given, it must be the store's, which rises by one with this write.
        """

    def delete_object(self, item: KeyVersion) -> None:
        """Remove an object that has this version; nothing happens, and nothing is said, when there is none."""

    def list_key_versions(
        self, key_prefix: str = "", page_size: int = MAX_PAGE, page_token: str = ""
    ) -> Page:
        """One page of the keys that begin so, the newest first."""

    def close(self) -> None:
        """Let go of it; harmless twice."""


def check_put(transaction_items: Sequence[KeyValue], delete_items: Sequence[KeyVersion]) -> None:
    """Raises ValueError for a write that no store takes: too many items, a key twice, a key or value out of bounds."""
    keys = [item.key for item in transaction_items] + [item.key for item in delete_items]
    if len(keys) > MAX_ITEMS:
        raise ValueError(f"a write has at most {MAX_ITEMS} items")
    if len(set(keys)) != len(keys):
        raise ValueError("a write names each key once")
    if any(not 0 < len(key) <= MAX_KEY_CHARS or key == GLOBAL_VERSION_KEY for key in keys):
        raise ValueError("a key is 1 to 600 characters, and not the store's own")
    if any(len(item.value) > MAX_VALUE_BYTES for item in transaction_items):
        raise ValueError(f"a value is at most {MAX_VALUE_BYTES} bytes")


def list_all(store: StateStore, key_prefix: str = "") -> tuple[KeyVersion, ...]:
    """All pages of a listing; StoreUnavailable when it does not end."""
    found: dict[str, KeyVersion] = {}
    token = ""
    while True:
        page = store.list_key_versions(key_prefix, MAX_PAGE, token)
        before = len(found)
        found.update((item.key, item) for item in page.key_versions)
        if not page.next_page_token:
            return tuple(found.values())
        if len(found) == before or len(found) > MAX_LISTED:
            raise StoreUnavailable(f"{store.where}: its listing of keys does not end")
        token = page.next_page_token
