"""The outbox of one guild: what it has decided in this slice, and whom to tell once that is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from actors.answers import encode_answer
from actors.errors import OwnerAway
from actors.messages import Check, Commit, Published, Replied, Settled, Start, tell
from actors.options import Options
from actors.outcome import Answer, Fault, Outcome, Status
from actors.places import trail_of
from actors.policy.facts import Facts
from actors.policy.lanes import Place
from actors.ports import Begin, Bury, Defer, ExecutionProtocol, Settle, Ticket, Write
from actors.runtime.ref import Ref
from actors.tables.blame import Blame
from actors.tables.breakers import Breakers
from actors.tables.flights import Flight, Flights
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.holdings import Holding, Holdings


@dataclass(frozen=True, slots=True)
class GuildTools:
    """What every guild actor of one engine shares."""

    options: Options
    facts: Callable[[str], Facts]
    protocols: dict[str, ExecutionProtocol]
    adapters: Callable[[str], Ref]
    journal: Callable[[], Ref]
    deduplicator: Callable[[], Ref]
    scheduler: Callable[[], Ref]
    publish: Callable[[list[Published]], None]
    listening: Callable[[], bool]
    gate: Gate
    breakers: Breakers
    guilds: Guilds
    flights: Flights
    blame: Blame
    random: Random
    pause_lane: Callable[[str], None]
    holdings: Holdings | None = None  #: alone there are none


class Outbox:
    """Writes for the journal, messages to follow them, attempts about to depart."""

    __slots__ = ("_departing", "_events", "_landed", "_then", "_tools", "_writes", "holding")

    def __init__(self, tools: GuildTools) -> None:
        self._tools = tools
        self._writes: list[Write] = []
        self._then: list[tuple[Ref | None, Any]] = []
        self._departing: list[Flight] = []
        self._landed: list[Flight] = []
        self._events: list[Published] = []
        self.holding: Holding | None = None  #: under which all this is decided

    def begin(self, place: Place, now: int) -> None:
        """The place's next attempt, over ``place.protocol``; its slot at the gate is taken already."""
        envelope = place.envelope
        attempt = place.attempts + 1
        timeout = self._tools.facts(envelope.type).timeout
        ticket = Ticket(
            envelope,
            place.frame,
            attempt,
            now + timeout if timeout else 0,
            place.sequence,
            place.token,
            place.expires_at,
            None if self.holding is None else self.holding.lapsed,
        )
        self._departing.append(Flight(ticket, place.protocol, now))
        self._writes.append(Begin(envelope.id, attempt, place.protocol, envelope.guild))
        self._then.append((self._tools.adapters(place.protocol), Start(ticket)))
        self.publish("started", place, place.protocol)

    def landed(self, flight: Flight) -> None:
        """This attempt is judged; it leaves the table together with what follows from it."""
        self._landed.append(flight)

    def check(self, place: Place, outcome: Outcome, now: int) -> None:
        """Ask the protocol whether the attempt in doubt happened. It stays in the table until that is known."""
        envelope = place.envelope
        attempt = place.attempts + 1
        flight = Flight(
            Ticket(envelope, place.frame, attempt, 0, place.sequence, place.token, place.expires_at),
            place.protocol,
            place.started_at,
        )
        flight.taken = flight.handed = flight.given = True
        flight.outcome = outcome
        flight.asked_at = now
        self._departing.append(flight)
        self._writes.append(Begin(envelope.id, attempt, place.protocol, envelope.guild))  # as it is written already
        self._then.append((self._tools.adapters(place.protocol), Check(envelope, attempt)))

    def defer(self, place: Place, until: int, reason: str) -> None:
        """It keeps its place and comes back."""
        envelope = place.envelope
        self._writes.append(Defer(envelope.id, until, place.attempts, trail_of(place), reason, envelope.guild))

    def settle(self, place: Place, status: Status, fault: Fault | None, now: int, data: bytes = b"") -> None:
        """The end of its way."""
        envelope = place.envelope
        answer = _answer(place, status, fault, now, data)
        opposes = self._tools.facts(envelope.type).opposes if answer.success else frozenset[str]()
        trail = trail_of(place, settled=True)
        encoded = encode_answer(answer)
        self._writes.append(Settle(envelope.id, status.value, encoded, trail, answer.success, opposes, envelope.guild))
        self._then.append((self._tools.deduplicator(), Settled(envelope, answer)))

    def bury(self, place: Place, fault: Fault, now: int) -> None:
        """The end of its way, in the dead letters."""
        envelope = place.envelope
        answer = _answer(place, Status.DEAD, fault, now)
        trail = trail_of(place, settled=True)
        encoded = encode_answer(answer)
        self._writes.append(Bury(envelope.id, fault.code, encoded, trail, place.attempts, envelope.guild))
        self._then.append((self._tools.deduplicator(), Settled(envelope, answer)))

    def reply(self, about: str, reply: Callable[[Any], None], value: object) -> None:
        """Answer an operator once all this is written."""
        self._then.append((None, Replied(about, reply, value)))

    def publish(self, kind: str, place: Place, detail: str) -> None:
        """Something the outside may want to see."""
        if self._tools.listening():
            self._events.append(Published(kind, place.envelope, None, place.sequence, detail))

    def send(self) -> None:
        """Hand everything to the journal, as one commit."""
        flights = self._tools.flights
        if self._writes or self._then:
            # From here on the attempts are under way: whoever takes over after a crash finds them in the table.
            if self._departing:
                stranded = flights.add(self._departing)
                self._departing = []
                for flight in stranded:
                    # Put there by a predecessor who crashed before the journal heard of it.
                    self._tools.gate.leave(flight.ticket.envelope)
            writes, self._writes = self._writes, []
            then, self._then = self._then, []
            holding = self.holding
            if holding is None:
                self._tools.journal().tell(Commit(writes, then))
            else:
                self._tools.journal().tell(Commit(writes, then, holding.partition, holding.token))
        if self._events:
            events, self._events = self._events, []
            self._tools.publish(events)
        if self._landed:
            # Last: when the table is empty, everything about these attempts is on its way.
            flights.drop(self._landed)
            self._landed = []

    def abandon(self) -> None:
        """The guild crashed before sending: give back the slots of attempts that will not depart."""
        for flight in self._departing:
            if not flight.asked_at:
                self._tools.gate.leave(flight.ticket.envelope)
        self._departing = []

    def disown(self) -> None:
        """The guild is another router's now: nothing of this is decided any more."""
        self.abandon()
        self._writes = []
        then, self._then = self._then, []
        for ref, message in then:
            if ref is None:
                tell(message.reply, OwnerAway("its guild has just gone to another router", retry_after=1_000))
        self._tools.flights.drop(self._landed)
        self._landed = []


def _answer(place: Place, status: Status, fault: Fault | None, now: int, data: bytes = b"") -> Answer:
    history = place.history
    return Answer(
        place.envelope.id,
        status,
        data,
        fault,
        history[-1].protocol if history else "",
        tuple(history),
        sequence=place.sequence,
        accepted_at=place.accepted_at,
        settled_at=now,
    )
