"""Sagas: a command of several steps that fails half-way undoes what it did, in reverse, and says so.

Inside a handler::

    @router.handler(BanUser, idempotent=True)  # a crash in between must be gone on from
    async def ban(command, ctx):
        async with router.saga(ctx) as saga:
            note = await saga.step("notify", send_notice, undo=delete_notice)
            await saga.step("ban", do_ban, undo=UnbanUser(...))
            await saga.step("case", open_case)
        return saga.report()

An action is a function (sync or async, without arguments or with one: the ``Step``), or a message, which is sent as a
command of its own. An ``undo`` gets the ``Step`` with its action's ``result``. In a sync handler it is ``with`` and
``saga.step_now``.

What is begun and what is done is written to the audit trail of the command before and after each step, durably. An
attempt that follows a crash goes on from there: what is done is not done again; what was begun is done again if the
step is ``idempotent``, else its ``verify`` is asked, and if nobody knows, the command is answered ``in_doubt``. What
fails is undone, and the command is ``rejected`` with the code ``compensated``. A compensation that fails is tried again
with the next attempts; in the end the command is a dead letter with the code ``compensation_failed``, whose replay goes
on undoing.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from actors.codec import pack, unpack
from actors.ports import AuditFilter, Note, Store
from actors.runtime.promise import Promise
from router.messages.base import Message
from router.protocols.calling import cannot_take
from router.protocols.context import Context
from router.protocols.results import clean, data_of, text_of
from router.protocols.signals import Fail, InDoubt, Reject, RetryLater
from router.response import Response
from router.saga_progress import Line, Mark, Progress
from router.status import PATIENCE

if TYPE_CHECKING:
    from router.router import Router

logger = logging.getLogger("guild_router.router")

KIND = "saga"
LINES = 10_000  # of one command that are read; a saga has four per step and round
RESULT = 64 * 1024  # bytes of an action's result that are kept
NAME = 64
ID = 128  # characters of an envelope's id

Call: TypeAlias = "Callable[..., Any] | Message"


class Compensated(Reject):
    """A step failed, and everything before it was undone."""

    def __init__(self, step: str, why: str, undone: list[str]) -> None:
        names = ", ".join(undone) or "nothing"
        super().__init__("compensated", f"{step} failed: {why}; undone: {names}")
        self.step = step
        self.undone = undone


class CompensationFailed(Fail):
    """A step failed, and what was done before it could not be undone."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__("compensation_failed", f"{step} could not be undone: {why}")
        self.step = step


class StepInDoubt(InDoubt):
    """A step that may not be repeated was begun, and nobody knows whether it happened."""

    def __init__(self, step: str) -> None:
        super().__init__("step_in_doubt", f"{step} was begun, and nobody knows whether it happened")
        self.step = step


@dataclass(frozen=True, slots=True)
class Step:
    """What an action, a compensation or a verify hook is told."""

    name: str
    key: str  #: to pass on to whoever deduplicates further down; the same whenever this step is repeated
    result: Any = None  #: of the action; for compensations


class StepFailed(Exception):
    """A child command did not succeed."""

    def __init__(self, response: Response) -> None:
        error = response.error
        super().__init__(f"{response.status}: {error.code}: {error.message}" if error else response.status)
        self.response = response


class Saga:
    """Of one attempt of one command; made by ``router.saga(ctx)``."""

    def __init__(self, router: Router, ctx: Context) -> None:
        self._router = router
        self._envelope = ctx.envelope
        self._attempt = ctx.attempt
        self._over: Compensated | None = None
        self._progress = Progress()
        self._undos: dict[str, Call | None] = {}

    def report(self) -> dict[str, Any]:
        """For the command's response: each step and what it returned."""
        return {"steps": dict(self._progress.results)}

    # ------------------------------------------------------------ async

    async def __aenter__(self) -> Self:
        self._read(await self._load())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drive_async(self._leave(error))

    async def step(
        self,
        name: str,
        action: Call,
        *,
        undo: Call | None = None,
        idempotent: bool = False,
        verify: Callable[..., Any] | None = None,
    ) -> Any:
        """Do a step unless it is done; what its action returned. A message is a command of its own, done once."""
        return await self._drive_async(self._step(name, action, undo, idempotent, verify))

    async def _drive_async(self, moves: Moves) -> Any:
        answer, failure = None, None
        while True:
            try:
                move = moves.throw(failure) if failure is not None else moves.send(answer)
            except StopIteration as end:
                return end.value
            answer, failure = None, None
            try:
                value = move()
                answer = await value if inspect.isawaitable(value) else value
            except Exception as error:  # noqa: BLE001 - whatever it is, the saga decides what follows
                failure = error

    # ------------------------------------------------------------ sync

    def __enter__(self) -> Self:
        self._read(self._load().get(timeout=PATIENCE))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drive(self._leave(error))

    def step_now(
        self,
        name: str,
        action: Call,
        *,
        undo: Call | None = None,
        idempotent: bool = False,
        verify: Callable[..., Any] | None = None,
    ) -> Any:
        """``step`` for a sync handler."""
        return self._drive(self._step(name, action, undo, idempotent, verify))

    def _drive(self, moves: Moves) -> Any:
        answer, failure = None, None
        while True:
            try:
                move = moves.throw(failure) if failure is not None else moves.send(answer)
            except StopIteration as end:
                return end.value
            answer, failure = None, None
            try:
                answer = _at_once(move())
            except Exception as error:  # noqa: BLE001 - as above
                failure = error

    # ------------------------------------------------------------ what follows what: each yield is one move

    def _step(
        self, name: str, action: Call, undo: Call | None, idempotent: bool, verify: Callable[..., Any] | None
    ) -> Moves:
        progress = self._progress
        if self._over is not None:
            raise self._over
        _check(name, name in self._undos, action, undo, verify)
        self._undos[name] = undo
        if name in progress.given:
            return progress.given[name]
        if progress.failed is not None:
            raise _Undo  # an earlier attempt ended in the middle of undoing
        told = Step(name, self._key(name))
        if progress.interrupted(name) and not idempotent and not isinstance(action, Message):
            happened = None if verify is None else (yield lambda: _call(verify, told))
            if happened is None:
                raise StepInDoubt(name)
            if happened:
                yield self._write(Mark.DONE, name)
                return None
        elif not progress.interrupted(name):
            yield self._write(Mark.BEGUN, name)
        try:
            result = yield self._move(action, told)
        except RetryLater:
            raise
        except Exception as error:
            if isinstance(error, StepFailed) and error.response.status == "in_doubt":
                raise StepInDoubt(name) from error
            yield self._write(Mark.FAILED, name, text_of(error))
            raise _Undo from error
        data = _kept(result, name)
        yield self._write(Mark.DONE, name, data)
        return data

    def _leave(self, error: BaseException | None) -> Moves:
        progress = self._progress
        if self._over is not None:
            raise self._over
        if error is not None and (not isinstance(error, Exception) or isinstance(error, RetryLater | StepInDoubt)):
            return  # cut short: the next attempt goes on from here
        if progress.failed is None and error is None:
            if not progress.completed:
                yield self._write(Mark.COMPLETED)
            return
        if progress.failed is None and error is not None:
            yield self._write(Mark.FAILED, "", text_of(error))
        yield from self._compensate()

    def _compensate(self) -> Moves:
        progress = self._progress
        failed = cast("Line", progress.failed)
        for name in reversed(list(progress.results)):
            undo = self._undos.get(name)
            if undo is None:
                continue
            told = Step(name, self._key(f"{name}.undo"), progress.results[name])
            yield self._write(Mark.UNDOING, name)
            try:
                yield self._move(undo, told)
            except Exception as error:
                yield self._write(Mark.STUCK, name, text_of(error))
                raise CompensationFailed(name, text_of(error)) from error
            yield self._write(Mark.UNDONE, name)
        step, why, undone = failed.step or "the handler", str(failed.data), list(progress.undone)
        end = {"attempt": self._attempt, "step": step, "why": why, "undone": undone}
        yield self._write(Mark.COMPENSATED, "", end)
        raise Compensated(step, why, undone) from None

    def _move(self, call: Call, told: Step) -> Move:
        if isinstance(call, Message):
            return lambda: self._command(call, told)
        return lambda: _call(call, told, self._command)

    # ------------------------------------------------------------ children

    def _command(self, message: Message, told: Step) -> Any:
        """Send it in a lane of the saga's own: in its own lane it might wait for the very command that waits for it."""
        return self._router.send_child(message, self._envelope, told.key).map(_data)

    # ------------------------------------------------------------ the trail

    def _key(self, step: str) -> str:
        key = f"{self._envelope.id}.{self._progress.round}.{step}"
        return key if len(key) <= ID else blake2b(key.encode(), digest_size=16, person=b"saga").hexdigest()

    def _load(self) -> Promise[list[Line]]:
        id_, guild = self._envelope.id, self._envelope.guild

        def load(store: Store, _: int) -> list[Line]:
            found = store.audit(AuditFilter(id=id_, guild=guild), LINES)
            return [Line.read(cast("dict[str, Any]", unpack(line.detail))) for line in found if line.kind == KIND]

        return self._router.engine.store_call(load)

    def _read(self, lines: list[Line]) -> None:
        self._progress = Progress(lines)
        self._undos = {}
        end = self._progress.ended
        # An attempt that only failed to say so. One that is not later belongs to a new life, which an operator gave.
        if end is not None and self._attempt > end["attempt"]:
            self._over = Compensated(end["step"], end["why"], end["undone"])

    def _write(self, mark: Mark, step: str = "", data: Any = None) -> Move:
        line = self._progress.next(mark, step, data)
        its = self._envelope
        detail = pack(line.detail())

        def write() -> Promise[Any]:
            def written(_: Any) -> None:
                self._progress.take(line)

            def note(store: Store, now: int) -> None:
                store.write([Note(now, KIND, its.id, its.guild, its.user, detail)], now)

            return self._router.engine.store_call(note).map(written)

        return write


class _Undo(Exception):
    """Up to the block: undo what was done."""


Move: TypeAlias = Callable[[], Any]
Moves: TypeAlias = Generator[Move, Any, Any]  # is sent what each move came to


def _call(function: Callable[..., Any], told: Step, command: Callable[[Message, Step], Any] | None = None) -> Any:
    """Call it with the step, or without if it takes nothing; a message it gives is sent."""
    value = function() if cannot_take(function, 1) else function(told)
    if command is not None and isinstance(value, Message):
        return command(value, told)
    if command is not None and inspect.isawaitable(value):
        return _awaited(value, told, command)
    return value


async def _awaited(value: Awaitable[Any], told: Step, command: Callable[[Message, Step], Any]) -> Any:
    found = await value
    return await command(found, told) if isinstance(found, Message) else found


def _at_once(value: Any) -> Any:
    if isinstance(value, Promise):
        return value.get()
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("a sync saga takes no async functions")
    return value


def _data(response: Response) -> Any:
    if not response.success:
        raise StepFailed(response)
    return response.data


def _kept(result: Any, step: str) -> Any:
    """What a step returned, as it stands in the trail and is given again after a crash."""
    # It is done whatever it returned: what cannot be kept is not, and the step stands.
    try:
        data = data_of(result)
    except Exception as error:  # noqa: BLE001 - any value may come, and its own methods may raise anything
        logger.warning("the result of the step %s cannot be kept: %s", step, text_of(error))
        return None
    if len(data) > RESULT:
        logger.warning(
            "the result of the step %s has %d bytes and is not kept, at most %d are", step, len(data), RESULT
        )
        return None
    return unpack(data) if data else None


def _check(name: str, known: bool, *calls: Any) -> None:
    if not name or len(name) > NAME or clean(name) != name or not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"a step's name is at most {NAME} letters, digits, - and _, not {name!r}")
    if known:
        raise ValueError(f"the saga has a step {name} already")
    for call in calls:
        if call is not None and not isinstance(call, Message) and cannot_take(call, 1) and cannot_take(call, 0):
            raise TypeError(f"the step {name} takes functions of none or one argument, or messages, not {call!r}")
