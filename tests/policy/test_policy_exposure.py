"""Who can sign what: bands, quorums, what is left after a loss, and the rescue path."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_house import NOW_MS, PROFILE, profile

from cluster.cli.policy_tools import read_profiles
from policy import Profile
from policy.answers import Member, ask
from policy.bands import cells, signs, subsets
from policy.circumstances import MAX_CIRCUMSTANCES, circumstances_of
from policy.exposure import Band, Survey, survey
from policy.facts import WalletFacts
from policy.lint_set import lint_set
from policy.losses import times_within
from policy.packing import Way, pack, rotate
from policy.places import MAX_PLACES, places_of, script_type
from policy.windows import Lifetime, Rolling
from taproot import Network

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
THREE = ("home", "phone", "offline")
FIVE = ("treasury", "operations", "security", "audit", "cold")
SETS = [(THREE, "", 2), (FIVE, "enterprise", 3)]
LIMITED = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 1btc}]")


def loaded(names: tuple[str, ...], folder: str) -> dict[str, Profile]:
    return dict(
        zip(names, read_profiles([CONFIGS / folder / f"{name}.yaml" for name in names], None), strict=True)
    )


def look(text: str, *more: str, t: int = 2) -> Survey:
    texts = (text, *more) if more else (text,) * 3
    return survey(
        {f"n{number}": profile(one) for number, one in enumerate(texts)}, threshold=t, now_ms=NOW_MS
    )


def bands(found: Survey, place: str) -> list[Band]:
    return [band for band in found.bands if band.place.name == place]


def words_of(band: Band) -> list[str]:
    return [answer.need.words if answer.need else "never" for answer in band.answers.values()]


# Bands.


@pytest.mark.parametrize(("names", "folder", "t"), SETS)
def test_within_a_band_every_amount_gets_the_same_answers(
    names: tuple[str, ...], folder: str, t: int
) -> None:
    profiles = loaded(names, folder)
    members = [Member.of(role, made) for role, made in profiles.items()]
    wallet = WalletFacts(True, "wallet", Network.REGTEST, len(names), t, 20, (1, 1), names)
    nows, _ = circumstances_of(profiles.values(), NOW_MS)
    dice = Random(7)
    for cell in cells(members, wallet, places_of(profiles.values())[0], nows[:2]):
        inside = {cell.above + 1, dice.randint(cell.above + 1, cell.up_to)}
        for sats, member in ((sats, member) for sats in inside for member in members):
            said, expected = ask(member, cell.place, sats, cell.now, wallet), cell.answers[member.role]
            assert (said.need, said.conditions, said.tiers) == (
                expected.need,
                expected.conditions,
                expected.tiers,
            )


@pytest.mark.parametrize(("names", "folder", "t"), SETS)
def test_quorums_are_the_smallest_that_sign(names: tuple[str, ...], folder: str, t: int) -> None:
    found = survey(loaded(names, folder), threshold=t, now_ms=NOW_MS)
    for band in found.bands:
        for quorums in (band.alone, band.waiting, band.asked):
            assert all(t <= len(quorum) for quorum in quorums)
            assert not any(a < b for a in quorums for b in quorums)
        every = [group for group in subsets(names, t) if any(quorum <= group for quorum in band.asked)]
        assert all(any(quorum <= group for group in every) for quorum in band.alone)


def test_bands_of_three_nodes() -> None:
    small = LIMITED.replace("[friends, own]}", "[friends, own], sent_up_to: 1_000_000sat}")
    asking = LIMITED.replace("then: approve", "then: ask")
    found = look(small, small, asking)
    rows = [
        (
            band.up_to,
            [a.need.words if a.need else "never" for a in band.answers.values()],
            len(band.alone),
            len(band.asked),
        )
        for band in bands(found, "friends")
    ]
    assert rows == [
        (1_000_000, ["alone", "alone", "owner"], 1, 3),
        (50_000_000, ["never", "never", "owner"], 0, 0),  # this node's part
        (None, ["never", "never", "never"], 0, 0),
    ]
    assert [band.asked for band in bands(found, "a stranger")] == [()]


def test_conditions_on_the_quorum_count() -> None:
    text = LIMITED.replace("then: approve", "then: approve\n    quorum: {nodes: 3}")
    (band, _) = bands(look(text), "friends")
    assert band.alone == (frozenset({"n0", "n1", "n2"}),)
    text = LIMITED.replace("then: approve", "then: approve\n    quorum: {never_only: [n1, n2]}")
    (band, _) = bands(look(text), "friends")
    assert set(band.alone) == {frozenset({"n0", "n1"}), frozenset({"n0", "n2"})}


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("ask", "owner"),
        ("{ask: {people: {treasurer: 2}}}", "people"),
        ("{ask: {owner: true, distinct: 2}}", "owner+people"),
        ("grant", "grant"),
        ("{wait: {delay: 24h}}", "wait"),
        ("{ask: owner, wait: {delay: 24h, expires: 48h}}", "owner+wait"),
    ],
)
def test_what_a_yes_takes(then: str, words: str) -> None:
    (band, *_) = bands(look(LIMITED.replace("then: approve", f"then: {then}")), "friends")
    assert {answer.need.words for answer in band.answers.values() if answer.need} == {words}
    assert len(band.asked) == 3
    assert not band.alone


def test_circumstances_are_found() -> None:
    text = LIMITED.replace("{pays_only", "{hours: '02:00-03:00', days: mon, asked_by: till, pays_only")
    (band, *_) = bands(look("zone: Europe/Berlin\n" + text), "friends")
    assert len(band.alone) == 3
    nows, cut = circumstances_of([profile("zone: UTC\n" + text)], NOW_MS)
    assert {now.client for now in nows} == {"client", "till"}
    assert not cut


def test_too_much_to_look_at_is_said() -> None:
    many = ", ".join(f"till-{number}" for number in range(MAX_CIRCUMSTANCES + 1))
    found = look(LIMITED.replace("{pays_only", f"{{asked_by: [{many}], pays_only"))
    assert any("more circumstances" in note for note in found.notes)
    lists = "".join(f"  l{n}: ['script:5120{n:064x}']\n" for n in range(MAX_PLACES + 5))
    found = look(LIMITED.replace("lists:\n", "lists:\n" + lists))
    assert any("left out" in note for note in found.notes)


def test_places_are_told_apart_by_every_profile() -> None:
    one = LIMITED.replace("lists:\n", "lists:\n  foes: [STRANGER]\n")
    places, left_out = places_of([profile(one), profile(LIMITED)])
    assert [place.name for place in places] == ["a stranger", "foes", "friends", "the wallet itself"]
    assert left_out == 0
    assert script_type(bytes.fromhex("6a00")) == "nulldata"


# Losses of nodes, and the rescue.


def test_after_a_loss() -> None:
    found = look(LIMITED, LIMITED, LIMITED.replace("then: approve", "then: refuse"))
    kept = {one.lost: dict(one.places)["friends"] for one in found.kept}
    assert kept == {("n0",): 0, ("n1",): 0, ("n2",): 50_000_000}


def test_a_rescue_path_is_found_or_its_gap_named() -> None:
    assert look(PROFILE).rescue.always == ("friends",)
    assert "no quorum can sign above 50_000_000sat" in look(LIMITED).rescue.gap
    assert "no quorum can pay anyone" in look(PROFILE.replace("then: approve", "then: refuse")).rescue.gap
    partly = look(PROFILE, PROFILE, LIMITED)
    assert partly.rescue.places == ("friends",)
    assert "without n0 nobody can move the whole balance" in partly.rescue.gap


def test_what_is_odd_about_a_set() -> None:
    def said(*texts: str) -> str:
        made = {f"n{number}": profile(text) for number, text in enumerate(texts)}
        found = survey(made, threshold=2, now_ms=NOW_MS)
        return "\n".join(f"{r.severity.name} {r.text}" for r in lint_set(made, found))

    anyone = LIMITED.replace("[friends, own]", "[anyone, own]")
    refusing = LIMITED.replace("then: approve", "then: refuse")
    assert "ERROR no quorum can pay anybody" in said(refusing, refusing, refusing)
    assert "WARNING there is no rescue path" in said(LIMITED, LIMITED, LIMITED)
    assert "to an address that nobody listed" in said(anyone, anyone, anyone)
    assert "WARNING without n0 nobody can be paid anything" in said(LIMITED, LIMITED, refusing)
    assert "the largest limit for that in any profile is 100_000_000sat" in said(LIMITED, PROFILE, PROFILE)
    assert "limit for that" not in said(LIMITED, LIMITED, LIMITED)
    listing = LIMITED.replace("lists:\n", "lists:\n  foes: [STRANGER]\n").replace(
        "[friends", "[foes, friends"
    )
    assert "n0 would pay foes, and no quorum does" in said(listing, LIMITED, LIMITED)
    frozen = LIMITED.replace("lists:", f"coins: {{frozen: ['{'ab' * 32}:0']}}\nlists:")
    assert "only n0 demands that some coins stay frozen, and n1 and n2 can sign" in said(
        frozen, LIMITED, LIMITED
    )
    assert "stay frozen" not in said(frozen, frozen, LIMITED), "every two have one of them"
    to, other = "rescue: {to: STRANGER, fee: 1_000sat}\n", "rescue: {to: FRIEND, fee: 1_000sat}\n"
    assert "do not name the same places under `rescue`" in said(LIMITED + to, LIMITED + other, LIMITED)
    assert "WARNING there is no rescue path" in said(LIMITED + to, LIMITED, LIMITED)
    every = said(LIMITED + to, LIMITED + to, LIMITED + to)
    assert "rescue path" not in every
    assert "under `rescue`" not in every
    intends = LIMITED + "intents: required\n"
    assert "only n2 demands a signed intent, and n0 and n1 can sign" in said(LIMITED, LIMITED, intends)


@pytest.mark.parametrize(
    ("number", "t", "stolen", "says"),
    [
        (3, 4, None, "a threshold of 4"),
        (8, 2, None, "too many quorums"),
        (3, 2, [["n0", "n1"]], "can sign anything"),
        (3, 2, [["vault"]], "no node has the role vault"),
    ],
)
def test_what_is_no_wallet(number: int, t: int, stolen: list[list[str]] | None, says: str) -> None:
    made = {f"n{place}": profile(LIMITED) for place in range(number)}
    with pytest.raises(ValueError, match=says):
        survey(made, threshold=t, now_ms=NOW_MS, stolen=stolen)


# Packing.


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(1, 3))
def test_rotate_is_the_most_there_is(capacities: list[int], needed: int) -> None:
    @cache
    def search(left: tuple[int, ...]) -> int:
        takes = [g for g in combinations(range(len(left)), needed) if all(left[i] for i in g)]
        return max(
            (1 + search(tuple(sorted(c - (i in g) for i, c in enumerate(left)))) for g in takes), default=0
        )

    total, arcs = rotate(capacities, needed)
    assert total == search(tuple(sorted(capacities)))
    assert sum(sats for _, sats in arcs) == total
    for signer, capacity in enumerate(capacities):
        assert sum(sats for who, sats in arcs if signer in who) <= capacity
    assert all(len(who) == needed for who, _ in arcs)


@given(st.data())
def test_pack_is_never_below_a_search_and_exact_where_it_says_so(data: st.DataObject) -> None:
    names = ["a", "b", "c"]
    sums = {name: data.draw(st.integers(0, 9)) for name in names}
    counts = {name: data.draw(st.integers(0, 3)) for name in data.draw(st.sets(st.sampled_from(names)))}
    groups = data.draw(st.sets(st.frozensets(st.sampled_from(names), min_size=1), min_size=1, max_size=3))
    ways = []
    for group in sorted(groups, key=sorted):
        low = data.draw(st.integers(1, 3))
        ways.append(Way(group, low, data.draw(st.integers(low, 6))))

    def search(sums_left: tuple[int, ...], counts_left: tuple[int, ...]) -> int:
        best = 0
        for way in ways:
            spots = [names.index(name) for name in way.budgets]
            room = min(way.high, *(sums_left[spot] for spot in spots))
            if room < way.low or not all(counts_left[spot] for spot in spots):
                continue
            for sats in range(way.low, room + 1):
                after = tuple(s - sats * (i in spots) for i, s in enumerate(sums_left))
                best = max(
                    best, sats + seek(after, tuple(c - (i in spots) for i, c in enumerate(counts_left)))
                )
        return best

    known: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}

    def seek(sums_left: tuple[int, ...], counts_left: tuple[int, ...]) -> int:
        key = (sums_left, counts_left)
        if key not in known:
            known[key] = search(*key)
        return known[key]

    found = pack(ways, sums, counts)
    truth = seek(tuple(sums[n] for n in names), tuple(counts.get(n, 99) for n in names))
    assert found is not None
    assert found.sats >= truth
    if found.exact:
        assert found.sats == truth == sum(part.sats for part in found.plan)


def test_how_often_a_window_fills_up() -> None:
    hour = 3_600_000
    assert times_within(Rolling(hour), Rolling(24 * hour)) == 24
    assert times_within(Rolling(7 * hour), Rolling(24 * hour)) == 4
    assert times_within(Rolling(24 * hour), Rolling(hour)) == 1
    assert times_within(Rolling(hour), Lifetime()) is None
    assert times_within(Lifetime(), Rolling(hour)) == 1


def test_signs_needs_every_member() -> None:
    member = Member.of("n0", profile(LIMITED))
    wallet = WalletFacts(True, "wallet", Network.REGTEST, 1, 1, 20, (1, 1), ("n0",))
    nows, _ = circumstances_of([member.profile], NOW_MS)
    places, _ = places_of([member.profile])
    (first, *_) = cells([member], wallet, places, nows)
    assert not signs(first, frozenset({"n0"}), {"n0": member.digest}, frozenset(member.needs))
