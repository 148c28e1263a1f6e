"""The diet game's events, each routed to its queue by its type.

There is no guild here: a user's events belong to the user, the system's to all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen

from router.messages import Catalog, Event, Id
from router.messages.fields import Count, Int, Json, JsonObject, LongText, Millis, Positive, Text, Word, acting_user
from router.messages.priority import Priority

Email = Annotated[Text, MaxLen(254)]
Grams = Annotated[float, Ge(0)]


class UserEvent(Event, queue="user_notifications", subject="account", actor="user_id"):
    """Something a user did with the account."""

    user_id: Id = acting_user()


class UserRegistered(UserEvent, type="USER_REGISTERED", priority=Priority.HIGH, sensitive=("email",)):
    email: Email
    registration_date: Millis


class UserLoggedIn(UserEvent, type="USER_LOGIN"):
    device: Word | None = None


class UserLoggedOut(UserEvent, type="USER_LOGOUT"):
    session_ms: Count | None = None


class ProfileUpdated(UserEvent, type="PROFILE_UPDATED", sensitive=("changes",)):
    changes: JsonObject


class GameEvent(Event, queue="gamification_events", subject="game", actor="user_id"):
    """Something a player reached."""

    user_id: Id = acting_user()


class LevelUp(GameEvent, type="LEVEL_UP"):
    old_level: Count
    new_level: Positive


class AchievementUnlocked(GameEvent, type="ACHIEVEMENT_UNLOCKED", queue="achievement_updates"):
    achievement_id: Id
    achievement_name: Word
    unlocked_at: Millis


class QuestCompleted(GameEvent, type="QUEST_COMPLETED"):
    quest_id: Id
    reward_xp: Count = 0


class StreakUpdated(GameEvent, type="STREAK_UPDATED"):
    days: Count
    broken: bool = False


class XpGained(GameEvent, type="XP_GAINED"):
    amount: Int
    reason: Word


class SocialEvent(Event, queue="social_events", subject="social", actor="user_id"):
    """Something between players."""

    user_id: Id = acting_user()


class FriendRequested(SocialEvent, type="FRIEND_REQUEST_SENT"):
    friend_id: Id


class FriendAccepted(SocialEvent, type="FRIEND_REQUEST_ACCEPTED"):
    friend_id: Id


class TeamActivity(SocialEvent, type="TEAM_ACTIVITY", subject="team:{team_id}"):
    team_id: Id
    activity: Word
    detail: Json = None


class ChallengeJoined(SocialEvent, type="CHALLENGE_JOINED"):
    challenge_id: Id


class ChallengeCompleted(SocialEvent, type="CHALLENGE_COMPLETED"):
    challenge_id: Id
    rank: Positive | None = None


class NutritionEvent(Event, queue="user_notifications", subject="nutrition", actor="user_id"):
    """Something a user ate, or means to."""

    user_id: Id = acting_user()


class MealLogged(NutritionEvent, type="MEAL_LOGGED"):
    meal: Literal["breakfast", "lunch", "dinner", "snack"]
    calories: Count
    protein: Grams | None = None
    carbohydrates: Grams | None = None
    fat: Grams | None = None
    eaten_at: Millis


class GoalUpdated(NutritionEvent, type="NUTRITION_GOAL_UPDATED"):
    goal: Word
    old: float | None = None
    new: float


class ProgressTracked(NutritionEvent, type="PROGRESS_TRACKED"):
    goal: Word
    fraction: Annotated[float, Ge(0), Le(1)]


class RecommendationEvent(
    Event, queue="recommendation_updates", subject="recommendation:{recommendation_id}", actor="user_id"
):
    """Something that became of a recommendation."""

    user_id: Id = acting_user()
    recommendation_id: Id


class RecommendationGenerated(RecommendationEvent, type="RECOMMENDATION_GENERATED"):
    kind: Literal["meal", "recipe", "quest", "friend"]
    text: LongText
    score: Annotated[float, Ge(0), Le(1)] | None = None


class RecommendationAccepted(RecommendationEvent, type="RECOMMENDATION_ACCEPTED"):
    pass


class RecommendationRejected(RecommendationEvent, type="RECOMMENDATION_REJECTED"):
    reason: Word | None = None


class SystemEvent(Event, queue="system_events", subject="system", priority=Priority.HIGH):
    """Something operators want to know."""

    service: Word


class MaintenanceScheduled(SystemEvent, type="SYSTEM_MAINTENANCE"):
    begins_at: Millis
    ends_at: Millis
    text: LongText | None = None


class ErrorReported(SystemEvent, type="SYSTEM_ERROR", priority=Priority.CRITICAL):
    error: LongText
    detail: Json = None


class PerformanceAlert(SystemEvent, type="PERFORMANCE_ALERT"):
    metric: Word
    value: float
    threshold: float


QUEUES = (
    "user_notifications",
    "achievement_updates",
    "social_events",
    "gamification_events",
    "recommendation_updates",
    "system_events",
)

catalog = Catalog(
    (
        UserRegistered,
        UserLoggedIn,
        UserLoggedOut,
        ProfileUpdated,
        LevelUp,
        AchievementUnlocked,
        QuestCompleted,
        StreakUpdated,
        XpGained,
        FriendRequested,
        FriendAccepted,
        TeamActivity,
        ChallengeJoined,
        ChallengeCompleted,
        MealLogged,
        GoalUpdated,
        ProgressTracked,
        RecommendationGenerated,
        RecommendationAccepted,
        RecommendationRejected,
        MaintenanceScheduled,
        ErrorReported,
        PerformanceAlert,
    )
)
"""What the diet game speaks: nothing else."""
