"""How a node answers an order: it checks every signer alone, judges once more, signs, remembers, and only then answers.

Nothing is signed without a policy check of that moment, and the same session is answered with the stored bytes.
"""

from __future__ import annotations

from itertools import pairwise

from cluster.approvals import Approval, read_approval
from cluster.codec import BadLetter, Letter, encode
from cluster.heartbeats import BeatDesk
from cluster.held_records import SessionKept
from cluster.journal import FinalKept, SignedKept
from cluster.judging import Judge
from cluster.messages import (
    Final,
    Gone,
    HeldFinal,
    Kind,
    Order,
    PartialSignatures,
    SignerPart,
)
from cluster.node_verdicts import Verdicts
from cluster.nonce_batches import nonces_of
from cluster.roster import Roster, digest
from cluster.schemes import Signer
from cluster.statements import statement_of
from cluster.subjects import BadRequest, Signed, Subject
from cluster.tickets import Ticket, Tickets, TicketTrace, gone, tell
from cluster.turn import Turn
from cluster.vault import NoncesGone, Vault
from policy import Seat, tags

SIGNER_DOUBTED = "signer-doubted"
"""An order names a node of which two live, or whose chain lost records: others may sign instead."""


class Orders:
    """The orders that a node is given, and its partial signatures."""

    def __init__(
        self,
        roster: Roster,
        me: bytes,
        vault: Vault,
        judge: Judge,
        tickets: Tickets,
        verdicts: Verdicts,
        beats: BeatDesk,
    ) -> None:
        self._roster = roster
        self._me = me
        self._vault = vault
        self._judge = judge
        self._tickets = tickets
        self._verdicts = verdicts
        self._beats = beats

    def order(self, letter: Letter, order: Order, turn: Turn) -> None:
        """Sign the session that is ordered, once; or say what stands against it."""
        ticket = self._tickets.of(letter)
        subject = ticket.subject
        order_digest = digest(encode(order))
        stored = next((kept for kept in ticket.signed.values() if kept.order_digest == order_digest), None)
        if stored is not None:
            self._say_psigs(ticket, stored, letter.header.sender, turn)
            return
        try:
            approvals = self._read_order(ticket, order, turn)
        except BadLetter as bad:
            if bad.code not in {"approval-expired", "order-nonces-expired"}:
                raise
            gone(letter, bad.code, turn)  # slowness is nobody's fault, and others wait for an answer
            return
        signers = _signers(subject, approvals, order)
        fault = self._fault_of(ticket, approvals, letter.header.sender, turn)
        stored = self._stored(ticket, approvals, signers)
        if stored is not None:
            self._say_psigs(ticket, stored, letter.header.sender, turn)
            return
        doubted = self._beats.approved((a.verdict_letter for a in approvals), turn)
        if doubted:
            # They stood in an order: whoever gave it gets fresh ones.
            self._verdicts.drop_nonces(ticket, letter.header.sender)
            gone(letter, SIGNER_DOUBTED, turn, doubted)
            return
        if fault is not None:
            gone(letter, fault, turn)
            return
        self._verdicts.judge_again(ticket, turn)
        if not ticket.judgement.approves:
            self._verdicts.say_verdict(ticket, letter.header.sender, turn)
            return
        short = self._lacks(ticket, approvals)
        if short is not None:
            gone(letter, short, turn)
            self._verdicts.say_verdict(
                ticket, letter.header.sender, turn
            )  # its conditions may be newer than the order
            return
        self._sign(ticket, signers, order_digest, letter.header.sender, turn)
        self._beats.keep(
            [said for a in approvals if (said := statement_of(a.verdict_letter)) is not None], turn
        )

    def _lacks(self, ticket: Ticket, approvals: tuple[Approval, ...]) -> str | None:
        """What stands against this quorum: a demand of this node's, or that the others were shown another policy."""
        mine = next(approval for approval in approvals if approval.identity == self._me)
        if mine.verdict.policy_digest != ticket.judgement.policy_digest:
            return tags.QUORUM_POLICY  # somebody may have demanded the one that it assented under
        seats = tuple(Seat(self._role(a.identity), a.verdict.policy_digest) for a in approvals)
        return next(iter(ticket.judgement.lacks(seats)), None)

    def _read_order(self, ticket: Ticket, order: Order, turn: Turn) -> tuple[Approval, ...]:
        subject = ticket.subject
        charter = subject.wallet.charter
        approvals = tuple(
            read_approval(
                entry, charter, subject.request_id, subject.spend_id, subject.nonce_count, turn.now.wall_ms
            )
            for entry in order.entries
        )
        ids = [approval.participant for approval in approvals]
        if any(a >= b for a, b in pairwise(ids)):
            raise BadLetter("order-signers", "the signers are not in order, or one stands twice")
        if charter.participant(self._me) not in ids:
            raise BadLetter("order-signers", "this node is not among the signers")
        if not subject.admits(frozenset(ids), frozenset(order.outsiders)):
            raise BadLetter(
                "order-signers", f"{len(ids)} nodes and {len(order.outsiders)} outsiders that make no quorum"
            )
        return approvals

    def _stored(
        self, ticket: Ticket, approvals: tuple[Approval, ...], signers: tuple[Signer, ...]
    ) -> SignedKept | None:
        """What this node answered in this very session, if it did.

        The tasks of another quorum are work: it is not done for nonces with which this node never signed.
        """
        mine = next(approval for approval in approvals if approval.identity == self._me)
        if all(kept.pubnonces != mine.pubnonces for kept in ticket.signed.values()):
            return None
        return ticket.signed.get(ticket.subject.session_id(signers))

    def _fault_of(
        self, ticket: Ticket, approvals: tuple[Approval, ...], coordinator: bytes, turn: Turn
    ) -> str | None:
        """Why this node has no unused nonces for such an order; None when it has."""
        if not ticket.live or ticket.exhausted(coordinator, len(self._roster.coordinators)):
            return "nonces-closed"
        mine = next(approval for approval in approvals if approval.identity == self._me)
        batch = ticket.batches.get(coordinator)
        if batch is None or batch.pubnonces != mine.pubnonces:
            return "nonces-gone"
        if batch.expires_at_ms < turn.now.wall_ms:
            self._verdicts.drop_nonces(ticket, coordinator)
            return "nonces-expired"
        return None

    def _sign(
        self,
        ticket: Ticket,
        signers: tuple[Signer, ...],
        order_digest: bytes,
        coordinator: bytes,
        turn: Turn,
    ) -> None:
        subject = ticket.subject
        pubnonces = ticket.batches.pop(coordinator).pubnonces  # _fault_of checked that it is there
        session_id = subject.session_id(signers)
        tasks = subject.tasks(frozenset(signer.participant for signer in signers))
        try:
            name = nonces_of(subject.request_id, coordinator)
            psigs = self._vault.sign(subject.wallet, name, signers, tasks)
        except NoncesGone:
            tell(Kind.GONE, Gone("nonces-gone"), ticket, coordinator, turn)
            return
        next_receive, next_change = subject.next_indexes
        kept = SignedKept(
            at_ms=turn.now.wall_ms,
            request_id=subject.request_id,
            spend_id=subject.spend_id,
            session_id=session_id,
            order_digest=order_digest,
            pubnonces=pubnonces,
            psigs=psigs,
            budget_ms=self._judge.budget_time(turn.now),
            policy_digest=ticket.judgement.policy_digest,
            leaving_sats=subject.leaving_sats,
            outpoints=tuple((coin.outpoint.txid, coin.outpoint.vout) for coin in subject.spend.inputs),
            fee_sats=subject.spend.fee_sats,
            payments=tuple((out.script_pubkey, out.amount_sats) for out in subject.spend.outputs_to_others),
            initiator=self._roster.name_of(subject.client),
            height=ticket.judgement.height,
            grant=ticket.judgement.grant,
            intent=ticket.judgement.intent,
            next_receive=next_receive,
            next_change=next_change,
        )
        ticket.signed[session_id] = kept
        ticket.orders[coordinator] += 1
        ticket.state = "may-be-signed"
        self._judge.book(kept, subject.wallet.wallet_id)
        self._tickets.saw(subject.wallet.wallet_id, next_receive, next_change)
        turn.note(kept, subject.wallet.wallet_id)
        if subject.route.outsiders:
            self._keep_session(ticket, signers, kept, turn)
        self._say_psigs(ticket, kept, coordinator, turn)

    def _keep_session(
        self, ticket: Ticket, signers: tuple[Signer, ...], kept: SignedKept, turn: Turn
    ) -> None:
        """Somebody signs it last, perhaps days later, and the coordinator may forget it until then."""
        me = ticket.subject.wallet.charter.participant(self._me)
        parts = tuple(
            SignerPart(s.participant, s.pubnonces, kept.psigs if s.participant == me else ()) for s in signers
        )
        ticket.sessions[kept.session_id] = parts
        entry = SessionKept(kept.at_ms, kept.request_id, kept.session_id, parts)
        turn.note(entry, ticket.subject.wallet.wallet_id)

    def _say_psigs(self, ticket: Ticket, kept: SignedKept, coordinator: bytes, turn: Turn) -> None:
        tell(
            Kind.PARTIAL_SIGNATURES,
            PartialSignatures(kept.psigs, kept.policy_digest),
            ticket,
            coordinator,
            turn,
            session_id=kept.session_id,
        )

    def final(self, letter: Letter, final: Final, turn: Turn) -> None:
        """The end of a request: believed only when these signatures finish the very transaction."""
        if letter.header.request_id not in self._tickets.whole:
            return  # it was asked for and signed while this node was away
        ticket = self._tickets.of(letter)
        subject = ticket.subject
        try:
            transaction = subject.finalise(Signed(final.signatures, final.signers))
        except BadRequest as bad:
            raise BadLetter("final-invalid", str(bad)) from None
        if transaction != final.transaction:
            raise BadLetter("final-invalid", "the transaction is not what these signatures finish")
        kept = FinalKept(
            turn.now.wall_ms,
            subject.request_id,
            final.signatures,
            final.signers,
            transaction,
            *subject.next_indexes,
        )
        turn.note(kept, subject.wallet.wallet_id)
        ticket.state, ticket.final = "final", HeldFinal(final.signatures, final.signers)
        self._tickets.saw(subject.wallet.wallet_id, *subject.next_indexes)
        self._verdicts.drop_nonces(ticket)
        self._tickets.forgive(subject.client, subject.request_id)
        self._tickets.end(ticket)
        for other in self._roster.coordinators:
            if other.identity != letter.header.sender:
                self.tell_final(self._tickets.ended[subject.request_id], other.identity, turn)

    @staticmethod
    def tell_final(trace: TicketTrace, coordinator: bytes, turn: Turn) -> None:
        """Say how a request ended to a coordinator that may not know."""
        assert trace.final is not None  # asked for only where it ended so
        turn.tell(
            Kind.HELD_FINAL,
            coordinator,
            trace.final,
            wallet_id=trace.wallet_id,
            request_id=trace.request_id,
        )

    def after_end(self, trace: TicketTrace, letter: Letter, turn: Turn) -> None:
        """A letter about a request that has ended: an order that was answered gets the stored answer again."""
        if letter.header.wallet_id != trace.wallet_id:
            raise BadLetter("letter-wallet", "the request was about another wallet")
        if isinstance(letter.body, Final):
            return
        order_digest = digest(encode(letter.body))
        stored = next((kept for kept in trace.signed.values() if kept.order_digest == order_digest), None)
        if stored is None and trace.final is not None:
            self.tell_final(trace, letter.header.sender, turn)
            return
        if stored is None:
            gone(letter, "nonces-closed", turn)
            return
        turn.tell(
            Kind.PARTIAL_SIGNATURES,
            letter.header.sender,
            PartialSignatures(stored.psigs, stored.policy_digest),
            wallet_id=trace.wallet_id,
            request_id=trace.request_id,
            session_id=stored.session_id,
        )

    def _role(self, identity: bytes) -> str:
        node = self._roster.node(identity)
        return node.role if node is not None else ""


def _signers(subject: Subject, approvals: tuple[Approval, ...], order: Order) -> tuple[Signer, ...]:
    """Everybody of an order with their nonces: nodes from their letters, the others from the request's PSBT."""
    quorum = frozenset((*(approval.participant for approval in approvals), *order.outsiders))
    inside = tuple(Signer(approval.participant, approval.pubnonces) for approval in approvals)
    signers = inside + subject.outside(quorum)
    # `admits` has found these quorums among those whose outsiders committed; a session without one would be another.
    if frozenset(signer.participant for signer in signers) != quorum:
        raise BadLetter("order-signers", "somebody of the quorum neither approved nor committed")
    return signers
