"""Executes commands on the running loop: each envelope once, at most so many at once, each within its time."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from actors.codec import pack, unpack
from actors.envelope import Envelope
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Ticket
from router.client.record import Record, fault_of, said_of
from router.frames import frame, to_router
from router.frames.from_router import Order, Sealed
from router.frames.to_router import RecordLine
from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.seal import unseal
from router.protocols import results
from router.protocols.context import Context
from router.protocols.handlers import Handler, Handlers

logger = logging.getLogger("router.client")

BUSY: Final = 100  # ms; advice to come back
GONE: Final = 1_000  # ms; as above
GRACE: Final = 1.0  # seconds a cancelled handler gets to clean up before nobody waits for it


class _Run:
    """One execution and the attempts that wait for it."""

    __slots__ = ("attempts", "order", "task")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.attempts = [order.attempt]
        self.task: asyncio.Task[None] | None = None


class Executions:
    """``say(frame) -> bool`` sends an answer; ``False``: there is no connection, and it is kept until there is."""

    def __init__(
        self,
        handlers: Handlers,
        record: Record,
        say: Callable[[to_router.Executed | to_router.Taken | to_router.Refused], bool],
        *,
        catalog: Catalog,
        capacity: int,
        timeout: float,
        now: Callable[[], int],
    ) -> None:
        self._handlers = handlers
        self._record = record
        self._say = say
        self._catalog = catalog
        self._timeout = timeout
        self._now = now  #: by the router's clock, ms since the epoch
        self._most = 2 * capacity
        self._room = asyncio.Semaphore(capacity)
        self._runs: dict[str, _Run] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._runs)

    def take(self, order: Order) -> None:
        """A command has come."""
        id_ = order.envelope.id
        running = self._runs.get(id_)
        if running is not None:  # asked again while it runs: it ends once, and everybody hears of it
            running.attempts.append(order.attempt)
            self._acknowledge(order)
            return
        handler = self._handlers.find(order.envelope.type)
        known = self._record.answer(id_, order.attempt, safe=handler is not None and handler.safe)
        if known is not None:
            self._acknowledge(order)
            self._say(executed(id_, order.attempt, known))
        elif self.draining:
            self._refuse(order, "shutting_down", "the bot stops", GONE)
        elif handler is None:
            self._refuse(order, "no_handler", "nobody here handles this type", GONE)
        elif len(self._runs) >= self._most:
            self._refuse(order, "busy", f"{len(self._runs)} commands wait for a handler", BUSY)
        else:
            self._acknowledge(order)
            run = self._runs[id_] = _Run(order)
            self._idle.clear()
            run.task = asyncio.get_running_loop().create_task(self._execute(run, handler))

    async def lines(self, ids: list[str], envelopes: list[Sealed]) -> list[RecordLine]:
        """What the record has; where it cannot tell, what the verify hooks find out."""
        sealed = {one.id: one for one in envelopes}
        return [await self._line(id_, sealed.get(id_)) for id_ in ids]

    async def drain(self, seconds: float) -> bool:
        """Take no more, and wait for what runs; ``False``: some of it still does."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def abandon(self) -> None:
        """Cancel what still runs: it is in doubt."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)

    # ------------------------------------------------------------ one execution

    async def _execute(self, run: _Run, handler: Handler) -> None:
        order = run.order
        id_ = order.envelope.id
        began = False
        outcome = results.in_doubt("shutting_down", "the bot stopped while it ran")
        try:
            async with self._room:
                refusal = self._too_late(order) or self._leaving(handler)
                if refusal is not None:
                    self._refuse(order, *refusal)
                    return
                try:
                    began = True
                    self._record.begin(id_, order.attempt)
                    outcome = await self._run(run, handler)
                finally:
                    if handler.binding is not None:
                        handler.binding.leave()
        except asyncio.CancelledError:
            if not began:
                self._refuse(order, "shutting_down", "the bot stops", GONE)
                raise
        except OSError as error:  # the record cannot be written: then nothing may begin
            logger.exception("the record of this bot cannot be written")
            outcome = results.failed("record_unwritable", results.text_of(error))
        finally:
            del self._runs[id_]
            if not self._runs:
                self._idle.set()
            if began:
                heard = [self._say(executed(id_, attempt, outcome)) for attempt in run.attempts]
                self._record.end(id_, outcome, order.attempt, heard=all(heard))

    def _too_late(self, order: Order) -> tuple[str, str, int] | None:
        late = order.deadline and self._now() >= order.deadline
        return ("too_late", "no handler was free before its deadline", BUSY) if late else None

    def _leaving(self, handler: Handler) -> tuple[str, str, int] | None:
        if handler.binding is None or handler.binding.enter():
            return None
        return "no_handler", "its handler is gone", GONE

    async def _run(self, run: _Run, handler: Handler) -> Outcome:
        order = run.order
        seconds = handler.timeout / 1_000 if handler.timeout else self._timeout
        if order.deadline:
            seconds = min(seconds, (order.deadline - self._now()) / 1_000)
        deadline = self._now() + round(seconds * 1_000)
        try:
            envelope = envelope_of(order.envelope)
            command = unseal(envelope, self._catalog)
        except Exception as error:  # noqa: BLE001 - whatever a body does to the decoder, it is the body's fault
            return results.of_undecodable(error)
        ticket = Ticket(envelope, b"", order.attempt, deadline, order.sequence, order.token)
        call = asyncio.get_running_loop().create_task(_call(handler, command, Context(ticket, command, deadline)))
        try:
            done, _ = await asyncio.wait({call}, timeout=max(0.0, seconds))
            if not done:
                # Told at once that it is in doubt, and again when it has ended: a thread cannot be stopped.
                late = results.in_doubt("timeout", "it did not end in time")
                for attempt in run.attempts:
                    self._say(executed(order.envelope.id, attempt, late))
                if handler.is_async:
                    call.cancel()
                await asyncio.wait({call})
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait({call}, timeout=GRACE)
            if not call.done():
                raise
        return call.result()

    def _acknowledge(self, order: Order) -> None:
        self._say(to_router.Taken(correlation_id=order.correlation_id, id=order.envelope.id, attempt=order.attempt))

    def _refuse(self, order: Order, code: str, message: str, retry_after: int) -> None:
        self._say(
            to_router.Refused(
                correlation_id=order.correlation_id,
                id=order.envelope.id,
                attempt=order.attempt,
                error=frame.Fault(code=code, message=message, retryable=True, retry_after=retry_after),
            )
        )

    async def _line(self, id_: str, sealed: Sealed | None) -> RecordLine:
        line = self._record.line(id_)
        handler = self._handlers.find(sealed.type) if sealed is not None else None
        open_ = line.state == "unknown" or (line.state == "done" and line.outcome == "in_doubt")
        if not open_ or sealed is None or handler is None or handler.verify is None:
            return line
        happened = await self._verified(handler, sealed)
        if happened is None:
            return line
        verdict = Verdict.APPLIED if happened else Verdict.NOT_APPLIED
        fault = None if happened else Fault("not_applied", "the verify hook says that it did not happen", True)
        outcome = Outcome(verdict, executed=True, fault=fault)
        if happened:
            self._record.end(id_, outcome, line.attempt, heard=True)
        return said_of(id_, outcome, line.attempt)

    async def _verified(self, handler: Handler, sealed: Sealed) -> bool | None:
        envelope = envelope_of(sealed)
        try:
            async with asyncio.timeout(self._timeout):
                command = unseal(envelope, self._catalog)
                ctx = Context(Ticket(envelope, b"", 0, 0, 0, 0), command, 0)
                happened = await _value(handler.hook(), handler.is_async, command, ctx)
        except Exception:
            logger.exception("the verify hook of %s failed", handler.name)
            return None
        return happened if isinstance(happened, bool) else None


async def _call(handler: Handler, command: Message, ctx: Context) -> Outcome:
    try:
        return results.of_value(await _value(handler.target(), handler.is_async, command, ctx))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return results.in_doubt("timeout", "it did not end in time")
        return results.of_error(error)
    except BaseException as error:  # noqa: BLE001 - whatever a handler does ends its attempt and nothing else
        return results.of_error(error)


async def _value(function: Callable[..., Any], is_async: bool, command: Message, ctx: Context) -> Any:
    if is_async:
        return await function(command, ctx)
    value = await asyncio.to_thread(function, command, ctx)  # the loop's own threads
    return await value if inspect.isawaitable(value) else value


def envelope_of(its: Sealed) -> Envelope:
    """The envelope that a frame shows."""
    return Envelope(
        id=its.id,
        type=its.type,
        kind=its.kind,
        guild=its.guild_id,
        subject=its.subject,
        queue=its.queue,
        priority=its.priority,
        created_at=its.created_at,
        expires_at=its.expires_at,
        idempotency_key=its.idempotency_key or "",
        source=its.source or "",
        user=its.user_id or "",
        request_id=its.request_id or "",
        correlation_id=its.correlation_id or "",
        headers=tuple(its.headers.items()),
        body=pack(its.data),
    )


def executed(id_: str, attempt: int, outcome: Outcome) -> to_router.Executed:
    """What came of an attempt, as it is said."""
    return to_router.Executed(
        correlation_id=f"{id_[:112]}/{attempt}",
        id=id_,
        attempt=attempt,
        outcome=outcome.verdict.value,
        noop=outcome.noop,
        data=unpack(outcome.data) if outcome.data else None,
        error=fault_of(outcome),
        retry_after=outcome.retry_after,
    )
