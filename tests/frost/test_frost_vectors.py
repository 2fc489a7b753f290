"""BIP 445's own vectors, and the sessions made for this project."""

from collections.abc import Callable

import pytest
from conformance.bip445 import cases
from vector_files import OWN, official, parameters, skip_without_official


@pytest.mark.parametrize("run", parameters(cases, [OWN / "bip445.json"]))
def test_session_of_this_project(run: Callable[[], None]) -> None:
    run()


@skip_without_official("bip445")
def test_official_files_are_complete() -> None:
    assert len(official("bip445")) >= 7


@skip_without_official("bip445")
@pytest.mark.parametrize("run", parameters(cases, official("bip445")))
def test_official_case(run: Callable[[], None]) -> None:
    run()


def test_other_formats_are_left_alone() -> None:
    assert cases("x.json", "[]") is None
    assert cases("x.json", '{"valid_tests": []}') is None
    assert cases("x.json", '{"test_groups": [{"tg_id": 1}]}') is None
    assert cases("x.csv", "a,b") is None
