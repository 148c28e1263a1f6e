"""What all tests share: properties are tried on the same examples in every run, however slow the machine.

By hand there is ``--hypothesis-profile=long``: many more, and others in every run (``--hypothesis-seed=7``: the same).
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None, print_blob=False)
settings.register_profile(
    "long", max_examples=1_000, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
