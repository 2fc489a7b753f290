"""N3: no nonce met two challenges: every session is computed anew from the order that was answered.

A nonce that was offered, or ordered, in several sessions is no breach; answering two of them would give the share
away. What a record claims of its nonces is not believed where the order is at hand: the partial signatures must be
good under the very nonces of that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.audit import drills
from cluster.audit.chains import Chain, Entry
from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.codec import BadLetter, open_inner
from cluster.drill_records import DrillSigned
from cluster.journal import SignedKept
from cluster.messages import Kind, Nonces, Order, PartialSignatures
from cluster.scheme import Blame, Signer
from cluster.subjects import BadRequest, Subject

Challenge = tuple[bytes, int]
"""What a nonce was used for: the session, and the signing task in it."""


@dataclass(slots=True)
class _Met:
    """Which challenges each nonce of a machine met, and where that was found first."""

    challenges: dict[tuple[bytes, bytes], dict[Challenge, tuple[str, int | None]]] = field(
        default_factory=dict
    )

    def note(
        self,
        identity: bytes,
        pubnonces: tuple[bytes, ...],
        session_id: bytes,
        file: str,
        height: int | None = None,
    ) -> None:
        for i, pubnonce in enumerate(pubnonces):
            self.challenges.setdefault((identity, pubnonce), {}).setdefault((session_id, i), (file, height))


def every_nonce(run: Run) -> Result:
    """Judge N3."""
    result = Result("N3", "nonces used")
    met, unseen = _Met(), 0
    for chain in run.of_role("node"):
        for entry, kept in chain.of(SignedKept):
            met.note(chain.identity, kept.pubnonces, kept.session_id, chain.file, entry.height)
            if kept.order_digest in run.letters.orders:
                _check(run, chain, entry, kept, result)
            else:
                unseen += 1
        for entry, drilled in chain.of(DrillSigned):
            met.note(chain.identity, drilled.pubnonces, drilled.session_id, chain.file, entry.height)
    drills.check_orders(run, result)
    _answered(run, met)
    result.checked = len(met.challenges)
    for (identity, _), challenges in met.challenges.items():
        if len(challenges) > 1:
            file, height = list(challenges.values())[-1]
            text = f"one nonce met {len(challenges)} challenges: its share must count as stolen"
            result.findings.append(Finding(run.roster.name_of(identity), file, text, height))
    if unseen:
        result.gaps.append(f"{unseen:_} records of sessions whose order stands in no transcript here")
    result.gaps += [f"no database of {name}" for name in run.missing("node")]
    return result


def session_of(run: Run, order: Order, request_id: bytes) -> tuple[Subject, tuple[Signer, ...], bytes] | str:
    """What an order asks for, computed anew: the request, its signers and the session id; or why it asks nothing."""
    subject = run.subject(request_id)
    if isinstance(subject, str):
        return subject
    inside = []
    for entry in order.entries:
        try:
            letter = open_inner(entry.nonces, Kind.NONCES)
        except BadLetter as bad:
            return str(bad)
        participant = subject.wallet.charter.participant(letter.header.sender)
        assert isinstance(letter.body, Nonces)
        if participant is None:
            return "it names a signer who is no member"
        inside.append(Signer(participant, letter.body.pubnonces))
    quorum = frozenset((*(signer.participant for signer in inside), *order.outsiders))
    signers = (*inside, *subject.outside(quorum))
    try:
        return subject, signers, subject.session_id(signers)
    except BadRequest as bad:
        return str(bad)


def _check(run: Run, chain: Chain, entry: Entry, kept: SignedKept, result: Result) -> None:
    """A record against the order that it names."""
    order, _ = run.letters.orders[kept.order_digest]
    asked = session_of(run, order, kept.request_id)
    if isinstance(asked, str):
        return  # N6 says what is wrong with the request
    subject, signers, session_id = asked
    me = subject.wallet.charter.participant(chain.identity)
    mine = next((signer for signer in signers if signer.participant == me), None)
    text = ""
    if session_id != kept.session_id:
        text = "the record names another session than the order that it answered"
    elif mine is None or mine.pubnonces != kept.pubnonces:
        text = "the record names other nonces than the order that it answered"
    elif not _good(subject, signers, mine.participant, kept.psigs):
        text = "its partial signatures were not made for the challenge of the order that it answered"
    if text:
        result.findings.append(Finding(chain.name, chain.file, text, entry.height, kept.request_id))


def _good(subject: Subject, signers: tuple[Signer, ...], participant: int, psigs: tuple[bytes, ...]) -> bool:
    tasks = subject.tasks(frozenset(signer.participant for signer in signers))
    try:
        subject.route.group.check(signers, {participant: psigs}, tasks)
    except (Blame, ValueError, IndexError):
        return False
    return True


def _answered(run: Run, met: _Met) -> None:
    """Partial signatures that left answer a session, whatever the records say."""
    sessions: dict[bytes, tuple[Subject, tuple[Signer, ...]]] = {}
    for order, spoken in run.letters.orders.values():
        asked = session_of(run, order, spoken.letter.header.request_id)
        if not isinstance(asked, str):
            sessions[asked[2]] = asked[:2]
    for spoken in run.letters.of(Kind.PARTIAL_SIGNATURES):
        header, body = spoken.letter.header, spoken.letter.body
        assert isinstance(body, PartialSignatures)
        if header.session_id not in sessions or run.roster.node(header.sender) is None:
            continue
        subject, signers = sessions[header.session_id]
        me = subject.wallet.charter.participant(header.sender)
        for signer in signers:
            if signer.participant == me and _good(subject, signers, signer.participant, body.psigs):
                met.note(header.sender, signer.pubnonces, header.session_id, spoken.where)
