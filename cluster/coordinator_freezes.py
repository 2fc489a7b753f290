"""The coordinator's part in a freeze: it passes it on to every node, and their receipts to whoever froze.

In memory only, as whoever freezes says it again: the newest of each issuer and wallet while its letter is good, for
nodes that were away, and the receipts for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.codec import BadLetter, Letter
from cluster.freeze_letters import FreezeReceipt, FreezeRelay, FreezeSaid
from cluster.messages import Kind
from cluster.roster import Roster
from cluster.turn import Turn

MAX_KEPT = 8
"""Of how many wallets one issuer's freeze is kept."""


@dataclass(slots=True)
class _Frozen:
    """A freeze and the nodes' receipts for it, as they were signed."""

    letter: Letter
    freeze_id: bytes
    receipts: dict[bytes, Letter] = field(default_factory=dict)


class FreezeCarrier:
    """Carries freezes to nodes, and receipts back."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._kept: dict[bytes, dict[bytes, _Frozen]] = {}

    def carry(self, letter: Letter, turn: Turn) -> None:
        """Pass a letter on, whole; whoever gets it checks who signed it."""
        body = letter.body
        if isinstance(body, FreezeSaid):
            self._said(letter, body, turn)
        elif isinstance(body, FreezeReceipt) and self._roster.role_of(body.issuer) in {"node", "person"}:
            self._received(letter, body, turn)
        else:
            raise BadLetter("freeze-stranger", "a receipt for nobody of this cluster")

    def greeted(self, node: bytes, turn: Turn) -> None:
        """A node started, or came back: it hears of every freeze that is still good."""
        for mine in self._kept.values():
            for frozen in mine.values():
                if frozen.letter.header.expires_at_ms >= turn.now.wall_ms:
                    self._relay(frozen.letter, node, turn)

    def _said(self, letter: Letter, said: FreezeSaid, turn: Turn) -> None:
        issuer, wallet_id = letter.header.sender, letter.header.wallet_id
        mine = self._kept.setdefault(issuer, {})
        old = mine.pop(wallet_id, None)
        same = old is not None and old.freeze_id == said.freeze_id
        frozen = mine[wallet_id] = _Frozen(letter, said.freeze_id, old.receipts if old and same else {})
        while len(mine) > MAX_KEPT:
            mine.pop(next(iter(mine)))
        for node in self._roster.nodes:
            if node.identity != issuer and node.identity not in frozen.receipts:
                self._relay(letter, node.identity, turn)
        for receipt in frozen.receipts.values():
            self._relay(receipt, issuer, turn)

    def _received(self, letter: Letter, receipt: FreezeReceipt, turn: Turn) -> None:
        frozen = self._kept.get(receipt.issuer, {}).get(letter.header.wallet_id)
        if frozen is not None and frozen.freeze_id == receipt.freeze_id:
            frozen.receipts[letter.header.sender] = letter
        self._relay(letter, receipt.issuer, turn)

    def _relay(self, letter: Letter, addressee: bytes, turn: Turn) -> None:
        if addressee == letter.header.sender:
            return
        relay = FreezeRelay(int(letter.header.kind), letter.signed)
        turn.tell(Kind.FREEZE_RELAY, addressee, relay, wallet_id=letter.header.wallet_id)
