"""The protocols of one router, made from its settings: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.envelope import Envelope
from actors.ports import ExecutionProtocol
from actors.runtime.clock import Clock
from actors.runtime.ref import Ref
from actors.tables.deliveries import Desk
from router.protocols.direct import DirectProtocol
from router.protocols.executor import Executor
from router.protocols.handlers import Handlers
from router.protocols.queue import QueueProtocol
from router.settings import Settings


class Protocols:
    """Each by its name, and all of them as the engine takes them."""

    def __init__(
        self,
        settings: Settings,
        handlers: Handlers,
        *,
        clock: Clock,
        desk: Desk,
        decode: Callable[[Envelope], Any],
        named_queues: Callable[[], Ref],
    ) -> None:
        self.executor = Executor(
            handlers, clock, workers=settings.workers, timeout_ms=settings.direct_execution_timeout, decode=decode
        )
        self.direct = DirectProtocol(handlers, clock=clock, executor=self.executor)
        self.queue = QueueProtocol(
            named_queues, desk, self.executor, clock=clock, concurrency=settings.queue_concurrency
        )

    def all(self) -> list[ExecutionProtocol]:
        """In no order: the plan decides."""
        return [self.direct, self.queue]
