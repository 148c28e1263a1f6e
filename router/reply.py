"""What ``send`` returns: the command's id now, its acceptance soon, its response in the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, NamedTuple

from actors.engine import Engine
from actors.errors import EngineError
from actors.outcome import Answer
from actors.runtime.promise import Promise
from router.response import Response
from router.status import PATIENCE, StatusView, find


class Acceptance(NamedTuple):
    """The command is stored at the store's durability level."""

    id: str
    sequence: int  #: its guild's number for it
    position: int  #: commands of its guild before it
    duplicate: bool = False
    original: str = ""  #: with ``duplicate``: the command whose response it gets


class Publication(NamedTuple):
    """An event or a notification is stored."""

    id: str
    duplicate: bool = False  #: it was published before under the same idempotency key


class Reply:
    """Thread-safe; usable from any thread and any event loop. ``await reply`` gives the ``Response``."""

    __slots__ = ("_answer", "_engine", "acceptance", "before", "id")

    def __init__(self, id: str, engine: Engine) -> None:
        self.id = id
        self.acceptance: Promise[Acceptance] = Promise()  #: await it, or ``accepted()``
        self._answer: Promise[Answer] = Promise()
        self._engine = engine
        self.before: Callable[[Answer], None] | None = None  #: called with the answer before anybody is told

    def accepted(self, timeout: float | None = None) -> Acceptance:
        """Wait until it is stored; raises a ``Refused`` error if it is not, ``pykka.Timeout`` after ``timeout`` s."""
        return self.acceptance.get(timeout=timeout)

    def result(self, timeout: float | None = None) -> Response:
        """Wait for the end; raises as ``accepted``. Giving up the wait does not give up the command."""
        return Response.of(self._answer.get(timeout=timeout))

    def __await__(self) -> Generator[Any, None, Response]:
        answer = yield from self._answer.__await__()
        return Response.of(answer)

    @property
    def response(self) -> Promise[Response]:
        """The response as a pykka future, which can be awaited as well."""
        promise: Promise[Response] = Promise()

        def answered(answer: Promise[Answer]) -> None:
            try:
                promise.set(Response.of(answer.get(timeout=0)))
            except EngineError as error:
                promise.fail(error)

        self._answer.add_done_callback(answered)
        return promise

    @property
    def answer(self) -> Promise[Answer]:
        """The end as the engine tells it: what ``result`` makes a response of."""
        return self._answer

    def done(self) -> bool:
        """Whether ``result`` would return (or raise) at once."""
        return self._answer.done()

    def status(self) -> StatusView | None:
        """Where it stands, once it is accepted; ``None``: it was refused, or the store knows it no more."""
        with suppress(EngineError):
            self.acceptance.get(PATIENCE)
            return find(self._engine, self.id).get(PATIENCE)
        return None

    async def astatus(self) -> StatusView | None:
        """As ``status``."""
        with suppress(EngineError):
            await self.acceptance
            return await find(self._engine, self.id)
        return None

    def position(self) -> int:
        """How many commands of its guild are before it; 0 when it runs or has ended."""
        view = self.status()
        return view.position if view else 0

    async def aposition(self) -> int:
        """As ``position``."""
        view = await self.astatus()
        return view.position if view else 0

    def cancel(self) -> bool:
        """Take it back if it has not started."""
        return self._engine.cancel(self.id).get(PATIENCE)

    async def acancel(self) -> bool:
        """As ``cancel``."""
        return await self._engine.cancel(self.id)

    def __repr__(self) -> str:
        return f"<Reply {self.id} {'done' if self.done() else 'open'}>"

    # ------------------------------------------------------------ told by the engine (actors.messages.Waiter)

    def on_accepted(self, id: str, sequence: int, ahead: int, original: str) -> None:
        self.acceptance.set(Acceptance(id, sequence, ahead, bool(original), original))

    def on_refused(self, error: EngineError) -> None:
        if not self.acceptance.done():
            self.acceptance.fail(error)
        if not self._answer.done():
            self._answer.fail(error)

    def on_expired(self, error: EngineError, answer: Answer) -> None:
        self.acceptance.fail(error)
        self._answer.set(answer)

    def on_answered(self, answer: Answer) -> None:
        if self.before is not None:
            self.before(answer)
        self._answer.set(answer)
