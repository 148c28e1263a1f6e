"""The protocols of this process, ready for use: real threads, a clock the test turns."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.policy.consuming import QueueRules
from actors.queues import NamedQueues
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import ManualClock
from actors.tables.deliveries import Desk
from router.protocols.direct import DirectProtocol
from router.protocols.executor import Executor
from router.protocols.handlers import Handlers
from router.protocols.queue import QueueProtocol
from router.stores.memory import MemoryStore
from tests.queues.store_keeper import Disk, StoreKeeper

QUEUES = "named-queues"


class DirectBench:
    """``direct`` alone."""

    def __init__(
        self,
        handlers: Handlers,
        *,
        workers: int = 4,
        timeout_ms: int = 5_000,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.protocol = DirectProtocol(handlers, clock=self.clock, workers=workers, timeout_ms=timeout_ms, loop=loop)
        self.executor = self.protocol.executor
        self.protocol.open()

    def now(self) -> int:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def close(self) -> None:
        self.protocol.close(5)


class QueueBench:
    """``queue`` with a store, its keeper and the actor of named queues."""

    def __init__(
        self,
        handlers: Handlers,
        *,
        workers: int = 4,
        timeout_ms: int = 5_000,
        rules: QueueRules | None = None,
        store: Any = None,
        queues: list[str] | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.store = store or MemoryStore()
        if store is None:
            self.store.open(self.clock.now())
        self.disk = Disk(self.store)
        given = rules or QueueRules()
        self.desk = Desk(lambda _: given)
        self.runtime = Runtime(clock=self.clock)
        self.executor = Executor(handlers, self.clock, workers=workers, timeout_ms=timeout_ms)
        self.protocol = QueueProtocol(
            lambda: self.runtime.ref(QUEUES), self.desk, self.executor, clock=self.clock, queues=queues
        )
        self.runtime.start(
            SupervisorSpec(
                "root",
                [
                    ChildSpec("journal", lambda: StoreKeeper(self.disk)),
                    ChildSpec(QUEUES, lambda: NamedQueues(lambda: self.runtime.ref("journal"), self.desk)),
                ],
            )
        )
        self.protocol.open()

    def now(self) -> int:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def close(self) -> None:
        self.protocol.close(5)
        self.runtime.stop()

    def settled(self) -> None:
        """Wait until the actors have done what they were told so far."""
        for name in (QUEUES, "journal", QUEUES):
            self.runtime.ref(name).ask(_Nothing(), timeout=10)


class _Nothing:
    """Asked and answered: whatever was told before is done."""

    reply = staticmethod(lambda _: None)
    fn = staticmethod(lambda _store, _now: None)
