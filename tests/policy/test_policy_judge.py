"""The judgement as a whole: the lattice, fail-closed, what a yes answers, and that stricter never approves more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from policy_house import (
    FRIEND,
    NOW_MS,
    OURS,
    PROFILE,
    STRANGER,
    change,
    coin,
    facts,
    output,
    profile,
    spend,
    wallet,
)

from policy import Book, Booking, ClockReading, Facts, Outcome, Profile, describe, judge, strictest
from policy.profile import Clause, Deny, Destinations, Tier, Velocity, Written
from policy.setting import SETTINGS, Stricter
from policy.velocity import evil_nodes, node_part
from taproot import Network, OutPoint, Spend, SpendInput, SpendOutput, WalletPath

DAY = 24 * 3_600_000
OUTCOMES = st.sampled_from(list(Outcome))


# The lattice.


@given(OUTCOMES, OUTCOMES, OUTCOMES)
def test_lattice(a: Outcome, b: Outcome, c: Outcome) -> None:
    assert strictest([a, b]) is strictest([b, a])
    assert strictest([a, strictest([b, c])]) is strictest([strictest([a, b]), c])
    assert strictest([a, a]) is a
    assert strictest([a, Outcome.REFUSE]) is Outcome.REFUSE
    assert strictest([a, Outcome.APPROVE]) is a
    assert strictest([]) is Outcome.REFUSE


# Random facts and profiles.

AMOUNTS = st.one_of(st.integers(0, 3_000_000), st.integers(-5, 2**63))
SCRIPTS = st.sampled_from([FRIEND, STRANGER, OURS, b"", b"\x6a\x01x", b"\x51\x02\x4e\x73"])
PATHS = st.one_of(st.none(), st.builds(WalletPath, st.integers(-1, 3), st.integers(-1, 3000)))
TYPES = st.sampled_from(["p2tr", "p2wpkh", "nulldata", "nonstandard", "p2a", "\x1b[2J"])
OUTPUTS = st.builds(
    SpendOutput, st.integers(0, 5), AMOUNTS, SCRIPTS,
    st.sampled_from([None, "bcrt1", "\u202eevil"]), TYPES, PATHS, st.booleans()
)  # fmt: skip
INPUTS = st.builds(
    SpendInput,
    st.builds(OutPoint, st.binary(min_size=0, max_size=33), st.integers(0, 3)),
    AMOUNTS,
    SCRIPTS,
    st.integers(0, 2**32),
    st.integers(-1, 300),
    PATHS,
)
WILD_SPENDS = st.builds(
    Spend,
    network=st.sampled_from(Network),
    version=st.integers(-1, 5),
    locktime=st.integers(-1, 2**33),
    inputs=st.lists(INPUTS, max_size=4).map(tuple),
    outputs=st.lists(OUTPUTS, max_size=4).map(tuple),
    fee_sats=AMOUNTS,
    signed_vsize=st.integers(-1, 200_000),
    unsigned_tx=st.binary(max_size=3),
    txid=st.binary(max_size=3),
    psbt_version=st.integers(0, 2),
    has_annex=st.booleans(),
)


@st.composite
def sane_spends(draw: st.DrawFn) -> Spend:
    sent = draw(st.integers(50_000, 900_000))
    vsize = draw(st.integers(100, 400))
    fee = vsize * draw(st.integers(1, 30))
    script = draw(st.sampled_from([FRIEND, FRIEND, FRIEND, STRANGER]))
    return spend(
        outputs=(output(0, sent, script), change(1, 1_000_000 - sent - fee)), fee_sats=fee, signed_vsize=vsize
    )


BOOKS = st.lists(
    st.builds(
        Booking,
        st.binary(min_size=32, max_size=32),
        st.integers(NOW_MS - 3 * DAY, NOW_MS),
        st.integers(0, 400_000),
        st.sets(st.builds(OutPoint, st.just(b"\x44" * 32), st.integers(0, 3)), min_size=1).map(tuple),
    ),
    max_size=4,
)


def book_of(bookings: list[Booking]) -> Book:
    book = Book()
    for entry in sorted(bookings, key=lambda entry: entry.at_ms):
        book = book.with_booking(entry)
    return book


CLOCKS = [ClockReading(NOW_MS, False)] * 5 + [ClockReading(NOW_MS, True), None]


@st.composite
def any_facts(draw: st.DrawFn, spends: st.SearchStrategy[Spend]) -> Facts:
    n = draw(st.integers(1, 7))
    some = BOOKS.map(book_of)
    return facts(
        draw(spends),
        wallet=wallet(n=n, t=draw(st.integers(1, n))),
        clock=draw(st.sampled_from(CLOCKS)),
        book=draw(st.one_of(some, some, some, some, st.none(), st.just(Book().exhausted(NOW_MS)))),
        owner_said=draw(st.sampled_from([None, None, None, True, True, False])),
    )


DESTINATIONS = st.builds(
    Destinations,
    st.sampled_from([frozenset({FRIEND}), frozenset({FRIEND, STRANGER}), frozenset()]),
    st.booleans(),
    st.booleans(),
    st.just(("somewhere",)),
)
SUMS = st.integers(50_000, 1_500_000)
LINES = st.integers(1, 99)


def clauses(
    amounts: list[str], places: str | None, smallest: int = 1
) -> st.SearchStrategy[tuple[Clause, ...]]:
    kinds = [st.builds(Clause, st.sampled_from(amounts), SUMS, LINES)]
    if places is not None:
        kinds.append(st.builds(Clause, st.just(places), DESTINATIONS, LINES))
    return st.lists(st.one_of(kinds), min_size=smallest, max_size=3, unique_by=lambda c: c.key).map(tuple)


TIER_LIMITS = clauses(["sent", "total"], None, smallest=0)
DENIES = st.builds(Deny, st.just("d"), clauses(["sent_above", "total_above"], "pays_any"), LINES)
TIERS = st.builds(
    Tier,
    st.just("t"),
    clauses(["sent_up_to", "total_up_to"], "pays_only"),
    TIER_LIMITS,
    st.sampled_from([Outcome.APPROVE, Outcome.APPROVE, Outcome.ASK, Outcome.REFUSE]),
    LINES,
)
WINDOWS = st.builds(
    Velocity,
    st.sampled_from([3_600_000, DAY, 7 * DAY]),
    st.one_of(st.none(), st.integers(500_000, 20_000_000)),
    st.one_of(st.none(), st.integers(2, 20)),
    LINES,
)


RANGES = {
    "baseline.max_inputs": (1, 20),
    "baseline.max_outputs": (1, 20),
    "baseline.max_vsize": (150, 1_000),
    "baseline.max_version": (1, 3),
    "baseline.min_output": (1, 300_000),
    "limits.fee.max": (1_000, 20_000),
    "limits.fee.min": (1, 3_000),
    "limits.fee.max_rate": (5_000, 200_000),
    "limits.fee.min_rate": (1, 10_000),
    "limits.fee.max_share": (10, 2_000),
}


def setting_values(key: str) -> st.SearchStrategy[int]:
    return st.integers(*RANGES.get(key, (200_000, 1_500_000)))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    keys = draw(st.sets(st.sampled_from([setting.key for setting in SETTINGS]), max_size=3))
    return Profile(
        name="p",
        network=Network.REGTEST,
        evil_nodes=draw(st.sampled_from([None, 0, 1, 2])),
        written={key: Written(draw(setting_values(key)), 1) for key in sorted(keys)},
        velocity=draw(st.one_of(st.none(), st.lists(WINDOWS, max_size=2).map(tuple))),
        deny=(draw(DENIES),) if draw(st.integers(0, 4)) == 4 else (),
        tiers=tuple(draw(st.lists(TIERS, min_size=draw(st.integers(0, 2)), max_size=4))),
    )


@given(profiles(), any_facts(st.one_of(WILD_SPENDS, sane_spends())))
def test_total_deterministic_and_one_line_per_reason(made: Profile, given_facts: Facts) -> None:
    found = judge(made, given_facts)
    assert found == judge(made, given_facts)
    assert found.reasons
    assert found.codes
    assert (found.booking is not None) == (found.outcome is Outcome.APPROVE)
    assert bool(found.question) == (found.outcome is Outcome.ASK)
    for text in (*(reason.text for reason in found.reasons), *found.question):
        assert text.replace("…", "").isascii()
        assert text.isprintable()


# Stricter never approves more.


def tighter_setting(draw: st.DrawFn, made: Profile) -> Profile:
    setting = draw(st.sampled_from(SETTINGS))
    new, old = draw(setting_values(setting.key)), made.value(setting)
    if old is not None:
        new = min(new, old) if setting.stricter is Stricter.LOWER else max(new, old)
    return replace(made, written={**made.written, setting.key: Written(new, 2)})


def tighter_velocity(draw: st.DrawFn, made: Profile) -> Profile:
    windows = tuple(
        replace(w, sum_sats=None if w.sum_sats is None else draw(st.integers(1, w.sum_sats)))
        for w in made.velocity or ()
    )
    return replace(made, velocity=(*windows, draw(WINDOWS)))


def tighter_tier(draw: st.DrawFn, made: Profile) -> Profile:
    if not made.tiers:
        return made
    at = draw(st.integers(0, len(made.tiers) - 1))
    tier = made.tiers[at]
    then = Outcome(max(tier.then, draw(st.sampled_from([Outcome.ASK, Outcome.REFUSE]))))
    limits = (*tier.limits, *draw(TIER_LIMITS))
    return replace(
        made, tiers=(*made.tiers[:at], replace(tier, then=then, limits=limits), *made.tiers[at + 1 :])
    )


def narrower_last_tier(draw: st.DrawFn, made: Profile) -> Profile:
    """Only the last tier: a spend that an earlier one no longer fits could find a milder one further on."""
    if not made.tiers or draw(st.booleans()):
        return replace(made, tiers=made.tiers[:-1])
    last = made.tiers[-1]
    extra = draw(clauses(["sent_up_to", "total_up_to"], "pays_only"))
    return replace(made, tiers=(*made.tiers[:-1], replace(last, clauses=(*last.clauses, *extra))))


def more_denied(draw: st.DrawFn, made: Profile) -> Profile:
    return replace(made, deny=(*made.deny, draw(DENIES)))


def more_evil(draw: st.DrawFn, made: Profile) -> Profile:
    return replace(made, evil_nodes=max(1, made.evil_nodes or 0) + draw(st.integers(0, 2)))


@st.composite
def stricter(draw: st.DrawFn, way: Callable[[st.DrawFn, Profile], Profile], made: Profile) -> Profile:
    return way(draw, made)


@given(st.data())
def test_a_stricter_profile_never_approves_more(data: st.DataObject) -> None:
    loose = data.draw(profiles())
    strict = loose
    ways = [tighter_setting, tighter_velocity, tighter_tier, narrower_last_tier, more_denied, more_evil]
    for _ in range(data.draw(st.integers(1, 4))):
        strict = data.draw(stricter(data.draw(st.sampled_from(ways)), strict))
    given_facts = data.draw(any_facts(sane_spends()))
    before, after = judge(loose, given_facts), judge(strict, given_facts)
    event(f"{before.outcome.name} then {after.outcome.name}")
    assert after.outcome >= before.outcome


@given(profiles(), any_facts(sane_spends()))
def test_a_yes_answers_only_the_question(made: Profile, given_facts: Facts) -> None:
    without = judge(made, replace(given_facts, owner_said=None))
    with_yes = judge(made, replace(given_facts, owner_said=True))
    if without.outcome is Outcome.ASK:
        assert with_yes.outcome is Outcome.APPROVE
    else:
        assert with_yes.outcome is without.outcome
    assert judge(made, replace(given_facts, owner_said=False)).outcome is Outcome.REFUSE


# Named cases.

LIMITED = PROFILE.replace("velocity: unlimited", "velocity: [{window: 24h, sum: 2_000_000sat, count: 4}]")


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"fee_sats": 200_000, "outputs": (output(), change(1, 300_000))}, "policy-fee-max"),
        ({"has_annex": True}, "policy-annex"),
        ({"outputs": (output(0, 999_000),)}, None),
    ],
)
def test_a_yes_overrides_no_other_rule(changes: dict[str, object], tag: str | None) -> None:
    asks = profile(LIMITED.replace("then: approve", "then: ask"))
    found = judge(asks, facts(spend(**changes), owner_said=True))
    if tag is None:
        assert found.outcome is Outcome.APPROVE
    else:
        assert found.outcome is Outcome.REFUSE
        assert tag in found.codes


def test_a_yes_refills_no_budget() -> None:
    asks = profile(LIMITED.replace("then: approve", "then: ask"))
    book = Book().with_booking(Booking(b"\x01" * 32, NOW_MS - 1, 600_000, (OutPoint(b"\x44" * 32, 0),)))
    assert judge(asks, facts(book=book, owner_said=True)).codes == ("policy-velocity-sum",)


def test_every_reason_is_given() -> None:
    bad = spend(
        has_annex=True,
        version=9,
        inputs=(coin(sighash_type=3, sequence=1),),
        outputs=(output(script=STRANGER), change(1, 1)),
    )
    codes = judge(profile(), facts(bad)).codes
    assert {
        "policy-annex",
        "policy-version",
        "policy-sighash",
        "policy-sequence",
        "policy-sums",
        "policy-dust",
    } <= set(codes)
    assert "policy-destination" in codes


def test_the_order_of_deny_rules_means_nothing() -> None:
    text = PROFILE + "deny:\n"
    rules = [f"  - name: r{n}\n    when: {{sent_above: {n}00_000sat}}\n" for n in (1, 3, 9)]
    made = [profile(text + "".join(order)) for order in permutations(rules)]
    assert len({p.digest for p in made}) == 1
    assert {judge(p, facts()).codes for p in made} == {("policy-deny",)}


def test_the_first_tier_that_fits_decides() -> None:
    ask_first = PROFILE.replace(
        "tiers:\n", "tiers:\n  - name: first\n    when: {sent_up_to: 600_000sat}\n    then: ask\n"
    )
    assert judge(profile(ask_first), facts()).outcome is Outcome.ASK
    ask_last = PROFILE + "  - name: last\n    when: {sent_up_to: 600_000sat}\n    then: ask\n"
    assert judge(profile(ask_last), facts()).outcome is Outcome.APPROVE


def broken_clause(key: str) -> tuple[Clause, ...]:
    """A clause whose check raises: a value of the wrong kind, which no file can bring about."""
    return (Clause(key, Destinations(frozenset()), 7),)


def test_what_cannot_be_decided_fails_closed() -> None:
    denied = replace(profile(), deny=(Deny("broken", broken_clause("sent_above"), 7),))
    assert judge(denied, facts()).codes == ("policy-deny",)
    tiers = (Tier("broken", broken_clause("sent_up_to"), (), Outcome.APPROVE, 7),)
    assert judge(replace(profile(), tiers=tiers), facts()).codes == ("policy-tier-sent",)
    limited = tuple(replace(tier, limits=broken_clause("sent")) for tier in profile().tiers)
    assert judge(replace(profile(), tiers=limited), facts()).codes == ("policy-tier-limit-sent",)
    # A deny rule of which one part surely does not hold is decided, whatever the other part is.
    sure = (Clause("total_above", 10**9, 8), *broken_clause("sent_above"))
    assert judge(replace(profile(), deny=(Deny("d", sure, 7),)), facts()).outcome is Outcome.APPROVE
    odd_wallet = judge(profile(LIMITED), facts(wallet=wallet(n=1, t=2)))
    assert set(odd_wallet.codes) == {"policy-velocity-sum", "policy-velocity-count"}


def test_facts_without_a_source_refuse() -> None:
    assert set(judge(profile(LIMITED), facts(book=None)).codes) == {
        "policy-velocity-sum",
        "policy-velocity-count",
    }
    timed = spend(locktime=1_600_000_000)
    assert set(judge(profile(), facts(timed, clock=None)).codes) == {"policy-booking", "policy-locktime"}


def test_a_spend_that_pays_nobody_needs_own() -> None:
    to_self = spend(outputs=(change(0, 999_000),))
    assert judge(profile(), facts(to_self)).outcome is Outcome.APPROVE
    friends_only = profile(PROFILE.replace("[friends, own]", "friends"))
    assert judge(friends_only, facts(to_self)).codes == ("policy-destination",)
    assert judge(friends_only, facts()).outcome is Outcome.APPROVE


@pytest.mark.parametrize("bare", [b"\x21\x02" + b"\x79" * 32 + b"\xac", b"\x51", b"\x00\x14"])
def test_a_deny_of_anyone_is_not_slipped_by_a_script_without_an_address(bare: bytes) -> None:
    """What is undecidable for a tier does not fit; for a deny rule it holds."""
    text = PROFILE.replace("{pays_only: [friends, own]}", "{sent_up_to: 1btc}") + (
        "deny:\n  - name: caution\n    when: {pays_any: anyone, sent_above: 400_000sat}\n"
    )
    paid = spend(outputs=(output(0, 500_000, bare, address=None, script_type="nonstandard"), change()))
    assert judge(profile(text), facts(paid)).codes == ("policy-deny",)


def test_anyone_is_no_script_without_an_address() -> None:
    anyone = profile(PROFILE.replace("[friends, own]", "anyone"))
    assert judge(anyone, facts(spend(outputs=(output(script=STRANGER), change())))).outcome is Outcome.APPROVE
    data = output(1, 0, b"\x6a\x01x", address=None, script_type="nulldata")
    assert judge(anyone, facts(spend(outputs=(output(0, 999_000), data)))).codes == ("policy-destination",)


# The wallet's limit and the node's part.


@pytest.mark.parametrize(
    ("n", "t", "written", "f", "part"),
    [
        (3, 2, None, 1, 50), (5, 3, None, 1, 50), (2, 2, None, 0, 100), (10, 7, None, 1, 66), (1, 1, None, 0, 100),
        (3, 1, None, 0, 33), (3, 3, None, 1, 100),
        (5, 3, 2, 2, 33), (5, 3, 9, 2, 33), (5, 3, 0, 0, 60), (2, 2, 1, 1, 100),
    ],
)  # fmt: skip
def test_part_of_the_wallets_limit(n: int, t: int, written: int | None, f: int, part: int) -> None:
    made = replace(profile(), evil_nodes=written)
    assert evil_nodes(made, wallet(n=n, t=t)) == f
    assert node_part(100, made, wallet(n=n, t=t)) == part


def test_a_payment_above_the_part_says_that_waiting_is_no_use() -> None:
    made = profile(LIMITED.replace("2_000_000sat", "1_000_000sat"))
    reason = judge(made, facts()).reasons[0]
    assert reason.tag == "policy-velocity-sum"
    assert reason.line == 8
    assert "this spend alone takes 501_000sat" in reason.text
    assert "this node's part is 500_000sat of the wallet's 1_000_000sat per 24h" in reason.text
    assert "2-of-3, 1 assumed evil" in reason.text
    assert "waiting does not help" in reason.text


def test_a_full_window_says_when_there_is_room() -> None:
    book = Book().with_booking(
        Booking(b"\x01" * 32, NOW_MS - DAY // 2, 600_000, (OutPoint(b"\x44" * 32, 0),))
    )
    text = judge(profile(LIMITED), facts(book=book)).reasons[0].text
    assert "the last 24h would come to 1_101_000sat" in text
    assert text.endswith("room again in about 12 hours")
    doubt = (
        judge(profile(LIMITED), facts(book=book, clock=ClockReading(NOW_MS, in_doubt=True))).reasons[0].text
    )
    assert "nobody has confirmed it" in doubt


def test_a_replacement_is_not_paid_for_twice() -> None:
    mine = facts()
    book = Book().with_booking(Booking(b"\x01" * 32, NOW_MS - 1, 600_000, (mine.spend.inputs[0].outpoint,)))
    assert judge(profile(LIMITED), replace(mine, book=book)).outcome is Outcome.APPROVE
    again = (
        Book()
        .with_booking(mine.booking(NOW_MS - 5))
        .with_booking(Booking(b"\x01" * 32, NOW_MS - 1, 499_000, (OutPoint(b"\x44" * 32, 0),)))
    )
    assert judge(profile(LIMITED), replace(mine, book=again)).outcome is Outcome.APPROVE


def test_a_recovered_node_signs_nothing_that_has_a_budget() -> None:
    recovered = facts(book=Book().exhausted(NOW_MS))
    found = judge(profile(LIMITED), recovered)
    assert set(found.codes) == {"policy-velocity-sum", "policy-velocity-count"}
    assert "recovered" in found.reasons[0].text
    later = replace(recovered, clock=ClockReading(NOW_MS + DAY, in_doubt=False))
    assert judge(profile(LIMITED), later).outcome is Outcome.APPROVE


# Words.


def test_what_the_owner_is_asked() -> None:
    asks = judge(profile(PROFILE.replace("then: approve", "then: ask")), facts())
    assert asks.question == describe(facts().spend)
    assert asks.question == (
        "pay 500_000sat to bcrt1p11111111",
        "back to this wallet: 499_000sat",
        "fee: 1_000sat, 6.493sat/vB, 0.2% of what is sent",
        "leaves the wallet in all: 501_000sat (regtest)",
    )


def test_nothing_from_outside_can_repaint_a_reason() -> None:
    nasty = output(0, 500_000, STRANGER, address="bc1\x1b[2J\u202e\n1_000_000")
    text = judge(profile(), facts(spend(outputs=(nasty, change())))).reasons[0].text
    assert text.isascii()
    assert text.isprintable()
    assert "\\x1b[2J\\u202e\\n" in text


def test_conditions_are_t_nodes_by_default() -> None:
    found = judge(profile(), facts(wallet=wallet(n=5, t=3)))
    assert (found.conditions.need_nodes, found.conditions.roles) == (3, ())


def test_digest_is_of_the_meaning() -> None:
    same = [
        PROFILE,
        "# a comment\n" + PROFILE,
        PROFILE.replace("[friends, own]", "[own, friends]"),
        PROFILE.replace("friends", "mates"),
        PROFILE.replace("[friends, own]", "[FRIEND, own]"),
        PROFILE.replace("limits:", "limits:\n  fee: {max: 100_000sat}"),
        PROFILE.replace("limits:", "limits:\n  fee: {max: 0.001btc}"),
    ]
    assert len({profile(text).digest for text in same}) == 1
    other = [
        PROFILE.replace("name: home", "name: away"),
        PROFILE.replace("[friends, own]", "[friends]"),
        PROFILE.replace("then: approve", "then: ask"),
        PROFILE.replace("limits:", "evil_nodes: 1\nlimits:"),
        PROFILE.replace("limits:", "limits:\n  fee: {max: 100_001sat}"),
        PROFILE.replace("sent: unlimited", "sent: 1btc"),
        LIMITED,
    ]
    digests = {profile(text).digest for text in (PROFILE, *other)}
    assert len(digests) == len(other) + 1
    assert all(len(digest) == 32 for digest in digests)
