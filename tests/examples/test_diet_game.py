"""The diet game's catalog: own types, own queues, nothing of Discord."""

from __future__ import annotations

import subprocess
import sys

import pytest

from examples.diet_game.messages import (
    QUEUES,
    AchievementUnlocked,
    MaintenanceScheduled,
    MealLogged,
    UserRegistered,
    catalog,
)
from router.errors import InvalidMessage, UnknownType
from router.messages import catalog as everything
from router.messages import redacted
from router.messages.seal import seal, unseal

NOW = 1_704_067_200_000


def test_every_event_goes_to_a_queue_of_the_game_and_every_queue_has_events() -> None:
    assert {cls.facts().queue for cls in catalog.values()} == set(QUEUES)
    assert {cls.facts().kind for cls in catalog.values()} == {"event"}


def test_it_speaks_of_no_discord_type_and_is_known_everywhere_without_further_work() -> None:
    assert not {name for name in catalog if name in ("BAN_USER", "PLAY_MUSIC")}
    assert set(catalog) <= set(everything)
    with pytest.raises(UnknownType):
        catalog.from_wire({"type": "BAN_USER"})


def test_the_seeds_examples_are_understood() -> None:
    registered = catalog.from_wire(
        {
            "type": "USER_REGISTERED",
            "data": {"userId": "user_123", "email": "user@example.com", "registrationDate": "2024-01-01T00:00:00Z"},
        }
    )
    assert registered == UserRegistered(user_id="user_123", email="user@example.com", registration_date=NOW)
    unlocked = AchievementUnlocked.from_wire(
        {
            "userId": "user_123",
            "data": {"achievementId": "first_meal", "achievementName": "First Meal Logged", "unlockedAt": NOW},
        }
    )
    assert (unlocked.user_id, unlocked.actor_id) == ("user_123", None)
    assert "user@example.com" not in str(redacted(registered))


def test_without_a_guild_the_user_is_the_unit_of_order() -> None:
    meal = MealLogged(user_id="user_123", meal="lunch", calories=600, protein=30, eaten_at=NOW)
    envelope = seal(meal, id="m", now=NOW, source="library", priority=1, correlation_id="user_123")
    assert (envelope.guild, envelope.subject, envelope.queue) == ("user:user_123", "nutrition", "user_notifications")
    assert unseal(envelope, catalog) == meal
    works = MaintenanceScheduled(service="api", begins_at=NOW, ends_at=NOW + 1)
    assert seal(works, id="m", now=NOW, source="library").guild == "global"


def test_bad_events_are_refused() -> None:
    for wrong in ({"calories": -1}, {"meal": "brunch"}, {"protein": float("nan")}, {"eatenAt": "yesterday"}):
        with pytest.raises(InvalidMessage):
            MealLogged.from_wire({"data": {"userId": "u", "meal": "lunch", "calories": 1, "eatenAt": NOW} | wrong})


def test_the_game_plays_a_first_day_over_a_router_of_its_own() -> None:
    day = subprocess.run(
        [sys.executable, "-m", "examples.diet_game"], capture_output=True, text=True, timeout=60, check=False
    )
    assert day.returncode == 0, day.stderr
    lines = day.stdout.splitlines()
    shown = {"user_123: Welcome to the diet game", "user_123: First meal logged", "user_123: Level 2"}
    assert shown <= set(lines)
    # The hiccup of the push service cost an attempt and no message.
    assert "gamification_events: 1 done, 0 waiting" in lines
    assert "achievement_updates: 1 done, 0 waiting" in lines
