"""The worst loss against the real judge and real books: thieves who rotate quorums reach it, and never pass it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_house import PROFILE, profile

from cluster.cli.policy_tools import read_profiles
from policy import Book, Facts, Judgement, Outcome, Profile, judge
from policy.answers import Member, facts_for, waited
from policy.bands import satisfied, thresholds
from policy.circumstances import Circumstance, circumstances_of
from policy.exposure import survey
from policy.facts import WalletFacts
from policy.losses import Loss, Thefts
from policy.packing import rotate
from policy.places import Place, places_of
from policy.profile import Clause
from policy.setting import AMOUNT_SENT
from policy.velocity import node_part
from policy.windows import Rolling, Velocity
from taproot import Network, OutPoint

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NOW_MS = 1_900_000_000_000
HOUR_MS = 3_600_000
STRANGER = places_of([])[0][0]
SHIPPED = [
    (("home", "phone", "offline"), "", 2),
    (("treasury", "operations", "security", "audit", "cold"), "enterprise", 3),
]


@dataclass
class House:
    """Honest nodes with their books, a thief who has the others, and the judge that is shipped."""

    members: dict[str, Member]
    t: int
    stolen: frozenset[str]
    books: dict[str, Book] = field(default_factory=dict)
    now_ms: int = NOW_MS
    number: int = 0
    now: Circumstance = field(default_factory=lambda: Circumstance(NOW_MS))

    @classmethod
    def of(cls, profiles: Mapping[str, Profile], t: int, stolen: Sequence[str]) -> House:
        members = {role: Member.of(role, made) for role, made in profiles.items()}
        return cls(members, t, frozenset(stolen), {role: Book() for role in members if role not in stolen})

    @property
    def wallet(self) -> WalletFacts:
        roles = tuple(self.members)
        return WalletFacts(True, "wallet", Network.REGTEST, len(roles), self.t, 20, (1, 1), roles)

    def facts(self, role: str, place: Place, sats: int) -> Facts:
        now = replace(self.now, now_ms=self.now_ms)
        plain = facts_for(self.members[role], place, sats, now, self.wallet, self.books[role])
        coin = replace(plain.spend.inputs[0], outpoint=OutPoint(self.number.to_bytes(32, "big"), 0))
        intent = plain.intent and replace(
            plain.intent, outpoint=coin.outpoint, id=self.number.to_bytes(32, "big")
        )
        spend = replace(plain.spend, inputs=(coin,))
        number, client = self.number.to_bytes(32, "little"), f"client-{self.number}"
        return replace(plain, spend=spend, spend_id=number, intent=intent, initiator=client)

    def said(self, role: str, place: Place, sats: int) -> Judgement:
        """What a node says at once, or after a delay that nobody cancelled."""
        facts, made = self.facts(role, place, sats), self.members[role].profile
        found = [judge(made, facts), *(judge(made, later) for later in waited(made, facts))]
        return min(found, key=lambda judgement: judgement.outcome)

    def steal(self, signers: frozenset[str], place: Place, sats: int) -> bool:
        """One payment by these honest nodes and all stolen ones; each books it, if all of them sign."""
        self.number += 1
        if len(signers | self.stolen) < self.t:
            return False
        digests = {role: member.digest for role, member in self.members.items()}
        booked = {}
        for role in signers:
            said = self.said(role, place, sats)
            fits = satisfied(said.conditions, signers | self.stolen, digests, self.stolen)
            if said.outcome is not Outcome.APPROVE or not fits:
                return False
            assert said.booking is not None
            booked[role] = self.books[role].with_booking(said.booking)
        self.books |= booked
        return True


# DESIGN 7's bound.


def limited(g: int, f: int) -> Profile:
    text = PROFILE.replace("velocity: unlimited", f"velocity: [{{window: 24h, sum: {g}sat}}]").replace(
        "pays_only: [friends, own]", "pays_only: [anyone, own]"
    )
    return profile(f"{text}evil_nodes: {f}\n")


CLUSTERS = [(3, 2, 1), (5, 3, 1), (5, 3, 2), (7, 4, 1), (7, 5, 2)]


@pytest.mark.parametrize(("n", "t", "f"), CLUSTERS)
@pytest.mark.parametrize("g", [1_000_000, 1_000_007, 12_345_679])
def test_rotating_quorums_reach_the_bound_and_never_pass_it(n: int, t: int, f: int, g: int) -> None:
    made = limited(g, f)
    roles = [f"node-{number}" for number in range(n)]
    house = House.of(dict.fromkeys(roles, made), t, roles[:f])
    part = node_part(g, made, house.wallet)
    bound = part * (n - f) // (t - f)  # the integer part of what the nodes' parts come to
    total, arcs = rotate([part] * (n - f), t - f)
    assert total == bound <= g
    assert g - bound <= (n - f) // (t - f) + 1
    honest = roles[f:]
    for who, sats in arcs:
        assert house.steal(frozenset(honest[signer] for signer in who), STRANGER, sats)
    # Nothing is left: not even the smallest payment that is no dust, by any quorum.
    for group in combinations(honest, t - f):
        assert not house.steal(frozenset(group), STRANGER, STRANGER.least_sats)
    found = survey(dict.fromkeys(roles, made), threshold=t, now_ms=NOW_MS, stolen=[roles[:f]])
    assert [(loss.sats, loss.exact) for loss in found.losses] == [(bound, True)] * 2


@given(st.data())
def test_no_attack_passes_the_bound(data: st.DataObject) -> None:
    n, t, f = data.draw(st.sampled_from(CLUSTERS))
    g = data.draw(st.integers(2_000, 20_000))
    made = limited(g, f)
    roles = [f"node-{number}" for number in range(n)]
    house = House.of(dict.fromkeys(roles, made), t, roles[:f])
    gone = 0
    for _ in range(data.draw(st.integers(1, 25))):
        group = data.draw(st.sets(st.sampled_from(roles[f:]), min_size=1, max_size=n - f))
        sats = data.draw(st.integers(330, g))
        gone += sats if house.steal(frozenset(group), STRANGER, sats) else 0
    assert gone <= g


# The linter's worst case against a search of every attack.


def smaller(rule: Velocity, by: int) -> Velocity:
    total = None if rule.sum_sats is None else rule.sum_sats // by
    return replace(rule, sum_sats=total, count=None if rule.count is None else -(-rule.count // by))


def shrunk(made: Profile, by: int) -> Profile:
    """The same profile with limits over time that are so many times smaller, so that a search ends."""

    def clauses(found: tuple[Clause, ...]) -> tuple[Clause, ...]:
        return tuple(
            replace(c, value=smaller(c.value, by)) if isinstance(c.value, Velocity) else c for c in found
        )

    return replace(
        made,
        velocity=None if made.velocity is None else tuple(smaller(rule, by) for rule in made.velocity),
        tiers=tuple(replace(t, clauses=clauses(t.clauses), limits=clauses(t.limits)) for t in made.tiers),
        base=None if made.base is None else shrunk(made.base, by),
    )


class Search:
    """Every attack at one moment, by depth first; what nodes said in the same state is not asked twice."""

    def __init__(self, house: House, places: Sequence[Place], amounts: Sequence[int]) -> None:
        self.house, self.places, self.amounts = house, places, amounts
        self.best: dict[tuple[object, ...], int] = {}
        self.said: dict[tuple[object, ...], tuple[bool, Book, object]] = {}
        roles = sorted(house.books)
        self.groups = [frozenset(g) for size in range(1, len(roles) + 1) for g in combinations(roles, size)]
        self.digests = {role: member.digest for role, member in house.members.items()}
        rules = [rule for member in house.members.values() for rule in member.profile.velocity or ()]
        self.by_recipient = any(rule.per is not None for rule in rules)

    def state(self, role: str, book: Book) -> tuple[object, ...]:
        """All that a judge at one moment can tell books apart by: how many payments, and of how much.

        What each recipient got counts too, where some limit is per recipient.
        """
        usage = book.usage(0)
        paid = [entry.booking.payments for entry in book.entries] if self.by_recipient else []
        return (role, usage.count, usage.sum_sats, tuple(sorted(paid)))

    def word(self, role: str, book: Book, place: Place, sats: int) -> tuple[bool, Book, object]:
        key = (self.state(role, book), place, sats)
        if key not in self.said:
            self.house.books[role] = book
            self.house.number += 1
            said = self.house.said(role, place, sats)
            after = book if said.booking is None else book.with_booking(said.booking)
            self.said[key] = said.outcome is Outcome.APPROVE, after, said.conditions
        return self.said[key]

    def most(self, books: Mapping[str, Book]) -> int:
        key = tuple(self.state(role, book) for role, book in sorted(books.items()))
        if key not in self.best:
            self.best[key] = max((sats + self.most(after) for sats, after in self.moves(books)), default=0)
        return self.best[key]

    def moves(self, books: Mapping[str, Book]) -> Iterator[tuple[int, dict[str, Book]]]:
        for place in self.places:
            for sats in self.amounts:
                words = {role: self.word(role, book, place, sats) for role, book in books.items()}
                for group in self.groups:
                    quorum = group | self.house.stolen
                    if len(quorum) < self.house.t or not all(words[role][0] for role in group):
                        continue
                    if all(satisfied(words[r][2], quorum, self.digests, self.house.stolen) for r in group):  # type: ignore[arg-type]
                        yield sats, {**books, **{role: words[role][1] for role in group}}


def loaded(names: Sequence[str], folder: str) -> dict[str, Profile]:
    files = [CONFIGS / folder / f"{name}.yaml" for name in names]
    return dict(zip(names, read_profiles(files, None), strict=True))


@pytest.mark.parametrize(("names", "folder", "t", "by"), [(*SHIPPED[0], 10), (*SHIPPED[1], 20)])
def test_the_worst_case_is_what_a_search_finds(names: Sequence[str], folder: str, t: int, by: int) -> None:
    profiles = {role: shrunk(made, by) for role, made in loaded(names, folder).items()}
    house = House.of(profiles, t, ())
    places = places_of(profiles.values())[0]
    nows, _ = circumstances_of(profiles.values(), NOW_MS)
    thefts = Thefts(tuple(house.members.values()), house.wallet, places, nows)
    cuts = {
        cut for m in house.members.values() for cut in thresholds(m.profile, house.wallet) if cut >= 10_000
    }
    largest = max(cuts)
    for stolen in names:
        # One hour is so short that all happens at one moment.
        loss = thefts.worst(frozenset({stolen}), Rolling(HOUR_MS))
        step = math.gcd(
            *(part.sats // part.payments for part in loss.plan), *(p.sats for p in loss.plan), largest
        )
        amounts = sorted({step, *(cut for cut in cuts if cut % step == 0)})
        found = 0
        for now in nows:
            one = House.of(profiles, t, (stolen,))
            one.now, one.now_ms = now, now.now_ms
            willing = [place for place in places if not place.own]
            found = max(found, Search(one, willing, amounts).most(dict(one.books)))
        assert (found, True) == (loss.sats, loss.exact), loss


def replay(profiles: Mapping[str, Profile], t: int, loss: Loss, hours: int) -> int:
    """Carry out a plan: whatever is refused now is tried again an hour later, to the end of the window."""
    nows, _ = circumstances_of(profiles.values(), NOW_MS)
    return max(_replay(profiles, t, loss, hours, now) for now in nows)


def _replay(profiles: Mapping[str, Profile], t: int, loss: Loss, hours: int, now: Circumstance) -> int:
    house = House.of(profiles, t, loss.stolen)
    house.now, house.now_ms = now, now.now_ms
    by_name = {place.name: place for place in places_of(profiles.values())[0]}
    waiting = [
        (frozenset(part.signers), by_name[part.place], sats)
        for part in loss.plan
        for sats in _amounts(part.sats, part.payments)
    ]
    gone = 0
    for _ in range(hours):
        left = []
        for payment in waiting:
            if house.steal(*payment):
                gone += payment[2]
            else:
                left.append(payment)
        waiting = left
        house.now_ms += HOUR_MS
    return gone


def _amounts(sats: int, payments: int) -> list[int]:
    each, rest = divmod(sats, payments)
    return [each + (number < rest) for number in range(payments)]


@pytest.mark.parametrize(("names", "folder", "t"), SHIPPED)
def test_a_thief_reaches_the_worst_case_of_a_day(names: Sequence[str], folder: str, t: int) -> None:
    profiles = loaded(names, folder)
    found = survey(profiles, threshold=t, now_ms=NOW_MS)
    for loss in found.losses:
        if str(loss.window) == "24h":
            assert replay(profiles, t, loss, 24) == loss.sats, loss


# What bounds it besides sums.


def test_counts_and_single_payments_bound_it() -> None:
    text = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 1btc, count: 6}]")
    text = text.replace("{pays_only: [friends, own]}", "{pays_only: anyone, sent_up_to: 1_000_000sat}")
    made = dict.fromkeys(("a", "b", "c"), profile(text))
    found = survey(made, threshold=2, now_ms=NOW_MS)
    worst = found.worst()
    assert worst is not None
    assert (worst.sats, worst.exact) == (2 * 3 * 1_000_000, True)  # two honest nodes, half of six each
    assert replay(made, 2, worst, 1) == worst.sats


def test_nothing_bounds_it_without_limits() -> None:
    made = dict.fromkeys(("a", "b", "c"), profile(PROFILE.replace("[friends, own]", "anyone")))
    worst = survey(made, threshold=2, now_ms=NOW_MS).worst(place="a stranger")
    assert worst is not None
    assert worst.sats is None


def test_a_demanded_role_bounds_it() -> None:
    text = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 1btc}]").replace(
        "[friends, own]", "anyone"
    )
    made = dict.fromkeys(("a", "b", "c"), profile(f"{text}    quorum: {{roles: [a]}}\n"))
    found = survey(made, threshold=2, now_ms=NOW_MS)
    by_stolen = {loss.stolen: loss.sats for loss in found.losses if not loss.place}
    # Node a must sign: where it is honest, its part is all there is; where it is stolen, both others have theirs.
    assert by_stolen == {("a",): 100_000_000, ("b",): 50_000_000, ("c",): 50_000_000}


def test_a_limit_of_a_tier_bounds_it() -> None:
    text = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 1btc}]").replace(
        "[friends, own]", "anyone"
    )
    made = dict.fromkeys(
        ("a", "b", "c"), profile(f"{text}    limits: {{velocity: {{window: 24h, sum: 0.2btc}}}}\n")
    )
    worst = survey(made, threshold=2, now_ms=NOW_MS).worst()
    assert worst is not None
    assert worst.sats == 20_000_000
    assert replay(made, 2, worst, 1) == worst.sats


def test_a_tier_that_stops_fitting_lets_a_later_one_decide() -> None:
    text = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 1btc}]").replace(
        "{pays_only: [friends, own]}", "{pays_only: anyone, velocity: {window: 24h, sum: 0.2btc}}"
    )
    text += "  - {name: later, when: {pays_only: anyone, sent_up_to: 1_000_000sat}, then: approve}\n"
    worst = survey(dict.fromkeys(("a", "b", "c"), profile(text)), threshold=2, now_ms=NOW_MS).worst()
    assert worst is not None
    assert worst.sats == 100_000_000  # not 20_000_000: what the first tier leaves, the later one takes


def test_a_wait_that_nobody_cancels_is_no_yes() -> None:
    text = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 1btc}]").replace(
        "then: approve", "then: {wait: {delay: 48h}}"
    )
    worst = survey(dict.fromkeys(("a", "b", "c"), profile(text)), threshold=2, now_ms=NOW_MS).worst()
    assert worst is not None
    assert (worst.sats, worst.waits) == (100_000_000, True)


def test_many_outputs_do_not_get_around_it() -> None:
    text = PROFILE.replace(
        "amount: {sent: unlimited}\n  velocity: unlimited",
        "amount: {sent: unlimited, output: 100_000sat}\n  velocity: [{window: 24h, count: 2}]",
    )
    made = profile(text.replace("[friends, own]", "anyone") + "baseline: {max_outputs: 5}\n")
    assert made.value(AMOUNT_SENT) is None
    worst = survey(dict.fromkeys(("a", "b", "c"), made), threshold=2, now_ms=NOW_MS).worst()
    assert worst is not None
    assert worst.sats == 2 * 1 * 5 * 100_000  # two nodes, one payment each, five outputs
