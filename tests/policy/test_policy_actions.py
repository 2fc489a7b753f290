"""What a tier leads to: asking, waiting, grants, freezes, notices, and the demands on the quorum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_cases_actions import DIGEST, then
from policy_cases_base import deny
from policy_cases_grants import GRANT
from policy_house import (
    HOUR_MS,
    NO,
    NOW_MS,
    PROFILE,
    ROLES,
    YES,
    book,
    booked,
    facts,
    person,
    profile,
    wallet,
)

from policy import ClockReading, Conditions, Facts, Judgement, Outcome, OwnerSaid, Seat, judge
from policy.quorum import NO_DEMANDS

ANN, BOB, CID = person("ann", "treasurer"), person("bob", "treasurer", "security"), person("cid", "security")
DOUBT = ClockReading(NOW_MS, in_doubt=True)
DAY_MS = 24 * HOUR_MS


def said(action: str, given: Facts) -> Judgement:
    return judge(profile(then(action)), given)


def codes(action: str, given: Facts) -> tuple[str, ...]:
    return said(action, given).codes


# Each field of an action changes a verdict.

ASKED = facts(owner_said=YES, people=(ANN, BOB))
OLD_YES = facts(owner_said=OwnerSaid(True, NOW_MS - HOUR_MS - 1))
WAITED = facts(waiting_since_ms=NOW_MS - DAY_MS)
FLIPS = {
    "refuse": ("approve", "refuse", facts(), Outcome.REFUSE),
    "freeze": ("approve", "freeze", facts(), Outcome.REFUSE),
    "grant": ("approve", "grant", facts(), Outcome.REFUSE),
    "ask": ("approve", "ask", facts(), Outcome.ASK),
    "ask.owner": ("{ask: {distinct: 1}}", "{ask: {distinct: 1, owner: true}}", facts(people=(ANN,)), Outcome.ASK),
    "ask.people": (
        "{ask: {people: {treasurer: 1}}}", "{ask: {people: {treasurer: 2}}}", facts(people=(ANN,)), Outcome.ASK,
    ),
    "ask.distinct": ("{ask: {distinct: 1}}", "{ask: {distinct: 2}}", facts(people=(ANN,)), Outcome.ASK),
    "ask.within": ("{ask: {within: 2h}}", "{ask: {within: 1h}}", OLD_YES, Outcome.ASK),
    "ask.match": ("{ask: {match: false}}", "{ask: {match: true}}", facts(owner_said=YES), Outcome.ASK),
    "wait": ("approve", "{wait: {delay: 1h}}", facts(), Outcome.WAIT),
    "wait.delay": ("{wait: {delay: 24h}}", "{wait: {delay: 25h}}", WAITED, Outcome.WAIT),
    "wait.expires": (
        "{wait: {delay: 23h}}", "{wait: {delay: 23h, expires: 24h}}", WAITED, Outcome.REFUSE,
    ),
    "wait.cancel": (
        "{wait: {delay: 24h}}", "{wait: {delay: 24h, cancel: treasurer}}",
        replace(WAITED, people=(replace(ANN, yes=False),)), Outcome.REFUSE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", FLIPS)
def test_each_part_of_an_action_changes_a_verdict(key: str) -> None:
    mild, strict, given, outcome = FLIPS[key]
    assert said(mild, given).outcome is Outcome.APPROVE
    assert said(strict, given).outcome is outcome


# Asking.


def test_whose_yes_is_missing() -> None:
    action = "{ask: {owner: true, people: {treasurer: 1, security: 1}, distinct: 2, match: true}}"
    found = said(action, facts())
    assert found.outcome is Outcome.ASK
    assert (found.asks_owner, found.number) == (True, True)
    assert found.asks_people == (
        "tier `everyday` asks people: 0 of 1 of role security; 0 of 1 of role treasurer",
        "tier `everyday` asks 2 different people; 0 said yes",
    )
    found = said(action, facts(people=(ANN, BOB)))
    assert (found.asks_owner, found.asks_people) == (True, ())
    found = said(action, facts(owner_said=OwnerSaid(True, NOW_MS, matched=True), people=(BOB,)))
    assert (found.asks_owner, found.number, len(found.asks_people)) == (False, False, 1)
    assert found.question == ()


def test_one_person_with_two_roles_is_one_of_those_who_must_differ() -> None:
    both = "{ask: {people: {treasurer: 1, security: 1}}}"
    assert said(both, facts(people=(BOB,))).outcome is Outcome.APPROVE
    two = "{ask: {people: {treasurer: 1, security: 1}, distinct: 2}}"
    assert codes(two, facts(people=(BOB,))) == ("policy-ask-distinct",)
    assert codes(two, facts(people=(BOB, person("eve", "intern")))) == ("policy-ask-distinct",)
    assert said(two, facts(people=(BOB, CID))).outcome is Outcome.APPROVE


def test_whoever_asks_never_counts_and_nobody_does_where_that_is_not_known() -> None:
    two = "{ask: {people: {treasurer: 2}}}"
    assert said(two, facts(people=(ANN, BOB))).outcome is Outcome.APPROVE
    for given in (
        facts(people=(ANN, BOB), initiator_person="ann"),
        facts(people=(ANN, BOB), initiator="bob"),
        facts(people=(ANN, BOB), initiator=""),
        facts(people=(ANN, ANN)),
    ):
        assert codes(two, given) == ("policy-ask-people",)


def test_a_persons_no_stands_where_that_person_is_asked() -> None:
    no = replace(CID, yes=False)
    assert said("{ask: {people: {treasurer: 1}}}", facts(people=(ANN, no))).outcome is Outcome.APPROVE
    assert codes("{ask: {people: {security: 1}}}", facts(people=(BOB, no))) == ("policy-person-no",)
    assert codes("{ask: {distinct: 1}}", facts(people=(ANN, no))) == ("policy-person-no",), "all are asked"
    assert said("ask", facts(owner_said=YES, people=(no,))).outcome is Outcome.APPROVE
    assert codes("ask", facts(owner_said=NO)) == ("policy-owner-no",)


def test_how_old_a_yes_may_be() -> None:
    hour = "{ask: {owner: true, people: {treasurer: 1}, within: 1h}}"
    fresh = facts(
        owner_said=OwnerSaid(True, NOW_MS - HOUR_MS), people=(replace(ANN, at_ms=NOW_MS - HOUR_MS),)
    )
    assert said(hour, fresh).outcome is Outcome.APPROVE
    late = replace(fresh, clock=ClockReading(NOW_MS + 1, in_doubt=False))
    assert set(codes(hour, late)) == {"policy-ask", "policy-ask-people"}
    doubt = said(hour, replace(fresh, clock=DOUBT))
    assert set(doubt.codes) == {"policy-ask", "policy-ask-people"}, (
        "more time may have passed than the clock says"
    )
    assert "before the clock is confirmed" in doubt.reasons[0].text
    forever = "{ask: {owner: true, people: {treasurer: 1}}}"
    assert said(forever, replace(fresh, clock=DOUBT)).outcome is Outcome.APPROVE


# Waiting.


def test_when_a_wait_is_over() -> None:
    wait = "{wait: {delay: 24h, expires: 48h}}"
    first = said(wait, facts())
    assert (first.outcome, first.wait_until_ms) == (Outcome.WAIT, NOW_MS + DAY_MS)
    assert said(wait, facts(waiting_since_ms=NOW_MS - DAY_MS + 1)).wait_until_ms == NOW_MS + 1
    assert said(wait, WAITED).outcome is Outcome.APPROVE
    assert said(wait, facts(waiting_since_ms=NOW_MS - 2 * DAY_MS + 1)).outcome is Outcome.APPROVE
    assert codes(wait, facts(waiting_since_ms=NOW_MS - 2 * DAY_MS)) == ("policy-wait-expired",)
    assert codes(wait, facts(clock=None)) == ("policy-booking", "policy-wait")


def test_a_clock_in_doubt_ends_no_delay_early_and_nobody_knows_whether_it_is_too_late() -> None:
    doubt = replace(WAITED, clock=DOUBT)
    assert said("{wait: {delay: 24h}}", doubt).outcome is Outcome.APPROVE, "so much time has passed surely"
    found = said("{wait: {delay: 24h, expires: 48h}}", doubt)
    assert (found.outcome, found.wait_until_ms) == (Outcome.WAIT, None)
    assert said("{wait: {delay: 24h}}", facts(clock=DOUBT)).wait_until_ms == NOW_MS + DAY_MS


def test_all_rules_run_again_at_the_end_of_a_wait() -> None:
    made = profile(
        then("{wait: {delay: 24h}}").replace("unlimited\ntiers", "[{window: 24h, count: 2}]\ntiers")
    )
    assert judge(made, WAITED).outcome is Outcome.APPROVE
    assert judge(made, replace(WAITED, book=book(booked()))).codes == ("policy-velocity-count",)


def test_asking_and_waiting_stand_together() -> None:
    both = "{ask: owner, wait: {delay: 24h}}"
    found = said(both, facts())
    assert (found.outcome, found.asks_owner, found.codes) == (Outcome.WAIT, True, ("policy-wait",))
    assert said(both, facts(owner_said=YES)).outcome is Outcome.WAIT
    assert said(both, WAITED).outcome is Outcome.ASK
    assert said(both, replace(WAITED, owner_said=YES)).outcome is Outcome.APPROVE


# Grants, next to the other actions.

GRANTED = facts(wallet=wallet(roles=ROLES, me="home"), grants=(GRANT,))


def test_a_grant_answers_for_the_owner_and_for_nobody_else() -> None:
    """Or the owner could give, all alone, what the tier demands of two treasurers."""
    assert said("ask", GRANTED).outcome is Outcome.APPROVE
    both = "{ask: {owner: true, people: {treasurer: 1}}}"
    assert codes(both, GRANTED) == ("policy-ask-people",)
    assert not said(both, GRANTED).asks_owner
    found = said(both, replace(GRANTED, people=(ANN,)))
    assert found.outcome is Outcome.APPROVE
    assert found.booking is not None
    assert found.booking.grant == GRANT.id
    only_people = said("{ask: {people: {treasurer: 1}}}", replace(GRANTED, people=(ANN,)))
    assert only_people.booking is not None
    assert only_people.booking.grant == b"", "it was not needed, so it is not used up"


def test_a_tier_may_demand_a_grant_and_a_yes() -> None:
    both = "{grant: true, ask: owner}"
    assert codes(both, replace(GRANTED, owner_said=YES, grants=())) == ("policy-grant",)
    assert codes(both, GRANTED) == ("policy-ask",)
    assert said(both, replace(GRANTED, owner_said=YES)).outcome is Outcome.APPROVE
    assert said("{grant: true, wait: {delay: 1h}}", GRANTED).outcome is Outcome.WAIT


# Freezing, and telling the owner.


def test_what_freezes_a_wallet_refuses_too() -> None:
    assert said("freeze", facts()).freezes
    assert not said("refuse", facts()).freezes
    denied = judge(profile(deny("when: {sent_above: 1sat}\n    then: freeze")), facts())
    assert (denied.codes, denied.freezes) == (("policy-deny",), True)
    assert not judge(profile(deny("when: {sent_above: 1sat}\n    then: refuse")), facts()).freezes


def test_what_cannot_be_decided_freezes_nothing() -> None:
    unsure = profile(deny("when: {confirmations: 1}\n    then: freeze"))
    found = judge(unsure, facts())
    assert (found.codes, found.freezes) == (("policy-deny",), False)
    excuse = profile(deny("when: {sent_above: 1sat}\n    unless: {confirmations: 1}\n    then: freeze"))
    found = judge(excuse, facts())
    assert (found.codes, found.freezes) == (("policy-deny",), False)


def test_the_owner_is_told() -> None:
    assert judge(profile(f"{PROFILE}    notify: true\n"), facts()).notices == (
        "rule `everyday` of home holds for a spend",
    )
    assert judge(profile(f"{PROFILE}    notify: false\n"), facts()).notices == ()
    told = judge(profile(deny("when: {sent_above: 1sat}\n    notify: true")), facts())
    assert told.notices == ("rule `never` of home holds for a spend",)
    other = judge(profile(deny("when: {sent_above: 1btc}\n    notify: true")), facts())
    assert other.notices == ()


# The quorum.

HOME, PHONE, OFFLINE = (Seat(role, bytes([number]) * 32) for number, role in enumerate(ROLES))
NEVER = (frozenset({"phone", "offline"}),)
POLICIES = (("home", frozenset({bytes(32)})),)


@pytest.mark.parametrize(
    ("demands", "quorum", "tags"),
    [
        (NO_DEMANDS, (), ()),
        (Conditions(2), (HOME, PHONE), ()),
        (Conditions(3), (HOME, PHONE), ("policy-quorum-nodes",)),
        (Conditions(0, ("home",)), (PHONE, HOME), ()),
        (Conditions(0, ("home",)), (PHONE, OFFLINE), ("policy-quorum-roles",)),
        (Conditions(0, (), NEVER), (PHONE, OFFLINE), ("policy-quorum-never",)),
        (Conditions(0, (), NEVER), (PHONE,), ("policy-quorum-never",)),
        (Conditions(0, (), NEVER), (PHONE, HOME), ()),
        (Conditions(0, (), NEVER), (PHONE, Seat("", bytes(32))), ("policy-quorum-never",)),
        (Conditions(0, (), (), POLICIES), (HOME, PHONE), ()),
        (Conditions(0, (), (), POLICIES), (PHONE, OFFLINE), ()),
        (
            Conditions(0, (), (), POLICIES),
            (replace(HOME, policy_digest=b"\x09" * 32),),
            ("policy-quorum-policy",),
        ),
        (
            Conditions(3, ("home",), NEVER, (("phone", frozenset({bytes(32)})),)),
            (PHONE, OFFLINE),
            ("policy-quorum-nodes", "policy-quorum-roles", "policy-quorum-never", "policy-quorum-policy"),
        ),
    ],
)
def test_what_a_quorum_lacks(demands: Conditions, quorum: tuple[Seat, ...], tags: tuple[str, ...]) -> None:
    assert tuple(tag for tag, _ in demands.faults(quorum)) == tags


def test_demands_together_are_all_of_them() -> None:
    one = Conditions(2, ("home",), NEVER, (("phone", frozenset({b"\x01" * 32, b"\x02" * 32})),))
    other = Conditions(3, ("home", "phone"), NEVER, (("phone", frozenset({b"\x02" * 32})),))
    both = one.with_these(other)
    assert both == Conditions(3, ("home", "phone"), NEVER, (*one.policies, *other.policies))
    for digest in (1, 2):
        seats = (HOME, OFFLINE, Seat("phone", bytes([digest]) * 32))
        assert (not list(both.faults(seats))) == (
            not list(one.faults(seats)) and not list(other.faults(seats))
        )


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ("{nodes: 3}", Conditions(3)),
        ("{nodes: 1}", Conditions(2)),
        ("{roles: home}", Conditions(2, ("home",))),
        ("{never_only: [phone, offline]}", Conditions(2, (), NEVER)),
        ("{never_only: [[phone, offline]]}", Conditions(2, (), NEVER)),
        (
            f"{{policies: {{phone: {DIGEST}}}}}",
            Conditions(2, (), (), (("phone", frozenset({bytes.fromhex(DIGEST)})),)),
        ),
    ],
)
def test_each_demand_of_a_tier_is_told(demands: str, expected: Conditions) -> None:
    """Never fewer nodes than t, whatever a tier says."""
    given = facts(wallet=wallet(roles=ROLES, me="home"))
    assert judge(profile(f"{PROFILE}    quorum: {demands}\n"), given).conditions == expected
    assert judge(profile(), given).conditions == Conditions(2)


def test_only_the_tier_that_fits_demands() -> None:
    text = PROFILE.replace(
        "tiers:\n", "tiers:\n  - {name: big, when: {sent_above: 1btc}, then: approve, quorum: {nodes: 3}}\n"
    )
    assert judge(profile(text), facts()).conditions == Conditions(2)
