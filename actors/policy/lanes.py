"""The lanes of one guild: what waits, what runs, and what goes next.

In a lane: strictly first in, first out by position, one at a time, whatever happens to the head. Across lanes: the
head that is most urgent. Urgency is priority with linear aging: one step of priority is worth ``AGING`` milliseconds of
waiting, so a command of priority 1 is overtaken only by commands accepted less than 9 * AGING after it. Because the
aging is linear, the order of two waiting heads never changes with time and a heap can hold it.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum

from actors.envelope import Envelope
from actors.outcome import Attempt

AGING = 5_000
"""Milliseconds of waiting that weigh as much as one step of priority; the longest overtaking is 9 steps, 45 s."""


PARKED = 1 << 60
"""Not before anything: a head that waits to be woken, not for a time."""


class Stage(IntEnum):
    """Where an envelope stands."""

    QUEUED = 0  #: in its lane, not started, or waiting for its next attempt
    RUNNING = 1  #: an attempt is being written down, executed, or judged


class Place:
    """One envelope in its lane."""

    __slots__ = (
        "accepted_at",
        "attempts",
        "doubt",
        "envelope",
        "events",
        "expires_at",
        "failures",
        "frame",
        "history",
        "lane",
        "position",
        "protocol",
        "reason",
        "recovered",
        "sequence",
        "stage",
        "started_at",
        "token",
        "tried",
        "until",
    )

    def __init__(
        self,
        envelope: Envelope,
        frame: bytes,
        *,
        sequence: int,
        position: int,
        accepted_at: int,
        expires_at: int = 0,
        attempts: int = 0,
        until: int = 0,
        token: int = 0,
    ) -> None:
        self.token = token  #: under which its partition was held when it was read; 0: alone
        self.envelope = envelope
        self.frame = frame
        self.sequence = sequence
        self.position = position
        self.accepted_at = accepted_at
        self.expires_at = expires_at or envelope.expires_at
        self.attempts = attempts  #: spent; while one runs, without it
        self.until = until  #: not started before
        self.reason = ""  #: why it waits
        self.stage = Stage.QUEUED
        self.protocol = ""  #: of the running attempt
        self.started_at = 0
        self.tried: tuple[str, ...] = ()  #: protocols that failed within the attempt under way, at no cost
        self.doubt = False  #: an attempt was in doubt and nothing has settled that since
        self.recovered = False  #: found running by a router that did not start it
        self.failures = 0  #: reasons to wait in a row that cost no attempt; spaces them out
        self.history: list[Attempt] = []
        self.events: list[tuple[int, str, str]] = []  #: (at, what, detail) for the causal record
        self.lane: Lane | None = None

    def __lt__(self, other: Place) -> bool:
        return self.position < other.position

    @property
    def urgency(self) -> int:
        """The smaller, the sooner. A delay is no waiting: it counts from the time the place was due."""
        envelope = self.envelope
        return max(self.accepted_at, envelope.due_at) - envelope.priority * AGING


class Lane:
    """(guild, subject): the order of one subject."""

    __slots__ = ("offered", "places", "subject")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.places: deque[Place] = deque()
        self.offered = False  #: its head is in the guild's heap, or waits, or runs


class Lanes:
    """All lanes of one guild. Pure data: every time is an argument, nothing is called back."""

    __slots__ = ("_expiry", "_heap", "_lanes", "_places", "_waiting", "running")

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._places: dict[str, Place] = {}
        self._heap: list[tuple[int, int, Place]] = []  # startable heads: (urgency, position, place)
        self._waiting: list[tuple[int, int, Place]] = []  # heads not before: (until, position, place)
        self._expiry: list[tuple[int, int, Place]] = []  # (expires_at, position, place), lazily cleaned
        self.running = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Place]:
        return iter(list(self._places.values()))

    def get(self, id: str) -> Place | None:
        """The place of an envelope, if it is here."""
        return self._places.get(id)

    def ahead(self, place: Place) -> int:
        """How many of its guild are before it, by position."""
        return sum(1 for other in self._places.values() if other.position < place.position)

    def enter(self, place: Place) -> bool:
        """Put a place where its position belongs (nearly always the tail); ``False``: it is here already."""
        id_ = place.envelope.id
        if id_ in self._places:
            return False
        subject = place.envelope.subject
        lane = self._lanes.get(subject)
        if lane is None:
            lane = self._lanes[subject] = Lane(subject)
        place.lane = lane
        self._places[id_] = place
        places = lane.places
        if not places or places[-1].position < place.position:
            places.append(place)
        else:
            insort(places, place)
            if places[0] is place and lane.offered:
                # The old head was offered, but an earlier one turned up behind it in time: withdraw it unless it runs.
                if places[1].stage is Stage.RUNNING:
                    places[0], places[1] = places[1], places[0]
                else:
                    lane.offered = False
        if place.expires_at:
            heapq.heappush(self._expiry, (place.expires_at, place.position, place))
        self._offer(lane)
        return True

    def opposed(self, place: Place, opposes: Iterable[str]) -> list[Place]:
        """Places of the same lane, before this one, not started, whose type is opposed; in order."""
        lane = self._lanes.get(place.envelope.subject)
        if lane is None:
            return []
        types = frozenset(opposes)
        return [
            other
            for other in lane.places
            if other.position < place.position and other.stage is Stage.QUEUED and other.envelope.type in types
        ]

    def next(self, now: int) -> Place | None:
        """The most urgent startable head, not yet taken; call ``start`` or ``wait`` on it."""
        self._ripen(now)
        heap = self._heap
        while heap:
            place = heap[0][2]
            if self._is_offered_head(place) and place.until <= now:
                return place
            heapq.heappop(heap)
        return None

    def start(self, place: Place, protocol: str, now: int) -> None:
        """The head returned by ``next`` starts an attempt."""
        heapq.heappop(self._heap)
        self._run(place, protocol, now)

    def resume(self, place: Place, protocol: str, started_at: int) -> None:
        """After a restart: the head's attempt is under way already."""
        self._run(place, protocol, started_at)

    def again(self, place: Place, protocol: str, now: int) -> None:
        """The running head goes on at once over another protocol."""
        place.protocol = protocol
        place.started_at = now

    def wait(self, place: Place, until: int, reason: str) -> None:
        """The head (running or about to start) keeps its place and is not started before ``until``."""
        lane = place.lane
        if lane is None:
            return
        if place.stage is Stage.RUNNING:
            self.running -= 1
            if place.expires_at:  # not looked at while it ran
                heapq.heappush(self._expiry, (place.expires_at, place.position, place))
        elif self._heap and self._heap[0][2] is place:
            heapq.heappop(self._heap)
        place.stage = Stage.QUEUED
        place.protocol = ""
        place.until = until
        place.reason = reason
        lane.offered = False
        self._offer(lane)

    def leave(self, place: Place) -> None:
        """The place's way has ended; the next of its lane becomes head."""
        lane = place.lane
        if lane is None or self._places.pop(place.envelope.id, None) is None:
            return
        if place.stage is Stage.RUNNING:
            self.running -= 1
        place.lane = None
        if lane.places and lane.places[0] is place:
            lane.places.popleft()
            lane.offered = False
        else:
            lane.places.remove(place)
        if lane.places:
            self._offer(lane)
        else:
            del self._lanes[lane.subject]

    def lane_of(self, subject: str) -> list[Place]:
        """All places of one lane, in order."""
        lane = self._lanes.get(subject)
        return list(lane.places) if lane else []

    def expired(self, now: int) -> list[Place]:
        """Places whose deadline has passed and that have not started; they are still here."""
        out = []
        expiry = self._expiry
        while expiry and expiry[0][0] <= now:
            _, _, place = heapq.heappop(expiry)
            if place.lane is not None and place.stage is Stage.QUEUED:
                out.append(place)
            # A running one is looked at again when its attempt ends: until it is settled it has a deadline no more.
        return out

    def wake_at(self, now: int) -> int:
        """When something will be due that is not now: the next waiting head or deadline; 0: nothing."""
        self._ripen(now)
        while self._waiting and not self._is_offered_head(self._waiting[0][2]):
            heapq.heappop(self._waiting)
        expiry = self._expiry
        while expiry and (expiry[0][2].lane is None or expiry[0][2].stage is not Stage.QUEUED):
            heapq.heappop(expiry)
        first = self._waiting[0][0] if self._waiting else 0
        second = expiry[0][0] if expiry else 0
        return min(first, second) if first and second else first or second

    def _ripen(self, now: int) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            _, _, place = heapq.heappop(waiting)
            if self._is_offered_head(place) and place.until <= now:
                heapq.heappush(self._heap, (place.urgency, place.position, place))

    def _is_offered_head(self, place: Place) -> bool:
        lane = place.lane
        return lane is not None and lane.offered and lane.places[0] is place and place.stage is Stage.QUEUED

    def _offer(self, lane: Lane) -> None:
        if lane.offered:
            return
        lane.offered = True
        place = lane.places[0]
        if place.until >= PARKED:
            return  # whoever parked it remembers it
        if place.until:
            heapq.heappush(self._waiting, (place.until, place.position, place))
        else:
            heapq.heappush(self._heap, (place.urgency, place.position, place))

    def _run(self, place: Place, protocol: str, now: int) -> None:
        place.stage = Stage.RUNNING
        place.protocol = protocol
        place.started_at = now
        place.until = 0
        place.reason = ""
        self.running += 1
