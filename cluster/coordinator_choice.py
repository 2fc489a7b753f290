"""Whom the coordinator may order: those who are responsive, as in ROAST, and only then whoever has failed it before.

A node that left a session without its answer owes that answer: it is set aside until it gives it, however much else
it says. A session that comes to nothing therefore sets somebody aside who was not before, and n-t+1 sessions are
enough while t honest nodes answer. Only where those who owe nothing make no quorum are others tried again, those
who failed least often first, each later than the last time.

Two of whom one does not sign with the other are not ordered together while there is a quorum without such a pair.
Honest nodes make one, so they are found even where each of them doubts several others.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster.approvals import conditions_of
from cluster.effects import Now
from cluster.jobs import Job
from cluster.messages import Decision
from cluster.presence import Presence
from cluster.quorum import Candidate, choose, choose_exact
from cluster.requests import SPARE_SESSIONS
from cluster.roster import Roster
from policy import Seat

PATIENCE_MS = 8_000
"""How long a node has to give its verdict, or nonces, before others are tried that have failed."""

PREFERENCE_MS = 1_000
"""How long a quorum that could sign waits for one that is preferred, whose nodes may still answer."""


class Choice:
    """Who signs together next."""

    def __init__(self, roster: Roster, presence: Presence) -> None:
        self._roster = roster
        self._presence = presence

    def tiers(self, job: Job, now: Now) -> Iterator[list[bytes]]:
        """The nodes that approve and may be ordered, ever more of them: first those who owe nothing."""
        approving = [node for node in job.approving(now) if not self._presence.mismatched(node)]
        free = [node for node in approving if not job.owes(node) and not _is_mute(job, node, now)]
        yield free
        if len(job.sessions) >= SPARE_SESSIONS or self._awaits_verdict(job, now):
            return
        others = [node for node in approving if node not in free and job.rested(node, now)]
        for most in sorted({job.losses.get(node, 0) for node in others}):
            yield free + [node for node in others if job.losses.get(node, 0) <= most]

    def quorum(self, job: Job, nodes: list[bytes], now: Now) -> frozenset[int] | None:
        """A quorum (participants) whose nodes are among these, the preferred first; None when there is none."""
        apart = job.doubts
        if apart and self._among(job, job.approving(now), apart) is None:
            apart = set()  # some doubt is a lie, or was settled since
        return self._among(job, nodes, apart)

    def _among(self, job: Job, nodes: list[bytes], apart: set[tuple[bytes, bytes]]) -> frozenset[int] | None:
        subject = job.subject
        charter, quorums = subject.wallet.charter, subject.quorums
        if quorums is None:
            fastest = choose([self._candidate(job, node, apart) for node in nodes], subject.route.least)
            return None if fastest is None else charter.participants(fastest)
        candidates = {charter.participant(node): self._candidate(job, node, apart) for node in nodes}
        known = {participant: one for participant, one in candidates.items() if participant is not None}
        return choose_exact(known, quorums, subject.route.nodes)

    def awaits_better(self, job: Job, chosen: frozenset[int], now: Now) -> bool:
        """Whether to wait a moment because a quorum that is preferred to this one may still come about."""
        quorums = job.subject.quorums
        if quorums is None or quorums[0] == chosen:
            return False
        if job.possible_since_ms is None:
            job.possible_since_ms = now.monotonic_ms
        if now.monotonic_ms - job.possible_since_ms >= PREFERENCE_MS:
            return False
        better = quorums[: quorums.index(chosen)]
        return any(
            all(self._may_still_sign(job, i, now) for i in q & job.subject.route.nodes) for q in better
        )

    def _may_still_sign(self, job: Job, participant: int, now: Now) -> bool:
        node = job.subject.wallet.charter.members[participant].identity
        if node in job.culprits or node in job.stalled or job.losses.get(node):
            return False
        verdict = job.verdicts.get(node)
        return self._is_there(node, now) and (verdict is None or verdict[0].decision is Decision.APPROVE)

    def _awaits_verdict(self, job: Job, now: Now) -> bool:
        """Whether somebody who has failed nothing may be about to approve: nobody else is tried again before."""
        if job.lost_at_ms is None or now.monotonic_ms - job.lost_at_ms >= PATIENCE_MS:
            return False
        return any(
            self._is_there(node, now) and not job.owes(node) and node not in job.culprits
            for node in job.nodes
            if node not in job.verdicts or job.stale(node, now)
        )

    def _is_there(self, node: bytes, now: Now) -> bool:
        return self._presence.online(node, now.monotonic_ms) and not self._presence.mismatched(node)

    def _candidate(self, job: Job, node: bytes, apart: set[tuple[bytes, bytes]]) -> Candidate:
        verdict, _ = job.verdicts[node]
        entry = self._roster.node(node)
        role = entry.role if entry is not None else ""
        doubts = frozenset(other for doubter, other in apart if doubter == node)
        return Candidate(node, Seat(role, verdict.policy_digest), conditions_of(verdict), doubts)


def _is_mute(job: Job, node: bytes, now: Now) -> bool:
    """Whether it was asked for nonces long ago and has given none: it is not waited for any more."""
    asked_at_ms = job.asked_at_ms.get(node)
    return asked_at_ms is not None and now.monotonic_ms - asked_at_ms >= PATIENCE_MS
