"""What every protocol promises, over a real socket."""

from __future__ import annotations

from typing import Any

from actors.envelope import Envelope
from router.protocols.contract import ProtocolContract
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import CAP, Outcomes
from router.protocols.websocket.doubts import PATIENCE
from tests.sockets.benches import SocketBench


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
