"""The attempts under way, held outside the actors, so that a crashed one leaves a list of what it had in hand."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event, Lock

from actors.outcome import Outcome
from actors.policy.breaker import Permit
from actors.ports import Ticket


class Flight:
    """One attempt, from the moment its guild writes it down until its guild has judged its outcome."""

    __slots__ = (
        "asked_at",
        "given",
        "guild",
        "handed",
        "ms",
        "outcome",
        "permit",
        "protocol",
        "started",
        "taken",
        "ticket",
        "times_asked",
    )

    def __init__(self, ticket: Ticket, protocol: str, started: int) -> None:
        self.ticket = ticket
        self.guild = ticket.envelope.guild
        self.protocol = protocol
        self.started = started  #: ms since the epoch
        self.taken = False  #: in its adapter's hands
        self.handed = False  #: on its way into the protocol: from here on it may have happened
        self.given = False  #: the protocol has it, and owes an outcome
        self.permit: Permit | None = None  #: its breaker's
        self.outcome: Outcome | None = None  #: landed, and not judged yet
        self.ms = 0
        self.asked_at = 0  #: its outcome was in doubt, and its protocol is asked whether it happened, since then
        self.times_asked = 0


class Flights:
    """Attempts by envelope id. Thread-safe."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._lock = Lock()
        self.empty = Event()
        self.empty.set()

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, departing: Iterable[Flight]) -> list[Flight]:
        """These attempts begin. Those whose places they take, if they had not landed: they never will."""
        stranded = []
        flights = self._flights
        with self._lock:
            for flight in departing:
                id_ = flight.ticket.envelope.id
                former = flights.get(id_)
                if former is not None and former.outcome is None:
                    stranded.append(former)
                flights[id_] = flight
            if flights:
                self.empty.clear()
        return stranded

    def get(self, id: str) -> Flight | None:
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

    def drop(self, judged: Iterable[Flight]) -> None:
        """Their guild has told the journal what follows. A later one of the same envelope is left alone."""
        flights = self._flights
        with self._lock:
            for flight in judged:
                id_ = flight.ticket.envelope.id
                if flights.get(id_) is flight:
                    del flights[id_]
            if not flights:
                self.empty.set()

    def of(self, protocol: str) -> list[Flight]:
        """All attempts over one protocol that have not landed."""
        return [f for f in list(self._flights.values()) if f.protocol == protocol and f.outcome is None]

    def asked(self, protocol: str) -> list[Flight]:
        """All attempts over one protocol of which it is asked whether they happened."""
        return [f for f in list(self._flights.values()) if f.protocol == protocol and f.asked_at]

    def all(self) -> list[Flight]:
        """All attempts."""
        return list(self._flights.values())
