"""The diet game: events routed to their queues by their types, handlers per queue, and a command they send.

    python -m examples.diet_game

A user registers, logs a meal and reaches a level; each event finds its queue, each queue its handler. The handlers
answer with a command, which is deduplicated, ordered per user and retried like any other. There is no guild and no
chat service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition

from examples.diet_game.messages import (
    AchievementUnlocked,
    LevelUp,
    MealLogged,
    UserRegistered,
    catalog,
)
from router import Router
from router.messages import Command, Event, Id
from router.messages.fields import Text

NOW = 1_704_067_200_000


class NotifyUser(
    Command,
    type="NOTIFY_USER",
    queue="user_notifications",
    subject="notifications",
    key=("user_id", "title"),
    idempotent=True,
    catalog=catalog,
):
    """Show a user something, once."""

    user_id: Id
    title: Text


@dataclass
class Phone:
    """What a user's phone shows; the example's only effect."""

    shown: list[tuple[str, str]] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def show(self, user_id: str, title: str) -> None:
        with self.changed:
            self.shown.append((user_id, title))
            self.changed.notify_all()

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.shown) >= count, timeout)


def build(store: str, phone: Phone) -> Router:
    """The application: one router over the game's own catalog."""
    router = Router(store=store, catalog=catalog)
    hiccups = [ConnectionError("the push service hiccups")]

    @router.handler(NotifyUser, idempotent=True)
    def notify(command: NotifyUser, ctx: object) -> None:
        phone.show(command.user_id, command.title)

    def welcome(event: Event) -> None:
        if isinstance(event, UserRegistered):
            router.send(NotifyUser(user_id=event.user_id, title="Welcome to the diet game"))

    def congratulate(event: Event) -> None:
        if hiccups:
            raise hiccups.pop()  # once: the queue tries the event again
        match event:
            case LevelUp(user_id=user_id, new_level=level):
                router.send(NotifyUser(user_id=user_id, title=f"Level {level}"))
            case AchievementUnlocked(user_id=user_id, achievement_name=name):
                router.send(NotifyUser(user_id=user_id, title=name))

    def reward(event: Event) -> None:
        if isinstance(event, MealLogged):
            router.publish(LevelUp(user_id=event.user_id, old_level=1, new_level=2))
            router.publish(
                AchievementUnlocked(
                    user_id=event.user_id,
                    achievement_id="first_meal",
                    achievement_name="First meal logged",
                    unlocked_at=NOW,
                )
            )

    handlers: dict[type[Event], list[Callable[[Event], None]]] = {
        UserRegistered: [welcome, reward],  # one queue has the account's events and the meals
        LevelUp: [congratulate],
        AchievementUnlocked: [congratulate],
    }
    for event_type, interested in handlers.items():
        router.subscribe(event_type.facts().queue, _each(interested), batch_size=5)
    return router


def _each(interested: list[Callable[[Event], None]]) -> Callable[[Event], None]:
    def handle(event: Event) -> None:
        for one in interested:
            one(event)

    return handle


def play(router: Router) -> None:
    """A user's first day."""
    router.publish(UserRegistered(user_id="user_123", email="user@example.com", registration_date=NOW))
    router.publish(MealLogged(user_id="user_123", meal="breakfast", calories=420, eaten_at=NOW))


def main() -> None:
    """Run the first day and print what the phone shows."""
    phone = Phone()
    with build("memory://", phone) as router:
        play(router)
        if not phone.wait_for(3):
            raise SystemExit(f"the phone shows only {phone.shown}")
        for user, title in phone.shown:
            print(f"{user}: {title}")
        for name, queue in router.queues.stats().items():
            print(f"{name}: {queue.completed} done, {queue.waiting} waiting")
