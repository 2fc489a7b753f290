"""How hard Hypothesis searches: `ASSENT_HYPOTHESIS` is default, ci (the same examples every time) or long."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EVERYWHERE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("default", EVERYWHERE, max_examples=50)
settings.register_profile("ci", EVERYWHERE, max_examples=50, derandomize=True)
settings.register_profile("long", EVERYWHERE, max_examples=2000)
settings.load_profile(os.environ.get("ASSENT_HYPOTHESIS", "default"))
