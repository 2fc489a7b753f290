"""What a node has said of its own record chain, in letters that only it can sign: heartbeats and verdicts.

Whoever holds one can prove that the chain had come so far; so a node that lost records can be told, and cannot deny.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.codec import BadLetter, Letter, open_inner
from cluster.messages import Heartbeat, Kind, SignedLetter, Verdict

KINDS_OF_STATEMENTS = (Kind.HEARTBEAT, Kind.VERDICT)
"""The kinds of letters that say where their maker's chain stands."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Where a node's chain stood as it said so: the `height`-th record had hash `head`, in this `lineage`.

    `deeds` is None where the letter does not tell.
    """

    node: bytes
    boot_id: bytes
    sequence: int
    lineage: int
    height: int
    head: bytes
    deeds: int | None
    letter: SignedLetter

    @property
    def place(self) -> tuple[int, int]:
        """What orders the statements of one node: lineage, then height."""
        return self.lineage, self.height


def statement_of(letter: Letter) -> Statement | None:
    """What a letter, opened already, says of its sender's chain; None when it says nothing."""
    body, header = letter.body, letter.header
    if not isinstance(body, Heartbeat | Verdict):
        return None
    return Statement(
        header.sender,
        header.boot_id,
        header.sequence,
        body.lineage,
        body.chain_height,
        body.chain_head,
        body.deeds if isinstance(body, Heartbeat) else None,
        letter.signed,
    )


def read_beat(signed: SignedLetter, node: bytes, cluster_id: bytes) -> Heartbeat:
    """A node's own heartbeat, passed on by others; BadLetter for any other letter."""
    letter = open_inner(signed, Kind.HEARTBEAT)
    if (letter.header.sender, letter.header.cluster_id) != (node, cluster_id):
        raise BadLetter("beat-stranger", "it is another's heartbeat")
    assert isinstance(letter.body, Heartbeat)
    return letter.body


def read_statement(signed: SignedLetter, cluster_id: bytes) -> Statement:
    """Open somebody's statement; BadLetter when it is none, not genuine, or of another cluster with the same keys."""
    letter = open_inner(signed, *KINDS_OF_STATEMENTS)
    if letter.header.cluster_id != cluster_id:
        raise BadLetter("letter-cluster", "it is about another cluster")
    statement = statement_of(letter)
    assert statement is not None  # letters of these kinds make one
    return statement
