"""One envelope, one operation, as every backend holds them while a batch is worked on."""

from __future__ import annotations

from dataclasses import dataclass

from actors.policy.operations import Operation as View
from actors.ports import Accept

WELL = frozenset({"ok", "noop"})
"""Final words that count as completed; every other one counts as failed."""


@dataclass(slots=True, eq=False)
class Row:
    """An envelope from its acceptance on. A backend may leave ``frame`` empty where no write needs it."""

    ordinal: int  #: its number in the order of acceptance over all guilds
    id: str
    guild: str
    subject: str
    user: str
    type: str
    queue: str
    key: bytes
    fingerprint: bytes
    idempotency: bool
    window: int
    sequence: int
    first: int  #: the position it was answered; 0: delayed
    ahead: int  #: as it was answered
    accepted_at: int
    expires_at: int
    position: int
    frame: bytes = b""
    until: int = 0  #: of a delayed one: when it is due
    attempts: int = 0
    protocol: str = ""
    trail: bytes = b""
    replays: int = 0
    status: str = ""
    answer: bytes = b""
    settled_at: int = 0
    reason: str = ""
    dead: bool = False
    ending: int = 0  #: its number in the order of endings

    @property
    def live(self) -> bool:
        """Not at the end of its way."""
        return not self.status

    @property
    def state(self) -> str:
        """The word of ``actors.ports.Stored``."""
        if self.status:
            return "dead" if self.dead else "settled"
        if self.protocol:
            return "started"
        if not self.position:
            return "delayed"
        return "waiting" if self.until else "queued"


@dataclass(slots=True, eq=False)
class Held:
    """The operation that holds a key."""

    key: bytes
    id: str
    type: str
    guild: str
    subject: str
    sequence: int
    ordinal: int  #: of its envelope; that of its replay, once replayed
    fingerprint: bytes
    idempotency: bool
    window: int
    settled_at: int = 0
    opposed: bool = False  #: something opposed was applied since
    answer: bytes = b""

    def view(self, opposed_in_flight: bool) -> View:
        """What the decision needs."""
        return View(self.fingerprint, self.idempotency, self.window, self.settled_at, self.opposed or opposed_in_flight)


def row_of(write: Accept, *, ordinal: int, sequence: int, ahead: int, now: int) -> Row:
    """The row of a newcomer."""
    envelope = write.envelope
    delayed = envelope.due_at > now
    position = 0 if delayed else ordinal
    return Row(
        ordinal,
        envelope.id,
        envelope.guild,
        envelope.subject,
        envelope.user,
        envelope.type,
        envelope.queue,
        envelope.key,
        envelope.fingerprint,
        envelope.idempotency_key != "",
        write.window,
        sequence,
        position,
        ahead,
        now,
        envelope.expires_at,
        position,
        write.frame,
        envelope.due_at if delayed else 0,
    )


def operation_of(row: Row) -> Held:
    """The operation a row becomes when it takes its key."""
    return Held(
        row.key,
        row.id,
        row.type,
        row.guild,
        row.subject,
        row.sequence,
        row.ordinal,
        row.fingerprint,
        row.idempotency,
        row.window,
    )
