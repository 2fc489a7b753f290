"""Who signs together: a set that satisfies the conditions of all its members, the fastest such first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from policy import Conditions, Seat

MAX_SEARCHED = 8
"""With no more candidates than this every set is tried before saying that there is none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that is ready: its seat in a quorum, its conditions on whoever signs with it, and whom it doubts."""

    node: bytes
    seat: Seat
    conditions: Conditions
    doubts: frozenset[bytes] = frozenset()


def choose(candidates: list[Candidate], t: int) -> tuple[bytes, ...] | None:
    """The first set, in the order given, of at least t whose members' conditions all hold; None if none was found.

    Grows from the fastest t by what its members lack; a member that can never be satisfied by those present is
    left out and the search starts again, so it ends after at most len(candidates) rounds. Where that finds nothing
    and there are few, every set is tried.
    """
    pool = list(candidates)
    while len(pool) >= t:
        chosen = pool[:t]
        unhappy = _grow(chosen, pool)
        if unhappy is None:
            return _nodes(chosen)
        pool.remove(_spoiler(unhappy, chosen, pool))
    return _searched(candidates, t) if len(candidates) <= MAX_SEARCHED else None


def choose_exact(
    candidates: Mapping[int, Candidate], quorums: Iterable[frozenset[int]], nodes: frozenset[int]
) -> frozenset[int] | None:
    """The first of these quorums whose nodes are all candidates, each content with the others; None without one.

    Args:
        candidates: by participant.
        nodes: the participants that are nodes; the others of a quorum have no conditions.
    """
    for quorum in quorums:
        members = quorum & nodes
        if members <= candidates.keys():
            chosen = [candidates[participant] for participant in sorted(members)]
            if not any(_lacks(candidate, chosen) for candidate in chosen):
                return quorum
    return None


def _searched(candidates: list[Candidate], t: int) -> tuple[bytes, ...] | None:
    for size in range(t, len(candidates) + 1):
        for chosen in combinations(candidates, size):
            if not any(_lacks(candidate, list(chosen)) for candidate in chosen):
                return _nodes(list(chosen))
    return None


def _nodes(chosen: list[Candidate]) -> tuple[bytes, ...]:
    return tuple(candidate.node for candidate in chosen)


def _grow(chosen: list[Candidate], pool: list[Candidate]) -> Candidate | None:
    """Add to `chosen` until everyone in it is content; else return one whom nobody left could content."""
    while True:
        unhappy = next((c for c in chosen if _lacks(c, chosen)), None)
        if unhappy is None or _doubted(unhappy, chosen):
            return unhappy
        rest = [candidate for candidate in pool if candidate not in chosen]
        fitting = [candidate for candidate in rest if _helps(candidate, unhappy, chosen)]
        if not fitting:
            return unhappy
        chosen.append(fitting[0])


def _helps(candidate: Candidate, unhappy: Candidate, chosen: list[Candidate]) -> bool:
    """Whether adding one brings a quorum nearer to what one of its members demands."""
    roles = {other.seat.role for other in chosen}
    missing = set(unhappy.conditions.roles) - roles
    lonely = [never for never in unhappy.conditions.never_only if roles <= never]
    if missing:
        return candidate.seat.role in missing
    if lonely:
        return candidate.seat.role not in lonely[0]
    return len(chosen) < unhappy.conditions.need_nodes


def _lacks(candidate: Candidate, chosen: list[Candidate]) -> bool:
    faults = candidate.conditions.faults([other.seat for other in chosen])
    return bool(_doubted(candidate, chosen)) or any(True for _ in faults)


def _doubted(candidate: Candidate, chosen: list[Candidate]) -> list[Candidate]:
    """With whom of these a candidate does not sign."""
    return [other for other in chosen if other.node in candidate.doubts]


def _spoiler(unhappy: Candidate, chosen: list[Candidate], pool: list[Candidate]) -> Candidate:
    """Who is left out for whoever is not content: of two that do not sign together, the one with more such pairs."""

    def pairs(one: Candidate) -> int:
        return sum(one.node in other.doubts or other.node in one.doubts for other in pool)

    return max((unhappy, *_doubted(unhappy, chosen)), key=pairs)
