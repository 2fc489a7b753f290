"""The signing half of a node: which letter goes where, and what a start or an older disk means for what is open."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.codec import BadLetter, Letter
from cluster.effects import Notice
from cluster.heads import ROLLBACK, UNPROVEN, HeadDesk
from cluster.heartbeats import BeatDesk
from cluster.judging import Judge
from cluster.messages import (
    NO_ID,
    Busy,
    Decision,
    Final,
    Gone,
    Kind,
    NonceRequest,
    Order,
    PersonRelay,
    Propose,
)
from cluster.node_orders import Orders
from cluster.node_people import People
from cluster.node_verdicts import Verdicts
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.tickets import Tickets
from cluster.turn import Turn
from cluster.vault import Vault

MACHINE_COPIED = "machine-copied"
"""The alarm that the system says that this virtual machine is a copy."""

ASK_AGAIN_MS = 2_000
"""When to ask a recovered node again that does not know yet which lineage it is."""


class SigningDesk:
    """The signing half of a node."""

    def __init__(
        self,
        roster: Roster,
        me: bytes,
        vault: Vault,
        judge: Judge,
        wallets: dict[bytes, Wallet],
        heads: HeadDesk,
        beats: BeatDesk,
    ) -> None:
        self._judge = judge
        self._heads = heads
        self.tickets = Tickets(wallets, judge)
        self.verdicts = Verdicts(roster, me, vault, judge, wallets, self.tickets, heads)
        self._orders = Orders(roster, me, vault, judge, self.tickets, self.verdicts, beats)
        self._people = People(roster, judge, self.tickets, self.verdicts)

    def receive(self, letter: Letter, turn: Turn) -> None:
        """Handle one signing letter from a coordinator; raises BadLetter when it makes no sense."""
        if isinstance(letter.body, Propose) and not self._heads.speaks:
            # A verdict says where the chain stands: in a lineage that is not its own it would look like a second end.
            self._not_yet(letter, turn)
            return
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

    @staticmethod
    def _not_yet(letter: Letter, turn: Turn) -> None:
        header, busy = letter.header, Busy(ASK_AGAIN_MS)
        turn.tell(Kind.BUSY, header.sender, busy, wallet_id=header.wallet_id, request_id=header.request_id)

    def heed_head(self, coordinators: Iterable[bytes], turn: Turn) -> None:
        """What is known of this node's own chain has changed: say so of every request that it concerns."""
        for ticket in self.tickets.live():
            held = self._heads.held(ticket.subject.wallet.wallet_id)
            judgement = ticket.judgement
            was_held = judgement.codes in {(ROLLBACK,), (UNPROVEN,)}
            if held is None and was_held:
                self.verdicts.again(ticket, coordinators, turn)
            elif held is not None and held.codes != judgement.codes and (was_held or judgement.approves):
                self.verdicts.again(ticket, coordinators, turn, held.codes[0])

    def resume(self, turn: Turn) -> None:
        """After a start: judge what is open, so that the owner is asked again; anything else waits to be proposed."""
        for ticket in self.tickets.live():
            if ticket.state == "open" and ticket.expires_at_ms >= turn.now.wall_ms:
                words = self.tickets.words(ticket, turn.now.wall_ms)
                judgement = self._judge.judge(ticket.subject, words, turn.now)
                if judgement.decision in {Decision.ASK, Decision.WAIT}:
                    ticket.judgement = judgement

    def copied(self, turn: Turn) -> None:
        """The system says that this machine is a copy: its owner is told, and no nonce of before is used."""
        self.forget_nonces()
        text = "this machine was copied or put back: its nonces are dropped, and requests get fresh ones"
        turn.notify(Notice(NO_ID, "", text, MACHINE_COPIED))

    def forget_nonces(self) -> None:
        """Drop every nonce in memory: the clocks jumped, so this memory may have been copied."""
        for ticket in self.tickets.whole.values():
            self.verdicts.drop_nonces(ticket)
