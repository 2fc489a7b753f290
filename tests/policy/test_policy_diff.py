"""The difference of two profiles: every kind of edit both ways, and that what is looser is never called tighter."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random
from typing import cast

import policy_edits
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from policy_house import decode

from cluster.settings import parse_settings, profile_of_text
from policy import Judgement, Outcome, Profile, Readers, judge, read_profile
from policy.conditions import CONDITIONS, said_of
from policy.diff import Diff, Direction, compare
from policy.implying import GROUNDED
from policy.profile import Clause
from policy.quorum import Seat
from policy.setting import SETTINGS, Stricter
from policy.windows import only_utc
from taproot import Network

SAME, TIGHTER, LOOSER, BOTH = Direction.SAME, Direction.TIGHTER, Direction.LOOSER, Direction.BOTH
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def _no(_text: str, _first: int, _last: int, _network: Network) -> tuple[bytes, ...]:
    raise ValueError("no descriptors here")


def read(text: str, base: Profile | None = None) -> Profile:
    return read_profile(parse_settings(text, "test.yaml"), Readers(decode, only_utc, _no), base)


RICH = """\
schema: 1
name: home
network: regtest
zone: UTC
evil_nodes: 1
lists:
  friends: [FRIEND]
coins:
  frozen: [own/0/5]
baseline: {max_inputs: 50}
limits:
  amount: {sent: 0.5btc, keep: 100_000sat}
  fee: {max: 50_000sat, min_rate: 2sat/vB}
  velocity:
    - {window: 24h, sum: 0.4btc, count: 40}
intents: {from: [app]}
deny:
  - name: night
    when: {hours: 22:00-06:00}
    unless: {sent_up_to: 10_000sat}
  - name: blocked
    when: {pays_any: STRANGER}
    then: freeze
    notify: true
tiers:
  - name: own
    when: {pays_only: own}
    then: approve
  - name: everyday
    when: {pays_only: [friends, own], sent_up_to: 1_000_000sat}
    then: approve
  - name: larger
    when: {pays_only: [friends, own], sent_up_to: 10_000_000sat}
    unless: {asked_by: phone}
    limits: {fee_up_to: 20_000sat}
    then: {ask: {owner: true, people: {treasurer: 1}, within: 2h}, wait: {delay: 1h, expires: 48h, cancel: [auditor]}}
    quorum: {nodes: 2, roles: [home], never_only: [phone, offline]}
    notify: true
  - name: odd
    when: {pays_only: anyone}
    then: refuse
change: {nodes: [home], people: {treasurer: 1}, cooldown: 48h, cancel: [auditor]}
"""

OWN = "  - name: own\n    when: {pays_only: own}\n    then: approve\n"
EVERYDAY = (
    "  - name: everyday\n    when: {pays_only: [friends, own], sent_up_to: 1_000_000sat}\n    then: approve\n"
)
ODD = "  - name: odd\n    when: {pays_only: anyone}\n    then: refuse\n"
NIGHT = "  - name: night\n    when: {hours: 22:00-06:00}\n    unless: {sent_up_to: 10_000sat}\n"
EDITS = {
    "a limit lowered": ("sent: 0.5btc", "sent: 0.4btc", TIGHTER),
    "a least raised": ("keep: 100_000sat", "keep: 200_000sat", TIGHTER),
    "a limit written": ("baseline: {max_inputs: 50}", "baseline: {max_inputs: 50, max_vsize: 900vB}", TIGHTER),
    "a fee limit lifted": ("max: 50_000sat", "max: unlimited", LOOSER),
    "a rate that was the default": ("min_rate: 2sat/vB", "min_rate: 1sat/vB", LOOSER),
    "a window's sum": ("sum: 0.4btc", "sum: 0.3btc", TIGHTER),
    "a longer window": ("window: 24h", "window: 48h", TIGHTER),
    "no count": (", count: 40", "", LOOSER),
    "a sum for another count": ("sum: 0.4btc, count: 40", "sum: 0.3btc, count: 50", BOTH),
    "one window as two": (
        "{window: 24h, sum: 0.4btc, count: 40}",
        "{window: 24h, sum: 0.4btc}\n    - {window: 24h, count: 40}",
        SAME,
    ),
    "no windows": ("velocity:\n    - {window: 24h, sum: 0.4btc, count: 40}", "velocity: unlimited", LOOSER),
    "more evil nodes": ("evil_nodes: 1", "evil_nodes: 2", TIGHTER),
    "no evil nodes": ("evil_nodes: 1", "evil_nodes: 0", LOOSER),
    "evil nodes by the rule": ("evil_nodes: 1\n", "", LOOSER),
    "a frozen coin more": ("[own/0/5]", "[own/0/5, own/0/6]", TIGHTER),
    "receive only": ("evil_nodes: 1", "evil_nodes: 1\nreceive_only: true", TIGHTER),
    "a leaf to spend by": ("evil_nodes: 1", "evil_nodes: 1\nleaves: [heirs]", LOOSER),
    "no leaf, in words": ("evil_nodes: 1", "evil_nodes: 1\nleaves: none", SAME),
    "intents of any device": ("intents: {from: [app]}", "intents: required", LOOSER),
    "no intents": ("intents: {from: [app]}\n", "", LOOSER),
    "another name": ("name: home", "name: house", SAME),
    "a list's name": ("friends", "pals", SAME),
    "a rule's name": ("name: everyday", "name: usual", SAME),
    "a list that nothing uses": ("  friends: [FRIEND]", "  friends: [FRIEND]\n  more: [STRANGER]", SAME),
    # Deny rules.
    "denied in more hours": ("hours: 22:00-06:00", "hours: 21:00-06:00", TIGHTER),
    "denied in other hours": ("hours: 22:00-06:00", "hours: 21:00-05:00", BOTH),
    "a wider excuse": ("unless: {sent_up_to: 10_000sat}", "unless: {sent_up_to: 20_000sat}", LOOSER),
    "no excuse": ("    unless: {sent_up_to: 10_000sat}\n", "", TIGHTER),
    "a narrower excuse": ("unless: {sent_up_to: 10_000sat}", "unless: {sent_up_to: 10_000sat, bump: true}", TIGHTER),
    "no deny rule": (NIGHT, "", LOOSER),
    "a deny rule that says more": ("when: {pays_any: STRANGER}", "when: {pays_any: STRANGER, bump: true}", LOOSER),
    "more places denied": ("when: {pays_any: STRANGER}", "when: {pays_any: [STRANGER, FRIEND]}", TIGHTER),
    "no longer freezes": ("    then: freeze\n    notify", "    notify", LOOSER),
    "a deny rule no longer tells": ("    then: freeze\n    notify: true\n", "    then: freeze\n", LOOSER),
    "a deny rule that denies less but freezes": (
        NIGHT, "  - name: night\n    when: {hours: 22:00-06:00, sent_above: 10_000sat}\n    then: freeze\n", BOTH,
    ),
    # Tiers.
    "a tier's bound lowered, and a stricter one catches the rest": ("1_000_000sat}", "500_000sat}", TIGHTER),
    "a refusing tier is not needed": (ODD, "", SAME),
    "a destination more": (
        "{pays_only: [friends, own], sent_up_to: 1_000_000sat}",
        "{pays_only: [friends, own, STRANGER], sent_up_to: 1_000_000sat}",
        LOOSER,
    ),
    "a tier that approves asks": (EVERYDAY, EVERYDAY.replace("approve", "ask"), TIGHTER),
    "a milder tier removed": (EVERYDAY, "", TIGHTER),
    "a tier with a limit": (EVERYDAY, EVERYDAY + "    limits: {inputs_up_to: 3}\n", TIGHTER),
    "a tier with a notice": (EVERYDAY, EVERYDAY + "    notify: true\n", TIGHTER),
    "a tier with an excuse": (EVERYDAY, EVERYDAY + "    unless: {bump: true}\n", TIGHTER),
    "tiers moved": (OWN + EVERYDAY, EVERYDAY + OWN, SAME),
    "a limit of a tier lifted": ("    limits: {fee_up_to: 20_000sat}\n", "", LOOSER),
    "a limit of a tier": ("fee_up_to: 20_000sat", "fee_up_to: 10_000sat", TIGHTER),
    "a wider excuse of a tier": ("unless: {asked_by: phone}", "unless: {asked_by: [phone, app]}", TIGHTER),
    "the owner not asked": ("owner: true, people", "owner: false, people", LOOSER),
    "with the number": ("owner: true, people", "owner: true, match: true, people", TIGHTER),
    "more people": ("{treasurer: 1}, within", "{treasurer: 2}, within", TIGHTER),
    "other people": ("{treasurer: 1}, within", "{security: 1}, within", BOTH),
    "a yes that lasts": ("within: 2h", "within: 3h", LOOSER),
    "a longer wait": ("delay: 1h", "delay: 2h", TIGHTER),
    "a wait that is sooner over": ("expires: 48h", "expires: 24h", TIGHTER),
    "nobody may cancel": ("delay: 1h, expires: 48h, cancel: [auditor]", "delay: 1h, expires: 48h", LOOSER),
    "no wait": (", wait: {delay: 1h, expires: 48h, cancel: [auditor]}", "", LOOSER),
    "more nodes": ("nodes: 2", "nodes: 3", TIGHTER),
    "no role": (", roles: [home]", "", LOOSER),
    "no set of roles, where one of them must sign": (", never_only: [phone, offline]", "", SAME),
    "a tier no longer tells": ("    notify: true\n  - name: odd", "  - name: odd", LOOSER),
    # How it may be changed.
    "fewer must agree": ("people: {treasurer: 1}, cooldown", "cooldown", LOOSER),
    "no other node must agree": ("change: {nodes: [home], ", "change: {", LOOSER),
    "a shorter cooldown": ("cooldown: 48h", "cooldown: 24h", LOOSER),
    "more may cancel": ("48h, cancel: [auditor]}}", "48h, cancel: [auditor, board]}}", TIGHTER),
    "fewer may cancel a change": ("cooldown: 48h, cancel: [auditor]", "cooldown: 48h", LOOSER),
}  # fmt: skip
REVERSE = {SAME: SAME, TIGHTER: LOOSER, LOOSER: TIGHTER, BOTH: BOTH}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_and_its_reverse(name: str) -> None:
    was, now, direction = EDITS[name]
    assert was in RICH
    old, new = read(RICH), read(RICH.replace(was, now))
    found = compare(old, new)
    assert found.direction is direction, found.changes
    assert compare(new, old).direction is REVERSE[direction]
    assert all(change.text.isprintable() for change in found.changes)


def test_every_change_is_told_with_its_place() -> None:
    new = (
        RICH.replace("1_000_000sat}", "2_000_000sat}")
        .replace("sent: 0.5btc", "sent: 0.4btc")
        .replace("friends: [FRIEND]", "friends: [FRIEND, STRANGER]")
        .replace(ODD, "")
        .replace("treasurer: 1}, within: 2h", "treasurer: 2}")
    )
    found = compare(read(RICH), read(new))
    assert found.direction is BOTH
    lines = new.splitlines()
    told = {
        (
            change.direction.value,
            change.path,
            lines[change.line - 1].strip() if change.line else "",
            change.text,
        )
        for change in found.changes
    }
    when = "when: {pays_only: [friends, own], sent_up_to: 2_000_000sat}"
    assert told == {
        ("tighter", "limits.amount.sent", "amount: {sent: 0.4btc, keep: 100_000sat}",
         "`limits.amount.sent`: 50_000_000sat -> 40_000_000sat"),
        ("same", "lists", "", "the lists hold 1 place more"),
        ("looser", "tiers.everyday.when.pays_only", when,
         "tier `everyday`: pays_only [friends, own], which now holds 1 place more"),
        ("looser", "tiers.everyday.when.sent_up_to", when,
         "tier `everyday`: sent_up_to 1_000_000sat -> 2_000_000sat"),
        ("looser", "tiers.larger.when.pays_only",
         "when: {pays_only: [friends, own], sent_up_to: 10_000_000sat}",
         "tier `larger`: pays_only [friends, own], which now holds 1 place more"),
        ("both", "tiers.larger.then", "- name: larger",
         "tier `larger`: then ask the owner, 1 of role treasurer within 2h and wait 1h, over after 48h, cancelled by "
         "auditor -> ask the owner, 2 of role treasurer and wait 1h, over after 48h, cancelled by auditor"),
        ("same", "tiers.odd", "", "tier `odd`: removed"),
    }  # fmt: skip


def test_another_network() -> None:
    old = read(RICH)
    assert compare(old, replace(old, network=Network.SIGNET)).direction is BOTH


def test_a_first_profile_is_looser() -> None:
    found = compare(None, read(RICH))
    assert found.direction is LOOSER
    assert [change.direction for change in found.changes] == [LOOSER]


def test_a_profile_and_itself() -> None:
    assert compare(read(RICH), read(RICH)) == Diff(SAME, ())
    assert compare(read(RICH), read("# a comment\n" + RICH.replace("0.5btc", "50_000_000sat"))) == Diff(
        SAME, ()
    )


PLAIN = """\
schema: 1
name: home
network: regtest
lists:
  friends: [FRIEND]
limits: {amount: {sent: unlimited}, velocity: unlimited}
tiers:
"""


def plain(tiers: str, deny: str = "", lists: str = "") -> Profile:
    return read(PLAIN.replace("  friends: [FRIEND]\n", f"  friends: [FRIEND]\n{lists}") + tiers + deny)


def one(name: str, when: str, then: str, more: str = "") -> str:
    return f"  - name: {name}\n    when: {{{when}}}\n    then: {then}\n{more}"


class TestFallingThrough:
    """A spend that a tier no longer fits goes on to the next one, which may be milder."""

    def test_a_narrower_tier_before_a_milder_one_is_looser(self) -> None:
        rest = one("rest", "pays_only: anyone", "approve")
        old = plain(one("large", "pays_only: anyone, sent_above: 100_000sat", "ask") + rest)
        new = plain(one("large", "pays_only: anyone, sent_above: 200_000sat", "ask") + rest)
        assert compare(old, new).direction is LOOSER

    def test_a_strict_tier_removed_before_a_milder_one_is_looser(self) -> None:
        rest = one("rest", "pays_only: anyone", "approve")
        old = plain(one("large", "sent_above: 100_000sat", "refuse") + rest)
        assert compare(old, plain(rest)).direction is LOOSER

    def test_a_removed_tier_whose_spends_fit_nothing_else_is_tighter(self) -> None:
        small, large = one("s", "sent_up_to: 5_000sat", "approve"), one("l", "sent_above: 5_000sat", "ask")
        assert compare(plain(small + large), plain(large)).direction is TIGHTER
        assert compare(plain(small + large), plain(small)).direction is TIGHTER
        assert compare(plain(small + large), plain(large + small)).direction is SAME

    def test_two_edits_that_are_safe_only_together(self) -> None:
        large, rest = one("l", "sent_above: 5_000sat", "ask"), one("r", "pays_only: anyone", "approve")
        less = one("r", "pays_only: anyone, sent_up_to: 5_000sat", "approve")
        found = compare(plain(large + rest), plain(less))
        assert found.direction is TIGHTER
        assert "taken together, the changes are tighter" in [change.text for change in found.changes]

    def test_a_refusing_tier_may_become_a_deny_rule(self) -> None:
        rest = one("rest", "pays_only: anyone", "approve")
        old = plain(one("never", "pays_any: STRANGER", "refuse") + rest)
        new = plain(rest, "deny:\n  - name: never\n    when: {pays_any: STRANGER}\n")
        assert compare(old, new).direction is TIGHTER

    def test_an_excuse_splits_spends_between_tiers(self) -> None:
        most = one("m", "pays_only: anyone", "ask", "    unless: {bump: true}\n")
        bumps = one("b", "bump: true", "approve")
        assert compare(plain(most + bumps), plain(bumps + most)).direction is SAME
        # Where it cannot be told whether it is a bump, neither tier fits; without the excuse one does.
        without = plain(bumps + most.replace("    unless: {bump: true}\n", ""))
        assert compare(plain(bumps + most), without).direction is LOOSER

    def test_a_tripwire_that_no_longer_tells_is_looser_though_its_spends_are_refused(self) -> None:
        trip = one("trip", "pays_any: STRANGER", "refuse", "    notify: true\n")
        friends = one("friends", "pays_only: friends", "approve")
        assert compare(plain(trip + friends), plain(friends)).direction is LOOSER
        freezes = trip.replace("refuse", "freeze")
        assert compare(plain(trip + friends), plain(freezes + friends)).direction is TIGHTER

    def test_what_tells_of_spends_that_pass_may_let_fewer_pass(self) -> None:
        old = plain(one("t", "pays_only: friends, sent_up_to: 9_000sat", "approve", "    notify: true\n"))
        new = plain(one("t", "pays_only: friends, sent_up_to: 8_000sat", "approve", "    notify: true\n"))
        silent = plain(one("t", "pays_only: friends, sent_up_to: 8_000sat", "approve"))
        assert compare(old, new).direction is TIGHTER
        assert compare(old, silent).direction is BOTH


class TestGrants:
    def test_only_under_a_grant_is_tighter_than_asking_the_owner(self) -> None:
        made = [plain(one("t", "pays_only: friends", then)) for then in ("approve", "ask", "grant")]
        assert compare(made[0], made[1]).direction is TIGHTER
        assert compare(made[1], made[2]).direction is TIGHTER
        assert compare(made[2], made[0]).direction is LOOSER

    def test_a_grant_answers_for_nobody_but_the_owner(self) -> None:
        asks = plain(one("t", "pays_only: friends", "{ask: {people: {treasurer: 1}}}"))
        both = plain(one("t", "pays_only: friends", "{grant: true, ask: {people: {treasurer: 1}}}"))
        grant = plain(one("t", "pays_only: friends", "grant"))
        assert compare(asks, grant).direction is BOTH
        assert compare(asks, both).direction is TIGHTER
        assert compare(grant, both).direction is TIGHTER

    def test_different_people_of_more_roles_may_be_easier_to_find(self) -> None:
        two = plain(one("t", "pays_only: friends", "{ask: {people: {treasurer: 1}, distinct: 2}}"))
        more = plain(
            one("t", "pays_only: friends", "{ask: {people: {treasurer: 1, security: 1}, distinct: 2}}")
        )
        assert compare(two, more).direction is BOTH

    def test_where_only_a_number_is_asked_for_everyones_no_counts(self) -> None:
        anyone = plain(one("t", "pays_only: friends", "{ask: {distinct: 1}}"))
        named = plain(one("t", "pays_only: friends", "{ask: {people: {treasurer: 1}, distinct: 1}}"))
        assert compare(anyone, named).direction is BOTH


class TestListAge:
    AGED = one("t", "pays_only: anyone, listed_for: 24h", "approve")

    def test_a_place_newly_listed_is_usable_a_day_later_which_is_looser(self) -> None:
        old, new = plain(self.AGED), plain(self.AGED, lists="  more: [STRANGER]\n")
        assert compare(old, new).direction is LOOSER
        assert compare(new, old).direction is TIGHTER

    def test_where_only_a_deny_rule_looks_at_it_a_place_unlisted_is_looser(self) -> None:
        deny = "deny:\n  - name: d\n    when: {listed_for: 24h}\n"
        rest = one("t", "pays_only: anyone", "approve")
        old, new = plain(rest, deny, "  more: [STRANGER]\n"), plain(rest, deny)
        assert compare(old, new).direction is LOOSER


class TestZone:
    def test_hours_of_another_zone_are_other_hours(self) -> None:
        old = read(RICH)
        assert old.zone is not None
        new = replace(old, zone=replace(old.zone, name="Asia/Tokyo"))
        assert compare(old, new).direction is BOTH

    def test_a_zone_that_nothing_is_read_by(self) -> None:
        old = plain(one("t", "pays_only: friends", "approve"))
        assert compare(old, replace(old, zone=only_utc("UTC"))).direction is SAME


OVERLAY = "schema: 1\nname: mine\nnetwork: regtest\nextends: home\n"


class TestOverlay:
    BASE = plain(
        one("t", "pays_only: friends", "approve"), "deny:\n  - name: never\n    when: {bump: true}\n"
    )

    def test_an_overlay_that_says_nothing(self) -> None:
        assert compare(self.BASE, read(OVERLAY, self.BASE)).direction is SAME

    @pytest.mark.parametrize(
        "more",
        [
            "limits: {amount: {sent: 1btc}}\n",
            "limits: {velocity: [{window: 24h, sum: 1btc}]}\n",
            "deny:\n  - name: more\n    when: {replaceable: true}\n",
            "tiers:\n" + one("t", "sent_up_to: 5_000sat", "ask"),
            "change: {cooldown: 96h}\n",
        ],
    )
    def test_an_overlay_only_tightens(self, more: str) -> None:
        overlay = read(OVERLAY + more, self.BASE)
        assert compare(self.BASE, overlay).direction is TIGHTER
        assert compare(overlay, self.BASE).direction is LOOSER
        assert compare(read(OVERLAY, self.BASE), overlay).direction is TIGHTER
        assert {change.direction for change in compare(self.BASE, overlay).changes} == {TIGHTER}

    def test_a_limit_below_what_the_base_has_changes_nothing(self) -> None:
        base = read(
            PLAIN.replace("sent: unlimited", "sent: 1btc") + one("t", "pays_only: friends", "approve")
        )
        assert compare(base, read(OVERLAY + "limits: {amount: {sent: 2btc}}\n", base)).direction is SAME

    def test_a_rule_may_move_between_base_and_overlay(self) -> None:
        less = plain(one("t", "pays_only: friends", "approve"))
        moved = read(OVERLAY + "deny:\n  - name: never\n    when: {bump: true}\n", less)
        assert compare(self.BASE, moved).direction is SAME

    def test_a_change_of_the_base_is_named(self) -> None:
        looser = plain(
            one("t", "pays_only: [friends, own]", "approve"),
            "deny:\n  - name: never\n    when: {bump: true}\n",
        )
        found = compare(read(OVERLAY, self.BASE), read(OVERLAY, looser))
        assert found.direction is LOOSER
        assert [change.path for change in found.changes] == ["home: tiers.t.when.pays_only"]

    @pytest.mark.parametrize(
        "more",
        [
            "limits: {velocity: [{window: 24h, sum: 1btc}]}\n",
            "tiers:\n" + one("t", "pays_only: anyone, velocity: {window: 24h, sum: 1btc}", "approve"),
            "tiers:\n" + one("t", "pays_only: anyone", "ask"),
            "tiers:\n" + one("t", "pays_only: anyone", "grant"),
        ],
    )
    def test_each_layer_counts_its_own_evil_nodes(self, more: str) -> None:
        base = replace(self.BASE, evil_nodes=3)
        old = read(OVERLAY + "evil_nodes: 2\n" + more, base)
        assert compare(old, replace(old, evil_nodes=1)).direction in {LOOSER, BOTH}

    def test_layers_that_count_alike_may_need_one_grant_where_they_needed_two(self) -> None:
        base = plain(one("t", "pays_only: friends", "grant"))
        old = read(OVERLAY + "evil_nodes: 0\ntiers:\n" + one("t", "pays_only: friends", "grant"), base)
        assert compare(old, replace(old, evil_nodes=base.evil_nodes)).direction is LOOSER


# Conditions.


def test_only_the_conditions_that_are_named_look_at_more_than_the_facts() -> None:
    assert set(policy_edits.VALUES) == set(CONDITIONS)
    nothing = cast("Profile", object())
    for seed in range(60):
        r = Random(seed)
        given_facts = policy_edits.facts(r)
        for key in set(CONDITIONS) - set(GROUNDED) | {"listed_for"}:
            said = said_of(Clause(key, policy_edits.VALUES[key](r), 1), nothing, given_facts)
            assert "AttributeError" not in said.text, key


# Soundness.

QUORUMS = [
    quorum
    for size in (1, 2, 3)
    for quorum in combinations(
        [Seat(role, digest) for role in policy_edits.ROLES for digest in (b"\x01" * 32, b"\x02" * 32)], size
    )
    if len({seat.role for seat in quorum}) == size
]


def alarms(made: Profile) -> set[str]:
    """What is told of spends that are refused: these notices are not about a spend that passes."""
    rules = [rule.name for rule in made.deny]
    rules += [tier.name for tier in made.tiers if tier.then.refuse or tier.then.freeze]
    return {f"rule `{name}` of {made.name} holds for a spend" for name in rules} | (
        alarms(made.base) if made.base is not None else set()
    )


def milder(new: Judgement, old: Judgement, known: set[str]) -> str:
    """In what a new judgement is milder than the old one; empty where it is in nothing. `known` are old alarms."""
    if new.outcome < old.outcome:
        return f"{old.outcome.name} became {new.outcome.name}"
    if old.freezes and not new.freezes:
        return "it no longer freezes"
    told = set(old.notices) & known if new.outcome is Outcome.REFUSE else old.notices
    if told and not new.notices:
        return "it no longer tells"
    if new.outcome is not Outcome.REFUSE and any(
        not list(new.conditions.faults(quorum)) and list(old.conditions.faults(quorum)) for quorum in QUORUMS
    ):
        return "a quorum is enough that was not"
    return ""


@given(st.integers(0, 2**40), st.integers(1, 4))
@example(241407538, 2)  # a base is taken away, and with it all that named leaves
def test_what_is_looser_is_never_called_tighter(seed: int, edits: int) -> None:
    r = Random(seed)
    old = new = policy_edits.profile(r)
    for _ in range(edits):
        new = policy_edits.edited(r, new)
    direction = compare(old, new).direction
    event(direction.value)
    assert compare(new, old).direction is REVERSE[direction]
    assert direction is SAME or old.digest != new.digest
    for _ in range(20):
        given_facts = policy_edits.facts(r)
        before, after = judge(old, given_facts), judge(new, given_facts)
        if direction in {SAME, TIGHTER}:
            assert not milder(after, before, alarms(old)), compare(old, new).changes
        if direction in {SAME, LOOSER}:
            assert not milder(before, after, alarms(new)), compare(old, new).changes


# It is of use: what a person would call tighter in the shipped files is.

STRICTER = {setting.key: setting.stricter for setting in SETTINGS}
SHIPPED = sorted(path for path in CONFIGS.rglob("*.yaml") if "\ntiers:" in path.read_text(encoding="utf-8"))


def shipped(path: Path) -> Profile:
    text = path.read_text(encoding="utf-8")
    extends = [line.split()[1] for line in text.splitlines() if line.startswith("extends:")]
    bases = [other for other in CONFIGS.rglob("*.yaml") if other.stem in extends]
    return profile_of_text(text, path.name, bases[0].read_text(encoding="utf-8") if bases else "")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_obvious_tightenings_of_shipped_profiles(path: Path) -> None:
    old = shipped(path)
    tighter = [replace(old, receive_only=replace(old.receive_only, value=True))]
    for key, written in old.written.items():
        if written.value is not None:
            harder = written.value + (1 if STRICTER[key] is Stricter.HIGHER else -1)
            tighter.append(replace(old, written={**old.written, key: replace(written, value=harder)}))
    for place, rule in enumerate(old.velocity or ()):
        assert old.velocity is not None
        less = replace(rule, sum_sats=(rule.sum_sats or 10**9) - 1)
        tighter.append(replace(old, velocity=(*old.velocity[:place], less, *old.velocity[place + 1 :])))
    more = replace(read(RICH).deny[1], name="more", clauses=(Clause("sent_above", 123, 1),))
    tighter.append(replace(old, deny=(*old.deny, more)))
    last = old.tiers[-1]
    if not last.then.refuse:
        limited = replace(last, limits=(*last.limits, Clause("inputs_up_to", 1, 1)))
        tighter += [replace(old, tiers=(*old.tiers[:-1], limited)), replace(old, tiers=old.tiers[:-1])]
    for new in tighter:
        found = compare(old, new)
        assert found.direction is TIGHTER, found
        assert compare(new, old).direction is LOOSER
