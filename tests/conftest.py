"""How hard Hypothesis searches: `ASSENT_HYPOTHESIS` is default, ci (the same examples every time) or long."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

EVERYWHERE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("default", EVERYWHERE, max_examples=50)
settings.register_profile("ci", EVERYWHERE, max_examples=50, derandomize=True)
settings.register_profile("long", EVERYWHERE, max_examples=2000)
settings.load_profile(os.environ.get("ASSENT_HYPOTHESIS", "default"))


@pytest.fixture(autouse=True)
def _until_it_ends(request: pytest.FixtureRequest) -> None:
    """A test marked `patient` is not ended by the clock that ends one that hangs (`faulthandler_timeout`)."""
    if request.node.get_closest_marker("patient"):
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def _commands_conceal_only_themselves() -> Iterator[None]:
    """A command that is run inside this process must not take core dumps from all tests after it, for good."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cluster.cli.call.conceal_process", lambda: None)
        yield
