"""The anchor that `assent init` or `recover --anchor PATH` gives a node: looked at first, and made first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import UsageError
from cluster.keys import Seed
from cluster.party import Config
from cluster.storage import Anchor, DataDir, check_anchor_place

__all__ = ["anchor_advice", "anchored", "check_anchor_path", "new_anchor"]

_NONE = (
    "It has no anchor, a small file that says how far its records have come: after each restart it signs nothing until "
    "its peers have answered. For one on another disk: --anchor here, or `anchor:` in its config.yaml."
)

_SAME_DISK = (
    "Its anchor is on the disk of its data directory: it starts without its peers, but whoever puts back that disk "
    "puts back both. Another disk is better."
)


def new_anchor(path: str, role: str, place: DataDir) -> str:
    """Where a new node's anchor is to be, "" for none; UsageError or StateError where none can be."""
    if not path:
        return ""
    if role != "node":
        raise UsageError("only a node has an anchor: --anchor is for --role node")
    check_anchor_path(path)
    anchor = Path(os.path.normpath(path))
    if place.path.absolute() in anchor.parents:
        raise UsageError("--anchor: not inside the data directory, with which it would be put back")
    check_anchor_place(anchor)
    return str(anchor)


def check_anchor_path(path: str) -> None:
    """UsageError unless a path can stand in config.yaml: whole, and readable."""
    if not path.startswith("/") or not path.isprintable():
        raise UsageError("--anchor: write the full path of a file, like /media/key/home.anchor")


@contextmanager
def anchored(config: Config, seed: Seed) -> Iterator[None]:
    """The anchor, made first, so that a disk that refuses leaves nothing; and gone again if the rest fails."""
    if not config.anchor:
        yield
        return
    anchor = Anchor(Path(config.anchor), seed.keys(config.network).anchor_key())
    anchor.create()
    try:
        yield
    except BaseException:
        anchor.path.unlink(missing_ok=True)
        raise


def anchor_advice(config: Config, place: DataDir) -> str:
    """What a node's owner should know of its anchor, in a line; "" where it is as it should be."""
    if not config.anchor:
        return _NONE
    same = os.stat(Path(config.anchor).parent).st_dev == os.stat(place.path).st_dev
    return _SAME_DISK if same else ""
