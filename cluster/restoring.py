"""Records read again at a start: whatever is wrong with one becomes a ValueError that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.codec import BadLetter
from cluster.records import Record
from cluster.scheme import KeygenTrouble
from cluster.subjects import BadRequest

_SENSELESS = (ValueError, LookupError, StopIteration, BadLetter, BadRequest, KeygenTrouble)


@contextmanager
def sense_made_of(record: Record, height: int) -> Iterator[None]:
    """While a record is taken into account; raises ValueError, naming it, when it makes no sense where it stands."""
    try:
        yield
    except _SENSELESS as error:
        raise ValueError(f"record {height} ({record.kind}) makes no sense: {error}") from error
