"""Commands whose senders are told, over the connection they came by, where they stand."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, Literal

from actors.messages import Published
from router.frames.from_router import Status
from router.hub import EventHub
from router.settings_sockets import EventNames

CROWD: Final = 1_000  # followed commands of one guild whose positions are kept up; of the others only the state

State = Literal["queued", "started", "waiting"]
Say = Callable[[Callable[[], Status]], None]


class Followed:
    """One command, for one sender."""

    __slots__ = ("correlation", "guild", "id", "name", "pending", "position", "request_id", "say", "sequence", "state")

    def __init__(self, id_: str, guild: str, name: str, correlation: str, request_id: str, say: Say) -> None:
        self.id = id_
        self.name = name  #: what its being queued is called
        self.guild = guild
        self.correlation = correlation
        self.request_id = request_id
        self.say = say
        self.position = 0
        self.sequence = 0
        self.state: State = "queued"
        self.pending = False  #: its new position is on its way already, and will say what is true when it leaves

    def moved(self) -> Status:
        """Its position as it is now."""
        self.pending = False
        return self.status(self.name, "")

    def status(self, name: str, detail: str) -> Status:
        """Where it stands now."""
        return Status(
            correlation_id=self.correlation,
            job_id=self.id,
            request_id=self.request_id,
            state=self.state,
            name=name,
            position=self.position,
            sequence=self.sequence,
            detail=detail or None,
        )


class Followers:
    """Thread-safe: told by the event hub, which must not wait."""

    def __init__(self, hub: EventHub, names: EventNames) -> None:
        self._hub = hub
        self._names = names
        self._lock = Lock()
        self._followed: dict[str, dict[Followed, None]] = {}
        self._guilds: dict[str, dict[Followed, None]] = {}
        self._stop: Callable[[], None] | None = None

    def __len__(self) -> int:
        return sum(len(followed) for followed in self._followed.values())

    def add(self, followed: Followed, sequence: int, position: int) -> None:
        """Its sender wants to know, from now on."""
        with self._lock:
            followed.sequence, followed.position = sequence, position
            self._followed.setdefault(followed.id, {})[followed] = None
            self._guilds.setdefault(followed.guild, {})[followed] = None
            if self._stop is None:
                self._stop = self._hub.listen(self._heard)

    def remove(self, followed: Followed) -> None:
        """Its way has ended, or its sender has gone; idempotent."""
        with self._lock:
            for table, key in ((self._followed, followed.id), (self._guilds, followed.guild)):
                members = table.get(key, {})
                members.pop(followed, None)
                if not members:
                    table.pop(key, None)
            stop, self._stop = (None, self._stop) if self._followed else (self._stop, None)
        if stop is not None:
            stop()

    def _heard(self, event: Published) -> None:
        envelope = event.envelope
        with self._lock:
            if event.kind == "settled":
                sequence = event.answer.sequence if event.answer is not None else event.sequence
                self._move_up(envelope.guild, sequence)
                return
            state = _STATES.get(event.kind)
            if state is None or (event.kind == "attempted" and event.detail in _LAST):
                return
            for followed in self._followed.get(envelope.id, ()):
                followed.state = state
                followed.position = 0 if state == "started" else followed.position
                name = self._names.of(event.kind, envelope.queue, envelope.type)
                status = followed.status(name, event.detail)
                followed.say(lambda status=status: status)  # type: ignore[misc]  # bound now, called later

    def _move_up(self, guild: str, sequence: int) -> None:
        members = self._guilds.get(guild, {})
        if len(members) > CROWD:
            return
        for followed in members:
            if followed.position and sequence < followed.sequence and followed.state == "queued":
                followed.position -= 1
                if not followed.pending:
                    followed.pending = True
                    followed.say(followed.moved)


_STATES: dict[str, State] = {"started": "started", "attempted": "waiting", "conflict": "queued"}
_LAST = ("applied", "rejected")  #: verdicts after which nothing is waited for
