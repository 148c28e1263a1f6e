"""Q22: an embedded router killed at random moments, again and again, loses, doubles and reorders nothing."""

from __future__ import annotations

from tests.chaos.run import Scene, torture

KILLS = 60


def test_sixty_kills_lose_double_and_reorder_nothing(scene: Scene, seed: int) -> None:
    print(f"CHAOS_SEED={seed}")
    outcome = torture(scene, seed=seed, kills=KILLS)
    print(outcome)
    assert outcome.violations == []
    found = outcome.statistics
    # A run that was never hit in the middle of something proves nothing.
    assert found["kills"] == KILLS
    assert found["new"] > 5 * KILLS
    assert found["cut_runs"] > KILLS / 10
    assert found["unknown"] > KILLS / 10
    assert found["recovered"] > 0
    assert found["duplicates"] > KILLS / 5
    assert found["repeats"] > 0
