"""A coordinator for the worst day: it gathers one rescue, which it asks for itself, and can do nothing else.

It is a member of the roster that is no coordinator, a node or a client, in whose hands the owner still has a seed.
Nodes hear it only where their own owners named it, and let it bring them nothing but rescues (`cluster.rescue_gate`).
It keeps nothing on disk: should it stop, it asks again, and the owners' yes, which is to the spend, still counts.
"""

from __future__ import annotations

from msgspec import msgpack

from cluster.codec import BadLetter, Identity, Letter, Mouth, open_inner
from cluster.coordinator import Coordinator
from cluster.effects import Now, Step
from cluster.jobs import Job, JobTrace
from cluster.messages import NO_ID, Kind, Request
from cluster.roster import Roster
from cluster.schemes import Wallet
from cluster.subjects import Subject, describe
from cluster.turn import Turn

_HEARD = {
    Kind.HELLO, Kind.VERDICT, Kind.NONCES, Kind.PARTIAL_SIGNATURES, Kind.GONE, Kind.BUSY, Kind.WITHDRAW,
    Kind.CLOCK_ASK, Kind.CLOCK_SAID, Kind.HEARTBEAT, Kind.HEAD_ASK, Kind.HEAD_SAID, Kind.PERSON_RECEIPT,
}  # fmt: skip
"""What it hears of nodes: all that a signature takes, what time it is, and that none of them is an older copy."""

_OF_PEOPLE = {Kind.HELLO, Kind.STATUS_QUERY, Kind.PERSON_SAYS}
"""What it hears of people, whose yes the policy may ask: what it asks for, and what they say of it."""


class RescueCoordinator(Coordinator):
    """Gathers one rescue of one wallet."""

    def __init__(
        self, *, roster: Roster, roster_digest: bytes, identity: Identity, boot_id: bytes, wallet: Wallet
    ) -> None:
        super().__init__(
            roster=roster, roster_digest=roster_digest, identity=identity, boot_id=boot_id, records=()
        )
        self._wallet = wallet
        self._identity = identity
        self._boot_id = boot_id
        self.keygen.wallets[wallet.wallet_id] = wallet
        self.request_id = NO_ID

    def ask(self, psbt: bytes, now: Now, entropy: bytes, *, life_ms: int) -> tuple[Subject, Step]:
        """Ask for the rescue, once; BadRequest when the PSBT makes no sense."""
        if self.request_id != NO_ID:
            raise ValueError("it has asked already, and asks for nothing else")
        turn = Turn(now, entropy, self.head, Mouth(self._identity, self.roster.cluster_id, self._boot_id))
        body = Request(psbt, "rescue", turn.random())
        subject = describe(self._wallet, body, self._identity.public)
        letter = self._signed(body, subject, now.wall_ms + life_ms)
        turn = self._turn(now, entropy)
        self.signing.request(letter, turn)
        self.request_id = subject.request_id
        return subject, self._end(turn)

    @property
    def job(self) -> Job | JobTrace | None:
        """How the rescue stands, or how it ended."""
        jobs = self.signing.jobs
        return jobs.whole.get(self.request_id) or jobs.ended.get(self.request_id)

    def _signed(self, body: Request, subject: Subject, expires_at_ms: int) -> Letter:
        mouth = Mouth(self._identity, self.roster.cluster_id, self._boot_id)
        signed = mouth.say(
            Kind.REQUEST,
            self._identity.public,
            body,
            wallet_id=self._wallet.wallet_id,
            request_id=subject.request_id,
            expires_at_ms=expires_at_ms,
        )
        return open_inner(signed, Kind.REQUEST)

    def _handle(self, letter: Letter, role: str, turn: Turn) -> None:
        """Only nodes are heard, and people, and only about this rescue."""
        heard = {"node": _HEARD, "person": _OF_PEOPLE}.get(role, set())
        if letter.header.kind not in heard:
            raise BadLetter("rescue-only", f"no {letter.header.kind.name} has a place in a rescue")
        super()._handle(letter, role, turn)

    def _end(self, turn: Turn) -> Step:
        """What it would tell its client it knows itself; its own node must not be told as if it were one."""
        step = super()._end(turn)
        people = {person.identity for person in self.roster.people}
        return Step(
            step.remember,
            tuple(
                out
                for out in step.say
                if out.addressee in people or msgpack.decode(out.letter)[0][1] != Kind.STATUS
            ),
            step.ask,
            step.notify,
            step.wake_at_ms,
        )
