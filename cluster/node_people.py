"""How a node hears the people of the roster: whatever the coordinator carries, it believes only their signatures.

A word that is new is remembered before it changes a verdict, and acknowledged with a receipt, so that its person
knows which nodes have it. The coordinator can hold a word back; it can make none, change none, and bring no old one
back.
"""

from __future__ import annotations

from cluster.approvals import check_person_about, read_person
from cluster.codec import BadLetter, Letter
from cluster.journal import PersonSaidKept
from cluster.judging import Judge
from cluster.messages import Kind, PersonReceipt, PersonSays, SignedLetter
from cluster.node_verdicts import Verdicts
from cluster.roster import Roster
from cluster.tickets import Ticket, Tickets
from cluster.turn import Turn


class People:
    """What people say, at one node."""

    def __init__(self, roster: Roster, judge: Judge, tickets: Tickets, verdicts: Verdicts) -> None:
        self._roster = roster
        self._judge = judge
        self._tickets = tickets
        self._verdicts = verdicts

    def hear(self, letter: Letter, word: SignedLetter, turn: Turn) -> None:
        """A person's word about a request of ours; BadLetter says what is wrong with any other."""
        said = read_person(word, self._roster, turn.now.wall_ms)
        if letter.header.request_id in self._tickets.ended:
            return  # its end is known to all, and there is nothing left to say
        ticket = self._tickets.of(letter)
        subject = ticket.subject
        check_person_about(
            said,
            request_id=subject.request_id,
            wallet_id=subject.wallet.wallet_id,
            spend_id=subject.spend_id,
        )
        if self._tickets.people.is_news(said):
            self._keep(ticket, said, letter.header.sender, turn)
        self._acknowledge(ticket, said.header.sender, letter.header.sender, turn)

    def _keep(self, ticket: Ticket, said: Letter, bearer: bytes, turn: Turn) -> None:
        body, subject = said.body, ticket.subject
        assert isinstance(body, PersonSays)
        # Counted from when it was said: else a coordinator that held it back could make it count for longer.
        age_ms = max(0, turn.now.wall_ms - body.said_at_ms)
        policy_ms = max(0, self._judge.budget_time(turn.now) - age_ms)
        freezes = self._judge.holds.count_at(subject.wallet.wallet_id, body.said_at_ms)
        self._tickets.people.keep(said, policy_ms, ticket.expires_at_ms, freezes)
        turn.note(PersonSaidKept(turn.now.wall_ms, said.signed, policy_ms), subject.wallet.wallet_id)
        # Whoever brought it may gather a rescue, and be no coordinator of the roster.
        coordinators = tuple(
            dict.fromkeys((bearer, *(entry.identity for entry in self._roster.coordinators)))
        )
        for other in self._tickets.live():
            if other.subject.spend_id == subject.spend_id:
                self._verdicts.again(other, coordinators, turn, "person-said")

    def _acknowledge(self, ticket: Ticket, person: bytes, coordinator: bytes, turn: Turn) -> None:
        stated = self._tickets.people.stated(ticket.subject.spend_id, person)
        if stated is None:
            raise BadLetter("person-spend", "nothing is kept of it")
        turn.tell(
            Kind.PERSON_RECEIPT,
            coordinator,
            PersonReceipt(ticket.subject.spend_id, person, stated.word.yes, stated.said_at_ms),
            wallet_id=ticket.subject.wallet.wallet_id,
            request_id=ticket.subject.request_id,
        )
