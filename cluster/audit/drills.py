"""Drills under N2 and N3: their partial signatures have records, and their nonces meet one challenge, too."""

from __future__ import annotations

from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.codec import BadLetter, open_inner
from cluster.drill_letters import DrillNonces, DrillOrder, DrillPsigs
from cluster.drill_records import DrillSigned
from cluster.drills import challenge, round_id
from cluster.messages import Kind
from cluster.scheme import Signer

Round = tuple[bytes, int]
"""One round of a drill: the drill's id, and its number."""


def check_records(run: Run, result: Result) -> None:
    """Partial signatures of a drill that left stand in a record of their node."""
    kept = {
        chain.identity: {(body.drill_id, body.round, body.psigs) for _, body in chain.of(DrillSigned)}
        for chain in run.of_role("node")
    }
    for spoken in run.letters.of(Kind.DRILL_PSIGS):
        header, body = spoken.letter.header, spoken.letter.body
        assert isinstance(body, DrillPsigs)
        if not body.psigs or header.sender not in kept:
            continue
        result.checked += 1
        if (header.request_id, body.round, body.psigs) not in kept[header.sender]:
            text = "sent a partial signature of a drill without a record of it"
            name = run.roster.name_of(header.sender)
            result.findings.append(Finding(name, spoken.where, text, request_id=header.request_id))


def check_orders(run: Run, result: Result) -> None:
    """A record of a drill names the session, and the nonces, of an order that was given."""
    orders = _sessions(run)
    for chain in run.of_role("node"):
        for entry, kept in chain.of(DrillSigned):
            given = orders.get((kept.drill_id, kept.round))
            if given is None:
                result.gaps.append(f"{chain.name}: a drill whose order stands in no transcript here")
            elif given.get(kept.session_id, {}).get(chain.identity) != kept.pubnonces:
                text = "the record of a drill names another session, or other nonces, than any order of it"
                result.findings.append(Finding(chain.name, chain.file, text, entry.height, kept.drill_id))


def _sessions(run: Run) -> dict[Round, dict[bytes, dict[bytes, tuple[bytes, ...]]]]:
    """Of each round the sessions that were ordered, computed anew: by session id, everybody's nonces."""
    found: dict[Round, dict[bytes, dict[bytes, tuple[bytes, ...]]]] = {}
    for spoken in run.letters.of(Kind.DRILL_ORDER):
        header, order = spoken.letter.header, spoken.letter.body
        assert isinstance(order, DrillOrder)
        wallet = run.wallets.get(header.wallet_id)
        if wallet is None:
            continue
        nonces: dict[bytes, tuple[bytes, ...]] = {}
        for signed in order.signers:
            try:
                letter = open_inner(signed, Kind.DRILL_NONCES)
            except BadLetter:
                continue
            assert isinstance(letter.body, DrillNonces)
            nonces[letter.header.sender] = letter.body.pubnonces
        by_place = {wallet.charter.participant(identity): given for identity, given in nonces.items()}
        signers = [Signer(place, given) for place, given in by_place.items() if place is not None]
        task = challenge(wallet, header.request_id, order.round)
        session_id = wallet.session_id(round_id(header.request_id, order.round), signers, (task,))
        found.setdefault((header.request_id, order.round), {})[session_id] = nonces
    return found
