"""How long the properties search: long enough in `make test`, for minutes in the soak."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "test",
    max_examples=300,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile("soak", settings.get_profile("test"), max_examples=20_000)
settings.register_profile("mutants", settings.get_profile("test"), database=None, max_examples=200)
settings.load_profile(
    os.environ.get("HOLDFAST_HYPOTHESIS")
    or ("soak" if os.environ.get("HOLDFAST_SOAK") == "1" else "test")
)
