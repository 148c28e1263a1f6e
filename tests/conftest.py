"""What all tests share: properties are tried on the same examples in every run, however slow the machine.

By hand there is ``--hypothesis-profile=long``: many more, and others in every run (``--hypothesis-seed=7``: the same).
With ``-n 2``, as ``make test`` has it, files are shared out to two processes.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

REAL_TIME = (
    "tests/chaos/",
    "tests/cli/test_workers.py",
    "tests/sockets/test_processes.py",
    "tests/workers/test_processes.py",
    "tests/test_benchmarks.py",
)
"""Routers and workers whose leases lapse if they do not get to run for 600 ms: never two of these at once."""

settings.register_profile("steady", derandomize=True, deadline=None, print_blob=False)
settings.register_profile(
    "long", max_examples=1_000, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.hookimpl(trylast=True)  # the profile is chosen first
def pytest_configure() -> None:
    """Let steady examples be the same wherever a test runs: alone, among all others, and after any change elsewhere.

    Hypothesis likes to draw numbers and words that it finds in the source of the modules loaded so far, so a constant
    changed in one of them, or one more of them, would give every property of the suite other examples.
    """
    if settings.get_current_profile_name() == "steady":
        providers._get_local_constants = providers.Constants


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How ``-n`` shares tests out: a file is the unit, since tests of one share their servers."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "real time" if nodeid.startswith(REAL_TIME) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False  # by their number of tests; the longest, chaos, comes first by its name
    return Files(config, log)
