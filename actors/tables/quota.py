"""What one router may use now of the limits on starts that hold over all routers. It lies in the gate, under its lock.

A limit here is a number in the gate's table of what may be used at most, which begins at nothing and is moved by the
steward as the store allots. Slots are good for as long as their lease; tokens of a rate are spent within ``FRESH``, or
given back: one that is spent late would be one too many then.

The steward is rung only for what it does not know: as long as this router holds all there is, or it stands in the store
that it wants more, one more denial changes nothing, and whoever gives something up says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from actors.options import QueueOptions
from actors.rates import Rated
from actors.runtime.errors import RuntimeFault

RATE = "rate:"
"""Before a queue's name it is the waiting list for tokens of its rate."""

FRESH = 0.25
"""Seconds for which a token is good."""

AT_ONCE = 1_000
"""Tokens fetched in one step."""

SILENT = 1.0
"""Seconds after which a guild that was woken and has not acted is not counted as wanting any more."""


class Stand(NamedTuple):
    """One level as this router has it."""

    level: str
    limit: int
    most: int  #: it may use so many
    used: int
    waiting: int  #: starts that found none


class Quota:
    """Not thread-safe. ``used`` and ``most``, by level, are the gate's own; times are steady seconds."""

    def __init__(
        self,
        limits: Mapping[str, int],
        queues: Mapping[str, QueueOptions],
        *,
        used: dict[str, int],
        most: dict[str, int],
        monotonic: Callable[[], float],
    ) -> None:
        self.limits = dict(limits)  #: of slots, over all routers
        self._rates = {
            RATE + name: Rated("queue", name, queue.rate, queue.rate_window)
            for name, queue in queues.items()
            if queue.rate
        }
        self._used = used
        self._most = most
        self._monotonic = monotonic
        most.update(dict.fromkeys((*self.limits, *self._rates), 0))
        self._until = 0.0  # the slots' lease
        self._fresh_until: dict[str, float] = {}
        self._stale: dict[Rated, int] = {}
        self._wanting = {level: _Wanting() for level in (*self.limits, *self._rates)}
        self._lacking: set[str] = set()  # ringing for more would not help
        self._contended: set[str] = set()  # all together want more than there is
        self._ring: Callable[[], object] | None = None
        self._rung = False

    def __contains__(self, level: str) -> bool:
        return level in self._wanting

    # ------------------------------------------------------------ from the gate

    def look(self) -> None:
        """What is not good any more is taken away."""
        now = self._monotonic()
        if now >= self._until:
            self._most.update(dict.fromkeys(self.limits, 0))
        if self._fresh_until:
            self._drop_stale(now)

    def deny(self, level: str, guild: str) -> None:
        """A start of this guild found none."""
        self._wanting[level].line_up(guild)
        if level not in self._lacking:
            self.ring()

    def woke(self, level: str, guild: str) -> None:
        """Something is free, and it is the one to try; until it has acted it is counted as wanting."""
        self._wanting[level].wake(guild, self._monotonic() + SILENT)

    def acted(self, guild: str) -> None:
        """What it still wants it has asked for."""
        for wanting in self._wanting.values():
            wanting.acted(guild)

    def left(self, level: str) -> None:
        """A slot was given back to this router's own."""
        if self._used[level] >= self._most[level]:
            self.ring()  # it is another's now
        elif level in self._contended and not self._wanting[level].count(self._monotonic()):
            self.ring()  # nobody here waits for it, and somebody elsewhere does

    def ring(self) -> None:
        """The steward should look."""
        if self._ring is not None and not self._rung:
            with suppress(RuntimeFault):  # it looks when it starts, and from time to time
                self._ring()
                self._rung = True

    # ------------------------------------------------------------ from the steward

    def attach(self, ring: Callable[[], object]) -> None:
        """Whom to ring for; it knows nothing yet."""
        self._ring, self._rung = ring, False
        self._lacking.clear()

    def stands(self) -> list[Stand]:
        """The levels of slots that are in use or wanted. Begins a look."""
        self._rung = False
        self.look()
        now = self._monotonic()
        stands = [
            Stand(level, limit, self._most[level], self._used.get(level, 0), self._wanting[level].count(now))
            for level, limit in self.limits.items()
        ]
        return [stand for stand in stands if stand.most or stand.used or stand.waiting]

    def lower(self, level: str, target: int) -> int:
        """From now on at most ``target`` are used; how many are, or may be, until it is allotted more."""
        self._most[level] = min(self._most[level], target)
        return max(self._most[level], self._used.get(level, 0))

    def allot(self, level: str, held: int | None, *, lacking: bool, contended: bool) -> None:
        """So many may be used now; ``None``: as before. ``lacking``: here, as all know; ``contended``: in all."""
        if held is not None:
            self._most[level] = held
        (self._lacking.add if lacking else self._lacking.discard)(level)
        (self._contended.add if contended else self._contended.discard)(level)

    def extend(self, until: float) -> None:
        """All slots that may be used are good until then."""
        self._until = until

    def wanted(self) -> dict[Rated, int]:
        """How many tokens could be spent now."""
        now = self._monotonic()
        found = {}
        for level, rated in self._rates.items():
            unspent = max(0, self._most[level] - self._used.get(level, 0))
            wanted = min(rated.rate, self._wanting[level].count(now), AT_ONCE) - unspent
            if wanted > 0:
                found[rated] = wanted
        return found

    def credit(self, rated: Rated, tokens: int, *, lacking: bool) -> None:
        """So many may start soon. ``lacking``: there are no more for now, and the steward knows when there will be."""
        level = RATE + rated.name
        (self._lacking.add if lacking else self._lacking.discard)(level)
        if tokens:
            self._most[level] = max(self._most[level], self._used.get(level, 0)) + tokens
            self._fresh_until.setdefault(level, self._monotonic() + FRESH)

    def stale(self) -> dict[Rated, int]:
        """Tokens that were not spent in time, to be given back."""
        self._drop_stale(self._monotonic())
        stale, self._stale = self._stale, {}
        return stale

    @property
    def has_tokens(self) -> bool:
        """Whether some are neither spent nor stale."""
        return bool(self._fresh_until)

    def _drop_stale(self, now: float) -> None:
        for level, until in list(self._fresh_until.items()):
            left = self._most[level] - self._used.get(level, 0)
            if left and now < until:
                continue
            del self._fresh_until[level]
            if left:
                self._most[level] -= left
                rated = self._rates[level]
                self._stale[rated] = self._stale.get(rated, 0) + left


class _Wanting:
    """How many starts one level was denied, by guild: of those in line, and of those woken that have not acted yet."""

    __slots__ = ("lined", "total", "woken")

    def __init__(self) -> None:
        self.lined: dict[str, int] = {}
        self.total = 0
        self.woken: dict[str, tuple[int, float]] = {}

    def line_up(self, guild: str) -> None:
        self.lined[guild] = self.lined.get(guild, 0) + 1
        self.total += 1

    def wake(self, guild: str, until: float) -> None:
        count = self.lined.pop(guild, 0)
        self.total -= count
        self.woken[guild] = (count, until)

    def acted(self, guild: str) -> None:
        self.woken.pop(guild, None)

    def count(self, now: float) -> int:
        if not self.woken:
            return self.total
        self.woken = {guild: woken for guild, woken in self.woken.items() if woken[1] > now}
        return self.total + sum(count for count, _ in self.woken.values())
