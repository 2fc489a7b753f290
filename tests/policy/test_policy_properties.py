"""What holds for every profile and all facts: the lattice, totality, and that stricter or unknown is never milder."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st
from policy_strategies import WILD_SPENDS, any_facts, profiles, sane_spends, stricter

from policy import ClockReading, Facts, Judgement, Outcome, Profile, judge, strictest
from policy.profile import Written
from policy.registry import RULES
from policy.setting import SETTINGS

OUTCOMES = st.sampled_from(list(Outcome))


@given(OUTCOMES, OUTCOMES, OUTCOMES)
def test_lattice(a: Outcome, b: Outcome, c: Outcome) -> None:
    assert strictest([a, b]) is strictest([b, a])
    assert strictest([a, strictest([b, c])]) is strictest([strictest([a, b]), c])
    assert strictest([a, a]) is a
    assert strictest([a, Outcome.REFUSE]) is Outcome.REFUSE
    assert strictest([a, Outcome.APPROVE]) is a
    assert strictest([]) is Outcome.REFUSE


@given(profiles(), any_facts(st.one_of(WILD_SPENDS, sane_spends())))
def test_total_deterministic_and_one_line_per_reason(made: Profile, given_facts: Facts) -> None:
    found = judge(made, given_facts)
    assert found == judge(made, given_facts)
    assert found.reasons
    assert found.codes
    assert found.outcome is strictest(reason.outcome for reason in found.reasons)
    assert (found.booking is not None) == (found.outcome is Outcome.APPROVE)
    assert bool(found.question) == found.asks_owner
    if found.outcome is Outcome.REFUSE:
        assert not (found.asks_owner or found.asks_people or found.number or found.wait_until_ms)
    if found.outcome is Outcome.ASK:
        assert found.asks_owner or found.asks_people
    for text in (
        *(reason.text for reason in found.reasons),
        *found.question,
        *found.asks_people,
        *found.notices,
    ):
        assert text.replace("…", "").isascii()
        assert text.isprintable()


def milder(after: Judgement, before: Judgement) -> bool:
    """Whether the second judgement lets pass what the first did not, or asks less of the quorum."""
    demands = after.conditions.with_these(before.conditions)
    weaker = (
        before.outcome is not Outcome.REFUSE
        and after.outcome is not Outcome.REFUSE
        and (
            demands.need_nodes > after.conditions.need_nodes
            or set(demands.roles) > set(after.conditions.roles)
            or set(demands.never_only) > set(after.conditions.never_only)
            or set(demands.policies) > set(after.conditions.policies)
        )
    )
    return after.outcome < before.outcome or weaker


@given(st.data())
def test_a_stricter_profile_never_approves_more(data: st.DataObject) -> None:
    loose = data.draw(profiles())
    strict = data.draw(stricter(loose))
    given_facts = data.draw(any_facts(sane_spends()))
    before, after = judge(loose, given_facts), judge(strict, given_facts)
    event(f"{before.outcome.name} then {after.outcome.name}")
    assert not milder(after, before)


@given(profiles(), any_facts(sane_spends()), st.data())
def test_less_knowledge_is_never_milder(made: Profile, known: Facts, data: st.DataObject) -> None:
    """What cannot be decided counts as whatever is stricter: of a deny rule, of a tier, of its limits."""
    doubt = None if known.clock is None else ClockReading(known.clock.now_ms, in_doubt=True)
    less = [
        replace(known, chain=None),
        replace(known, book=None),
        replace(known, clock=doubt),
        replace(known, initiator_person="", initiator_roles=()),
        replace(known, initiator=""),
    ]
    found = judge(made, data.draw(st.sampled_from(less)))
    event(f"{judge(made, known).outcome.name} then {found.outcome.name}")
    assert not milder(found, judge(made, known))


@given(profiles(), profiles(), any_facts(sane_spends()))
def test_an_overlay_never_approves_more_than_its_base_nor_than_itself(
    base: Profile, top: Profile, given_facts: Facts
) -> None:
    both = judge(replace(top, base=base), given_facts)
    assert not milder(both, judge(base, given_facts))
    if top.tiers:
        unlimited: dict[str, Written[int | None]] = {
            setting.key: Written(None) for setting in SETTINGS if not setting.tighten_only
        }
        alone = judge(replace(top, written={**unlimited, **top.written}), given_facts)
        assert not milder(both, alone)
        event(f"{alone.outcome.name} over {judge(base, given_facts).outcome.name}")


@given(profiles(), any_facts(sane_spends()), st.randoms(use_true_random=False))
def test_the_order_of_deny_rules_means_nothing(
    made: Profile, given_facts: Facts, shuffled: random.Random
) -> None:
    rules = [*made.deny, *(replace(rule, name=f"{rule.name}2", freeze=not rule.freeze) for rule in made.deny)]
    shuffled.shuffle(rules)
    one, other = replace(made, deny=tuple(rules)), replace(made, deny=tuple(reversed(rules)))
    first, second = judge(one, given_facts), judge(other, given_facts)
    assert one.digest == other.digest
    assert (first.outcome, set(first.codes), first.conditions, first.freezes, set(first.notices)) == (
        second.outcome,
        set(second.codes),
        second.conditions,
        second.freezes,
        set(second.notices),
    )


@given(profiles(), any_facts(st.one_of(sane_spends(), sane_spends(), WILD_SPENDS)))
def test_an_approval_skips_no_rule_whoever_says_yes(made: Profile, given_facts: Facts) -> None:
    findings = (
        [list(tag.check(made, given_facts)) for tag in RULES if tag.check is not None]
        if _whole(given_facts)
        else []
    )
    found = judge(made, given_facts)
    event(found.outcome.name)
    if found.outcome is not Outcome.REFUSE:
        assert not any(findings)
        assert found.booking is None or found.booking.leaving_sats == given_facts.leaving_sats


def _whole(given_facts: Facts) -> bool:
    """Whether the rules can run on the facts without raising; if one raises, that is a refusal (tested elsewhere)."""
    try:
        given_facts.booking(0)
    except ValueError:
        return False
    return 1 <= given_facts.wallet.t <= given_facts.wallet.n


@given(profiles(), any_facts(sane_spends()))
def test_a_yes_answers_only_the_question(made: Profile, given_facts: Facts) -> None:
    """With the owner's yes nothing else is milder, and with the owner's no nothing passes."""
    without = judge(made, replace(given_facts, owner_said=None))
    with_yes = judge(made, given_facts)
    if without.outcome is Outcome.REFUSE or not without.asks_owner:
        assert with_yes.outcome >= without.outcome
    if given_facts.owner_said is not None and not given_facts.owner_said.yes:
        assert with_yes.outcome is Outcome.REFUSE
