"""One event being handled: what is known while it lasts, and the Step that grows from it."""

from __future__ import annotations

from cluster.codec import Mouth
from cluster.effects import Notice, Now, Outgoing, Question, Step
from cluster.journal import note
from cluster.messages import NO_ID, Body, Kind
from cluster.record_body import Body as Entry
from cluster.records import NO_WALLET, Head, Record
from curve import tagged_hash

LETTER_LIFE_MS = 60_000
"""How long an ordinary letter is good for."""


class Turn:
    """Collects the records, letters and questions of one event, in order.

    `head` already counts the records noted so far, so a letter can name the record that protects it; `hashes` are
    theirs, and `lineage` is that of the chain (`cluster.heads`).
    `entropy` is 32 fresh random bytes; every `random()` is another value from them.
    """

    def __init__(self, now: Now, entropy: bytes, head: Head, mouth: Mouth, lineage: int = 0) -> None:
        if len(entropy) != 32:
            raise ValueError("entropy must be 32 bytes")
        self.now = now
        self.head = head
        self.lineage = lineage
        self.hashes: list[bytes] = []
        self._entropy = entropy
        self._draws = 0
        self._mouth = mouth
        self._remember: list[Record] = []
        self._say: list[Outgoing] = []
        self._ask: list[Question] = []
        self._notify: list[Notice] = []

    def random(self) -> bytes:
        """Another 32 random bytes."""
        self._draws += 1
        return tagged_hash("assent/turn/random", self._entropy, self._draws.to_bytes(4, "big"))

    def note(self, body: Entry, wallet_id: bytes = NO_WALLET) -> None:
        """Remember this before anything of this step is said."""
        record = note(body, wallet_id)
        self._remember.append(record)
        self.head = self.head.after([record])
        self.hashes.append(self.head.hash)

    def tell(
        self,
        kind: Kind,
        addressee: bytes,
        body: Body,
        *,
        wallet_id: bytes = NO_ID,
        request_id: bytes = NO_ID,
        session_id: bytes = NO_ID,
        life_ms: int = LETTER_LIFE_MS,
    ) -> Outgoing:
        """Say this once the records are committed; returns the letter as it will leave."""
        signed = self._mouth.say(
            kind,
            addressee,
            body,
            wallet_id=wallet_id,
            request_id=request_id,
            session_id=session_id,
            expires_at_ms=self.now.wall_ms + life_ms,
        )
        outgoing = Outgoing(addressee, signed.letter, signed.signature)
        self._say.append(outgoing)
        return outgoing

    @property
    def noted(self) -> tuple[Record, ...]:
        """What is to be remembered so far."""
        return tuple(self._remember)

    def ask(self, question: Question) -> None:
        """Put this to the owner."""
        self._ask.append(question)

    def notify(self, notice: Notice) -> None:
        """Tell this to the owner."""
        self._notify.append(notice)

    def step(self, wake_at_ms: int | None) -> Step:
        """The Step of this event; `wake_at_ms` is on the monotonic clock."""
        return Step(
            tuple(self._remember), tuple(self._say), tuple(self._ask), tuple(self._notify), wake_at_ms
        )
