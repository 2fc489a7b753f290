"""A node's state kept elsewhere: two kinds of stores, and what a node makes of them.

A store is not trusted: everything is sealed before it leaves, and every answer is checked. The local disk stays what
protects a letter; the store follows it.
"""

from cluster.state_store.directory import DirectoryStore
from cluster.state_store.protocol import (
    ANY_VERSION,
    KeyValue,
    KeyVersion,
    NoSuchKey,
    Page,
    StateStore,
    StoreDamaged,
    StoreLoginRefused,
    StoreUnavailable,
    VersionConflict,
    list_all,
)

__all__ = [
    "StateStore",
    "DirectoryStore",
    "KeyValue",
    "KeyVersion",
    "Page",
    "ANY_VERSION",
    "list_all",
    "NoSuchKey",
    "VersionConflict",
    "StoreUnavailable",
    "StoreLoginRefused",
    "StoreDamaged",
]
