"""What happened lately, in order, for those who look on from outside: dashboards, streams, bots.

A bounded ring with rising cursors. A reader goes on after the cursor it saw last; where something is missing between
the two it is told so by a ``Gap`` and looks for itself. A reader that does not keep up loses what has no room in its
buffer, not its memory and not the time of others.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from secrets import token_hex
from threading import Lock
from typing import Any, Literal, NamedTuple

from actors.health import CHANGED
from actors.messages import Published
from router.messages.registry import Catalog

logger = logging.getLogger("guild_router.hub")

CAPACITY = 10_000  # events remembered
BYTES = 32 << 20  # of payloads remembered
BUFFER = 1_000  # events that wait for one reader

BROADCAST = "broadcast"  # the subject of a notification for everybody

Render = Callable[[Published], dict[str, Any]]
Why = Literal["slow", "too_old", "other_log"]


class Logged:
    """One event; what is shown of it is worked out when the first reader wants it."""

    __slots__ = ("_json", "_log", "_shown", "at", "cursor", "event", "number")

    def __init__(self, log: EventLog, number: int, at: int, event: Published) -> None:
        self._log = log
        self._shown: dict[str, Any] | None = None
        self._json = ""
        self.number = number
        self.at = at  #: ms since the epoch
        self.event = event
        self.cursor = f"{log.name}.{number}"

    @property
    def shown(self) -> dict[str, Any]:
        """``{cursor, kind, at, id, type, guildId, ...}`` in camelCase, of JSON values."""
        if self._shown is None:
            head = {"cursor": self.cursor, "kind": self.event.kind, "at": self.at}
            self._shown = head | self._log.render(self.event)
        return self._shown

    @property
    def json(self) -> str:
        """The same as one line of text."""
        if not self._json:
            self._json = json.dumps(self.shown, ensure_ascii=False, separators=(",", ":"))
        return self._json


class Gap(NamedTuple):
    """Events are missing here. Whoever shows a state should ask for it anew; ``cursor`` is where the stream goes on."""

    cursor: str
    why: Why  #: ``slow``: the reader did not keep up; ``too_old``: forgotten since; ``other_log``: the router restarted
    missed: int | None = None  #: events that were not for it count too; ``None``: nobody knows

    @property
    def shown(self) -> dict[str, Any]:
        """As an event is shown; its kind is ``gap``."""
        return {"cursor": self.cursor, "kind": "gap", "why": self.why, "missed": self.missed}

    @property
    def json(self) -> str:
        """The same as one line of text."""
        return json.dumps(self.shown, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader wants; what is empty does not filter.

    Notifications have addressees: one for a user passes if ``users`` names that user, whatever its guild; a broadcast
    that names no guild is for those of all guilds.
    """

    guilds: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()  #: message types, such as BAN_USER
    kinds: frozenset[str] = frozenset()  #: accepted, settled, published ... as ``Published`` names them
    roles: frozenset[str] = frozenset()  #: of what is addressed to roles only that; everything else all the same
    jobs: frozenset[str] = frozenset()  #: command ids
    users: frozenset[str] = frozenset()  #: of what is addressed to a user only that; everything else all the same
    within: frozenset[str] = frozenset()  #: guilds that the reader may see at all

    def takes(self, logged: Logged) -> bool:
        """Whether this event is wanted."""
        event = logged.event
        envelope = event.envelope
        return (
            (not self.types or envelope.type in self.types)
            and (not self.kinds or event.kind in self.kinds)
            and (not self.jobs or envelope.id in self.jobs)
            and (
                self._addressed(logged)
                if event.kind == "published"
                else (not self.guilds or envelope.guild in self.guilds)
                and (not self.within or envelope.guild in self.within)
            )
        )

    def _addressed(self, logged: Logged) -> bool:
        envelope = logged.event.envelope
        data = logged.shown.get("data")
        data = data if isinstance(data, dict) else {}
        noticed = envelope.kind == "notification"
        roles, user = data.get("targetRoles"), data.get("targetUserId") if noticed else None
        to_all = noticed and envelope.subject == BROADCAST and not data.get("targetGuildId")
        if self.within and not to_all and envelope.guild not in self.within:
            return False
        if self.roles and isinstance(roles, Collection) and roles and self.roles.isdisjoint(roles):
            return False
        if self.users and user:
            return user in self.users
        return to_all or not self.guilds or envelope.guild in self.guilds


def check_types(names: Collection[str], catalog: Catalog) -> None:
    """Refuse (``UnknownType``) what is neither a type of the catalog nor of what the router tells of itself."""
    for name in names:
        if name != CHANGED:
            catalog.find(name)


def is_notification(event: Published) -> bool:
    """Whether it is something with an addressee."""
    return event.kind == "published" and event.envelope.kind == "notification"


class Reader:
    """One reader on one event loop; made by ``EventLog.read``. Used by one task at a time."""

    def __init__(self, log: EventLog, wanted: Wanted, limit: int, door: str = "") -> None:
        self.wanted = wanted
        self.door = door
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._waiting: deque[Logged | Gap] = deque()  # guarded by the log's lock
        self._missed = 0
        self._came = asyncio.Event()
        self._woken = False
        self.closed = False

    async def next(self, timeout: float | None = None) -> list[Logged | Gap]:
        """What has come since, at least one; nothing after ``timeout`` seconds, or when the reader is closed."""
        while not (taken := self._take()) and not self.closed:
            try:
                async with asyncio.timeout(timeout):
                    await self._came.wait()
            except TimeoutError:
                return self._take()
        return taken

    @property
    def position(self) -> str:
        """The newest cursor up to which it has everything that it wants; "" while something waits for it."""
        with self._log.lock:
            return "" if self._waiting or self._missed else self._log.cursor

    def close(self) -> None:
        """Read no more; idempotent."""
        self.closed = True
        self._came.set()
        self._log._forget(self)

    # ------------------------------------------------------------ the log's side

    def offer(self, logged: Logged) -> None:
        """Called by the log, with its lock held."""
        if len(self._waiting) >= self._limit:
            self._missed += 1  # told with what it takes next: then the gap is complete
            return
        self._waiting.append(logged)
        self._wake()

    def catch_up(self, missed: list[Logged | Gap]) -> None:
        """As ``offer``, before anything else is offered; whatever its limit, the log holds them anyhow."""
        self._waiting.extend(missed)

    def _wake(self) -> None:
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._came.set)
        except RuntimeError:  # its loop is closed: nobody reads any more
            self.closed = True

    def _take(self) -> list[Logged | Gap]:
        with self._log.lock:
            taken = list(self._waiting)
            self._waiting.clear()
            if self._missed:
                taken.append(Gap(f"{self._log.name}.{self._log.newest}", "slow", self._missed))
                self._missed = 0
            self._woken = False
            self._came.clear()
        return taken


@dataclass(slots=True)
class _Index:
    """Readers by the guild they want; those that want all are under ""."""

    by_guild: dict[str, dict[Reader, None]] = field(default_factory=dict)

    def add(self, reader: Reader) -> None:
        for guild in reader.wanted.guilds or ("",):
            self.by_guild.setdefault(guild, {})[reader] = None

    def remove(self, reader: Reader) -> None:
        for guild in reader.wanted.guilds or ("",):
            readers = self.by_guild.get(guild, {})
            readers.pop(reader, None)
            if not readers:
                self.by_guild.pop(guild, None)

    def of(self, guild: str) -> list[Reader]:
        return [*self.by_guild.get("", ()), *self.by_guild.get(guild, ())]


class EventLog:
    """Thread-safe. ``render`` shows an event: the work is the reader's, unless one asked for roles."""

    def __init__(
        self, render: Render, now: Callable[[], int], *, capacity: int = CAPACITY, max_bytes: int = BYTES
    ) -> None:
        self.name = token_hex(4)  #: of this life of the router: its cursors mean nothing in another
        self.render = render
        self.lock = Lock()
        self.newest = 0  #: number of the newest event
        self._now = now
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._ring: deque[Logged] = deque()
        self._bytes = 0
        self._index = _Index()
        self._readers: set[Reader] = set()
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ring)

    @property
    def readers(self) -> int:
        """How many read now."""
        return len(self._readers)

    def readers_at(self, door: str) -> int:
        """How many of them read there."""
        return self._at.get(door, 0)

    @property
    def cursor(self) -> str:
        """Of the newest event."""
        return f"{self.name}.{self.newest}"

    def append(self, event: Published) -> None:
        """It happened; from any thread. Never blocks for a reader."""
        at = self._now()
        with self.lock:
            self.newest += 1
            logged = Logged(self, self.newest, at, event)
            self._ring.append(logged)
            self._bytes += _size(event)
            while len(self._ring) > self._capacity or (self._bytes > self._max_bytes and len(self._ring) > 1):
                self._bytes -= _size(self._ring.popleft().event)
            for reader in list(self._readers) if is_notification(event) else self._index.of(event.envelope.guild):
                if reader.closed:
                    self._drop(reader)
                elif reader.wanted.takes(logged):
                    reader.offer(logged)

    def read(self, wanted: Wanted, after: str = "", *, limit: int = BUFFER, door: str = "") -> Reader:
        """A reader on the running loop: of what comes from now on, or what came after the cursor ``after``.

        ``door``: where it reads; each door counts and bounds its own.
        """
        reader = Reader(self, wanted, limit, door)
        with self.lock:
            if after:
                reader.catch_up(self._after(after, wanted))
            self._readers.add(reader)
            self._at[door] = self._at.get(door, 0) + 1
            self._index.add(reader)
        return reader

    def _after(self, after: str, wanted: Wanted) -> list[Logged | Gap]:
        found: list[Logged | Gap] = []
        name, _, number = after.rpartition(".")
        oldest = self._ring[0].number if self._ring else self.newest + 1
        known = name == self.name and number.isdecimal() and len(number) < 20 and int(number) <= self.newest
        begin = int(number) + 1 if known else oldest
        if not known:
            found.append(Gap(f"{self.name}.{oldest - 1}", "other_log"))
        elif begin < oldest:
            found.append(Gap(f"{self.name}.{oldest - 1}", "too_old", oldest - begin))
        found += [logged for logged in self._ring if logged.number >= begin and wanted.takes(logged)]
        return found

    def _forget(self, reader: Reader) -> None:
        with self.lock:
            self._drop(reader)

    def _drop(self, reader: Reader) -> None:
        if reader in self._readers:
            self._readers.discard(reader)
            self._at[reader.door] -= 1
        self._index.remove(reader)

    def close(self) -> None:
        """Every reader ends; from any thread."""
        with self.lock:
            readers = list(self._readers)
        for reader in readers:
            try:
                reader._loop.call_soon_threadsafe(reader.close)
            except RuntimeError:
                logger.debug("a reader's loop was closed before it")


def _size(event: Published) -> int:
    answer = event.answer
    return 500 + len(event.envelope.body) + (len(answer.data) if answer is not None else 0)
