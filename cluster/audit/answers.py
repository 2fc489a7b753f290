"""N2: no partial signature left without its durable record, as it was sent."""

from __future__ import annotations

from cluster.audit import drills
from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.journal import CosigningKept, SignedKept
from cluster.messages import Kind, PartialSignatures, PartlySigned, SignerPart


def every_record(run: Run) -> Result:
    """Judge N2."""
    result = Result("N2", "partial signatures that left")
    kept: dict[bytes, list[SignedKept]] = {}
    for chain in run.of_role("node"):
        kept.setdefault(chain.identity, []).extend(body for _, body in chain.of(SignedKept))
    _letters(run, kept, result)
    _parts(run, kept, result)
    drills.check_records(run, result)
    result.gaps += [f"no database of {name}" for name in run.missing("node")]
    if not run.transcripts:
        result.gaps.append("no transcript, so nobody knows what left")
    return result


def _letters(run: Run, kept: dict[bytes, list[SignedKept]], result: Result) -> None:
    for spoken in run.letters.of(Kind.PARTIAL_SIGNATURES):
        header, body = spoken.letter.header, spoken.letter.body
        assert isinstance(body, PartialSignatures)
        if run.roster.node(header.sender) is None or header.sender not in kept:
            continue
        result.checked += 1
        mine = [one for one in kept[header.sender] if one.session_id == header.session_id]
        text = ""
        if not mine:
            text = "sent partial signatures without a record of them"
        elif not any(
            (one.request_id, one.psigs, one.policy_digest)
            == (header.request_id, body.psigs, body.policy_digest)
            for one in mine
        ):
            text = "sent other partial signatures than its record holds"
        if text:
            name = run.roster.name_of(header.sender)
            result.findings.append(Finding(name, spoken.where, text, request_id=header.request_id))


def _parts(run: Run, kept: dict[bytes, list[SignedKept]], result: Result) -> None:
    """What went out to whoever signs last was somebody's, too."""
    seen: set[tuple[bytes, tuple[SignerPart, ...]]] = set()
    found = [
        (entry.wallet_id, body.request_id, body.parts, f"{chain.file} record {entry.height}")
        for chain in run.of_role("coordinator")
        for entry, body in chain.of(CosigningKept)
    ]
    for spoken in run.letters.of(Kind.PARTLY_SIGNED):
        header, said = spoken.letter.header, spoken.letter.body
        assert isinstance(said, PartlySigned)
        found.append((header.wallet_id, header.request_id, said.parts, spoken.where))
    for wallet_id, request_id, parts, where in found:
        wallet = run.wallets.get(wallet_id)
        if wallet is None or (request_id, parts) in seen:
            continue
        seen.add((request_id, parts))
        for part in parts:
            if part.participant >= wallet.charter.n or not part.psigs:
                continue
            identity = wallet.charter.members[part.participant].identity
            result.checked += identity in kept
            if identity in kept and not any(
                (one.request_id, one.pubnonces, one.psigs) == (request_id, part.pubnonces, part.psigs)
                for one in kept[identity]
            ):
                name = run.roster.name_of(identity)
                text = "its part of a partly signed request stands in no record of it"
                result.findings.append(Finding(name, where, text, request_id=request_id))
