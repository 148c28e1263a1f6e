"""What every protocol promises, over a real socket."""

from __future__ import annotations

from typing import Any

from actors.envelope import Envelope
from actors.outcome import Verdict
from router.protocols.contract import ProtocolContract
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes
from router.protocols.websocket.doubts import PATIENCE
from tests.sockets.benches import AcrossBench, SocketBench


class TestWebSocket(ProtocolContract):
    def make(self, handlers: Handlers, **options: Any) -> SocketBench:
        return SocketBench(handlers, **options)

    def verified(self, bench: Any, envelope: Envelope) -> Any:
        """Another bot might know, so "nobody knows" is said when the time for that is over."""
        answers = Outcomes()
        bench.protocol.verify(envelope, answers)
        if not answers.all:
            assert bench.bot.answered.acquire(timeout=CAP)
            bench.advance(0)
            if not answers.all:
                bench.advance(PATIENCE / 1_000 + 0.1)
        return answers.one


class TestAnotherRoutersBot(TestWebSocket):
    """One router is asked, and the bot is connected to the other."""

    def make(self, handlers: Handlers, **options: Any) -> AcrossBench:
        return AcrossBench(handlers, **options)

    def verified(self, bench: Any, envelope: Envelope) -> Any:
        answers = Outcomes()
        bench.protocol.verify(envelope, answers)
        while not (answers.all or bench.bot.answered.acquire(timeout=0.01)):  # the router has it, or its bot is asked
            pass
        bench.advance(0.25)
        if not answers.all:
            bench.advance(PATIENCE / 1_000 + 0.1)
        return answers.one

    def test_what_has_not_begun_can_be_recalled_and_never_begins(self) -> None:
        """That it is taken back is said by its outcome, for another process has it."""
        self.handle(self.block)
        bench = self.start(workers=1)
        running, waiting, after = Outcomes(), Outcomes(), Outcomes()
        bench.protocol.start(self.ticket(bench), running)
        self.begun()
        ticket = self.ticket(bench)
        bench.protocol.start(ticket, waiting)
        assert not bench.protocol.recall(ticket.envelope.id)
        assert waiting.one.fault.code == "recalled"
        self.release.set()
        bench.protocol.start(self.ticket(bench), after)
        assert after.one.verdict is Verdict.APPLIED
        assert ticket.envelope.id not in [id_ for id_, _ in self.calls]
