"""Random profiles and facts for the properties of a judgement: every part of the language, and every kind of fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st
from policy_cases_conditions import ASKED, SIGNED, TOLD, tier
from policy_cases_grants import GRANT, INTENT
from policy_house import (
    FRIEND,
    HOUR_MS,
    NO,
    NOW_MS,
    OURS,
    ROLES,
    STRANGER,
    YES,
    booked,
    chain,
    change,
    coin,
    facts,
    output,
    person,
    profile,
    spend,
    wallet,
)

from policy import Book, Booking, ClockReading, Conditions, Facts, OwnerSaid, Profile
from policy.actions import Action, Ask, Wait
from policy.conditions import CONDITIONS
from policy.profile import Clause, Deny, IntentRule, Tier, Written
from policy.setting import SETTINGS, Stricter
from policy.values import CoinSet, Destinations, People
from policy.windows import Rolling, Velocity
from taproot import Network, OutPoint, Spend, SpendInput, SpendOutput, WalletPath

DAY_MS = 24 * HOUR_MS
LINES = st.integers(1, 99)

# Facts: wild ones, which no reading could give, and sane ones.

AMOUNTS = st.one_of(st.integers(0, 3_000_000), st.integers(-5, 2**63))
SCRIPTS = st.sampled_from([FRIEND, STRANGER, OURS, b"", b"\x6a\x01x", b"\x51\x02\x4e\x73"])
PATHS = st.one_of(st.none(), st.builds(WalletPath, st.integers(-1, 3), st.integers(-1, 3000)))
TYPES = st.sampled_from(["p2tr", "p2wpkh", "nulldata", "nonstandard", "p2a", "\x1b[2J"])
ADDRESSES = st.sampled_from([None, "bcrt1", "\u202eevil"])
OUTPUTS = st.builds(SpendOutput, st.integers(0, 5), AMOUNTS, SCRIPTS, ADDRESSES, TYPES, PATHS, st.booleans())
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
    sent = draw(st.sampled_from([500_000, 500_000, draw(st.integers(50_000, 900_000))]))
    vsize = draw(st.integers(100, 400))
    fee = vsize * draw(st.integers(1, 30))
    script = draw(st.sampled_from([FRIEND, FRIEND, FRIEND, STRANGER]))
    outputs: tuple[SpendOutput, ...] = (output(0, sent, script), change(1, 1_000_000 - sent - fee))
    if draw(st.integers(0, 9)) == 0:
        outputs = (change(0, 1_000_000 - fee),)
    return spend(outputs=outputs, fee_sats=fee, signed_vsize=vsize)


BOOKINGS = st.one_of(
    st.just(SIGNED),
    st.builds(
        Booking,
        st.binary(min_size=32, max_size=32),
        st.integers(NOW_MS - 3 * DAY_MS, NOW_MS),
        st.integers(0, 400_000),
        st.sets(st.builds(OutPoint, st.just(b"\x44" * 32), st.integers(0, 3)), min_size=1).map(tuple),
    ),
    st.sampled_from([booked(payments=((FRIEND, 9),)), booked(0x45, intent=INTENT.id, grant=GRANT.id)]),
)
BOOKS = st.lists(BOOKINGS, max_size=4).map(lambda all_: Book.of(sorted(all_, key=lambda one: one.at_ms)))
CLOCKS = st.sampled_from([ClockReading(NOW_MS, False)] * 5 + [ClockReading(NOW_MS, True), None])
_ROLES_OF = {"ann": ("treasurer",), "bob": ("treasurer", "security"), "cid": ("security",)}
PEOPLE = st.lists(
    st.builds(
        lambda name, yes, ago: person(name, *_ROLES_OF[name], yes=yes, at_ms=NOW_MS - ago * HOUR_MS),
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from([True, True, True, False]),
        st.integers(0, 3),
    ),
    max_size=3,
).map(tuple)
SAID = st.sampled_from(
    [None, None, None, YES, OwnerSaid(True, NOW_MS - 2 * HOUR_MS), OwnerSaid(True, NOW_MS, matched=True), NO]
)


@st.composite
def any_facts(draw: st.DrawFn, spends: st.SearchStrategy[Spend]) -> Facts:
    n = draw(st.integers(1, 7))
    odd = st.sampled_from([None, Book().exhausted(NOW_MS)])
    asker = draw(st.sampled_from([ASKED, ASKED, facts(), facts(initiator="")]))
    return facts(
        draw(spends),
        wallet=wallet(n=n, t=draw(st.integers(1, n)), roles=draw(st.sampled_from([(), ROLES])), me="home"),
        clock=draw(CLOCKS),
        book=draw(st.one_of(BOOKS, BOOKS, BOOKS, BOOKS, odd)),
        owner_said=draw(SAID),
        people=draw(PEOPLE),
        chain=draw(st.sampled_from([None, chain(), chain(1_000_000, confirmed=0)])),
        initiator=asker.initiator,
        initiator_person=asker.initiator_person,
        initiator_roles=asker.initiator_roles,
        waiting_since_ms=draw(st.sampled_from([None, NOW_MS - DAY_MS, NOW_MS - 3 * DAY_MS, NOW_MS + 5])),
        frozen=draw(st.sampled_from([""] * 9 + ["by hand"])),
        grants=draw(st.sampled_from([(), (GRANT,), (replace(GRANT, sum_sats=1),)])),
        intent=draw(st.sampled_from([None, INTENT])),
        listed_since_ms=draw(st.sampled_from([{}, {FRIEND: NOW_MS - DAY_MS}])),
    )


# Profiles.


def _read(key: str) -> Clause:
    return profile(tier(f"when: {{{key}: {TOLD[key].value}}}\n    then: approve")).tiers[0].clauses[0]


READ = {key: _read(key) for key in CONDITIONS}
"""Of each condition a clause, as a file would bring it about."""

PLACES = st.builds(
    Destinations,
    st.sampled_from([frozenset({FRIEND}), frozenset({FRIEND, STRANGER}), frozenset()]),
    st.booleans(),
    st.booleans(),
    st.just(("somewhere",)),
)
SUMS = st.integers(50_000, 1_500_000)


def clauses(kinds: list[str], *, least: int = 1) -> st.SearchStrategy[tuple[Clause, ...]]:
    one = st.one_of(
        st.sampled_from(kinds).map(lambda key: READ[key]),
        st.builds(
            Clause,
            st.sampled_from([key for key in ("sent_up_to", "total_up_to") if key in kinds]),
            SUMS,
            LINES,
        ),
        *([st.builds(Clause, st.just("pays_only"), PLACES, LINES)] * (2 if "pays_only" in kinds else 0)),
    )
    return st.lists(one, min_size=least, max_size=3, unique_by=lambda c: c.key).map(tuple)


WHEN = clauses(list(CONDITIONS))
UNLESS = st.one_of(st.just(()), st.just(()), WHEN)
LIMITS = clauses([key for key, one in CONDITIONS.items() if "limits" in one.places], least=0)
ASKS = st.builds(
    Ask,
    st.booleans(),
    st.sampled_from([People(()), People((("treasurer", 1),)), People((("security", 1), ("treasurer", 2)))]),
    st.integers(0, 2),
    st.sampled_from([None, HOUR_MS]),
    st.booleans(),
)
WAITS = st.builds(
    Wait,
    st.sampled_from([HOUR_MS, 2 * DAY_MS]),
    st.sampled_from([None, 4 * DAY_MS]),
    st.sampled_from([(), ("security",)]),
)
ACTIONS = st.one_of(
    st.just(Action()),
    st.just(Action()),
    st.sampled_from([Action(refuse=True), Action(freeze=True), Action(grant=True), Action(ask=Ask())]),
    st.builds(Action, grant=st.booleans(), ask=st.one_of(st.none(), ASKS), wait=st.one_of(st.none(), WAITS)),
)
QUORUMS = st.sampled_from([
    None,
    None,
    Conditions(2),
    Conditions(0, ("home",)),
    Conditions(0, (), (frozenset({"phone", "offline"}),)),
    Conditions(0, (), (), (("phone", frozenset({b"\x01" * 32})),)),
])  # fmt: skip
DENIES = st.builds(
    Deny, st.sampled_from("abc"), WHEN, LINES, unless=UNLESS, freeze=st.booleans(), notify=st.booleans()
)
TIERS = st.builds(Tier, st.just("t"), WHEN, LIMITS, ACTIONS, LINES, UNLESS, QUORUMS, st.booleans())
WINDOWS = st.builds(
    Velocity,
    st.sampled_from([Rolling(HOUR_MS), Rolling(DAY_MS), Rolling(7 * DAY_MS)]),
    st.one_of(st.none(), st.integers(500_000, 20_000_000)),
    st.one_of(st.none(), st.integers(2, 20)),
    st.one_of(st.none(), st.integers(20_000, 100_000)),
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
    "limits.amount.share": (100, 10_000),
    "limits.pace.min_blocks": (1, 10),
}


def setting_values(key: str) -> st.SearchStrategy[int]:
    return st.integers(*RANGES.get(key, (200_000, 1_500_000)))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    keys = draw(st.sets(st.sampled_from([setting.key for setting in SETTINGS]), max_size=2))
    rare = draw(st.integers(0, 19))
    return Profile(
        name="p",
        network=Network.REGTEST,
        evil_nodes=draw(st.sampled_from([None, 0, 1, 2])),
        written={key: Written(draw(setting_values(key)), 1) for key in sorted(keys)},
        velocity=draw(st.one_of(st.none(), st.lists(WINDOWS, max_size=2).map(tuple))),
        deny=(draw(DENIES),) if draw(st.integers(0, 4)) == 4 else (),
        tiers=tuple(draw(st.lists(TIERS, min_size=draw(st.integers(0, 2)), max_size=4))),
        zone=profile(tier("when: {round_trip: true}\n    then: ask")).zone,
        receive_only=Written(rare == 0),
        coins={"frozen": CoinSet(frozenset({coin(rare).outpoint}))} if rare < 4 else {},
        intents=IntentRule(frozenset({"app"} if rare % 2 else ()), 3) if rare in {1, 2, 4} else None,
    )


# Ways to make a profile stricter.


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


def tighter_action(draw: st.DrawFn, made: Profile) -> Profile:
    """One tier of any place demands more of what fits it."""
    if not made.tiers:
        return made
    at = draw(st.integers(0, len(made.tiers) - 1))
    old = made.tiers[at]
    then, wait = old.then, old.then.wait
    if wait is None:
        wait = draw(st.one_of(st.none(), WAITS))
    elif wait.expires_ms is None or draw(st.booleans()):
        wait = replace(wait, delay_ms=wait.delay_ms + HOUR_MS, cancel=(*wait.cancel, "treasurer"))
    ask = then.ask or draw(st.one_of(st.none(), ASKS))
    if ask is not None:
        ask = replace(ask, owner=True, match=ask.match or draw(st.booleans()), within_ms=HOUR_MS)
    then = replace(
        then,
        refuse=then.refuse or draw(st.booleans()),
        grant=then.grant or draw(st.booleans()),
        ask=ask,
        wait=wait,
    )
    more = replace(old, then=then, limits=(*old.limits, *draw(LIMITS)), quorum=draw(QUORUMS) or old.quorum)
    if old.quorum is not None and more.quorum is not None:
        more = replace(more, quorum=old.quorum.with_these(more.quorum))
    return replace(made, tiers=(*made.tiers[:at], more, *made.tiers[at + 1 :]))


def narrower_last_tier(draw: st.DrawFn, made: Profile) -> Profile:
    """Only the last tier: a spend that an earlier one no longer fits could find a milder one further on."""
    if not made.tiers or draw(st.booleans()):
        return replace(made, tiers=made.tiers[:-1])
    last = made.tiers[-1]
    unless = last.unless or draw(UNLESS)
    return replace(
        made, tiers=(*made.tiers[:-1], replace(last, clauses=(*last.clauses, *draw(WHEN)), unless=unless))
    )


def more_denied(draw: st.DrawFn, made: Profile) -> Profile:
    unexcused = tuple(replace(rule, unless=()) for rule in made.deny)
    return replace(made, deny=(*(unexcused if draw(st.booleans()) else made.deny), draw(DENIES)))


def more_evil(draw: st.DrawFn, made: Profile) -> Profile:
    return replace(made, evil_nodes=max(1, made.evil_nodes or 0) + draw(st.integers(0, 2)))


def more_forbidden(draw: st.DrawFn, made: Profile) -> Profile:
    if draw(st.booleans()):
        return replace(made, coins={"frozen": CoinSet(frozenset({coin().outpoint}))})
    rule = made.intents or IntentRule(frozenset(), 5)
    return replace(made, intents=replace(rule, devices=rule.devices or frozenset({"app"})))


def over_it(draw: st.DrawFn, made: Profile) -> Profile:
    """An overlay that says little."""
    top = replace(draw(profiles()), base=made)
    return replace(top, tiers=()) if draw(st.booleans()) else top


WAYS: tuple[Callable[[st.DrawFn, Profile], Profile], ...] = (
    tighter_setting,
    tighter_velocity,
    tighter_action,
    narrower_last_tier,
    more_denied,
    more_evil,
    more_forbidden,
    over_it,
)


@st.composite
def stricter(draw: st.DrawFn, made: Profile) -> Profile:
    """A profile that is stricter by one to four of these ways."""
    for _ in range(draw(st.integers(1, 4))):
        way = draw(st.sampled_from(WAYS))
        # An overlay hides its own defaults, so only what it adds to its base is compared from then on.
        made = way(draw, made) if made.base is None else over_it(draw, made)
    return made
