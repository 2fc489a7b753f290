"""Evidence: letters that prove by themselves who broke the protocol, for anybody, alone and offline.

Nothing is proven without the culprit's own signature, and all that it is measured by is computed anew: the wallet
from its recovery data, the request from its PSBT, the session from everybody's nonces. Silence, lateness and an order
that expired prove nothing. Whoever wrote the file is believed in nothing; only the roster is taken from it, which is
why people compare its words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from cluster.approvals import read_approval
from cluster.backup import Backup, BackupError
from cluster.codec import BadLetter, Letter, open_inner
from cluster.messages import (
    Code,
    Final,
    Kind,
    Nonces,
    Order,
    PartialSignatures,
    Request,
    SignedLetter,
)
from cluster.roster import Roster
from cluster.schemes import Blame, Signer, Wallet
from cluster.statements import read_statement
from cluster.subjects import BadRequest, Signed, Subject, understand

__all__ = ["MAX_INDEX", "MAX_LETTERS", "Evidence", "Finding", "NotProven", "prove"]

MAX_LETTERS = 272
"""An order of 128 signers, each with verdict and nonces, the request, and the answers."""

MAX_INDEX = 1_000_000
"""As far as a file may say that addresses are used."""

MAX_TRIES = 64
"""How many sessions are looked for that could be meant, where outsiders sign too."""

FORKED = "records-forked"
"""A node's record chain has two ends: it speaks from an older copy of its disk, or runs twice."""

TIMELY = frozenset({"approval-expired", "approval-life", "order-nonces-expired"})
"""What depends on the hour, so that no letter proves it."""

T = TypeVar("T")


class NotProven(Exception):
    """The letters do not prove it: why, in words."""


class Evidence(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What is said to have happened, in which wallet, and the letters."""

    kind: Code
    wallet: Backup
    next_receive: Annotated[int, Meta(ge=0, le=MAX_INDEX)]
    next_change: Annotated[int, Meta(ge=0, le=MAX_INDEX)]
    letters: Annotated[tuple[SignedLetter, ...], Meta(max_length=MAX_LETTERS)]


@dataclass(frozen=True, slots=True)
class Finding:
    """Who is guilty of what: an identity key, its name and role in the roster, and why, in words."""

    culprit: bytes
    name: str
    role: str
    why: str


@dataclass(frozen=True, slots=True)
class _Case:
    """The evidence, read: roster, wallet, the request and all letters, each with a good signature."""

    roster: Roster
    wallet: Wallet
    subject: Subject
    letters: tuple[Letter, ...]

    def of(self, kind: Kind) -> list[Letter]:
        """The letters of one kind that are about this wallet and request."""
        ids = (self.roster.cluster_id, self.wallet.wallet_id, self.subject.request_id)
        headers = ((letter, letter.header) for letter in self.letters if letter.header.kind is kind)
        return [letter for letter, h in headers if (h.cluster_id, h.wallet_id, h.request_id) == ids]

    def one(self, kind: Kind) -> Letter:
        """The one letter of a kind."""
        found = self.of(kind)
        if len(found) != 1:
            raise NotProven(f"there is not exactly one {kind.name} about this request")
        return found[0]

    def member(self, letter: Letter) -> int:
        """Which participant of the wallet signed a letter."""
        participant = self.wallet.charter.participant(letter.header.sender)
        if participant is None:
            raise NotProven("who signed it is no member of this wallet")
        return participant

    def found(self, letter: Letter, why: str) -> Finding:
        """Guilty: whoever signed this letter."""
        who = letter.header.sender
        return Finding(who, self.roster.name_of(who), self.roster.role_of(who), why)


def prove(evidence: Evidence) -> Finding:
    """Who is guilty. Raises NotProven, saying why, when the letters do not prove what the file says."""
    if evidence.kind == FORKED:
        return _records_forked(evidence)
    judge = _KINDS.get(evidence.kind)
    if judge is None:
        known = ", ".join((*_KINDS, FORKED))
        raise NotProven(f"nothing is known of {evidence.kind}; this program judges {known}")
    return judge(_read(evidence))


def _read(evidence: Evidence) -> _Case:
    try:
        roster = evidence.wallet.read_roster()
        wallet = evidence.wallet.read_wallet()
    except BackupError as error:
        raise NotProven(str(error)) from None
    if not wallet.acknowledged(evidence.wallet.acks):
        raise NotProven("the wallet's members have not acknowledged this charter and recovery data")
    letters = tuple(_opened(place, signed) for place, signed in enumerate(evidence.letters, 1))
    requests = [letter for letter in letters if isinstance(letter.body, Request)]
    if len(requests) != 1:
        raise NotProven("there is not exactly one request")
    [request] = requests
    header = request.header
    is_ours = header.cluster_id == roster.cluster_id
    if not is_ours or roster.role_of(header.sender) not in {"client", "node"}:  # a node asks for a rescue
        raise NotProven("the request is not from a client of this roster")
    if header.wallet_id != wallet.wallet_id:
        raise NotProven("the request is about another wallet")
    used = replace(wallet, complete=True).having_used(evidence.next_receive, evidence.next_change)
    try:
        subject = understand(used, request)
    except BadRequest as bad:
        raise NotProven(f"the request makes no sense ({bad})") from None
    return _Case(roster, used, subject, letters)


def _opened(place: int, signed: SignedLetter) -> Letter:
    try:
        return open_inner(signed, *Kind)
    except BadLetter as bad:
        raise NotProven(f"letter {place} is none ({bad})") from None


# What can be proven.


def _psig_invalid(case: _Case) -> Finding:
    """A node's partial signatures are not valid for the very session that it signed them for."""
    letter = case.one(Kind.PARTIAL_SIGNATURES)
    me = case.member(letter)
    body = letter.body
    assert isinstance(body, PartialSignatures)
    signers = _session_of(case, letter)
    participants = frozenset(signer.participant for signer in signers)
    if me not in participants or len(body.psigs) != case.subject.count:
        raise NotProven("they are not one per input, of a signer of this session")
    try:
        case.subject.route.group.check(signers, {me: body.psigs}, case.subject.tasks(participants))
    except Blame as blame:
        if me in blame.culprits:
            return case.found(
                letter, "its partial signatures are not valid for the session it signed them for"
            )
    except ValueError as error:
        raise NotProven(f"the session makes no sense ({error})") from None
    raise NotProven("the partial signatures are valid")


def _session_of(case: _Case, letter: Letter) -> tuple[Signer, ...]:
    """The signers whose session a letter names, from everybody's letters of nonces."""
    inside: dict[int, Signer] = {}
    for given in case.of(Kind.NONCES):
        assert isinstance(given.body, Nonces)
        inside[case.member(given)] = Signer(case.member(given), given.body.pubnonces)
    nodes = frozenset(inside)
    if not all(len(signer.pubnonces) == case.subject.nonce_count for signer in inside.values()):
        raise NotProven("there is not one nonce per input")
    for outsiders in _beside(case.subject, nodes):
        signers = (*(inside[i] for i in sorted(inside)), *case.subject.outside(nodes | outsiders))
        if _is_session(case.subject, signers, letter.header.session_id):
            return signers
    raise NotProven("these nonces do not make the session that is named in the answer")


def _beside(subject: Subject, nodes: frozenset[int]) -> Iterator[frozenset[int]]:
    """Which outsiders may sign with these nodes."""
    if subject.quorums is None:
        yield frozenset()
        return
    inside = subject.route.nodes
    fitting = (quorum - inside for quorum in subject.quorums if quorum & inside == nodes)
    yield from (one for one, _ in zip(fitting, range(MAX_TRIES), strict=False))


def _is_session(subject: Subject, signers: Sequence[Signer], session_id: bytes) -> bool:
    try:
        return subject.session_id(signers) == session_id
    except (BadRequest, ValueError):
        return False


def _psig_count(case: _Case) -> Finding:
    """A node answers an order with more or fewer partial signatures than there are inputs."""
    letter = case.one(Kind.PARTIAL_SIGNATURES)
    case.member(letter)
    assert isinstance(letter.body, PartialSignatures)
    if len(letter.body.psigs) == case.subject.count:
        raise NotProven("there is one partial signature per input")
    return case.found(letter, f"it gave {len(letter.body.psigs)} signatures for {case.subject.count} inputs")


def _psig_twice(case: _Case) -> Finding:
    """A node answers one session in two ways; a partial signature of FROST or MuSig2 has but one value."""
    letters = case.of(Kind.PARTIAL_SIGNATURES)
    if len(letters) != 2 or not case.subject.route.group.gives_nonces:
        raise NotProven("there are not two answers to one session")
    first, second = letters
    case.member(first)
    said = [(one.header.sender, one.header.session_id) for one in letters]
    assert isinstance(first.body, PartialSignatures)
    assert isinstance(second.body, PartialSignatures)
    if said[0] != said[1] or first.body.psigs == second.body.psigs:
        raise NotProven("the answers are of two signers, to two sessions, or the same")
    return case.found(first, "it answered one session in two ways, and at most one of them can be right")


def _nonces_invalid(case: _Case) -> Finding:
    """A node's public nonces are no points of the curve."""
    letter = case.one(Kind.NONCES)
    case.member(letter)
    assert isinstance(letter.body, Nonces)
    group = case.subject.route.group
    if not group.gives_nonces or group.takes_nonces(letter.body.pubnonces):
        raise NotProven("its nonces are points")
    return case.found(letter, "its public nonces are no points of the curve")


def _order_false(case: _Case) -> Finding:
    """A coordinator ordered a session with an approval or nonces that their owners did not sign for it."""
    letter = _of_coordinator(case, Kind.ORDER)
    order = letter.body
    assert isinstance(order, Order)
    subject = case.subject
    ids: list[int] = []
    for place, entry in enumerate(order.entries, 1):
        try:
            # By the hour of the verdict itself, as no letter proves when an order was given.
            signed = open_inner(entry.verdict, *Kind)
            hour_ms = getattr(signed.body, "expires_at_ms", 0)
            charter = subject.wallet.charter
            approval = read_approval(
                entry, charter, subject.request_id, subject.spend_id, subject.nonce_count, hour_ms
            )
            ids.append(approval.participant)
        except BadLetter as bad:
            if bad.code in TIMELY:
                participant = subject.wallet.charter.participant(signed.header.sender)
                ids += [] if participant is None else [participant]
                continue
            return case.found(letter, f"entry {place} of its order proves no approval ({bad})")
    if any(a >= b for a, b in pairwise(ids)):
        return case.found(letter, "the signers of its order are not in order, or one stands twice")
    if not subject.admits(frozenset(ids), frozenset(order.outsiders)):
        return case.found(letter, "the signers of its order make no quorum")
    raise NotProven("every entry of the order is genuine")


def _final_false(case: _Case) -> Finding:
    """A coordinator said that a request ended in what does not finish its transaction."""
    letter = _of_coordinator(case, Kind.FINAL)
    final = letter.body
    assert isinstance(final, Final)
    try:
        transaction = case.subject.finalise(Signed(final.signatures, final.signers))
    except BadRequest as bad:
        return case.found(letter, f"the end that it said finishes nothing ({bad})")
    if transaction != final.transaction:
        return case.found(letter, "the transaction that it said is not what these signatures finish")
    raise NotProven("these signatures finish the transaction")


def _records_forked(evidence: Evidence) -> Finding:
    """A node says two things of its record chain that one disk and one process cannot both have been."""
    try:
        roster = evidence.wallet.read_roster()
        if len(evidence.letters) != 2:
            raise NotProven("there are not two letters")
        one, two = (read_statement(signed, roster.cluster_id) for signed in evidence.letters)
    except (BackupError, BadLetter) as error:
        raise NotProven(str(error)) from None
    if one.node != two.node or roster.node(one.node) is None:
        raise NotProven("they are not both of one node of this roster")
    name = roster.name_of(one.node)
    if one.place == two.place and one.head != two.head:
        why = f"its {one.height}. record is said to be two: it speaks from two copies of its disk"
        return Finding(one.node, name, "node", why)
    first, second = sorted((one, two), key=lambda said: said.sequence)
    if one.boot_id == two.boot_id and first.sequence < second.sequence and first.place > second.place:
        why = "one process said that its record chain became shorter: it runs twice"
        return Finding(one.node, name, "node", why)
    raise NotProven("one of them may have come after the other")


def _of_coordinator(case: _Case, kind: Kind) -> Letter:
    letter = case.one(kind)
    if case.roster.coordinator(letter.header.sender) is None:
        raise NotProven("who signed it is no coordinator of this roster")
    return letter


_KINDS: dict[str, Callable[[_Case], Finding]] = {
    "psig-invalid": _psig_invalid,
    "psig-count": _psig_count,
    "psig-twice": _psig_twice,
    "nonces-invalid": _nonces_invalid,
    "order-false": _order_false,
    "final-false": _final_false,
}
"""What can be proven, by the code under which it is written down."""
