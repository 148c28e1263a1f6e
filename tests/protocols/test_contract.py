"""The one contract, over every protocol that executes in this process."""

from __future__ import annotations

from typing import Any

from router.protocols.contract import ProtocolContract
from router.protocols.handlers import Handlers
from router.protocols.rehearsal import Bench
from tests.protocols.benches import DirectBench, QueueBench


class TestDirect(ProtocolContract):
    def make(self, handlers: Handlers, **options: Any) -> Bench:
        return DirectBench(handlers, **options)


class TestQueue(ProtocolContract):
    def make(self, handlers: Handlers, **options: Any) -> Bench:
        return QueueBench(handlers, **options)
