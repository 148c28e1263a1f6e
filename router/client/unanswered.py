"""Commands that were said and not answered yet: said again, under the same id, after every reconnect."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, NamedTuple

from router.client.errors import error_of
from router.client.link import Link
from router.frames import from_router, to_router
from router.response import Response

logger = logging.getLogger("router.client")

#: refusals that pass by themselves: the router stops and another comes, or we were too eager
PASSING: Final = frozenset(("shutting_down", "too_many_in_flight"))
AGAIN: Final = 200  # ms; where a passing refusal gives no advice


class Accepted(NamedTuple):
    """The command is stored at the store's durability level."""

    id: str  #: of a duplicate: the original's
    sequence: int  #: its guild's number for it
    position: int  #: unsettled commands of its guild before it
    duplicate: bool = False


class Pending:
    """One command on its way to its answer."""

    __slots__ = ("accepted", "again", "ended", "frame", "type")

    def __init__(self, frame: to_router.Command) -> None:
        loop = asyncio.get_running_loop()
        self.frame = frame
        self.type = frame.type
        self.accepted: asyncio.Future[Accepted] = loop.create_future()
        self.ended: asyncio.Future[Response] = loop.create_future()
        self.again: asyncio.TimerHandle | None = None

    def fail(self, error: Exception) -> None:
        """There will be no answer."""
        for future in (self.accepted, self.ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # one of the two is perhaps nobody's


class Unanswered:
    """In the order in which they were said. Bounded by whoever says them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._pending: dict[str, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def say(self, frame: to_router.Command) -> Pending:
        """Say it now, or when there is a connection."""
        pending = Pending(frame)
        self._pending[frame.correlation_id] = pending
        self._link.say(frame)
        return pending

    def forget(self, pending: Pending) -> None:
        """Nobody waits any more; the command goes on."""
        if self._pending.get(pending.frame.correlation_id) is pending:
            del self._pending[pending.frame.correlation_id]
        if pending.again is not None:
            pending.again.cancel()

    def again(self) -> None:
        """Connected again: what was not answered is said once more. Equal ids are one command."""
        for pending in self._pending.values():
            self._link.say(pending.frame)

    def heard(self, frame: from_router.FromRouter) -> None:
        """An answer, perhaps to one of these."""
        pending = self._pending.get(frame.correlation_id)
        if pending is None:
            return
        match frame:
            case from_router.Ack(job_id=str(id_)):
                self._accepted(pending, id_, frame)
            case from_router.Result():
                self.forget(pending)
                if not pending.accepted.done():
                    body = frame.response
                    sequence = body.get("sequence", 0)
                    pending.accepted.set_result(Accepted(frame.job_id, sequence, 0, bool(body.get("duplicate"))))
                if not pending.ended.done():
                    pending.ended.set_result(response_of(frame.response))
            case from_router.Nack() | from_router.Error():
                self._refused(pending, frame)

    def fail(self, error: Exception) -> None:
        """There is no link any more."""
        pending, self._pending = list(self._pending.values()), {}
        for one in pending:
            if one.again is not None:
                one.again.cancel()
            one.fail(error)

    def _accepted(self, pending: Pending, id_: str, ack: from_router.Ack) -> None:
        if not pending.accepted.done():
            pending.accepted.set_result(Accepted(id_, ack.sequence or 0, ack.position or 0, bool(ack.duplicate)))
        if not pending.frame.follow:
            self.forget(pending)

    def _refused(self, pending: Pending, frame: from_router.Nack | from_router.Error) -> None:
        after = frame.retry_after or 0
        if frame.code in PASSING:
            loop = asyncio.get_running_loop()
            pending.again = loop.call_later((after or AGAIN) / 1_000, self._say_again, pending)
            return
        self.forget(pending)
        said: dict[str, Any] = frame.model_dump(by_alias=True, exclude_none=True)
        pending.fail(error_of(said, pending.type))

    def _say_again(self, pending: Pending) -> None:
        if self._pending.get(pending.frame.correlation_id) is pending:
            self._link.say(pending.frame)


def response_of(body: dict[str, Any]) -> Response:
    """The response in an answer: there its own id is ``jobId``."""
    return Response.model_validate(body | {"requestId": body.get("jobId") or body.get("requestId")})
