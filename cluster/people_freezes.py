"""A person's freezes: said to every node, again until each has answered, and the nodes' own signed receipts."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.codec import BadLetter, open_inner
from cluster.freeze_letters import FREEZE_LIFE_MS, FreezeReceipt, FreezeRelay, FreezeSaid
from cluster.messages import Kind
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.turn import Turn
from cluster.turning import Turning


@dataclass(slots=True)
class FreezeView:
    """One freeze as far as its person knows."""

    wallet: Wallet
    said: FreezeSaid
    receipts: dict[bytes, FreezeReceipt] = field(default_factory=dict)

    @property
    def holding(self) -> tuple[bytes, ...]:
        """The nodes (identity keys) where this person's freeze, this one or an earlier one, holds."""
        return tuple(node for node, receipt in self.receipts.items() if receipt.left_ms)

    @property
    def liars(self) -> int:
        """How many of the nodes that say so must lie before anything can be signed; 0 where the others suffice."""
        charter = self.wallet.charter
        return max(0, charter.t - (charter.n - len(self.holding)))

    @property
    def stops_it(self) -> bool:
        """Whether too few nodes are left to sign anything, as far as those that say so tell the truth."""
        return self.liars > 0

    @property
    def answered(self) -> bool:
        """Whether every node of the wallet has said what became of it."""
        return all(member.identity in self.receipts for member in self.wallet.charter.members)


class FreezesSaid:
    """What a person froze in this run."""

    def __init__(self, roster: Roster, me: bytes, turning: Turning) -> None:
        self._roster = roster
        self._me = me
        self._turning = turning
        self.views: dict[bytes, FreezeView] = {}

    def freeze(self, wallet: Wallet, wanted_ms: int, turn: Turn) -> FreezeView:
        """Freeze a wallet at every node."""
        view = FreezeView(wallet, FreezeSaid(turn.random(), wanted_ms))
        self.views[wallet.wallet_id] = view
        self._tell(view, turn)
        return view

    def ask(self, turn: Turn) -> None:
        """Say again what some node has not answered."""
        for view in self.views.values():
            if not view.answered:
                self._tell(view, turn)

    def hear(self, relay: FreezeRelay) -> None:
        """A node's receipt; BadLetter for anything that is none for a freeze of this person's."""
        letter = open_inner(relay.letter, Kind.FREEZE_RECEIPT)
        body, header = letter.body, letter.header
        view = self.views.get(header.wallet_id)
        assert isinstance(body, FreezeReceipt)
        if view is None or header.cluster_id != self._roster.cluster_id:
            raise BadLetter("freeze-receipt", "a receipt for a freeze that was not said here")
        is_mine = (body.issuer, body.freeze_id) == (self._me, view.said.freeze_id)
        if not is_mine or view.wallet.charter.participant(header.sender) is None:
            raise BadLetter("freeze-receipt", "a receipt that is not a member's for this freeze")
        view.receipts[header.sender] = body

    def _tell(self, view: FreezeView, turn: Turn) -> None:
        for coordinator in self._turning.all:
            turn.tell(
                Kind.FREEZE, coordinator, view.said, wallet_id=view.wallet.wallet_id, life_ms=FREEZE_LIFE_MS
            )
