"""The signing half of a node: what its records say of requests, and which letter goes where."""

from __future__ import annotations

from cluster.codec import BadLetter, Letter, open_inner
from cluster.journal import AnswerKept, Body, ClosedKept, FinalKept, JudgedKept, RequestKept, SignedKept
from cluster.judging import Judge, Judgement
from cluster.messages import Busy, Decision, Final, Gone, Kind, NonceRequest, Order, Propose, SignedLetter
from cluster.node_orders import Orders
from cluster.node_verdicts import Verdicts
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.subjects import understand
from cluster.tickets import Ticket, Tickets, gone, new_ticket
from cluster.turn import Turn
from cluster.vault import Vault


class SigningDesk:
    """The signing half of a node."""

    def __init__(
        self, roster: Roster, me: bytes, vault: Vault, judge: Judge, wallets: dict[bytes, Wallet]
    ) -> None:
        self._judge = judge
        self._wallets = wallets
        self._tickets = Tickets(wallets)
        self.verdicts = Verdicts(roster, vault, judge, wallets, self._tickets)
        self._orders = Orders(roster, me, vault, judge, self._tickets, self.verdicts)

    @property
    def tickets(self) -> dict[bytes, Ticket]:
        """Every request of which more is known than how it ended."""
        return self._tickets.all

    # What records say, read again at start.

    def restore(self, entry: Body, wallet_id: bytes) -> None:
        """Take one record into account; they come in the order in which they were written."""
        match entry:
            case RequestKept(request=request):
                self._restore_request(request, wallet_id, entry.at_ms)
            case AnswerKept(request_id=request_id, yes=yes):
                self.verdicts.hear_owner(self._tickets.all[request_id], yes)
            case JudgedKept(request_id=request_id, codes=codes):
                self._restore_judgement(
                    self._tickets.all[request_id], Decision(entry.decision), codes, entry.policy_digest
                )
            case SignedKept(request_id=request_id):
                ticket = self._tickets.all[request_id]
                ticket.signed[entry.session_id] = entry
                ticket.state = "may-be-signed"
                self._judge.book(entry, ticket.subject)
                self._tickets.saw(ticket.subject)
            case FinalKept(request_id=request_id, transaction=transaction):
                self._tickets.all[request_id].state = "final"
                self._tickets.all[request_id].transaction = transaction
                self._tickets.saw(self._tickets.all[request_id].subject)
            case ClosedKept(request_id=request_id):
                self._tickets.all[request_id].state = "closed"
            case _:
                pass

    def _restore_request(self, request: SignedLetter, wallet_id: bytes, at_ms: int) -> None:
        letter = open_inner(request, Kind.REQUEST)
        self._tickets.forget_ended(at_ms)
        subject = understand(self._wallets[wallet_id], letter)
        self._tickets.enter(new_ticket(subject, letter, at_ms))

    def _restore_judgement(
        self, ticket: Ticket, decision: Decision, codes: tuple[str, ...], policy_digest: bytes
    ) -> None:
        """A refusal stands; anything milder is judged again before it is said."""
        if decision is Decision.REFUSE:
            ticket.judgement = Judgement.refusal(codes, policy_digest)
            if ticket.state == "open":
                ticket.state = "refused"

    # What the coordinator brings.

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one signing letter from a coordinator; raises BadLetter when it makes no sense."""
        if letter.header.request_id in self._tickets.forgotten and isinstance(
            letter.body, NonceRequest | Order | Final
        ):
            if not isinstance(letter.body, Final):
                gone(letter, "nonces-closed", turn)
            return
        match letter.body:
            case Propose(request=request):
                self.verdicts.propose(letter, request, turn)
            case NonceRequest():
                self.verdicts.nonces(letter, turn)
            case Order():
                self._orders.order(letter, letter.body, turn)
            case Final():
                self._orders.final(letter, letter.body, turn)
            case Busy() | Gone():
                pass
            case _:
                raise BadLetter("letter-kind", f"a node has no use for a {letter.header.kind.name}")
