"""A client's drills: what it asked, and what it believes of the answer, which is what it can verify itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.codec import BadLetter, Letter, open_inner
from cluster.drill_letters import DrillFinal, DrillNonces, DrillRequest
from cluster.drills import proven
from cluster.messages import Kind, SignedLetter
from cluster.schemes import Wallet


@dataclass(slots=True)
class DrillView:
    """One drill as far as its client knows; `said` holds each node's own signed word on whether it takes part.

    `given_up_by` is with whom it ended though not every node was shown to sign, and after which turn.
    """

    wallet: Wallet
    request: SignedLetter
    drill_id: bytes
    body: DrillRequest
    over: bool = False
    rejected: str = ""
    proven: frozenset[int] = frozenset()
    said: dict[bytes, str] = field(default_factory=dict)
    given_up_by: dict[bytes, int] = field(default_factory=dict)

    def word(self, node: bytes) -> str:
        """How a node did: `signs`, or the code of what it said, or `silent`."""
        if self.wallet.charter.participant(node) in self.proven:
            return "signs"
        said = self.said.get(node, "silent")
        return "drill-failed" if said == "drill-ready" else said

    @property
    def whole(self) -> bool:
        """Whether every node of the wallet has shown that it signs."""
        return all(self.word(member.identity) == "signs" for member in self.wallet.charter.members)

    def reject(self, code: str) -> None:
        """No coordinator takes it any more: what one of them has shown of it before still counts."""
        if self.said:
            self.over = True
        else:
            self.rejected = code

    def hear(self, final: DrillFinal, cluster_id: bytes) -> None:
        """How the coordinator says that it went; BadLetter for what proves nothing."""
        for answer in final.answers:
            self._answer(open_inner(answer, Kind.DRILL_NONCES), cluster_id)
        found = proven(self.wallet, self.drill_id, final.rounds)
        if found != frozenset().union(*(done.participants for done in final.rounds)):
            raise BadLetter("drill-invalid", "a signature that is none of this drill")
        self.proven |= found

    def _answer(self, letter: Letter, cluster_id: bytes) -> None:
        header, body = letter.header, letter.body
        assert isinstance(body, DrillNonces)
        about = (header.cluster_id, header.wallet_id, header.request_id)
        if about != (cluster_id, self.wallet.wallet_id, self.drill_id):
            raise BadLetter("drill-answer", "an answer about another drill")
        if self.wallet.charter.participant(header.sender) is None:
            raise BadLetter("drill-answer", "an answer of somebody who is no member")
        self.said[header.sender] = body.code
