"""How much the router holds that has not ended. Thread-safe; who is counted twice or leaves twice changes nothing.

Where routers share a store each counts what it owns, and tells the others of what is filling up with every beat of its
leases. A door adds what it heard, or what it passed on itself since it could have heard of that, whichever is more: the
two are partly the same, and the sum would refuse for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import NamedTuple, TypeVar

from actors.codec import unpack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.options import Options
from actors.policy.limits import LevelName

T = TypeVar("T")

GRAIN = 100
"""Milliseconds to which ages are kept, so that a burst shares one entry."""

RATE_OVER = 1_000
"""Milliseconds over which it is measured how fast the backlog leaves."""


BACKLOGS = "backlogs"
"""What a router tells of them in ``Member.about``: kind -> name -> how many."""

TELLING = 8
"""A level is told of when it is at least this part of its bound."""

TOLD = 500
"""Levels told of at once, the fullest; 10 KiB."""


class _Held(NamedTuple):
    guild: str
    queue: str
    since: int  # in grains
    levels: tuple[LevelName, ...]


class _Ages:
    """Since when the unsettled envelopes of one queue have been due."""

    __slots__ = ("count", "heap", "since")

    def __init__(self) -> None:
        self.count = 0
        self.since: dict[int, int] = {}
        self.heap: list[int] = []

    def enter(self, since: int) -> None:
        self.count += 1
        if since in self.since:
            self.since[since] += 1
        else:
            self.since[since] = 1
            heappush(self.heap, since)

    def leave(self, since: int) -> None:
        self.count -= 1
        if self.since[since] > 1:
            self.since[since] -= 1
            return
        del self.since[since]
        if len(self.heap) > 64 and len(self.heap) > 2 * len(self.since):
            self.heap = list(self.since)
            heapify(self.heap)

    def oldest(self) -> int:
        while self.heap and self.heap[0] not in self.since:
            heappop(self.heap)
        return self.heap[0] if self.heap else 0


class Backlog:
    """Unsettled envelopes: in total, per guild, per limited level, per queue with their ages; and how fast they leave.

    Kept by id, because after a crash the same news may come again: a count that only rises and falls would drift, and
    one that drifts up refuses everybody in the end.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self._bounded = bool(self._options.user_backlog) or any(each.backlog for each in self._options.types.values())
        self._lock = Lock()
        self._held: dict[str, _Held] = {}
        self._guilds: dict[str, int] = {}
        self._levels: dict[LevelName, int] = {}
        self._queues: dict[str, _Ages] = {}
        self._filling: set[LevelName] = set()  # what is to be told of
        self._heard: dict[LevelName, int] | None = None  # of all other routers; ``None``: there are none
        self._passed: tuple[dict[LevelName, int], dict[LevelName, int]] = (
            {},
            {},
        )  # in this beat, and in the one before
        self._left = 0
        self._since = 0
        self._rate = 0.0  # per second, over the last full second

    @property
    def total(self) -> int:
        """Unsettled envelopes of this router."""
        return len(self._held)

    def levels(self, envelope: Envelope) -> tuple[LevelName, ...]:
        """Those whose backlog is bounded, besides the router and the guild."""
        if not self._bounded:
            return ()
        options = self._options
        levels: tuple[LevelName, ...] = (("user", envelope.user),) if options.user_backlog and envelope.user else ()
        return (*levels, ("type", envelope.type)) if self.most(("type", envelope.type)) else levels

    def most(self, level: LevelName) -> int:
        """How many a level may hold; 0: no bound."""
        kind, name = level
        if kind == "guild":
            return self._options.guild_backlog
        if kind == "user":
            return self._options.user_backlog
        bounds = self._options.types.get(name)
        return bounds.backlog if bounds is not None else 0

    def enter(self, envelope: Envelope, due: int) -> bool:
        """One more, which waits since ``due`` (ms since the epoch, perhaps in the future); ``False``: it is counted."""
        since = due // GRAIN
        guild, queue = envelope.guild, envelope.queue
        levels = self.levels(envelope)
        with self._lock:
            if envelope.id in self._held:
                return False
            self._held[envelope.id] = _Held(guild, queue, since, levels)
            count = self._guilds[guild] = self._guilds.get(guild, 0) + 1
            self._watch(("guild", guild), count)
            for level in levels:
                count = self._levels[level] = self._levels.get(level, 0) + 1
                self._watch(level, count)
            ages = self._queues.get(queue)
            if ages is None:
                ages = self._queues[queue] = _Ages()
            ages.enter(since)
            return True

    def leave(self, ids: Iterable[str]) -> None:
        """These have ended, or were not taken after all."""
        with self._lock:
            for id_ in ids:
                held = self._held.get(id_)
                if held is not None:
                    self._left += 1
                    self._forget(id_, held)

    def pass_on(self, ids: Iterable[str]) -> None:
        """These were written for whoever owns their guilds, who counts them from now on."""
        with self._lock:
            for id_ in ids:
                held = self._held.get(id_)
                if held is None:
                    continue
                if self._heard is not None:
                    passed = self._passed[0]
                    for level in (("guild", held.guild), *held.levels):
                        passed[level] = passed.get(level, 0) + 1
                self._forget(id_, held)

    def tell(self) -> dict[str, dict[str, int]]:
        """What is filling up here: kind -> name -> how many."""
        with self._lock:
            found = [(level, self._count(level)) for level in self._filling]
        if len(found) > TOLD:
            found = sorted(found, key=lambda each: each[1] / self.most(each[0]), reverse=True)[:TOLD]
        told: dict[str, dict[str, int]] = {}
        for (kind, name), count in found:
            told.setdefault(kind, {})[name] = count
        return told

    def heard(self, others: Iterable[Mapping[str, Mapping[str, int]]]) -> None:
        """What each of the others told last; every beat."""
        heard: dict[LevelName, int] = {}
        for told in others:
            for kind, names in told.items():
                for name, count in names.items():
                    heard[kind, name] = heard.get((kind, name), 0) + count
        with self._lock:
            self._heard = heard
            self._passed = ({}, self._passed[0])

    def leave_guilds(self, which: Callable[[str], bool]) -> None:
        """Those of these guilds are not this router's any more."""
        with self._lock:
            guilds = {guild for guild in self._guilds if which(guild)}
            if not guilds:
                return
            for id_, held in [item for item in self._held.items() if item[1].guild in guilds]:
                self._forget(id_, held)

    def _forget(self, id_: str, held: _Held) -> None:
        # With the lock held.
        guild, queue, since, levels = held
        del self._held[id_]
        _less(self._guilds, guild)
        self._watch(("guild", guild), self._guilds.get(guild, 0))
        for level in levels:
            _less(self._levels, level)
            self._watch(level, self._levels.get(level, 0))
        self._queues[queue].leave(since)

    def _watch(self, level: LevelName, count: int) -> None:
        # With the lock held.
        if count * TELLING >= self.most(level) and count:
            self._filling.add(level)
        elif self._filling:
            self._filling.discard(level)

    def _count(self, level: LevelName) -> int:
        return self._guilds.get(level[1], 0) if level[0] == "guild" else self._levels.get(level, 0)

    def of(self, guild: str) -> int:
        """Unsettled envelopes of one guild, wherever they are."""
        return self.at(("guild", guild))

    def at(self, level: LevelName) -> int:
        """Unsettled envelopes of one bounded level, wherever they are, as far as it is known here."""
        heard = self._heard
        if heard is None:
            return self._count(level)
        now, before = self._passed
        return self._count(level) + max(heard.get(level, 0), now.get(level, 0) + before.get(level, 0))

    def ages(self, now: int) -> dict[str, tuple[int, int]]:
        """Of each queue: unsettled envelopes, and how long the oldest that is due has been so (ms)."""
        with self._lock:
            found = {}
            for queue, ages in self._queues.items():
                oldest = ages.oldest() * GRAIN
                found[queue] = (ages.count, max(0, now - oldest) if oldest else 0)
            return found

    def largest(self, limit: int) -> list[tuple[str, int]]:
        """The guilds with the most unsettled envelopes, the largest first."""
        with self._lock:
            guilds = list(self._guilds.items())
        return sorted(guilds, key=lambda each: each[1], reverse=True)[:limit]

    def advice(self, now: int) -> int:
        """When to come back (ms): about the time a tenth of the backlog takes to leave; 100 ms to 30 s."""
        with self._lock:
            if now - self._since >= RATE_OVER:
                self._rate = self._left * 1_000 / max(1, now - self._since)
                self._left, self._since = 0, now
        if self._rate <= 0:
            return 1_000
        return int(min(30_000, max(100, self.total / 10 / self._rate * 1_000)))


def told_by(about: bytes) -> dict[str, dict[str, int]]:
    """What a router told of its backlogs; nothing, if it is one of another version that tells something else."""
    try:
        told = unpack(about)
    except EnvelopeError:
        return {}
    found = told.get(BACKLOGS) if isinstance(told, dict) else None
    if not isinstance(found, dict):
        return {}
    return {kind: names for kind, names in found.items() if _counts(names)}


def _counts(names: object) -> bool:
    return isinstance(names, dict) and all(type(count) is int for count in names.values())


def _less(counts: dict[T, int], name: T) -> None:
    if counts[name] == 1:
        del counts[name]
    else:
        counts[name] -= 1
