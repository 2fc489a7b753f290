"""Both kinds of state stores, made for a test: a directory, and a client of the VSS server in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vss_double import vss_double

from cluster.state_store import DirectoryStore, StateStore
from cluster.state_store.http_line import HttpLine, address_of
from cluster.state_store.vss import VssStore, signature_login
from curve import SecretScalar

KINDS = ("directory", "vss")
SECRET = SecretScalar.from_bytes(bytes(31) + b"\x05")
NOW_S = 1_800_000_000


def vss_client(
    url: str, store_id: str = "store", timeout_s: float = 5.0, ca_file: Path | None = None
) -> VssStore:
    line = HttpLine(address_of(url), timeout_s=timeout_s, ca_file=ca_file)
    return VssStore(line, store_id, signature_login(SECRET, lambda: NOW_S))


@contextmanager
def made_store(kind: str, folder: Path) -> Iterator[StateStore]:
    if kind == "directory":
        store: StateStore = DirectoryStore(folder, "store")
        yield store
        store.close()
        return
    with vss_double() as double:
        store = vss_client(double.url)
        yield store
        store.close()
