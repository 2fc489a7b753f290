"""What the coordinator says of requests: to clients how they stand, to nodes again what they have not answered."""

from __future__ import annotations

from cluster.approvals import NONCE_LIFE_MS
from cluster.charter import Charter
from cluster.codec import Letter
from cluster.effects import Now
from cluster.jobs import Job, JobTrace
from cluster.messages import (
    NO_ID,
    Final,
    Kind,
    NodeStatus,
    NonceRequest,
    Order,
    PartlySigned,
    Propose,
    Status,
)
from cluster.presence import Presence
from cluster.turn import Turn

REPEAT_MS = 2_000
"""How long to wait before saying a thing again to somebody who has not answered."""


class Telling:
    """The coordinator's voice in signing."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    def tell_client(self, job: Job, client: bytes, turn: Turn) -> None:
        """Say to the client how its request stands: the final transaction, or every node's newest verdict."""
        job.untold = False
        if job.final is not None:
            self.tell(Kind.FINAL, client, job.final, job, turn)
            return
        if job.state == "cosigning":
            self.tell(Kind.PARTLY_SIGNED, client, PartlySigned(job.parts), job, turn)
            return
        nodes = tuple(
            NodeStatus(
                member.identity,
                self.reach(job, member.identity, turn.now),
                job.verdicts[member.identity][1] if member.identity in job.verdicts else None,
            )
            for member in job.subject.wallet.charter.members
        )
        self.tell(Kind.STATUS, client, Status(job.state_now(turn.now), job.codes, nodes), job, turn)

    def tell_ended(self, trace: JobTrace, charter: Charter, turn: Turn) -> None:
        """Say to the client how its request ended."""
        body: Final | Status
        if trace.final is not None:
            kind, body = Kind.FINAL, trace.final
        else:
            nodes = tuple(
                NodeStatus(member.identity, self._presence_of(member.identity, turn.now), None)
                for member in charter.members
            )
            kind, body = Kind.STATUS, Status(trace.state, trace.codes, nodes)
        turn.tell(kind, trace.client, body, wallet_id=trace.wallet_id, request_id=trace.request_id)

    def reject(self, letter: Letter, code: str, turn: Turn) -> None:
        """Say to a client that its request is none."""
        turn.tell(
            Kind.STATUS,
            letter.header.sender,
            Status("rejected", (code,), ()),
            wallet_id=letter.header.wallet_id,
            request_id=letter.header.request_id,
        )

    def reach(self, job: Job, node: bytes, now: Now) -> str:
        """How a node stands with a request, in one word."""
        if node in job.culprits:
            return "misbehaved"
        if node in job.stalled and not self._presence.mismatched(node):
            return "unreachable"
        return self._presence_of(node, now)

    def _presence_of(self, node: bytes, now: Now) -> str:
        if self._presence.mismatched(node):
            return "version-mismatch"
        return "online" if self._presence.online(node, now.monotonic_ms) else "unreachable"

    def say_again(
        self,
        kind: Kind,
        node: bytes,
        body: Propose | NonceRequest | Order,
        job: Job,
        turn: Turn,
        *,
        session_id: bytes = NO_ID,
    ) -> None:
        """Say it, unless it was said to this node less than REPEAT_MS ago (an order: this very order)."""
        last = job.said_at_ms.get((kind, node + session_id))
        if last is not None and turn.now.monotonic_ms - last < REPEAT_MS:
            return
        job.said_at_ms[(kind, node + session_id)] = turn.now.monotonic_ms
        turn.tell(
            kind,
            node,
            body,
            wallet_id=job.subject.wallet.wallet_id,
            request_id=job.subject.request_id,
            session_id=session_id,
            life_ms=NONCE_LIFE_MS,
        )

    def tell(
        self, kind: Kind, node: bytes, body: Final | PartlySigned | Status, job: Job, turn: Turn
    ) -> None:
        """Say this, now."""
        turn.tell(
            kind,
            node,
            body,
            wallet_id=job.subject.wallet.wallet_id,
            request_id=job.subject.request_id,
        )
