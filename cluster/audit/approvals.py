"""N6: every signature maps to genuine approvals for exactly that request.

From the transaction backwards: it verifies whole; each node among its signers has a record of signing this request;
each such record stands after the client's own signed request and the node's approval under the policy then in force;
and the order that it answered holds a genuine verdict of every signer, good at that moment, of a quorum that may
sign and that meets every demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.approvals import check_person_about, conditions_of, read_approval, read_person
from cluster.audit.chains import Chain, Entry
from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.codec import BadLetter, header_of, open_inner
from cluster.journal import FinalKept, JudgedKept, PersonSaidKept, PolicyKept, RequestKept, SignedKept
from cluster.messages import Decision, Kind, Order, SignedLetter, Verdict
from cluster.records import NO_WALLET
from cluster.subjects import BadRequest, Signed, Subject
from policy import Seat

Transaction = tuple[bytes, tuple[tuple[bytes, ...], ...], tuple[int, ...], bytes]


@dataclass(slots=True)
class _State:
    """What a node had written down, while its chain is read."""

    requests: set[bytes] = field(default_factory=set)
    judged: dict[bytes, JudgedKept] = field(default_factory=dict)
    policies: dict[bytes, bytes] = field(default_factory=dict)


def every_approval(run: Run) -> Result:
    """Judge N6."""
    result = Result("N6", "signatures and approvals")
    signed: dict[tuple[bytes, bytes], set[bytes]] = {}
    unseen = 0
    for chain in run.of_role("node"):
        state = _State()
        for entry in chain.entries:
            if isinstance(entry.body, SignedKept):
                signed.setdefault((entry.body.request_id, entry.body.session_id), set()).add(chain.identity)
                unseen += not _record(run, chain, entry, entry.body, state, result)
            _take(run, chain, entry, state, result)
    _finals(run, signed, result)
    _verdicts(run, result)
    if unseen:
        result.gaps.append(f"{unseen:_} records of sessions whose order stands in no transcript here")
    result.gaps += [f"no database of {name}" for name in run.missing("node")]
    return result


def _take(run: Run, chain: Chain, entry: Entry, state: _State, result: Result) -> None:
    match entry.body:
        case RequestKept(request=request):
            request_id, fault = _request_fault(run, request)
            if fault and run.lacks_wallet(request_id):
                result.gaps.append(f"{chain.name}: a request whose wallet no file here proves")
            elif fault:
                text = f"keeps a request that no client signed: {fault}"
                result.findings.append(Finding(chain.name, chain.file, text, entry.height, request_id))
            else:
                state.requests.add(request_id)
        case JudgedKept() as judged:
            state.judged[judged.request_id] = judged
        case PolicyKept(digest=digest):
            state.policies[entry.wallet_id] = digest
        case PersonSaidKept(word=word, at_ms=at_ms):
            _person(run, chain, entry, word.letter, at_ms, result)
        case _:
            pass


def _request_fault(run: Run, request: SignedLetter) -> tuple[bytes, str]:
    """The id of a request on record, and what is wrong with its letter, if anything is."""
    try:
        letter = open_inner(request, Kind.REQUEST)
    except BadLetter as bad:
        return b"", str(bad)
    subject = run.subject(letter.header.request_id)
    if isinstance(subject, str):
        return letter.header.request_id, subject
    stranger = letter.header.sender != subject.client
    return subject.request_id, "it is not from the client of that request" if stranger else ""


def _person(run: Run, chain: Chain, entry: Entry, letter: bytes, at_ms: int, result: Result) -> None:
    """What a person said, they said of this request."""
    assert isinstance(entry.body, PersonSaidKept)
    request_id = b""
    try:
        request_id = header_of(letter).request_id
        said = read_person(entry.body.word, run.roster, at_ms)
        subject = run.subject(request_id)
        if run.lacks_wallet(request_id):
            return
        if isinstance(subject, str):
            raise BadLetter("person-request", subject)
        check_person_about(
            said,
            request_id=request_id,
            wallet_id=subject.wallet.wallet_id,
            spend_id=subject.spend_id,
        )
    except BadLetter as bad:
        text = f"keeps a person's word that proves nothing: {bad}"
        result.findings.append(Finding(chain.name, chain.file, text, entry.height, request_id))


def _record(run: Run, chain: Chain, entry: Entry, kept: SignedKept, state: _State, result: Result) -> bool:
    """One record of signing, against what stands before it; whether its order was at hand."""
    if run.lacks_wallet(kept.request_id):
        return True
    result.checked += 1

    def broken(text: str) -> None:
        result.findings.append(Finding(chain.name, chain.file, text, entry.height, kept.request_id))

    judged = state.judged.get(kept.request_id)
    force = state.policies.get(entry.wallet_id, state.policies.get(NO_WALLET, b""))
    subject = run.subject(kept.request_id)
    if kept.request_id not in state.requests or isinstance(subject, str):
        broken("signed a request that it never wrote down")
        return True
    if (subject.spend_id, subject.wallet.wallet_id) != (kept.spend_id, entry.wallet_id):
        broken("signed another spend than the request is for")
    if judged is None or judged.decision != Decision.APPROVE:
        broken("signed what it had not approved")
    elif (judged.spend_id, judged.policy_digest) != (kept.spend_id, kept.policy_digest):
        broken("approved another spend, or under another policy, than it signed")
    elif kept.policy_digest != force:
        broken("signed under a policy that was not in force")
    found = run.letters.orders.get(kept.order_digest)
    if found is None:
        return False
    fault = _order_fault(run, chain, found[0], kept, subject)
    if fault:
        broken(fault)
    return True


def _order_fault(run: Run, chain: Chain, order: Order, kept: SignedKept, subject: Subject) -> str:
    """What the order that was answered lacks of an approval by every signer; "" where nothing."""
    charter = subject.wallet.charter
    seats, ids, mine = [], [], None
    for one in order.entries:
        try:
            approval = read_approval(
                one, charter, kept.request_id, kept.spend_id, subject.nonce_count, kept.at_ms
            )
        except BadLetter as bad:
            return f"answered an order without a genuine approval of every signer: {bad}"
        node = run.roster.node(approval.identity)
        ids.append(approval.participant)
        seats.append(Seat("" if node is None else node.role, approval.verdict.policy_digest))
        mine = approval if approval.identity == chain.identity else mine
    if ids != sorted(set(ids)) or not subject.admits(frozenset(ids), frozenset(order.outsiders)):
        return "answered an order of signers who make no quorum"
    if mine is None:
        return "answered an order in which it has no part"
    lacks = [text for _, text in conditions_of(mine.verdict).faults(tuple(seats))]
    return f"answered an order that lacks what it demanded: {lacks[0]}" if lacks else ""


def _finals(run: Run, signed: dict[tuple[bytes, bytes], set[bytes]], result: Result) -> None:
    """Every transaction verifies, and its signers signed it together."""
    faults: dict[Transaction, str] = {}
    for chain in run.chains:
        for entry, kept in chain.of(FinalKept):
            if run.lacks_wallet(kept.request_id):
                continue
            result.checked += 1
            key = (kept.request_id, kept.signatures, kept.signers, kept.transaction)
            if key not in faults:
                faults[key] = _final_fault(run, kept, signed)
            if faults[key]:
                result.findings.append(
                    Finding(chain.name, chain.file, faults[key], entry.height, kept.request_id)
                )


def _final_fault(run: Run, kept: FinalKept, signed: dict[tuple[bytes, bytes], set[bytes]]) -> str:
    subject = run.subject(kept.request_id)
    if isinstance(subject, str):
        return f"keeps a transaction of a request that cannot be read: {subject}"
    try:
        transaction = subject.finalise(Signed(kept.signatures, kept.signers))
    except BadRequest as bad:
        return f"keeps a transaction that does not verify: {bad}"
    if transaction != kept.transaction:
        return "keeps another transaction than its signatures finish"
    members = subject.wallet.charter.members
    here = {chain.identity for chain in run.of_role("node")}
    nodes = {members[i].identity for i in kept.signers if i < len(members)} & here
    sessions = [who for (request_id, _), who in signed.items() if request_id == kept.request_id]
    if not any(nodes <= who for who in sessions):
        names = ", ".join(sorted(run.roster.name_of(node) for node in nodes))
        return f"keeps a transaction whose signers ({names}) have no record of signing it together"
    return ""


def _verdicts(run: Run, result: Result) -> None:
    """Every approval that a node signed stands in its chain, before the head that it names."""
    approved: dict[bytes, list[tuple[Chain, dict[bytes, list[tuple[int, JudgedKept]]]]]] = {}
    for chain in run.of_role("node"):
        judged: dict[bytes, list[tuple[int, JudgedKept]]] = {}
        for entry, one in chain.of(JudgedKept):
            judged.setdefault(one.request_id, []).append((entry.height, one))
        approved.setdefault(chain.identity, []).append((chain, judged))
    for spoken in run.letters.of(Kind.VERDICT):
        header, verdict = spoken.letter.header, spoken.letter.body
        assert isinstance(verdict, Verdict)
        if verdict.decision is not Decision.APPROVE or header.sender not in approved:
            continue
        result.checked += 1
        if not any(
            _stands(chain, judged.get(header.request_id, ()), verdict)
            for chain, judged in approved[header.sender]
        ):
            text = "said an approval that it has no record of"
            name = run.roster.name_of(header.sender)
            result.findings.append(Finding(name, spoken.where, text, request_id=header.request_id))


def _stands(chain: Chain, judged: list[tuple[int, JudgedKept]] | tuple[()], verdict: Verdict) -> bool:
    height = chain.heads.get(verdict.chain_head)
    before = [one for at, one in judged if height is not None and at < height]
    if not before:
        return False
    last = before[-1]
    return (last.decision, last.spend_id, last.policy_digest) == (
        Decision.APPROVE,
        verdict.spend_id,
        verdict.policy_digest,
    )
