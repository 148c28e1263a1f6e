"""Who may start: attempts at once in this router, per queue and per type, starts per time, paused queues and lanes.

All levels admit a start or none does. Whoever is turned away for want of a slot is told when one is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from threading import Lock
from typing import NamedTuple, TypeVar

from actors.envelope import Envelope
from actors.options import Options, QueueOptions
from actors.policy.limits import Denied, Limits, Rule
from actors.tables.quota import RATE, Quota

T = TypeVar("T")


class Turn(Enum):
    """The gate's answer to a guild that wants to start something."""

    GO = "go"
    FULL = "full"  #: no slot in this router: nothing can start; the guild is woken when one is free
    QUEUE_FULL = "queue_full"  #: no slot in this queue: other queues' heads may go; woken likewise
    TYPE_FULL = "type_full"  #: no slot for this type: likewise
    PAUSED = "paused"  #: the queue or the lane is paused; woken when it is resumed
    RATED = "rate_limit"  #: the queue's rate over all routers is used up, or not asked yet; woken likewise
    LATER = "later"  #: the queue's rate is used up; come back at ``at``


class Answer(NamedTuple):
    """A turn, and with ``LATER`` the time (ms since the epoch) to come back."""

    turn: Turn
    at: int = 0


class Bound(NamedTuple):
    """How much of one bound is in use."""

    name: str
    running: int
    most: int  #: here
    in_all: int = 0  #: of all routers, where it is theirs together


GO = Answer(Turn.GO)
FULL = Answer(Turn.FULL)
QUEUE_FULL = Answer(Turn.QUEUE_FULL)
TYPE_FULL = Answer(Turn.TYPE_FULL)
RATED = Answer(Turn.RATED)
PAUSED = Answer(Turn.PAUSED)

# Waiting lists: for the router's own slots, for slots of a queue ("queue:" and its name) or of a type, for executors,
# for a resume.
ROUTER = "router"
QUEUE = "queue:"
TYPE = "type:"
EXECUTORS = "executors"
RESUMED = "resumed"


def lane_name(guild: str, subject: str) -> str:
    """Under which name a paused lane stands among the paused queues."""
    return f"lane:{guild}/{subject}"


class Gate:
    """Thread-safe; one lock, held for a handful of dict operations.

    Whenever a slot is free that somebody waits for, somebody who waits for it has been woken and has not acted yet:
    ``leave`` wakes one, and whoever was woken says so by ``nudge`` when it has acted, which wakes the next.

    ``shared``: limits of queues and types hold over all routers of one store, and the steward fetches this one's part,
    which is good for a time by this steady clock.
    """

    def __init__(
        self, options: Options, wake: Callable[[str], None], *, shared: Callable[[], float] | None = None
    ) -> None:
        self._lock = Lock()
        self._wake = wake
        self._max = options.max_running
        self._queues = dict(options.queues)
        self._most = {QUEUE + name: queue.concurrency for name, queue in self._queues.items() if queue.concurrency}
        self._most |= {TYPE + name: kind.concurrency for name, kind in options.types.items() if kind.concurrency}
        self._used: dict[str, int] = {}
        self._rates = Limits(_rules(self._queues))
        self._rated = frozenset(name for name, queue in self._queues.items() if queue.rate)
        self._quota: Quota | None = None
        if shared is not None and (self._most or self._rated):
            self._quota = Quota(self._most, self._queues, used=self._used, most=self._most, monotonic=shared)
        self._waiting: dict[str, dict[str, None]] = {}
        self._resting: dict[str, dict[str, None]] = {}  # by breaker
        self._written: frozenset[str] = frozenset()
        self._pausing: frozenset[str] = frozenset()
        self.running = 0
        self.paused: frozenset[str] = frozenset()
        self.closed = False

    def enter(self, envelope: Envelope, now: int) -> Answer:
        """Take a slot at every level, or none; ``leave`` gives it back."""
        guild, queue = envelope.guild, envelope.queue
        with self._lock:
            if self.closed:
                return FULL
            paused = self.paused
            if paused and (queue in paused or lane_name(guild, envelope.subject) in paused):
                self._line_up(RESUMED, guild)
                return PAUSED
            if self.running >= self._max:
                self._line_up(ROUTER, guild)
                return FULL
            levels = self._levels(envelope)
            if self._quota is not None and (levels or queue in self._rated):
                self._quota.look()
            for level in levels:
                if self._used.get(level, 0) >= self._most[level]:
                    self._line_up(level, guild)
                    return TYPE_FULL if level.startswith(TYPE) else QUEUE_FULL
            answer = self._spend(queue, guild, now) if queue in self._rated else GO
            if answer is GO:
                self._take(levels)
            return answer

    def occupy(self, envelope: Envelope) -> None:
        """Take a slot without asking: an attempt that goes on over another protocol."""
        with self._lock:
            self._take(self._levels(envelope))

    def leave(self, envelope: Envelope) -> None:
        """Give a slot back and wake whoever waits for it."""
        with self._lock:
            self.running -= 1
            for level in self._levels(envelope):
                self._used[level] -= 1
                if self._quota is not None:
                    self._quota.left(level)
            woken = self._pick() if self._waiting else ()
        for guild in woken:
            self._wake(guild)

    def _levels(self, envelope: Envelope) -> list[str]:
        # Those besides the router that bound it.
        most = self._most
        return [level for level in (QUEUE + envelope.queue, TYPE + envelope.type) if level in most] if most else []

    def _spend(self, queue: str, guild: str, now: int) -> Answer:
        # With the lock held: a token of the queue's rate.
        if self._quota is None:
            answer = self._rates.admit([("queue", queue)], now)
            return Answer(Turn.LATER, now + max(1, answer.retry_after)) if isinstance(answer, Denied) else GO
        level = RATE + queue
        if self._used.get(level, 0) >= self._most[level]:
            self._line_up(level, guild)
            return RATED
        self._used[level] = self._used.get(level, 0) + 1
        return GO

    def _take(self, levels: list[str]) -> None:
        self.running += 1
        for level in levels:
            self._used[level] = self._used.get(level, 0) + 1

    def nudge(self, guild: str) -> None:
        """The guild was woken and has acted: if a slot is still free, let the next one try."""
        if not self._waiting and self._quota is None:
            return
        with self._lock:
            if self._quota is not None:
                self._quota.acted(guild)
            woken = self._pick()
        for each in woken:
            self._wake(each)

    def park(self, guild: str) -> None:
        """The guild waits until executors come or go. Look for them once more after this: they may just have come."""
        with self._lock:
            self._line_up(EXECUTORS, guild)

    def waiting(self) -> dict[str, int]:
        """How many guilds wait, by what they wait for (``breaker:direct``, ``queue:bot:music`` ...)."""
        with self._lock:
            found = {name: len(guilds) for name, guilds in self._waiting.items()}
            return found | {f"breaker:{name}": len(guilds) for name, guilds in self._resting.items() if guilds}

    @property
    def is_full(self) -> bool:
        """Whether this router runs as much as it may."""
        return self.running >= self._max

    def bounds(self, envelope: Envelope) -> list[Bound]:
        """Those that this envelope would have to pass."""
        with self._lock:
            whole = {} if self._quota is None else self._quota.limits
            levels = [
                Bound(level, self._used.get(level, 0), self._most[level], whole.get(level, 0))
                for level in self._levels(envelope)
            ]
            return [Bound(ROUTER, self.running, self._max), *levels]

    def pauses(self, envelope: Envelope) -> list[str]:
        """The paused queue or lane that holds this envelope."""
        paused = self.paused
        return [name for name in (envelope.queue, lane_name(envelope.guild, envelope.subject)) if name in paused]

    def executors_changed(self) -> None:
        """A handler, a bot or a worker came: whoever waits for one, or for a breaker, tries again."""
        with self._lock:
            woken = self._waiting.pop(EXECUTORS, {})
            for guilds in self._resting.values():
                woken |= guilds
            self._resting = {}
        for guild in woken:
            self._wake(guild)

    def rest(self, guild: str, breakers: Iterable[str]) -> None:
        """The guild waits until one of these lets it ask. Look at them once more after this: one may just have."""
        with self._lock:
            for name in breakers:
                self._resting.setdefault(name, {})[guild] = None

    def breaker_closed(self, name: str) -> None:
        """Whoever waits for it tries again."""
        with self._lock:
            woken = self._resting.pop(name, {})
        for guild in woken:
            self._wake(guild)

    def breaker_over(self, name: str) -> None:
        """Its break is over: the guild that waits longest tries, the others wait for what comes of it."""
        with self._lock:
            guilds = self._resting.get(name)
            if not guilds:
                return
            guild = next(iter(guilds))
            del guilds[guild]
        self._wake(guild)

    def set_paused(self, names: frozenset[str]) -> None:
        """The store says that these queues and lanes are paused; what waited for a resumed one tries again."""
        with self._lock:
            self._written = names
            woken = self._resumed()
        for guild in woken:
            self._wake(guild)

    def pause_at_once(self, name: str) -> None:
        """Paused from now on, although the store does not say so yet."""
        with self._lock:
            self._pausing |= {name}
            self._resumed()

    def pause_written(self, name: str) -> None:
        """The store says so now."""
        with self._lock:
            self._pausing -= {name}
            woken = self._resumed()
        for guild in woken:
            self._wake(guild)

    def close(self) -> None:
        """Nothing starts any more; what runs may end."""
        with self._lock:
            self.closed = True

    # ------------------------------------------------------------ what holds over all routers

    @property
    def shares(self) -> bool:
        """Whether there is a limit that holds over all routers."""
        return self._quota is not None

    def attach(self, ring: Callable[[], object]) -> None:
        """The steward: rung when somebody finds none, or something of this router's is another's."""
        with self._lock:
            if self._quota is not None:
                self._quota.attach(ring)

    def quota(self, use: Callable[[Quota], T]) -> T:
        """Let the steward act on the quota, and wake whoever it helps."""
        with self._lock:
            if self._quota is None:
                raise ValueError("no limit of this gate is shared")
            result = use(self._quota)
            woken = self._pick()
        for guild in woken:
            self._wake(guild)
        return result

    def _resumed(self) -> list[str]:
        # Called with the lock held.
        before, self.paused = self.paused, self._written | self._pausing
        return list(self._waiting.pop(RESUMED, {})) if before - self.paused else []

    def _line_up(self, name: str, guild: str) -> None:
        self._waiting.setdefault(name, {})[guild] = None
        if self._quota is not None and name in self._quota:
            self._quota.deny(name, guild)

    def _pick(self) -> list[str]:
        # Called with the lock held. One guild for each kind of slot that is free.
        woken = []
        for name in tuple(self._waiting):
            if not self._is_free(name):
                continue
            guilds = self._waiting[name]
            guild = next(iter(guilds))
            del guilds[guild]
            if not guilds:
                del self._waiting[name]
            if self._quota is not None and name in self._quota:
                self._quota.woke(name, guild)
            woken.append(guild)
        return woken

    def _is_free(self, name: str) -> bool:
        if self.running >= self._max or name in (EXECUTORS, RESUMED):
            return False
        return name == ROUTER or self._used.get(name, 0) < self._most[name]


def _rules(queues: dict[str, QueueOptions]) -> list[Rule]:
    return [
        Rule("queue", name=name, rate=queue.rate, per=queue.rate_window) for name, queue in queues.items() if queue.rate
    ]
