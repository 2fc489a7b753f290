"""The signing half of a node: which letter goes where."""

from __future__ import annotations

from cluster.codec import BadLetter, Letter
from cluster.judging import Judge
from cluster.messages import Busy, Final, Gone, NonceRequest, Order, PersonRelay, Propose
from cluster.node_orders import Orders
from cluster.node_people import People
from cluster.node_verdicts import Verdicts
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.tickets import Tickets
from cluster.turn import Turn
from cluster.vault import Vault


class SigningDesk:
    """The signing half of a node."""

    def __init__(
        self, roster: Roster, me: bytes, vault: Vault, judge: Judge, wallets: dict[bytes, Wallet]
    ) -> None:
        self.tickets = Tickets(wallets, judge)
        self.verdicts = Verdicts(roster, me, vault, judge, wallets, self.tickets)
        self._orders = Orders(roster, me, vault, judge, self.tickets, self.verdicts)
        self._people = People(roster, judge, self.tickets, self.verdicts)

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one signing letter from a coordinator; raises BadLetter when it makes no sense."""
        ended = self.tickets.ended.get(letter.header.request_id)
        if ended is not None and isinstance(letter.body, NonceRequest | Order | Final):
            self._orders.after_end(ended, letter, turn)
            return
        if ended is not None and ended.final is not None and isinstance(letter.body, Propose):
            self._orders.tell_final(ended, letter.header.sender, turn)
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
            case PersonRelay(word=word):
                self._people.hear(letter, word, turn)
            case Busy() | Gone():
                pass
            case _:
                raise BadLetter("letter-kind", f"a node has no use for a {letter.header.kind.name}")
