"""Routers that ask and workers that execute, each as if in a process of its own; the clock is the test's."""

from __future__ import annotations

import threading
from typing import Any

from actors.keeper import Keeper
from actors.policy.consuming import QueueRules
from actors.queues import NamedQueues
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.testing import ManualClock
from actors.tables.deliveries import Desk
from router.protocols.executor import Executor
from router.protocols.handlers import Handlers
from router.protocols.queue import QueueProtocol
from router.protocols.rehearsal import CAP
from router.worker import Worker
from tests.workers.shared import Shared

QUEUE = "bot:moderation"


class Calls:
    """What handlers were called with, over all processes; ``block`` goes on when the test says so."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.all: list[tuple[str, str, int]] = []  # (who, envelope id, attempt)
        self.release = threading.Event()
        self.waiting = 0  # handlers that wait for it

    def by(self, who: str) -> Any:
        def handler(command: Any, ctx: Any) -> dict[str, Any]:
            self.note(who, ctx)
            return {"by": who}

        return handler

    def blocking(self, who: str) -> Any:
        def handler(command: Any, ctx: Any) -> dict[str, Any]:
            self.note(who, ctx)
            with self._changed:
                self.waiting += 1
            try:
                assert self.release.wait(CAP)
            finally:
                with self._changed:
                    self.waiting -= 1
            return {"by": who}

        return handler

    def note(self, who: str, ctx: Any) -> None:
        with self._changed:
            self.all.append((who, ctx.id, ctx.attempt))
            self._changed.notify_all()


class Asker:
    """A router's ``queue`` protocol, with handlers of its own or none."""

    def __init__(self, world: World, name: str, handlers: Handlers | None = None, workers: int = 4) -> None:
        self.world = world
        self.clock = world.clock
        self.handle = world.shared.handle()
        self.runtime = Runtime(clock=world.clock)
        self.desk = Desk(lambda _: QueueRules())
        self.reached = 0
        self.executor = Executor(handlers or Handlers(), world.clock, workers=workers)
        self.protocol = QueueProtocol(
            lambda: self.runtime.ref("queues"),
            self.desk,
            self.executor,
            clock=world.clock,
            router=name,
            on_reach=self._reach,
        )
        children = [
            ChildSpec("keeper", lambda: Keeper(self.handle)),
            ChildSpec("queues", lambda: NamedQueues(lambda: self.runtime.ref("keeper"), self.desk)),
        ]
        self.runtime.start(SupervisorSpec("root", children))
        self.protocol.open()
        world.settle(self)

    def _reach(self) -> None:
        self.reached += 1

    def now(self) -> int:
        return self.clock.now()

    def close(self) -> None:
        self.protocol.close(5)
        self.runtime.stop()


class World:
    """All of them, and the store they share."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.shared = Shared(self.clock.now())
        self.calls = Calls()
        self.askers: list[Asker] = []
        self.workers: list[Worker] = []
        self.dead: list[Worker] = []

    def asker(self, name: str = "r1", handlers: Handlers | None = None, workers: int = 4) -> Asker:
        asker = Asker(self, name, handlers, workers)
        self.askers.append(asker)
        return asker

    def worker(self, message: Any, function: Any, **options: Any) -> Worker:
        """One with this handler; ``idempotent`` and ``verify`` are the handler's."""
        own = {name: options.pop(name) for name in ("idempotent", "verify", "timeout") if name in options}
        worker = Worker(self.shared.handle(), **{"lease": 2.0} | options, clock=self.clock)
        worker.handler(message, **own)(function)
        worker.start()
        self.workers.append(worker)
        self.settle()
        return worker

    def settle(self, *_: Any) -> None:
        """Everybody has done what there was to do; handlers have ended, or wait for the test."""
        crews = [worker._crew for worker in self.workers if worker._crew is not None]
        runtimes = [each.runtime for each in self.askers] + [each._runtime for each in crews]
        executors = [each.executor for each in self.askers] + [each._executor for each in crews]
        executors += [worker._crew._executor for worker in self.dead if worker._crew is not None]
        for _ in range(2):
            for runtime in runtimes:
                for name in ("queues", "keeper", "queues"):
                    runtime.ref(name).ask(Nothing(), timeout=10)
            # A question to an actor gives the handlers' threads their turn.
            for _ in range(20_000):
                if self.calls.release.is_set() or sum(len(each.workshop) for each in executors) <= self.calls.waiting:
                    break
                runtimes[0].ref("queues").ask(Nothing(), timeout=10)

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Time passes in steps, and in each everybody does what is due."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            self.settle()
            seconds -= step

    def until(self, condition: Any, seconds: float = 30.0, step: float = 0.25) -> None:
        """Time passes until it is so."""
        while not condition():
            assert seconds > 0, "it never came"
            self.pass_time(step)
            seconds -= step

    def begun(self, count: int = 1) -> None:
        """Time passes until so many handlers were called."""
        self.until(lambda: len(self.calls.all) >= count)

    def kill(self, worker: Worker) -> None:
        """As ``kill -9``: nothing more of it reaches the store."""
        self.handle(worker).cut = True
        self.workers.remove(worker)
        self.dead.append(worker)

    @staticmethod
    def handle(worker: Worker) -> Any:
        """The worker's way to the store."""
        return worker._store

    def close(self) -> None:
        self.calls.release.set()
        for worker in [*self.workers, *self.dead]:
            worker.stop(5)
        for asker in self.askers:
            asker.close()


class Nothing:
    """Asked and answered: whatever was told before is done."""

    reply = staticmethod(lambda _: None)
    fn = staticmethod(lambda _store, _now: None)
