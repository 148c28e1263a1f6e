"""The ``direct`` protocol: the command is executed in this process."""

from __future__ import annotations

import asyncio

from actors.envelope import Envelope
from actors.ports import Done, Ticket, Verified
from actors.runtime.clock import Clock
from router.protocols import results
from router.protocols.executor import Executor, tell
from router.protocols.handlers import Handlers
from router.protocols.workshop import STOPPED


class DirectProtocol:
    """Handlers in this process: sync ones on ``workers`` threads, async ones on an event loop.

    An attempt may take ``timeout_ms``, or what its handler declared, and never longer than its ticket's deadline; then
    it is in doubt (``timeout``). A thread cannot be stopped, an async handler is cancelled. ``loop``: the loop of async
    handlers; ``None``: one on a thread of its own. ``executor``: shared with other protocols, instead of all that.
    """

    name = "direct"
    dedupes = True

    def __init__(
        self,
        handlers: Handlers,
        *,
        clock: Clock,
        workers: int = 4,
        timeout_ms: int = 5_000,
        loop: asyncio.AbstractEventLoop | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._handlers = handlers
        self._executor = executor or Executor(handlers, clock, workers=workers, timeout_ms=timeout_ms, loop=loop)
        self._open = False

    @property
    def executor(self) -> Executor:
        """What executes, to be shared with other protocols of this process."""
        return self._executor

    def open(self) -> None:
        """See ``ExecutionProtocol``; may be called again."""
        self._executor.open(self.name)
        self._open = True

    def close(self, drain: float) -> None:
        """See ``ExecutionProtocol``; what waits is handed back, what runs on after ``drain`` seconds is in doubt."""
        self._open = False
        self._executor.close(self.name, drain)

    def reaches(self, envelope: Envelope) -> bool:
        """Whether there is a handler for its type."""
        return self._open and self._handlers.find(envelope.type, self.name) is not None

    def idempotent(self, envelope: Envelope) -> bool:
        """Whether the handler was declared so."""
        handler = self._handlers.find(envelope.type, self.name)
        return handler is not None and handler.idempotent

    def start(self, ticket: Ticket, done: Done) -> None:
        """See ``ExecutionProtocol``."""
        if self._open:
            self._executor.start(ticket, done, self.name)
        else:
            tell(done, results.deferred("shutting_down", "the handlers are stopped", STOPPED))

    def recall(self, id: str) -> bool:
        """``True`` while it waits for a thread or for the loop."""
        return self._executor.recall(id)

    def verify(self, envelope: Envelope, done: Verified) -> None:
        """By the dedupe record, else by the handler's verify hook, else nobody knows."""
        self._executor.verify(envelope, done, self.name)
