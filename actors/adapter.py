"""The adapter: the actor that owns one protocol. One attempt in, one outcome out, whatever happens in between."""

from __future__ import annotations

from actors.messages import Check, Start, Verified
from actors.outcome import Fault, Outcome, Verdict
from actors.policy.breaker import Breaker, Open
from actors.ports import ExecutionProtocol, Ticket
from actors.runtime.actor import Actor
from actors.tables.flights import Flights
from actors.tables.guilds import Guilds
from actors.tables.landing import Landing

WATCH = 1.0
"""Seconds between looks for attempts whose protocol forgot to answer."""

BOUNCED = Outcome(
    Verdict.NOT_APPLIED, fault=Fault("adapter_restarted", "its adapter crashed before it started", retryable=True)
)


class Adapter(Actor):
    """Breaker, attempt, outcome."""

    mailbox_capacity = 1_000_000
    slice_size = 500

    def __init__(
        self,
        protocol: ExecutionProtocol,
        *,
        breaker: Breaker,
        flights: Flights,
        landing: Landing,
        guilds: Guilds,
        grace: int,
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._breaker = breaker
        self._flights = flights
        self._landing = landing
        self._guilds = guilds
        self._grace = grace

    def on_start(self) -> None:
        self._protocol.open()
        # What a predecessor had in hand and not yet given to the protocol has proof of not having happened; what it
        # had given is still on its way and lands by itself, or is called in doubt by the watch.
        for flight in self._flights.of(self._protocol.name):
            if flight.taken and not flight.handed:
                self._landing.land(flight, BOUNCED, self.clock.now())
        self.send_after(WATCH, _Watch())

    def on_receive(self, message: object) -> None:
        match message:
            case Start(ticket):
                self._start(ticket)
            case Check(envelope, attempt):
                guild, id_ = envelope.guild, envelope.id
                self._protocol.verify(
                    envelope, lambda happened: self._guilds.tell(guild, Verified(id_, attempt, happened))
                )
            case _Watch():
                self._watch(self.clock.now())
                self.send_after(WATCH, _Watch())

    def _start(self, ticket: Ticket) -> None:
        flight = self._flights.get(ticket.envelope.id)
        if flight is None or flight.ticket is not ticket or flight.taken:
            return  # an attempt that was given up or taken over before it came here
        flight.taken = True
        now = self.clock.now()
        permit = self._breaker.permit(now)
        if isinstance(permit, Open):
            fault = Fault("breaker_open", f"{self._protocol.name} is resting", True, permit.remaining)
            self._landing.land(flight, Outcome(Verdict.DEFERRED, fault=fault, retry_after=permit.remaining), now)
            return
        flight.handed = True
        self._protocol.start(ticket, self._landing.pilot(flight, permit, self._breaker, self.clock.now))

    def _watch(self, now: int) -> None:
        for flight in self._flights.of(self._protocol.name):
            deadline = flight.ticket.deadline
            if flight.handed and deadline and now > deadline + self._grace:
                fault = Fault("timeout", f"{self._protocol.name} gave no answer in time", retryable=True)
                self._landing.land(flight, Outcome(Verdict.IN_DOUBT, fault=fault), now)


class _Watch:
    """To itself: nobody waits for ever for a protocol that forgot to answer."""
