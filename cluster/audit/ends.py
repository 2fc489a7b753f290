"""N1: every acknowledged request reached an end, and nothing was said that had not been written down.

A coordinator acknowledges a request with its first Status, a node by writing it down. An end is owed from a minute
after the request expired, as far as its machine was heard of: what is still open within its life is named and is no
breach, however the run ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.audit.chains import Chain
from cluster.audit.rebuilt import lost_lives
from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.codec import BadLetter, Letter, header_of
from cluster.held_records import WalletHeld
from cluster.journal import (
    CharterKept,
    ClosedKept,
    CosigningKept,
    FinalKept,
    JudgedKept,
    RequestKept,
    SignedKept,
)
from cluster.messages import NO_ID, Decision, Final, Kind, Status
from cluster.roster import digest
from cluster.subjects import BadRequest, Signed

GRACE_MS = 60_000
"""How long after its expiry a request may still be without an end: a machine that is asleep ends it as it wakes."""

LONGEST_LIFE_MS = 7 * 24 * 3_600_000
"""No node keeps a request open for longer, whatever its letter says."""


def every_end(run: Run) -> Result:
    """Judge N1."""
    result = Result("N1", "requests acknowledged")
    for chain in run.of_role("node", "coordinator"):
        _ends(run, chain, result)
    _acknowledged(run, result)
    result.gaps += [
        f"no database of {name}" for role in ("coordinator", "node") for name in run.missing(role)
    ]
    if not run.transcripts:
        result.gaps.append("no transcript, so nobody knows what clients were told")
    return result


def _ends(run: Run, chain: Chain, result: Result) -> None:
    owed: dict[bytes, tuple[int, int]] = {}
    refused: dict[bytes, bool] = {}
    waiting: set[bytes] = set()
    for entry in chain.entries:
        match entry.body:
            case RequestKept(request=request, at_ms=at_ms):
                try:
                    header = header_of(request.letter)
                except BadLetter:
                    continue  # N6 says so
                until_ms = header.expires_at_ms
                if chain.role == "node":
                    until_ms = min(until_ms, at_ms + LONGEST_LIFE_MS)
                owed[header.request_id] = (entry.height, until_ms)
                result.checked += 1
            case JudgedKept(request_id=request_id, decision=decision):
                refused[request_id] = decision == Decision.REFUSE
            case CosigningKept(request_id=request_id):
                waiting.add(request_id)
            case SignedKept(request_id=request_id) | FinalKept(request_id=request_id):
                owed.pop(request_id, None)
            case ClosedKept(request_id=request_id):
                owed.pop(request_id, None)
            case _:
                pass
    now_ms = max(chain.last_ms, run.letters.last_said_ms.get(chain.identity, 0))
    for request_id, (height, until_ms) in owed.items():
        if refused.get(request_id):
            continue
        if request_id in waiting:
            result.notes.append(
                f"{chain.name}: request {request_id.hex()} waits for whoever is no node to sign"
            )
        elif until_ms + GRACE_MS >= now_ms:
            result.notes.append(
                f"{chain.name}: request {request_id.hex()} is open, within its life ({chain.file})"
            )
        else:
            text = "an acknowledged request expired and never reached an end"
            result.findings.append(Finding(chain.name, chain.file, text, height, request_id))


@dataclass(frozen=True, slots=True)
class _Written:
    """The requests and transactions that stand in some chains."""

    requests: frozenset[bytes]
    finals: frozenset[tuple[bytes, bytes]]

    @classmethod
    def of(cls, chains: Iterable[Chain]) -> _Written:
        requests: set[bytes] = set()
        finals: set[tuple[bytes, bytes]] = set()
        for chain in chains:
            requests |= {_request_id(kept) for _, kept in chain.of(RequestKept)}
            requests |= {digest(kept.charter) for _, kept in chain.of(CharterKept)}
            requests |= {digest(kept.charter) for _, kept in chain.of(WalletHeld)}
            finals |= {(kept.request_id, kept.transaction) for _, kept in chain.of(FinalKept)}
        return cls(frozenset(requests), frozenset(finals))

    def lacks(self, letter: Letter) -> str:
        """What a coordinator told in a letter and stands in none of them; "" for nothing."""
        body, request_id = letter.body, letter.header.request_id
        if isinstance(body, Status) and body.state != "rejected" and request_id not in self.requests:
            return f"told a client that a request is {body.state}, and has no record of it"
        if isinstance(body, Final) and (request_id, body.transaction) not in self.finals:
            return "told of a final transaction, and has no record of it"
        return ""


def _acknowledged(run: Run, result: Result) -> None:
    """What a coordinator told of a request stands in its chain: the request, and the transaction."""
    anybodys = _Written.of(run.of_role("node", "coordinator"))
    for identity, name in {chain.identity: chain.name for chain in run.of_role("coordinator")}.items():
        own, lost = _Written.of(run.chains_of(identity)), lost_lives(run, identity)
        told: set[bytes] = set()
        unseen: set[bytes] = set()
        for spoken in (*run.letters.of(Kind.STATUS), *run.letters.of(Kind.FINAL)):
            header = spoken.letter.header
            if header.sender != identity or header.request_id in {NO_ID, *told}:
                continue
            text = own.lacks(spoken.letter)
            if text and header.boot_id in lost and _may_be_true(run, spoken.letter):
                unseen |= {header.request_id} if anybodys.lacks(spoken.letter) else set()
            elif text:
                told.add(header.request_id)
                result.findings.append(Finding(name, spoken.where, text, request_id=header.request_id))
        if unseen:
            text = "acknowledged or ended before its database was lost, and stand in no other"
            result.gaps.append(f"{name}: {len(unseen):_} requests were {text}")


def _may_be_true(run: Run, letter: Letter) -> bool:
    """Whether what is told in a life without records is no lie in itself: a transaction verifies, or nobody can say."""
    body, subject = letter.body, run.subject(letter.header.request_id)
    if not isinstance(body, Final) or isinstance(subject, str):
        return True
    try:
        return subject.finalise(Signed(body.signatures, body.signers)) == body.transaction
    except BadRequest:
        return False


def _request_id(kept: RequestKept) -> bytes:
    try:
        return header_of(kept.request.letter).request_id
    except BadLetter:
        return NO_ID
