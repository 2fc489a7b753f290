"""Who signs together: a set that satisfies the conditions of all its members, the fastest such first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that is ready: its role, and its own conditions on whoever signs with it."""

    node: bytes
    role: str
    need_nodes: int
    need_roles: frozenset[str]


def choose(candidates: list[Candidate], t: int) -> tuple[bytes, ...] | None:
    """The first set, in the order given, of at least t whose members' conditions all hold; None if there is none.

    Grows from the fastest t by what its members lack; a member that can never be satisfied by those present is
    left out and the search starts again, so it ends after at most len(candidates) rounds.
    """
    pool = list(candidates)
    while len(pool) >= t:
        chosen = pool[:t]
        unhappy = _grow(chosen, pool)
        if unhappy is None:
            return tuple(candidate.node for candidate in chosen)
        pool.remove(unhappy)
    return None


def _grow(chosen: list[Candidate], pool: list[Candidate]) -> Candidate | None:
    """Add to `chosen` until everyone in it is content; else return one whom nobody left could content."""
    while True:
        unhappy = next((c for c in chosen if _lacks(c, chosen)), None)
        if unhappy is None:
            return None
        rest = [candidate for candidate in pool if candidate not in chosen]
        missing = unhappy.need_roles - {c.role for c in chosen}
        fitting = [candidate for candidate in rest if candidate.role in missing] if missing else rest
        if not fitting:
            return unhappy
        chosen.append(fitting[0])


def _lacks(candidate: Candidate, chosen: list[Candidate]) -> bool:
    roles = {other.role for other in chosen}
    return len(chosen) < candidate.need_nodes or not candidate.need_roles <= roles
