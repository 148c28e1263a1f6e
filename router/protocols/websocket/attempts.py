"""The attempts of a router's bots: under way, waiting for a bot that has room, and overdue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition

from router.protocols.websocket.attempt import Attempt
from router.protocols.websocket.bots import Bot

WAITING = 1_000  # attempts that wait for a bot that is full; more are put off at once
OVERDUE = 10_000  # attempts nobody waits for any more, and whose end may still come


class Attempts:
    """Shares the protocol's lock, which is held by whoever calls; it is notified when nothing is under way."""

    def __init__(self, lock: Condition) -> None:
        self._lock = lock
        self._under_way: dict[str, Attempt] = {}  # by envelope id
        self._waiting: deque[Attempt] = deque()
        self._overdue: dict[str, Attempt] = {}

    def __len__(self) -> int:
        """How many are under way; those that wait are."""
        return len(self._under_way)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(list(self._under_way.values()))

    def __contains__(self, attempt: Attempt) -> bool:
        return self._under_way.get(attempt.id) is attempt

    def find(self, id_: str) -> Attempt | None:
        """The one on this envelope that is under way."""
        return self._under_way.get(id_)

    def of(self, bot: Bot) -> list[Attempt]:
        """Those that this bot has, or is about to get."""
        return [self._under_way[id_] for id_ in bot.running if id_ in self._under_way]

    def add(self, attempt: Attempt) -> None:
        """It is under way."""
        self._under_way[attempt.id] = attempt

    def forget(self, attempt: Attempt) -> None:
        """It is nobody's any more."""
        if attempt in self:
            del self._under_way[attempt.id]
        if attempt.bot is None:
            self.wait_no_more(attempt)
        else:
            attempt.bot.running.discard(attempt.id)
            attempt.bot.unacked.pop(attempt.id, None)
        if not self._under_way:
            self._lock.notify_all()

    # ------------------------------------------------------------ waiting for room

    def wait(self, attempt: Attempt) -> bool:
        """It waits for a bot, after those that wait already; ``False``: there is no room for it either."""
        if len(self._waiting) >= WAITING:
            return False
        self._waiting.append(attempt)
        return True

    def wait_no_more(self, attempt: Attempt) -> None:
        """It goes to a bot, or nowhere."""
        if attempt in self._waiting:
            self._waiting.remove(attempt)

    @property
    def crowded(self) -> bool:
        """Whether any waits; may be asked without the lock."""
        return bool(self._waiting)

    def waiting(self) -> list[Attempt]:
        """In the order they came."""
        return list(self._waiting)

    # ------------------------------------------------------------ overdue

    def give_up(self, attempt: Attempt) -> None:
        """Nobody waits for it any more, and its bot may still end it."""
        self.forget(attempt)
        self._overdue[attempt.id] = attempt
        while len(self._overdue) > OVERDUE:
            del self._overdue[next(iter(self._overdue))]

    def overdue(self, id_: str) -> Attempt | None:
        """The one on this envelope that was given up."""
        return self._overdue.get(id_)

    def ended(self, id_: str) -> None:
        """What came of this envelope is known."""
        self._overdue.pop(id_, None)

    def sent_to(self, id_: str) -> tuple[str, str] | None:
        """(name, instance) of the bot that has it, or had it and has not said what came of it."""
        attempt = self._overdue.get(id_) or self._under_way.get(id_)
        return (attempt.name, attempt.instance) if attempt is not None and attempt.sent else None
