"""The worst loss: the most that can leave in a window, without a person's yes, once given nodes are a thief's.

Stolen nodes sign anything and claim anything. Each honest node signs what it approves by itself, as often as its
own part of its limits allows, and the thief chooses amounts, places, circumstances and who takes turns. So a way to
sign is a set of honest nodes that, with the stolen ones, satisfies all of them, for one band of amounts; its
payments use up the budgets of each of its honest nodes; and what is the most is `policy.packing`'s question.

What comes out is carried out against the real judge and real books. Where that does not reach it, it is called an
upper bound: too high, never too low. Limits on fees, on the number of recipients and per initiator are not looked at
(a thief pays the least fee, himself, and may hold every client), and a payment goes to one kind of place. Standing
grants are left out: they are a person's yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from policy.answers import ALONE, Member, Need, facts_for, fitting_tier
from policy.bands import Cell, Quorum, cells, satisfied, smallest, subsets
from policy.circumstances import Circumstance
from policy.facts import WalletFacts
from policy.packing import Packed, Way
from policy.phases import Budget, in_phases
from policy.places import Place, layers
from policy.profile import Clause, Deny, Profile, Tier
from policy.rehearsal import Rehearsal
from policy.velocity import node_part
from policy.windows import Calendar, Lifetime, Per, Period, Rolling, Velocity, Window
from taproot.spend import MAX_MONEY_SATS

MAX_SWITCHES = 3
"""How many rules that look at what was spent so far are tried both ways."""

DAY = Rolling(86_400_000)
_AUTOMATIC = frozenset({ALONE, Need(wait=True)})
_HOUR_MS = 3_600_000
_SHORTEST_MS = {
    # Where clocks change, a day has two hours less at most.
    Period.DAY: 22 * _HOUR_MS,
    Period.WEEK: (7 * 24 - 2) * _HOUR_MS,
    Period.MONTH: (28 * 24 - 2) * _HOUR_MS,
    Period.YEAR: (365 * 24 - 2) * _HOUR_MS,
}


@dataclass(frozen=True, slots=True)
class Payments:
    """Part of a plan: these honest nodes sign so many payments to one kind of place, of so much together."""

    place: str
    signers: tuple[str, ...]
    payments: int
    sats: int


@dataclass(frozen=True, slots=True)
class Loss:
    """The most that can leave in a window to a place (""; any), when these nodes are stolen; None: everything.

    `exact`: the plan was tried and reaches it; else it is an upper bound. `waits`: some of it only after a delay that
    nobody cancels.
    """

    stolen: tuple[str, ...]
    window: Window
    place: str
    sats: int | None
    exact: bool = True
    waits: bool = False
    plan: tuple[Payments, ...] = ()


def windows_of(profiles: Iterable[Profile]) -> tuple[Window, ...]:
    """A day, and each window that a profile names, the shortest first."""
    named: dict[Window, None] = {DAY: None}
    for profile in profiles:
        for layer in layers(profile):
            named |= {rule.window: None for rule in layer.velocity or ()}
    return tuple(sorted(named, key=length_ms))


def length_ms(window: Window) -> int:
    """How long a window is at most, to compare windows by."""
    match window:
        case Rolling():
            return window.length_ms
        case Calendar():
            return {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31, Period.YEAR: 366}[
                window.period
            ] * DAY.length_ms
        case _:
            return 2**62


def times_within(limit: Window, horizon: Window) -> int | None:
    """How often a limit's window can be filled within a horizon; None when that is not bounded.

    A rolling window is full again once it has passed: ceil(H / w) times within H, a burst at the beginning of each.
    A stretch of the calendar counts anew at its boundary: H may begin just before one, touching
    2 + floor((H - 2) / shortest) of them at most.
    """
    if isinstance(limit, Lifetime):
        return 1
    if isinstance(horizon, Lifetime):
        return None
    if limit == horizon:
        return 1
    length = length_ms(horizon)
    if isinstance(limit, Rolling):
        return -(-length // limit.length_ms)
    return 2 + (length - 2) // _SHORTEST_MS[limit.period]


# Rules that look at what was spent so far.


def faces(profile: Profile) -> tuple[tuple[Profile, ...], bool]:
    """The profile as it judges with an empty book and with budgets used up, and whether some cases are left out.

    A tier that fits only while a window has room stops fitting, and so lets a later tier decide; a deny rule that
    holds only while there is room stops holding. Each such rule is tried both ways.
    """
    rules: tuple[Tier | Deny, ...] = (*profile.tiers, *profile.deny)
    switched = [rule.name for rule in rules if _looks_back(rule)]
    below = ((profile.base,), False) if profile.base is None else faces(profile.base)
    kept = switched[:MAX_SWITCHES]
    found = []
    for off in product([False, True], repeat=len(kept)):
        names = {name for name, is_off in zip(kept, off, strict=True) if is_off}
        tiers = tuple(face for tier in profile.tiers for face in _without(tier, names))
        deny = tuple(rule for rule in profile.deny if rule.name not in names or not _backward(rule.clauses))
        found += [replace(profile, tiers=tiers, deny=deny, base=base) for base in below[0]]
    return tuple(found), len(switched) > len(kept) or below[1]


def _backward(clauses: tuple[Clause, ...]) -> bool:
    return any(clause.key == "velocity" for clause in clauses)


def _looks_back(rule: Tier | Deny) -> bool:
    return _backward(rule.clauses) or (isinstance(rule, Tier) and _backward(rule.unless))


def _without(tier: Tier, names: set[str]) -> Iterator[Tier]:
    if tier.name not in names:
        yield tier
    elif not _backward(tier.clauses):
        yield replace(tier, unless=())


# Budgets.


def _budgets(member: Member, cell: Cell, wallet: WalletFacts, horizon: Window) -> Iterator[Budget]:
    """Every limit of a node that a payment of this cell uses up."""
    facts = facts_for(member, cell.place, cell.up_to, cell.now, wallet)
    for depth, layer in enumerate(layers(member.profile)):
        tier = fitting_tier(layer, facts)
        of_tier = () if tier is None else (*tier.clauses, *tier.limits)
        rules = [("", rule) for rule in layer.velocity or ()]
        if tier is not None:
            rules += [(tier.name, c.value) for c in of_tier if isinstance(c.value, Velocity)]
        for number, (where, rule) in enumerate(rules):
            scope = member.role if rule.per is None else f"{member.role}/{cell.place.name}"
            name = f"{member.role}/{depth}/{where}/{number}"
            for budget in _of_rule(name, rule, layer, cell.place, wallet, horizon):
                yield replace(budget, scope=scope, of_tier=bool(where))


def _of_rule(
    name: str, rule: Velocity, layer: Profile, place: Place, wallet: WalletFacts, horizon: Window
) -> Iterator[Budget]:
    times = times_within(rule.window, horizon)
    if times is None or rule.per is Per.INITIATOR:
        return
    if rule.per is Per.RECIPIENT:
        if place.scripts is None:
            return
        times, name = times * place.scripts, f"{name}/{place.name}"
    total, count = rule.sum_sats, rule.count
    yield Budget(
        name,
        None if total is None else node_part(total, layer, wallet) * times,
        None if count is None else node_part(count, layer, wallet) * times,
        times,
    )


# The loss.


class Thefts:
    """Everything that honest nodes approve by themselves, worked out once for all questions about one wallet."""

    def __init__(
        self,
        members: Sequence[Member],
        wallet: WalletFacts,
        places: Sequence[Place],
        nows: Sequence[Circumstance],
    ) -> None:
        self._wallet = wallet
        self._members = {member.role: member for member in members}
        self._digests = {member.role: member.digest for member in members}
        self._faces: dict[str, tuple[Member, ...]] = {}
        self.complete = True
        for member in members:
            found, left_out = faces(member.profile)
            self.complete = self.complete and not left_out
            self._faces[member.role] = tuple(replace(member, profile=face) for face in found)
        payable = [place for place in places if not place.own]
        every = [
            replace(face, role=f"{role}#{number}")
            for role, found in self._faces.items()
            for number, face in enumerate(found)
        ]
        self._cells = tuple(cells(every, wallet, payable, nows))

    def worst(self, stolen: Quorum, window: Window, place: str = "") -> Loss:
        """The worst loss with these nodes stolen, to one kind of place or ("") to any."""
        budgets: dict[str, Budget] = {}
        seen: dict[Way, tuple[Cell, Quorum, bool]] = {}
        for cell in self._cells:
            if place in {"", cell.place.name}:
                for way, honest, waits in self._ways(cell, stolen, window, budgets):
                    seen.setdefault(way, (cell, honest, waits))
        ways = _joined(seen)
        taken = in_phases(tuple(ways), budgets)
        names = tuple(sorted(stolen))
        waits = any(found[2] for found in seen.values())
        if taken is None or taken.sats >= MAX_MONEY_SATS:
            return Loss(names, window, place, None, self.complete, waits)
        plan = tuple(
            Payments(ways[p.way][0].place.name, tuple(sorted(ways[p.way][1])), p.payments, p.sats)
            for p in taken.plan
        )
        exact = self.complete and taken.exact and self._rehearsed(taken, ways, stolen, window)
        return Loss(names, window, place, taken.sats, exact, waits, plan)

    def _rehearsed(
        self, taken: Packed, ways: Mapping[Way, tuple[Cell, Quorum, bool]], stolen: Quorum, window: Window
    ) -> bool:
        """Whether the plan comes off, against the real judge and real books."""
        theft = Rehearsal(self._members, self._wallet, stolen)
        for part in taken.plan:
            cell, signers, _ = ways[part.way]
            theft.plan(cell.place, cell.now, signers, part.amounts())
        return theft.reaches(taken.sats, length_ms(window))

    def _ways(
        self, cell: Cell, stolen: Quorum, window: Window, budgets: dict[str, Budget]
    ) -> Iterator[tuple[Way, Quorum, bool]]:
        """The smallest sets of honest nodes that sign this cell with the stolen ones, and what each uses up."""
        honest = [role for role in self._faces if role not in stolen]
        for chosen in self._chosen(cell, honest):
            willing = [role for role in honest if role in chosen]
            found = [
                group
                for group in subsets(willing, max(1, self._wallet.t - len(stolen)))
                if all(
                    satisfied(cell.answers[chosen[role]].conditions, group | stolen, self._digests, stolen)
                    for role in group
                )
            ]
            for group in smallest(found):
                uses = {
                    budget.name: budget
                    for role in group
                    for face in [self._faces[role][int(chosen[role].rpartition("#")[2])]]
                    for budget in _budgets(face, cell, self._wallet, window)
                }
                budgets |= uses
                waits = any((need := cell.answers[chosen[r]].need) is not None and need.wait for r in group)
                yield Way(frozenset(uses), cell.above + 1, cell.up_to), group, waits

    def _chosen(self, cell: Cell, honest: list[str]) -> Iterator[dict[str, str]]:
        """For each honest node one face that approves by itself, in every combination."""
        options = {
            role: [
                key
                for number in range(len(self._faces[role]))
                if cell.answers[key := f"{role}#{number}"].need in _AUTOMATIC
            ]
            for role in honest
        }
        willing = {role: keys for role, keys in options.items() if keys}
        for keys in product(*willing.values()):
            yield dict(zip(willing, keys, strict=True))


def _joined(seen: Mapping[Way, tuple[Cell, Quorum, bool]]) -> dict[Way, tuple[Cell, Quorum, bool]]:
    """Ways that use the same budgets in bands that touch are one; one within another is left out."""
    groups: dict[frozenset[str], list[Way]] = {}
    for way in seen:
        groups.setdefault(way.budgets, []).append(way)
    joined: dict[Way, tuple[Cell, Quorum, bool]] = {}
    for ways in groups.values():
        ways.sort(key=lambda way: way.low)
        current = ways[0]
        source = seen[current]
        for way in ways[1:]:
            if way.low <= current.high + 1:
                source = seen[way] if way.high > current.high else source
                current = Way(way.budgets, current.low, max(current.high, way.high))
            else:
                joined[current] = source
                current, source = way, seen[way]
        joined[current] = source
    return joined
