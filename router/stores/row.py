"""One envelope as every backend holds it while a batch is worked on."""

from __future__ import annotations

from dataclasses import dataclass

from actors.policy.operations import Operation

WELL = frozenset({"ok", "noop"})
"""Final words that count as completed; every other one counts as failed."""


@dataclass(slots=True, eq=False)
class Row:
    """An envelope from its acceptance on, which is also the operation of its key, as long as it holds it.

    A backend may leave ``frame`` empty where no write needs it.
    """

    id: str
    guild: str
    subject: str
    user: str
    type: str
    queue: str
    key: bytes
    fingerprint: bytes
    idempotency: bool  #: its operation was made by an idempotency key
    window: int
    ordinal: int  #: its number in the order of acceptance over all guilds; that of its replay, once replayed
    sequence: int
    first: int  #: the position it was answered; 0: delayed
    ahead: int  #: as it was answered
    accepted_at: int
    expires_at: int
    position: int
    until: int  #: of a delayed one: when it is due
    frame: bytes = b""
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
    opposed: bool = False  #: its operation is over: since it was accepted (or applied), something opposed was applied;
    #: or nothing came of it
    archived: bool = False  #: the line of its end is not kept with it any more
    home: int = 0  #: for a backend with a log: the record that holds its full image

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

    def operation(self, opposed_in_flight: bool) -> Operation:
        """The view the ruling on a newcomer needs."""
        return Operation(
            self.fingerprint, self.idempotency, self.window, self.settled_at, self.opposed or opposed_in_flight
        )
