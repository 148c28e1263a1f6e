"""The contract of executing protocols, over a socket: the handlers are behind a bot's endpoint."""

from __future__ import annotations

from threading import Event
from typing import Any

from actors.outcome import Verdict
from actors.runtime.testing import ManualClock
from router.protocols.contract import ProtocolContract
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes, ban, say
from router.protocols.rest.endpoint import Endpoint
from tests.fakes.served import Served, application
from tests.rest.benches import RestBench

MARGIN = 1_000  # ms the router waits longer than the bot's handlers may take


class EndpointBench(RestBench):
    """A bot with these handlers, and the protocol that calls it."""

    def __init__(self, handlers: Handlers, *, workers: int, timeout_ms: int) -> None:
        clock = ManualClock()
        self.endpoint = Endpoint(
            secret="s3cret", handlers=handlers, clock=clock, workers=workers, timeout_ms=timeout_ms
        )
        self.endpoint.open()
        self.served = Served(application("/commands{tail:.*}", self.endpoint.aiohttp))
        self.served.__enter__()
        super().__init__(
            f"{self.served.url}/commands",
            clock=clock,
            secret="s3cret",
            records=True,
            capacity=1_000,
            types=handlers.types(),
            wait_ms=timeout_ms + MARGIN,
        )

    def close(self) -> None:
        super().close()
        self.served.__exit__()
        self.endpoint.close(1)


class TestEndpoint(ProtocolContract):
    """Where a bot in another process cannot promise the same, what it promises instead."""

    def start(self, **options: Any) -> EndpointBench:
        bench = super().start(**options)
        assert isinstance(bench, EndpointBench)
        return bench

    def make(self, handlers: Handlers, *, workers: int = 4, timeout_ms: int = 5_000) -> EndpointBench:
        return EndpointBench(handlers, workers=workers, timeout_ms=timeout_ms)

    def test_idempotent_is_what_the_handler_declares(self) -> None:
        """The bot does not say: its record is asked before anything is repeated."""
        self.handle(lambda *_: None, idempotent=True)
        bench = self.start()
        assert not bench.protocol.idempotent(self.ticket(bench).envelope)

    def test_a_handler_has_its_own_timeout_and_the_ticket_the_last_word(self) -> None:
        """The bot goes on as long as its handler may; the router waits as long as it may, and its ticket."""
        self.handle(self.block, timeout=30)
        bench = self.start(timeout_ms=5_000)
        patient, urgent = Outcomes(), Outcomes()
        ticket = self.ticket(bench)
        bench.protocol.start(ticket, patient)
        bench.protocol.start(self.ticket(bench, deadline=bench.now() + 3_000), urgent)
        self.begun(2)
        bench.advance(3.1)
        assert urgent.one.verdict is Verdict.IN_DOUBT
        assert patient.all == []
        bench.advance(3.1)
        assert patient.one.verdict is Verdict.IN_DOUBT
        self.release.set()
        assert self.run(bench, self.again(ticket.envelope, 2)).verdict is Verdict.APPLIED
        assert len(self.calls) == 2

    def test_what_has_not_begun_can_be_recalled_and_never_begins(self) -> None:
        """It has begun as soon as the network has it, wherever it waits afterwards."""
        self.handle(lambda *_: None)
        bench = self.start()
        held, waiting, after = Event(), Outcomes(), Outcomes()

        async def hold() -> None:
            held.wait(CAP)

        bench.protocol._net.go(hold)
        ticket = self.ticket(bench)
        bench.protocol.start(ticket, waiting)
        assert bench.protocol.recall(ticket.envelope.id)
        assert not bench.protocol.recall(ticket.envelope.id)
        held.set()
        bench.protocol.start(self.ticket(bench), after)
        assert after.one.verdict is Verdict.APPLIED
        assert waiting.all == []
        assert len(self.calls) == 1

    def test_verify_of_what_nobody_here_has_seen_asks_the_handlers_hook(self) -> None:
        """The bot is asked by id, so it has no command to ask its hook with: it has not seen it, or cannot tell."""
        self.handle(lambda *_: None, verify=lambda *_: True)
        bench = self.start()
        ticket = self.ticket(bench)
        assert self.verified(bench, ticket.envelope) is None  # the record is not older than the command
        bench.advance(600)
        assert self.verified(bench, self.ticket(bench, ban()).envelope) is False

    def test_close_waits_for_what_runs_and_hands_back_what_does_not(self) -> None:
        """What waits at the bot is not taken back: it is waited for too."""
        self.handle(self.block)
        bench = self.start(workers=1)
        running, waiting, late = Outcomes(), Outcomes(), Outcomes()
        bench.protocol.start(self.ticket(bench), running)
        self.begun()
        bench.protocol.start(self.ticket(bench), waiting)
        self.release.set()
        bench.protocol.close(10)
        assert running.one.verdict is Verdict.APPLIED
        assert waiting.one.verdict in (Verdict.APPLIED, Verdict.DEFERRED)
        bench.protocol.start(self.ticket(bench, say()), late)
        assert late.one.verdict is Verdict.DEFERRED
