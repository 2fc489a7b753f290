"""What a rule leads to: the words after `then:`, `quorum:` and `notify:`, typed."""

from __future__ import annotations

from dataclasses import dataclass

from policy.quorum import Conditions
from policy.values import NOBODY, People, Plain


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose yes a spend needs: the owner's, so many people of each role, so many different people in all.

    `within_ms` is how long a yes counts; None as long as the request is open. `match` demands that the owner's yes
    comes with the number that the asking device shows.
    """

    owner: bool = True
    people: People = NOBODY
    distinct: int = 0
    within_ms: int | None = None
    match: bool = False

    def plain(self) -> Plain:
        """For the digest."""
        return (int(self.owner), self.people.plain(), self.distinct, self.within_ms, int(self.match))


@dataclass(frozen=True, slots=True)
class Wait:
    """A delay: the spend waits so long, may be cancelled by people of these roles, and is over after `expires_ms`.

    All checks run again at the end. Both times count from when this node first let it wait; None never expires
    by itself, only with its request.
    """

    delay_ms: int
    expires_ms: int | None = None
    cancel: tuple[str, ...] = ()

    def plain(self) -> Plain:
        """For the digest."""
        return (self.delay_ms, self.expires_ms, tuple(sorted(self.cancel)))


@dataclass(frozen=True, slots=True)
class Action:
    """What a tier does with a spend that fits: refuse, freeze, or approve once what it demands is there.

    `grant` approves only under a grant. Asking and waiting may stand together. None of them: approve at once.
    """

    refuse: bool = False
    freeze: bool = False
    grant: bool = False
    ask: Ask | None = None
    wait: Wait | None = None

    @property
    def words(self) -> str:
        """The word that the profile would use."""
        if self.freeze:
            return "freeze"
        if self.refuse:
            return "refuse"
        parts = ["grant"] if self.grant else []
        parts += ["ask"] if self.ask is not None else []
        parts += ["wait"] if self.wait is not None else []
        return " and ".join(parts) or "approve"

    def plain(self) -> Plain:
        """For the digest."""
        return (
            int(self.refuse),
            int(self.freeze),
            int(self.grant),
            None if self.ask is None else self.ask.plain(),
            None if self.wait is None else self.wait.plain(),
        )


def plain_conditions(conditions: Conditions | None) -> Plain:
    """A tier's demands on the quorum, for the digest."""
    if conditions is None:
        return None
    return (
        conditions.need_nodes,
        tuple(sorted(conditions.roles)),
        tuple(sorted(tuple(sorted(roles)) for roles in conditions.never_only)),
        tuple(sorted((role, tuple(sorted(digests))) for role, digests in conditions.policies)),
    )
