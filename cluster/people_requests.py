"""One request as a person's device knows it: what was said of it, and which nodes have that, by their own receipts."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.client_views import NodeView, hear_nodes
from cluster.codec import BadLetter, Letter, open_inner
from cluster.messages import Kind, PersonReceipt, PersonSays, SignedLetter, Status
from cluster.subjects import Subject


@dataclass(slots=True)
class RequestView:
    """One request, read from its client's own letter; `state` and reach are some coordinator's word.

    Of so many that are `told` of a word, `taken_by` have taken it, in `faults` is why others did not, and `ended_at`
    are those at which the request has ended.
    """

    subject: Subject
    letter: Letter
    state: str
    codes: tuple[str, ...] = ()
    nodes: dict[bytes, NodeView] = field(default_factory=dict)
    receipts: dict[bytes, PersonReceipt] = field(default_factory=dict)
    said: SignedLetter | None = None
    body: PersonSays | None = None
    told: int = 1
    taken_by: set[bytes] = field(default_factory=set)
    faults: dict[bytes, str] = field(default_factory=dict)
    ended_at: set[bytes] = field(default_factory=set)

    @property
    def expires_at_ms(self) -> int:
        """Until when its client wants it."""
        return self.letter.header.expires_at_ms

    @property
    def fault(self) -> str:
        """Why the word was not taken, as a code; "" where a coordinator took it."""
        return "" if self.taken_by else next(iter(self.faults.values()), "")

    @property
    def over(self) -> bool:
        """Whether every coordinator says that there is nothing left to say: it has ended, or the word is none."""
        return len(self.faults.keys() | self.ended_at) >= self.told

    def kept_by(self) -> tuple[bytes, ...]:
        """The nodes whose receipt says that they have what was said last."""
        body = self.body
        return tuple(
            node
            for node, receipt in self.receipts.items()
            if body is not None and (receipt.said_at_ms, receipt.yes) == (body.said_at_ms, body.yes)
        )

    @property
    def heard_by_enough(self) -> bool:
        """Whether a yes counts with some node, or too few nodes lack a no to sign.

        That it is signed already excuses only a yes: whoever holds a no back would say so.
        """
        charter, is_yes = self.subject.wallet.charter, self.body is not None and self.body.yes
        enough = 1 if is_yes else charter.n - charter.t + 1
        is_signed = self.state == "final" and len(self.ended_at) >= self.told
        return len(self.kept_by()) >= enough or (is_yes and is_signed)

    def says(self, signed: SignedLetter, body: PersonSays, told: int) -> None:
        """A new word goes to so many coordinators, of which none has taken it yet."""
        self.said, self.body, self.told = signed, body, told
        self.taken_by.clear()
        self.faults.clear()
        self.ended_at.clear()

    def hear(self, status: Status, sender: bytes, wall_ms: int, me: bytes, cluster_id: bytes) -> None:
        """How a coordinator says that it stands, and what nodes signed of it; `me` is the person (identity key)."""
        if status.state == "rejected":
            if self.said is not None and sender not in self.taken_by:
                self.faults[sender] = next(iter(status.codes), "rejected")
            return
        self.state, self.codes = status.state, status.codes
        self.faults.pop(sender, None)
        if self.said is not None:
            self.taken_by.add(sender)
        if status.state in {"final", "expired", "closed"}:
            self.ended_at.add(sender)
        else:
            self.ended_at.discard(sender)
        hear_nodes(self.nodes, status, self.subject.wallet.charter, self.subject.request_id, wall_ms)
        for node in status.nodes:
            if node.heard is not None:
                mine = (node.node, cluster_id, self.subject.request_id, self.subject.spend_id, me)
                self.receipts[node.node] = _receipt(node.heard, mine)


def _receipt(signed: SignedLetter, mine: tuple[bytes, bytes, bytes, bytes, bytes]) -> PersonReceipt:
    """A node's receipt for a word of this person's about this request; BadLetter for any other."""
    letter = open_inner(signed, Kind.PERSON_RECEIPT)
    header, body = letter.header, letter.body
    assert isinstance(body, PersonReceipt)
    about = (header.sender, header.cluster_id, header.request_id, body.spend_id, body.person)
    if about != mine:
        raise BadLetter("status-receipt", "a receipt that is not this node's for a word of mine")
    return body
