"""Who may start: attempts at once in this router and per queue, starts per time, paused queues and lanes.

All levels admit a start or none does. Whoever is turned away for want of a slot is told when one is free.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from threading import Lock
from typing import NamedTuple

from actors.options import Options, QueueOptions
from actors.policy.limits import Denied, Limits, Rule


class Turn(Enum):
    """The gate's answer to a guild that wants to start something."""

    GO = "go"
    FULL = "full"  #: no slot in this router: nothing can start; the guild is woken when one is free
    QUEUE_FULL = "queue_full"  #: no slot in this queue: other queues' heads may go; woken likewise
    PAUSED = "paused"  #: the queue or the lane is paused; woken when it is resumed
    LATER = "later"  #: the queue's rate is used up; come back at ``at``


class Answer(NamedTuple):
    """A turn, and with ``LATER`` the time (ms since the epoch) to come back."""

    turn: Turn
    at: int = 0


GO = Answer(Turn.GO)
FULL = Answer(Turn.FULL)
QUEUE_FULL = Answer(Turn.QUEUE_FULL)
PAUSED = Answer(Turn.PAUSED)

ROUTER = ""  # the waiting list of the router's own slots; those of queues go by the queue's name
EXECUTORS = "executors"


def lane_name(guild: str, subject: str) -> str:
    """Under which name a paused lane stands among the paused queues."""
    return f"lane:{guild}/{subject}"


class Gate:
    """Thread-safe; one lock, held for a handful of dict operations."""

    def __init__(self, options: Options, wake: Callable[[str], None]) -> None:
        self._lock = Lock()
        self._wake = wake
        self._max = options.max_running
        self._queues = dict(options.queues)
        self._in_queue: dict[str, int] = {}
        self._rates = Limits(_rules(self._queues))
        self._rated = frozenset(name for name, queue in self._queues.items() if queue.rate)
        self._waiting: dict[str, dict[str, None]] = {}
        self.running = 0
        self.paused: frozenset[str] = frozenset()
        self.closed = False

    def enter(self, guild: str, subject: str, queue: str, now: int) -> Answer:
        """Take a slot at every level, or none; ``leave`` gives it back."""
        paused = self.paused
        with self._lock:
            if self.closed:
                return FULL
            if paused and (queue in paused or lane_name(guild, subject) in paused):
                self._waiting.setdefault(queue, {})[guild] = None
                return PAUSED
            if self.running >= self._max:
                self._waiting.setdefault(ROUTER, {})[guild] = None
                return FULL
            rule = self._queues.get(queue)
            if rule is not None:
                used = self._in_queue.get(queue, 0)
                if rule.concurrency and used >= rule.concurrency:
                    self._waiting.setdefault(queue, {})[guild] = None
                    return QUEUE_FULL
                if queue in self._rated:
                    answer = self._rates.admit([("queue", queue)], now)
                    if isinstance(answer, Denied):
                        return Answer(Turn.LATER, now + max(1, answer.retry_after))
                self._in_queue[queue] = used + 1
            self.running += 1
            return GO

    def occupy(self, queue: str) -> None:
        """Take a slot without asking: an attempt that goes on over another protocol, or is found running."""
        with self._lock:
            self.running += 1
            if queue in self._queues:
                self._in_queue[queue] = self._in_queue.get(queue, 0) + 1

    def leave(self, queue: str) -> None:
        """Give a slot back and wake whoever waits for it."""
        with self._lock:
            self.running -= 1
            if queue in self._queues:
                self._in_queue[queue] -= 1
            woken = self._pick(queue)
        for guild in woken:
            self._wake(guild)

    def nudge(self, queue: str = ROUTER) -> None:
        """A guild was woken and had nothing to start: let the next one try."""
        if not self._waiting:
            return
        with self._lock:
            woken = self._pick(queue) if self.running < self._max else []
        for guild in woken:
            self._wake(guild)

    def park(self, guild: str) -> None:
        """The guild waits until executors come or go."""
        with self._lock:
            self._waiting.setdefault(EXECUTORS, {})[guild] = None

    def executors_changed(self) -> None:
        """A handler, a bot or a worker came: whoever waits for one tries again."""
        self._wake_list(EXECUTORS)

    def set_paused(self, names: frozenset[str]) -> None:
        """The paused queues and lanes are these now; what waited for a resumed one tries again."""
        with self._lock:
            gone = self.paused - names
            self.paused = names
            woken = [guild for name, guilds in self._waiting.items() for guild in guilds] if gone else []
            if gone:
                self._waiting.clear()
        for guild in dict.fromkeys(woken):
            self._wake(guild)

    def close(self) -> None:
        """Nothing starts any more; what runs may end."""
        with self._lock:
            self.closed = True

    def _pick(self, queue: str) -> list[str]:
        # Called with the lock held. One waiting guild for the freed slot of the router, one for that of the queue.
        woken = []
        for name in (ROUTER, queue) if queue != ROUTER else (ROUTER,):
            guilds = self._waiting.get(name)
            if guilds:
                guild = next(iter(guilds))
                del guilds[guild]
                if not guilds:
                    del self._waiting[name]
                woken.append(guild)
        return woken

    def _wake_list(self, name: str) -> None:
        with self._lock:
            guilds = self._waiting.pop(name, {})
        for guild in guilds:
            self._wake(guild)


def _rules(queues: dict[str, QueueOptions]) -> list[Rule]:
    return [
        Rule("queue", name=name, rate=queue.rate, per=queue.rate_window) for name, queue in queues.items() if queue.rate
    ]
