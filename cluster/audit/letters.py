"""The letters of a run that prove something, each once, opened and with its signature checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cluster.codec import BadLetter, Letter, encode, header_of, open_letter
from cluster.messages import Beats, Heartbeat, Hello, Kind, Order, SignedLetter, Status, Verdict
from cluster.roster import Roster, digest
from cluster.transcripts import Frame

WANTED = frozenset(
    {
        Kind.HELLO,
        Kind.HEARTBEAT,
        Kind.BEATS,
        Kind.VERDICT,
        Kind.ORDER,
        Kind.PARTIAL_SIGNATURES,
        Kind.STATUS,
        Kind.FINAL,
        Kind.PARTLY_SIGNED,
        Kind.KEYGEN_FINAL,
        Kind.DRILL_ORDER,
        Kind.DRILL_PSIGS,
    }
)
"""The kinds that an audit opens; the others prove nothing that these do not."""

_OF_A_CHAIN = frozenset({Kind.HEARTBEAT, Kind.VERDICT, Kind.PARTIAL_SIGNATURES, Kind.DRILL_PSIGS})
"""What only a node with its chain says; under its identity a rescue may be gathered too, in a life without records."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A letter that its sender signed, and where it was found first."""

    letter: Letter
    where: str


@dataclass(frozen=True, slots=True)
class Stated:
    """A head that a machine stated of its own chain, under its signature."""

    sender: bytes
    hash: bytes
    height: int
    where: str
    letter: Letter


@dataclass(slots=True)
class Letters:
    """All of them, by kind; the orders by their digest, as a `signed` record names them."""

    roster: Roster
    spoken: dict[Kind, list[Spoken]] = field(default_factory=dict)
    orders: dict[bytes, tuple[Order, Spoken]] = field(default_factory=dict)
    heads: list[Stated] = field(default_factory=list)
    boots: dict[bytes, set[bytes]] = field(default_factory=dict)
    boot_letters: dict[tuple[bytes, bytes], str] = field(default_factory=dict)
    last_said_ms: dict[bytes, int] = field(default_factory=dict)
    frames: int = 0
    worthless: int = 0
    _seen: set[tuple[bytes, bytes]] = field(default_factory=set)

    def hear(self, file: str, frames: Iterable[Frame]) -> None:
        """Take a transcript in."""
        for number, frame in enumerate(frames):
            self.frames += 1
            self.take(SignedLetter(frame.letter, frame.signature), f"{file} frame {number}")

    def take(self, signed: SignedLetter, where: str) -> None:
        """Take one letter in, if it proves something; what was altered on its way proves nothing."""
        key = (signed.letter, signed.signature)
        if key in self._seen:
            return
        self._seen.add(key)
        try:
            header = header_of(signed.letter)
            if header.kind not in WANTED:
                return
            if header.cluster_id != self.roster.cluster_id or not self.roster.role_of(header.sender):
                raise BadLetter(
                    "letter-stranger", "nobody of this cluster said it, or not about this cluster"
                )
            letter = open_letter(signed.letter, signed.signature, header.sender)
        except BadLetter:
            self.worthless += 1
            return
        self._keep(Spoken(letter, where))

    def of(self, kind: Kind) -> list[Spoken]:
        """All letters of one kind, in the order in which they were found."""
        return self.spoken.get(kind, [])

    def _keep(self, spoken: Spoken) -> None:
        letter, where = spoken.letter, spoken.where
        header = letter.header
        self.spoken.setdefault(header.kind, []).append(spoken)
        self.boots.setdefault(header.boot_id, set()).add(header.sender)
        of_a_chain = header.kind in _OF_A_CHAIN or self.roster.role_of(header.sender) != "node"
        if of_a_chain:
            self.boot_letters.setdefault((header.sender, header.boot_id), where)
        match letter.body:
            case Hello() | Heartbeat() | Verdict() as said:
                stated = Stated(header.sender, said.chain_head, said.chain_height, where, letter)
                self.heads += [stated] if of_a_chain else []
                if not isinstance(said, Verdict):  # a frame's own time is whoever's transcript it is
                    last_ms = self.last_said_ms.get(header.sender, 0)
                    self.last_said_ms[header.sender] = max(last_ms, said.clock_ms)
            case Beats(beats=beats):
                for beat in beats:
                    self._inside(beat, Kind.HEARTBEAT, where)
            case Order() as order:
                if self.orders.setdefault(digest(encode(order)), (order, spoken))[1] is spoken:
                    for entry in order.entries:
                        self._inside(entry.verdict, Kind.VERDICT, where)
            case Status(nodes=nodes):
                for node in nodes:
                    if node.verdict is not None:
                        self._inside(node.verdict, Kind.VERDICT, where)
            case _:
                pass

    def _inside(self, signed: SignedLetter, kind: Kind, where: str) -> None:
        """Take in a letter that another carries, if it may: else a liar's letters could hold letters without end."""
        try:
            fits = header_of(signed.letter).kind is kind
        except BadLetter:
            fits = False
        if fits:
            self.take(signed, where)
        else:
            self.worthless += 1
