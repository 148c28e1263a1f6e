"""The attempts under way, held outside the actors, so that a crashed one leaves a list of what it had in hand."""

from __future__ import annotations

from threading import Event, Lock

from actors.outcome import Outcome
from actors.ports import Ticket


class Flight:
    """One attempt, from the moment its guild writes it down until its guild has judged its outcome."""

    __slots__ = ("guild", "handed", "ms", "outcome", "protocol", "queue", "started", "taken", "ticket")

    def __init__(self, ticket: Ticket, protocol: str, started: int) -> None:
        self.ticket = ticket
        self.guild = ticket.envelope.guild
        self.queue = ticket.envelope.queue
        self.protocol = protocol
        self.started = started  #: ms since the epoch
        self.taken = False  #: in its adapter's hands
        self.handed = False  #: given to the protocol: from here on it may have happened
        self.outcome: Outcome | None = None  #: landed, and not judged yet
        self.ms = 0


class Flights:
    """Attempts by envelope id. Thread-safe: landing is decided under a lock, the rest are single steps on a dict."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._lock = Lock()
        self.empty = Event()
        self.empty.set()

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, flight: Flight) -> None:
        """An attempt begins; it takes the place of an earlier one of its envelope."""
        self.empty.clear()
        self._flights[flight.ticket.envelope.id] = flight

    def get(self, id: str) -> Flight | None:  # noqa: A002 - the word of the port
        """The attempt of an envelope, if one is under way."""
        return self._flights.get(id)

    def land(self, flight: Flight, outcome: Outcome, ms: int) -> bool:
        """The attempt has come to this; ``False``: it had landed before, or is no longer the current one."""
        with self._lock:
            if flight.outcome is not None or self._flights.get(flight.ticket.envelope.id) is not flight:
                return False
            flight.outcome = outcome
            flight.ms = ms
            return True

    def remove(self, id: str, attempt: int, protocol: str) -> None:  # noqa: A002
        """Judged: its guild has told the journal what follows."""
        flight = self._flights.get(id)
        if (
            flight is not None
            and flight.outcome is not None  # a new try of the same attempt has none yet
            and flight.ticket.attempt == attempt
            and flight.protocol == protocol
        ):
            self._flights.pop(id, None)
        if not self._flights:
            self.empty.set()

    def of(self, protocol: str) -> list[Flight]:
        """All attempts over one protocol that have not landed."""
        return [f for f in list(self._flights.values()) if f.protocol == protocol and f.outcome is None]

    def all(self) -> list[Flight]:
        """All attempts."""
        return list(self._flights.values())
