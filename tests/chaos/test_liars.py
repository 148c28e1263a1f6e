"""A checker that never finds anything proves nothing: three broken routers are caught, each by the rule it broke."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.nursery import Nursery, said
from tests.chaos.run import Scene, torture


@pytest.mark.parametrize(
    ("lie", "rules"),
    [
        pytest.param("early", {"K1"}, id="accepted-before-the-disk-has-it"),
        pytest.param("forgetful", {"K8"}, id="duplicates-known-by-a-set-in-memory"),
        pytest.param("shuffled", {"K4"}, id="recovery-that-forgets-the-order"),
    ],
)
def test_a_broken_router_is_caught(tmp_path: Path, nursery: Nursery, seed: int, lie: str, rules: set[str]) -> None:
    print(f"CHAOS_SEED={seed}")
    with said(nursery):
        outcome = torture(Scene(tmp_path, nursery, lie), seed=seed, kills=12)
    print(outcome)
    assert rules <= {violation.rule for violation in outcome.violations}
