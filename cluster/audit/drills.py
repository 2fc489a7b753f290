"""Drills under N2 and N3: their partial signatures have records, and their nonces meet one challenge, too.

As with spends, what a record claims of its nonces is not believed: its partial signature must be good under those of
the order, or a nonce could serve twice under the record of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.audit.report import Finding, Result
from cluster.audit.run import Run
from cluster.codec import BadLetter, open_inner
from cluster.drill_letters import DrillNonces, DrillOrder, DrillPsigs
from cluster.drill_records import DrillSigned
from cluster.drills import challenge, round_id
from cluster.messages import Kind
from cluster.scheme import Blame, Signer
from cluster.schemes import Wallet
from taproot import SigningTask

Session = tuple[bytes, int, bytes]
"""One session of a drill: the drill's id, the number of the round, and the session's id."""


@dataclass(frozen=True, slots=True)
class _Ordered:
    """What an order of a drill asked for: the wallet, the challenge, and everybody's nonces."""

    wallet: Wallet
    task: SigningTask
    signers: tuple[Signer, ...]

    def answers(self, identity: bytes, kept: DrillSigned) -> bool:
        """Whether a record is this member's answer to it."""
        me = self.wallet.charter.participant(identity)
        named = [(one.participant, one.pubnonces) for one in self.signers]
        if me is None or (me, kept.pubnonces) not in named:
            return False
        try:
            self.wallet.routes[""].group.check(self.signers, {me: kept.psigs}, (self.task,))
        except (Blame, ValueError, LookupError):
            return False
        return True


def check_records(run: Run, result: Result) -> None:
    """Partial signatures of a drill that left stand in a record of their node."""
    kept: dict[bytes, set[tuple[bytes, int, tuple[bytes, ...]]]] = {}
    for chain in run.of_role("node"):
        found = {(body.drill_id, body.round, body.psigs) for _, body in chain.of(DrillSigned)}
        kept.setdefault(chain.identity, set()).update(found)
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
            given = orders.get((kept.drill_id, kept.round, kept.session_id))
            if given is None and not any(key[:2] == (kept.drill_id, kept.round) for key in orders):
                result.gaps.append(f"{chain.name}: a drill whose order stands in no transcript here")
            elif given is None or not given.answers(chain.identity, kept):
                text = "the record of a drill answers no order of it: another session, other nonces, or no signature"
                result.findings.append(Finding(chain.name, chain.file, text, entry.height, kept.drill_id))


def _sessions(run: Run) -> dict[Session, _Ordered]:
    """The sessions that were ordered, computed anew."""
    found: dict[Session, _Ordered] = {}
    for spoken in run.letters.of(Kind.DRILL_ORDER):
        header, order = spoken.letter.header, spoken.letter.body
        assert isinstance(order, DrillOrder)
        wallet = run.wallets.get(header.wallet_id)
        if wallet is None:
            continue
        signers = tuple(_signers(wallet, order))
        task = challenge(wallet, header.request_id, order.round)
        session_id = wallet.session_id(round_id(header.request_id, order.round), signers, (task,))
        found[header.request_id, order.round, session_id] = _Ordered(wallet, task, signers)
    return found


def _signers(wallet: Wallet, order: DrillOrder) -> Iterator[Signer]:
    """The members among whom an order names, with the nonces of their own letters."""
    for signed in order.signers:
        try:
            letter = open_inner(signed, Kind.DRILL_NONCES)
        except BadLetter:
            continue
        assert isinstance(letter.body, DrillNonces)
        participant = wallet.charter.participant(letter.header.sender)
        if participant is not None:
            yield Signer(participant, letter.body.pubnonces)
