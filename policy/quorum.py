"""What an approval demands of those who sign together, and whether a quorum keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_SETS = 2
"""The most sets of `never_only`, and the most roles with policies, that one tier may state."""

MAX_ROLES = 7
"""The most roles that one tier may demand, or a set may hold."""

MAX_TOLD_ROLES, MAX_TOLD_SETS = 16, 4
"""What a verdict can tell of roles, and of sets or roles with policies, where several tiers or profiles demand some."""

MAX_DIGESTS = 4
"""The most policies that a tier may accept of one role."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One signer of a quorum: its role, and the digest (32 bytes) of the policy under which it assented."""

    role: str
    policy_digest: bytes


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an approval demands of the quorum.

    At least `need_nodes` signers; all of `roles` among them; never only roles of one of the sets of `never_only`;
    and of each role of `policies` that signs, one of the digests given with it.
    """

    need_nodes: int
    roles: tuple[str, ...] = ()
    never_only: tuple[frozenset[str], ...] = ()
    policies: tuple[tuple[str, frozenset[bytes]], ...] = ()

    def with_these(self, other: Conditions) -> Conditions:
        """Both at once."""
        return Conditions(
            max(self.need_nodes, other.need_nodes),
            tuple(dict.fromkeys((*self.roles, *other.roles))),
            tuple(dict.fromkeys((*self.never_only, *other.never_only))),
            tuple(dict.fromkeys((*self.policies, *other.policies))),
        )

    @property
    def too_many(self) -> bool:
        """Whether these are more than a verdict can tell."""
        return (
            len(self.roles) > MAX_TOLD_ROLES or max(len(self.never_only), len(self.policies)) > MAX_TOLD_SETS
        )

    def faults(self, quorum: Sequence[Seat]) -> Iterator[tuple[str, str]]:
        """What a quorum lacks: a tag and the words, each."""
        roles = {seat.role for seat in quorum}
        if len(quorum) < self.need_nodes:
            yield "policy-quorum-nodes", f"{len(quorum)} nodes, and {self.need_nodes} are needed"
        for role in self.roles:
            if role not in roles:
                yield "policy-quorum-roles", f"nobody with role {role}"
        for never in self.never_only:
            if roles <= never | {""}:  # a node whose role is not known is no way around it
                yield "policy-quorum-never", f"never only {' and '.join(sorted(never))}"
        for role, digests in self.policies:
            if any(seat.role == role and seat.policy_digest not in digests for seat in quorum):
                yield "policy-quorum-policy", f"{role} assented under a policy that is not one of those named"


NO_DEMANDS = Conditions(0)
"""Asks nothing of the quorum."""
