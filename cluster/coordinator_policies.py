"""The coordinator's part in changes of policy: it passes on what nodes and people signed, and keeps nothing of it."""

from __future__ import annotations

from cluster.codec import BadLetter, Letter
from cluster.messages import Kind, PolicyChange, PolicyConsent, PolicyEnded, PolicyRelay
from cluster.roster import Roster
from cluster.turn import Turn


class PolicyCarrier:
    """Carries announcements to every other node, and consents to the node that they are for."""

    def __init__(self, roster: Roster) -> None:
        self._nodes = tuple(entry.identity for entry in roster.nodes)

    def carry(self, letter: Letter, turn: Turn) -> None:
        """Pass a letter on, whole; whoever gets it checks who signed it."""
        header, body = letter.header, letter.body
        if isinstance(body, PolicyChange | PolicyEnded):
            addressees = [node for node in self._nodes if node != header.sender]
        elif isinstance(body, PolicyConsent) and body.node in self._nodes:
            addressees = [body.node]
        else:
            raise BadLetter("change-node", "it is about the policy of no node of this cluster")
        for node in addressees:
            relay = PolicyRelay(int(header.kind), letter.signed)
            turn.tell(Kind.POLICY_RELAY, node, relay, wallet_id=header.wallet_id)
