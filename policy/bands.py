"""Bands of amounts: between two neighbouring thresholds of any profile, every amount gets the same answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from policy.answers import Answer, Member, Need, ask
from policy.circumstances import Circumstance
from policy.facts import WalletFacts
from policy.places import Place, clauses_of, layers
from policy.profile import Profile
from policy.quorum import Conditions, Seat
from policy.setting import AMOUNT_OUTPUT, AMOUNT_SENT, AMOUNT_TOTAL, MIN_OUTPUT
from policy.velocity import node_part
from policy.windows import Velocity
from taproot.spend import MAX_MONEY_SATS

Quorum = frozenset[str]
"""Nodes that sign together, by role."""

_AMOUNTS = frozenset({"sent_up_to", "sent_above", "total_up_to", "total_above"})
_EACH = frozenset({"each_up_to", "each_above"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One band of one place under one circumstance: above `above`, up to `up_to` sats, and what each node says."""

    place: Place
    now: Circumstance
    above: int
    up_to: int
    answers: Mapping[str, Answer]


def thresholds(profile: Profile, wallet: WalletFacts, outputs: int = 1) -> Iterator[int]:
    """Every amount after which this profile may answer differently, for a payment in so many outputs."""
    for layer in layers(profile):
        for setting, times in ((AMOUNT_SENT, 1), (AMOUNT_TOTAL, 1), (AMOUNT_OUTPUT, outputs)):
            limit = layer.value(setting)
            if limit is not None:
                yield limit * times
        least = layer.value(MIN_OUTPUT)
        if least is not None:
            yield least * outputs - 1
        rules = list(layer.velocity or ())
        for clause in clauses_of(layer):
            if isinstance(clause.value, Velocity):
                rules.append(clause.value)
            elif isinstance(clause.value, int) and clause.key in _AMOUNTS:
                yield clause.value
            elif isinstance(clause.value, int) and clause.key in _EACH:
                yield clause.value * outputs
        for rule in rules:
            if rule.sum_sats is not None:
                # A rule of this layer's base is judged by the base's own number of evil nodes.
                for each in layers(layer):
                    yield node_part(rule.sum_sats, each, wallet)


def cells(
    members: Sequence[Member], wallet: WalletFacts, places: Iterable[Place], nows: Sequence[Circumstance]
) -> Iterator[Cell]:
    """What each node says, for every place, circumstance and band; the largest amount of a band speaks for it."""
    for now in nows:
        cuts = {cut for member in members for cut in thresholds(member.profile, wallet, now.outputs)}
        for place in places:
            least = place.least_sats * now.outputs
            if place.own:
                least = max(least, *(_least_output(member.profile) for member in members))
            # Nothing leaves to the wallet itself, so amounts make no difference.
            inner = [] if place.own else sorted(cut for cut in cuts if least <= cut < MAX_MONEY_SATS)
            edges = [least - 1, *inner, MAX_MONEY_SATS]
            for above, up_to in pairwise(edges):
                answers = {m.role: ask(m, place, up_to, now, wallet) for m in members}
                yield Cell(place, now, above, up_to, answers)


def _least_output(profile: Profile) -> int:
    return max(layer.value(MIN_OUTPUT) or 0 for layer in layers(profile))


# Quorums.


def satisfied(
    conditions: Conditions, quorum: Quorum, digests: Mapping[str, bytes], liars: Quorum = frozenset()
) -> bool:
    """Whether a quorum keeps what one of its nodes demands; `liars` claim whatever policy is asked for."""
    asked = Conditions(
        conditions.need_nodes,
        conditions.roles,
        conditions.never_only,
        tuple((role, named) for role, named in conditions.policies if role not in liars),
    )
    seats = [Seat(role, digests[role]) for role in sorted(quorum)]
    return not any(True for _ in asked.faults(seats))


def signs(cell: Cell, quorum: Quorum, digests: Mapping[str, bytes], needs: frozenset[Need]) -> bool:
    """Whether all of a quorum sign, each needing no more than one of these, and satisfied with one another."""
    return all(
        cell.answers[role].need in needs and satisfied(cell.answers[role].conditions, quorum, digests)
        for role in quorum
    )


def subsets(roles: Iterable[str], least: int) -> Iterator[Quorum]:
    """Every set of at least so many, the smallest first."""
    names = tuple(roles)
    for size in range(max(0, least), len(names) + 1):
        yield from (frozenset(chosen) for chosen in combinations(names, size))


def smallest(found: Iterable[Quorum]) -> tuple[Quorum, ...]:
    """Those that hold none of the others."""
    kept: list[Quorum] = []
    for quorum in sorted(set(found), key=lambda q: (len(q), sorted(q))):
        if not any(other <= quorum for other in kept):
            kept.append(quorum)
    return tuple(kept)
