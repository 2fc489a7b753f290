"""Each registered tag lets a spend pass and refuses one citing exactly it; a tag without both fails here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from policy_cases_base import Case
from policy_house import SPEND_ID, profile

from policy import TAGS, Outcome, judge
from policy.setting import SETTINGS

MODULES = sorted(path.stem for path in Path(__file__).parents[1].glob("policy_cases_*.py"))
CASES: dict[str, Case] = {}
for module in MODULES:
    CASES |= import_module(module).CASES


def test_every_tag_has_both_tests() -> None:
    assert [tag.name for tag in TAGS] == list(dict.fromkeys(tag.name for tag in TAGS))
    assert set(CASES) == {tag.name for tag in TAGS}
    assert len(TAGS) >= 60
    assert len(CASES) == sum(len(import_module(module).CASES) for module in MODULES), (
        "a tag's case stands twice"
    )


@pytest.mark.parametrize("tag", [tag.name for tag in TAGS])
def test_tag_lets_pass(tag: str) -> None:
    found = judge(profile(CASES[tag].text), CASES[tag].good)
    assert found.outcome is Outcome.APPROVE, found.reasons
    assert found.booking is not None
    assert found.booking.leaving_sats == CASES[tag].good.leaving_sats
    assert found.booking.spend_id == SPEND_ID


@pytest.mark.parametrize("tag", [tag.name for tag in TAGS])
def test_tag_refuses_citing_exactly_it(tag: str) -> None:
    case = CASES[tag]
    found = judge(profile(case.bad_text or case.text), case.bad)
    assert found.outcome is case.outcome
    assert found.codes == (tag,), found.reasons
    assert found.booking is None
    for reason in found.reasons:
        assert reason.text.isprintable()
        assert len(reason.text) < 400


def test_every_setting_steers_a_tag() -> None:
    steered = {setting.key for tag in TAGS for setting in tag.settings}
    assert steered == {setting.key for setting in SETTINGS}
