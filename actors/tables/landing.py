"""The end of an attempt, from any thread: exactly once, to its guild."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from actors.messages import Done
from actors.outcome import Fault, Outcome, Verdict
from actors.policy.breaker import Breaker, Permit
from actors.ports import ExecutionProtocol
from actors.runtime.errors import RuntimeFault
from actors.tables.flights import Flight, Flights
from actors.tables.gate import Gate
from actors.tables.guilds import Guilds
from actors.tables.services import Services

logger = logging.getLogger("guild_router.adapter")


HANDED_BACK = Outcome(Verdict.DEFERRED, executed=True, fault=Fault("shutdown", "handed back", True))


class Landing:
    """Where outcomes come in."""

    def __init__(self, flights: Flights, gate: Gate, guilds: Guilds, services: Services) -> None:
        self._flights = flights
        self._gate = gate
        self._guilds = guilds
        self._services = services

    def land(self, flight: Flight, outcome: Outcome, now: int) -> bool:
        """Tell the flight's guild what it came to and free its slot; ``False``: it had landed before."""
        ms = now - flight.started
        if not self._flights.land(flight, outcome, ms):
            return False
        ticket = flight.ticket
        self._gate.leave(ticket.envelope)
        try:
            self._guilds.tell(flight.guild, Done(ticket.envelope.id, ticket.attempt, flight.protocol, outcome, ms))
        except RuntimeFault as error:
            # Nobody is there to hear it; the flight keeps the outcome for the guild's next incarnation.
            logger.warning("the outcome of %s could not be told: %s", ticket.envelope.id, error)
        return True

    def hand_back(self, flight: Flight, protocols: Mapping[str, ExecutionProtocol], now: int) -> bool:
        """Put an attempt that its protocol can prove not to have started back into its lane, uncharged."""
        if not flight.handed or flight.outcome is not None:
            return False
        if not protocols[flight.protocol].recall(flight.ticket.envelope.id):
            return False
        return self.land(flight, HANDED_BACK, now)

    def pilot(
        self, flight: Flight, permit: Permit, breaker: Breaker, now: Callable[[], int]
    ) -> Callable[[Outcome], None]:
        """The callback of one attempt: its outcome counts at the breaker and for the service, then lands."""
        # A closure would be eight objects for the garbage collector to look at while the attempt is under way.
        return partial(self._done, flight, permit, breaker, now)

    def _done(self, flight: Flight, permit: Permit, breaker: Breaker, now: Callable[[], int], outcome: Outcome) -> None:
        at = now()
        ms = at - flight.started
        match outcome.verdict:
            case Verdict.APPLIED:
                breaker.succeed(permit, at, ms)
            case Verdict.IN_DOUBT | Verdict.NOT_APPLIED if not outcome.executed:
                breaker.fail(permit, at)
            case _:
                # An executor that ran and failed, refused or deferred is not the protocol's fault.
                breaker.release(permit, at)
                if outcome.executed:
                    self._services.called(breaker.name, at, ms, True)
        self.land(flight, outcome, at)

    def overdue(self, flight: Flight, breaker: Breaker, outcome: Outcome, now: int) -> None:
        """Lands in the stead of a protocol that will not say; at its breaker that is a failure."""
        if flight.permit is not None:
            breaker.fail(flight.permit, now)
        self.land(flight, outcome, now)
