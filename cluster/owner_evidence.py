"""What an owner is shown of the evidence in a machine's records, the same at a node and at a coordinator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cluster.backup import Backup
from cluster.codec import encode, open_inner
from cluster.errors import StateError, UsageError
from cluster.evidence import FORKED, MAX_INDEX, Evidence
from cluster.evidence_file import write_evidence
from cluster.head_records import PeerDoubted
from cluster.journal import ComplaintKept, RequestKept, read
from cluster.messages import Kind, SignedLetter
from cluster.records import Record
from cluster.roster import Roster
from cluster.schemes import Wallet
from curve import tagged_hash

__all__ = ["EvidenceDesk", "Held"]

KINDS_OF = {Kind.ORDER: "order-false", Kind.FINAL: "final-false"}
"""What a complaint about a coordinator's letter is called when it is proven."""


@dataclass(frozen=True, slots=True)
class Held:
    """A wallet of this machine, and its backup."""

    wallet: Wallet
    backup: Backup


class EvidenceDesk:
    """Lists the complaints that hold letters, and writes one out with all that it takes to check it."""

    def __init__(
        self,
        records: Callable[[], Iterable[Record]],
        roster: Roster,
        held: Callable[[bytes], Held | None],
    ) -> None:
        """`held` gives a wallet of this machine by its id; any, for 32 zero bytes."""
        self._records = records
        self._roster = roster
        self._held = held

    def handle(self, request: Mapping[str, object]) -> dict[str, object]:
        """Answer `evidence`, with an `id` for the file of one, without for the list."""
        wanted = request.get("id", "")
        if not isinstance(wanted, str):
            raise UsageError("id must be a text")
        found = [kept for kept in self._complaints() if kept.evidence]
        if not wanted:
            return {"evidence": [self._facts(kept) for kept in found]}
        fitting = [kept for kept in found if _id(kept).startswith(wanted)]
        if len(fitting) != 1:
            raise UsageError(f"{len(fitting)} pieces of evidence fit {wanted}; see `assent evidence list`")
        return {**self._facts(fitting[0]), "file": self._file(fitting[0]).decode()}

    def _complaints(self) -> list[ComplaintKept]:
        found: list[ComplaintKept] = []
        for record in self._records():
            entry = read(record) if record.kind in {"complaint", "peer-doubted"} else None
            if isinstance(entry, ComplaintKept):
                found.append(entry)
            elif isinstance(entry, PeerDoubted):
                letters = (entry.older, entry.newer)
                found.append(ComplaintKept(entry.at_ms, entry.node, FORKED, letters))
        return found

    def _facts(self, kept: ComplaintKept) -> dict[str, object]:
        return {
            "id": _id(kept),
            "about": self._roster.name_of(kept.about),
            "role": self._roster.role_of(kept.about),
            "code": _kind(kept),
            "at_ms": kept.at_ms,
        }

    def _file(self, kept: ComplaintKept) -> bytes:
        header = open_inner(kept.evidence[-1], *Kind).header
        held, letters = self._held(header.wallet_id), tuple(dict.fromkeys(kept.evidence))
        if kept.code != FORKED:
            letters = (*self._request(header.request_id), *letters)
        if held is None:
            raise StateError("the wallet that it is about is not here any more")
        receive, change = (min(index, MAX_INDEX) for index in held.wallet.next_indexes)
        evidence = Evidence(_kind(kept), held.backup, receive, change, letters)
        return write_evidence(evidence, self._roster.name_of(kept.about))

    def _request(self, request_id: bytes) -> tuple[SignedLetter, ...]:
        """The client's letter that it is about, if it is here."""
        for record in self._records():
            if record.kind == "request":
                entry = read(record)
                assert isinstance(entry, RequestKept)
                if open_inner(entry.request, Kind.REQUEST).header.request_id == request_id:
                    return (entry.request,)
        return ()


def _kind(kept: ComplaintKept) -> str:
    """What it would be called as evidence: by the letter, where a machine went by what was wrong with it."""
    if kept.code == FORKED:
        return FORKED
    return KINDS_OF.get(open_inner(kept.evidence[-1], *Kind).header.kind, kept.code)


def _id(kept: ComplaintKept) -> str:
    return tagged_hash("assent/evidence", encode(kept)).hex()[:16]
