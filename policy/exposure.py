"""Who can sign what: the profiles of one wallet together, and what is lost when nodes are.

Every amount at which some profile changes its mind is a threshold; between two of them the real judge is asked once
for each kind of place, and what it says holds for the whole band. Quorums are then tried one by one, so there is a
limit on how many nodes there may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from policy.answers import ALONE, Answer, Member, Need
from policy.bands import Cell, Quorum, cells, signs, smallest, subsets
from policy.circumstances import circumstances_of
from policy.facts import WalletFacts
from policy.losses import Loss, Thefts, windows_of
from policy.places import Place, places_of
from policy.profile import Profile
from policy.velocity import evil_nodes
from policy.wording import sats
from taproot.spend import MAX_MONEY_SATS

MAX_NODES = 7
"""Of more nodes there are too many quorums to try."""

Role = str
_NEEDS = frozenset(
    Need(owner, people, grant, wait)
    for owner in (False, True)
    for people in (False, True)
    for grant in (False, True)
    for wait in (False, True)
)
_AUTOMATIC = frozenset({ALONE})
_PATIENT = frozenset({ALONE, Need(wait=True)})


@dataclass(frozen=True, slots=True)
class Band:
    """Payments to one kind of place of more than `above` sats, up to `up_to` (None: any more).

    `answers` is the mildest that each node says; the quorums are the smallest that sign it by themselves, after a
    delay at most, and with every yes that is asked for.
    """

    place: Place
    above: int
    up_to: int | None
    answers: Mapping[Role, Answer]
    alone: tuple[Quorum, ...]
    waiting: tuple[Quorum, ...]
    asked: tuple[Quorum, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What the nodes that are left can sign, with every yes, when these are lost.

    For each kind of place the largest single payment: 0 is none at all, None is the whole wallet.
    """

    lost: tuple[Role, ...]
    places: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Rescue:
    """Whether the whole balance can leave in one payment: where to with all nodes, and where to after any loss.

    To the wallet itself is no rescue: it would still need the same nodes. `gap` says what is missing; empty if
    nothing is.
    """

    places: tuple[str, ...]
    always: tuple[str, ...]
    gap: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a set of profiles comes to. `notes` says where this survey had to be coarse."""

    t: int
    roles: tuple[Role, ...]
    bands: tuple[Band, ...]
    kept: tuple[Kept, ...]
    rescue: Rescue
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]

    def worst(self, window: str = "24h", place: str = "") -> Loss | None:
        """The largest loss of a window; None where no node can be stolen without all being lost."""
        found = [loss for loss in self.losses if str(loss.window) == window and loss.place == place]
        return max(found, key=lambda loss: MAX_MONEY_SATS if loss.sats is None else loss.sats, default=None)


def survey(
    profiles: Mapping[Role, Profile],
    *,
    threshold: int,
    now_ms: int,
    stolen: Sequence[Iterable[Role]] | None = None,
) -> Survey:
    """What these profiles, one per node, come to together; `stolen` defaults to each single node, or f of them.

    ValueError, saying why, for what makes no wallet, too many nodes, or too many stolen.
    """
    _check(profiles, threshold)
    roles, every = tuple(profiles), tuple(profiles.values())
    members = [Member.of(role, profile) for role, profile in profiles.items()]
    wallet = WalletFacts(True, "wallet", every[0].network, len(roles), threshold, 20, (1, 1), roles)
    places, left_out = places_of(every)
    nows, cut = circumstances_of(every, now_ms)
    digests = {member.role: member.digest for member in members}
    found = _bands(list(cells(members, wallet, places, nows)), wallet, digests)
    kept = tuple(_kept(lost, found, roles) for lost in combinations(roles, len(roles) - threshold))
    thefts = Thefts(members, wallet, places, nows)
    taken = _stolen(stolen, every, wallet)
    losses = tuple(
        thefts.worst(group, window, place)
        for group in taken
        for window in windows_of(every)
        for place in ("a stranger", "")
    )
    notes = [f"{left_out} more kinds of place were left out"] if left_out else []
    notes += ["there are more circumstances (days, hours, clients, coins) than were looked at"] if cut else []
    notes += [] if thefts.complete else ["too many rules look at what was spent; some cases were left out"]
    return Survey(threshold, roles, found, kept, _rescue(found, kept), losses, tuple(notes))


def _check(profiles: Mapping[Role, Profile], threshold: int) -> None:
    if not 1 <= threshold <= len(profiles):
        raise ValueError(
            f"a threshold of {threshold} needs as many profiles, one per node; here are {len(profiles)}"
        )
    if len(profiles) > MAX_NODES:
        raise ValueError(f"{len(profiles)} nodes have too many quorums to try; the most is {MAX_NODES}")
    networks = {profile.network.value for profile in profiles.values()}
    if len(networks) > 1:
        raise ValueError(f"profiles of one wallet are for one network, not {' and '.join(sorted(networks))}")


def _stolen(
    named: Sequence[Iterable[Role]] | None, profiles: tuple[Profile, ...], wallet: WalletFacts
) -> tuple[Quorum, ...]:
    if named is not None:
        groups = tuple(frozenset(group) for group in named)
        for group in groups:
            strangers = sorted(group - set(wallet.roles))
            if strangers:
                raise ValueError(f"no node has the role {strangers[0]}; there are {', '.join(wallet.roles)}")
            if len(group) >= wallet.t:
                raise ValueError(
                    f"{len(group)} stolen nodes can sign anything: {wallet.t} are enough for that"
                )
        return groups
    assumed = max(evil_nodes(profile, wallet) for profile in profiles)
    sizes = sorted({min(1, wallet.t - 1), assumed})
    return tuple(frozenset(group) for size in sizes for group in combinations(wallet.roles, size))


# Bands.


def _bands(found: list[Cell], wallet: WalletFacts, digests: Mapping[Role, bytes]) -> tuple[Band, ...]:
    places = dict.fromkeys(cell.place for cell in found)
    bands: list[Band] = []
    for place in places:
        mine = [cell for cell in found if cell.place == place]
        cuts = sorted({cell.above for cell in mine} | {cell.up_to for cell in mine})
        for above, up_to in pairwise(cuts):
            here = [cell for cell in mine if cell.above <= above and up_to <= cell.up_to]
            band = _band(place, above, up_to, here, wallet, digests)
            if bands and _alike(bands[-1], band):
                last = bands.pop()
                band = Band(place, last.above, band.up_to, band.answers, band.alone, band.waiting, band.asked)
            bands.append(band)
    return tuple(bands)


def _band(
    place: Place, above: int, up_to: int, here: list[Cell], wallet: WalletFacts, digests: Mapping[Role, bytes]
) -> Band:
    def quorums(needs: frozenset[Need]) -> tuple[Quorum, ...]:
        tried = subsets(wallet.roles, wallet.t)
        return smallest(group for group in tried if any(signs(cell, group, digests, needs) for cell in here))

    answers = {role: min((cell.answers[role] for cell in here), key=_mildest) for role in wallet.roles}
    top = None if up_to >= MAX_MONEY_SATS else up_to
    return Band(place, above, top, answers, quorums(_AUTOMATIC), quorums(_PATIENT), quorums(_NEEDS))


def _mildest(answer: Answer) -> tuple[int, int, int]:
    if answer.need is None:
        return (9, 9, 9)
    need = answer.need
    return (need.owner + need.people + need.grant, need.wait, need.people)


def _alike(a: Band, b: Band) -> bool:
    def said(band: Band) -> list[tuple[Need | None, object]]:
        return [(answer.need, answer.conditions) for answer in band.answers.values()]

    same = (a.place, a.alone, a.waiting, a.asked) == (b.place, b.alone, b.waiting, b.asked)
    return same and said(a) == said(b)


# Losing nodes.


def _kept(lost: tuple[Role, ...], bands: tuple[Band, ...], roles: tuple[Role, ...]) -> Kept:
    left = frozenset(roles) - set(lost)
    most: dict[str, int | None] = {}
    for band in bands:
        most.setdefault(band.place.name, 0)
        if any(group <= left for group in band.asked):
            most[band.place.name] = band.up_to
    return Kept(lost, tuple(most.items()))


def _rescue(bands: tuple[Band, ...], kept: tuple[Kept, ...]) -> Rescue:
    """Where the top band, the whole balance, can be signed to."""
    tops = {band.place.name: band for band in bands if band.up_to is None and not band.place.own}
    reachable = tuple(name for name, band in tops.items() if band.asked)
    always = tuple(name for name in reachable if all(dict(one.places)[name] is None for one in kept))
    if always:
        return Rescue(reachable, always, "")
    if reachable:
        bad = next(one for one in kept if all(dict(one.places)[name] is not None for name in reachable))
        return Rescue(
            reachable,
            (),
            f"without {' and '.join(bad.lost)} nobody can move the whole balance; "
            f"give another quorum a tier for {' or '.join(reachable)}",
        )
    most = max((band.up_to or 0 for band in bands if band.asked and not band.place.own), default=0)
    said = f"no quorum can sign above {sats(most)} to anyone" if most else "no quorum can pay anyone"
    return Rescue((), (), f"{said}, so the whole balance cannot be moved in one payment")
