"""What every protocol promises, over a real socket."""

from __future__ import annotations

from typing import Any

from actors.envelope import Envelope
from actors.outcome import Outcome
from router.protocols.contract import ProtocolContract
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import Outcomes
from router.protocols.websocket.doubts import PATIENCE
from tests.sockets.benches import AcrossBench, SocketBench


class TestWebSocket(ProtocolContract):
    def make(self, handlers: Handlers, **options: Any) -> SocketBench:
        return SocketBench(handlers, **options)

    def verified(self, bench: Any, envelope: Envelope) -> Any:
        """Another bot might know, so "nobody knows" is said when the time for that is over."""
        answers = Outcomes()
        bench.protocol.verify(envelope, answers)
        while not (answers.all or bench.bot.answered.acquire(timeout=0.01)):  # the router has it, or its bot is asked
            pass
        bench.advance(0.25)
        if not answers.all:
            bench.advance(PATIENCE / 1_000 + 0.1)
        return answers.one


class TestAnotherRoutersBot(TestWebSocket):
    """One router is asked, and the bot is connected to the other."""

    def make(self, handlers: Handlers, **options: Any) -> AcrossBench:
        return AcrossBench(handlers, **options)

    def take_back(self, bench: Any, id_: str, waiting: Outcomes) -> list[Outcome]:
        """That it is taken back is said by its outcome, for another process has it."""
        assert not bench.protocol.recall(id_)
        assert waiting.one.fault.code == "recalled"
        return [waiting.one]
