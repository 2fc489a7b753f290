"""Databases altered as whoever holds the disk would, and the rule of the audit that finds each."""

from __future__ import annotations

from collections.abc import Callable

from audits import Edit
from msgspec.structs import replace

from cluster.codec import open_inner
from cluster.drill_records import DrillSigned
from cluster.journal import (
    ClosedKept,
    FinalKept,
    JudgedKept,
    PolicyKept,
    RequestKept,
    SignedKept,
    note,
    read,
)
from cluster.messages import Kind, SignedLetter
from cluster.record_body import Body
from cluster.records import Record


def changed(kind: type[Body], change: Callable[[Body], Body | None], *, only: int = 0) -> Edit:
    """Change, or leave out, the record of a kind that is number `only`."""

    def edit(records: list[Record]) -> list[Record]:
        places = [i for i, record in enumerate(records) if isinstance(read(record), kind)]
        at = places[only]
        new = change(read(records[at]))
        kept = [] if new is None else [note(new, records[at].wallet_id)]
        return [*records[:at], *kept, *records[at + 1 :]]

    return edit


def without(kind: type[Body], *, only: int = 0) -> Edit:
    return changed(kind, lambda body: None, only=only)


def no_trace_of_the_first_final(records: list[Record]) -> list[Record]:
    first = next(b for b in map(read, records) if isinstance(b, FinalKept))
    return [r for r in records if getattr(read(r), "request_id", _of(r)) != first.request_id]


def _of(record: Record) -> bytes:
    body = read(record)
    return open_inner(body.request, Kind.REQUEST).header.request_id if isinstance(body, RequestKept) else b""


def same_nonces_twice(records: list[Record]) -> list[Record]:
    signed = [i for i, record in enumerate(records) if isinstance(read(record), SignedKept)]
    first, second = read(records[signed[0]]), read(records[signed[1]])
    assert isinstance(first, SignedKept) and isinstance(second, SignedKept)
    records[signed[1]] = note(replace(second, pubnonces=first.pubnonces), records[signed[1]].wallet_id)
    return records


def no_approval_of_the_first_signed(records: list[Record]) -> list[Record]:
    first = next(b for b in map(read, records) if isinstance(b, SignedKept))
    return [
        r for r in records if not (isinstance(b := read(r), JudgedKept) and b.request_id == first.request_id)
    ]


def forged_request(body: Body) -> Body:
    assert isinstance(body, RequestKept)
    letter = body.request.letter
    at = len(letter) // 2
    forged = letter[:at] + bytes([letter[at] ^ 1]) + letter[at + 1 :]
    return replace(body, request=SignedLetter(forged, body.request.signature))


def no_letter(body: Body) -> Body:
    assert isinstance(body, RequestKept)
    return replace(body, request=SignedLetter(b"?", body.request.signature))


def forged_transaction(body: Body) -> Body:
    assert isinstance(body, FinalKept)
    return replace(body, signatures=tuple((bytes(64),) for _ in body.signatures))


def loosened(body: Body) -> Body:
    assert isinstance(body, PolicyKept)
    text = body.text.replace("sum: 0.02btc", "sum: 2btc").replace("sum: 400_000sat", "sum: 9_000_000sat")
    text = text.replace("sum: 300_000sat", "sum: 9_000_000sat").replace("sum: 250_000sat", "sum: 9btc")
    assert text != body.text
    return replace(body, text=text)


TAMPERED: dict[str, tuple[str, str, Edit]] = {
    "a coordinator without a request that it acknowledged": ("N1", "coord", no_trace_of_the_first_final),
    "a coordinator without the end of a request": ("N1", "coord", without(FinalKept)),
    "a coordinator that never closed a request": ("N1", "coord", without(ClosedKept)),
    "a node without a record of signing": ("N2", "node0", without(SignedKept, only=2)),
    "a node with other partial signatures": (
        "N2",
        "node0",
        changed(SignedKept, lambda b: replace(b, psigs=(bytes(32),))),
    ),
    "a node without its part in a drill": ("N2", "node0", without(DrillSigned)),
    "a node with another nonce in a drill": (
        "N3",
        "node0",
        changed(DrillSigned, lambda b: replace(b, pubnonces=(bytes([3]) * 66,))),
    ),
    "a node with one nonce in two sessions": ("N3", "node0", same_nonces_twice),
    "a node with other nonces than it used": (
        "N3",
        "node0",
        changed(SignedKept, lambda b: replace(b, pubnonces=(bytes([2]) * 66,))),
    ),
    "a node that counts one satoshi": (
        "N4",
        "node0",
        changed(SignedKept, lambda b: replace(b, leaving_sats=1, fee_sats=0, payments=())),
    ),
    "a node whose budget's clock runs backwards": (
        "N4",
        "node0",
        changed(SignedKept, lambda b: replace(b, budget_ms=0), only=3),
    ),
    "a node with a looser policy under the old digest": ("N4", "node0", changed(PolicyKept, loosened)),
    "a node without its newest records": ("N5", "node0", lambda records: records[:-40]),
    "a node with a record in between": ("N5", "node0", lambda records: [*records[:60], *records[59:]]),
    "a node that never approved": ("N6", "node0", no_approval_of_the_first_signed),
    "a request that no client signed": ("N6", "node0", changed(RequestKept, forged_request)),
    "a request that is no letter": ("N6", "node0", changed(RequestKept, no_letter)),
    "a transaction that nobody signed": ("N6", "coord", changed(FinalKept, forged_transaction)),
    "a node that signed another spend": (
        "N6",
        "node0",
        changed(SignedKept, lambda b: replace(b, spend_id=bytes(32))),
    ),
}
