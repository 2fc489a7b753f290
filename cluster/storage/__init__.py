"""Everything that stays on this machine: the data directory, its lock, private files, and the chain of records.

It is not a key store: what must be secret is sealed (`cluster.sealed`) before it comes here.
"""

from cluster.storage.anchor import Anchor, check_anchor_place
from cluster.storage.datadir import DataDir, DataDirLock
from cluster.storage.files import (
    MAX_FILE_BYTES,
    check_private_directory,
    check_private_file,
    read_file,
    read_private,
    write_private,
    write_public,
)
from cluster.storage.reading import StoredChain, StoredRow, read_chain
from cluster.storage.store import APPLICATION_ID, MAX_BODY_BYTES, SCHEMA_VERSION, Store
from cluster.storage.transcript_file import MAX_TRANSCRIPT_BYTES, TranscriptFile

__all__ = [
    "DataDir",
    "DataDirLock",
    "Store",
    "StoredChain",
    "StoredRow",
    "read_chain",
    "Anchor",
    "check_anchor_place",
    "SCHEMA_VERSION",
    "APPLICATION_ID",
    "MAX_BODY_BYTES",
    "MAX_FILE_BYTES",
    "MAX_TRANSCRIPT_BYTES",
    "TranscriptFile",
    "read_private",
    "write_private",
    "read_file",
    "write_public",
    "check_private_file",
    "check_private_directory",
]
