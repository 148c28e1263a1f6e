"""The event stream: server-sent events that a reader can go on with after a cut."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from router.event_log import Gap, Logged, Reader, Wanted, check_types
from router.http.access import TheRouter, TheSettings, problems
from router.http.auth import Anyone, Caller
from router.http.body import StrictRoute
from router.http.problems import HttpProblem
from router.router import Router
from router.settings_sockets import KINDS

routes = APIRouter(prefix="/api/events", tags=["events"], route_class=StrictRoute)
MEDIA_TYPE: Final = "text/event-stream"
BACK_IN: Final = 2_000  # ms; what a reader is advised to wait before it connects again
AGAIN: Final = 5_000  # ms; when there may be room for another reader
DOOR: Final = "stream"
_NAMES: Final = 100  # in one list of the query
_LONGEST: Final = 4_096

#: the reader's own header is text of Latin-1; a cursor is ASCII
Cursor = Annotated[str, Header(alias="Last-Event-ID", max_length=64, description="go on after this cursor")]
Names = Annotated[str, Query(max_length=_LONGEST, description="several are separated by commas; none: all")]
_EVENTS: Final = {
    "description": "Events as they happen, until one of the two hangs up.",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "string",
                "description": "Each `data` is one JSON object: `{cursor, kind, at, id, type, guildId, ...}`; of"
                " `settled` with its `response`, of `published` with its `data`. `id` is the cursor. Where events are"
                " missing stands one of the kind `gap`, with `why` and, if known, how many were `missed`.",
            }
        }
    },
}


class EventStream(StreamingResponse):
    """What a reader gets; the reader is closed when the stream ends, however that is."""

    media_type = MEDIA_TYPE

    def __init__(self, reader: Reader, heartbeat: float) -> None:
        super().__init__(told(reader, heartbeat), headers={"X-Accel-Buffering": "no"})
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reader.close()


@routes.get("/stream", status_code=200, response_class=EventStream, responses={200: _EVENTS, **problems(422, 429)})
async def stream(
    *,
    router: TheRouter,
    settings: TheSettings,
    caller: Anyone,
    guild_id: Annotated[Names, Query(alias="guildId")] = "",
    types: Names = "",
    kinds: Names = "",
    job_id: Annotated[Names, Query(alias="jobId")] = "",
    roles: Names = "",
    after: Annotated[str, Query(max_length=64, description="as Last-Event-ID, where no header can be set")] = "",
    last_event_id: Cursor = "",
) -> EventStream:
    """What happens, as server-sent events.

    Commands: `accepted`, `duplicate`, `conflict`, `started`, `attempted`, `settled`; what is `published` comes with its
    data. Without a cursor the stream begins now. A reader that does not keep up gets a `gap`, one that takes nothing at
    all is cut off. A token that is limited to guilds gets their events only.
    """
    wanted = wanted_by(router, caller, guild_id=guild_id, types=types, kinds=kinds, jobs=job_id, roles=roles)
    log = router.hub.log()
    if log.readers_at(DOOR) >= settings.stream_readers:
        text = f"The stream has its {settings.stream_readers} readers."
        raise HttpProblem(429, "too_many_readers", text, retry_after=AGAIN, retryable=True)
    reader = log.read(wanted, last_event_id or after, limit=settings.stream_buffer, door=DOOR)
    return EventStream(reader, settings.stream_heartbeat)


async def told(reader: Reader, heartbeat: float) -> AsyncIterator[str]:
    """The stream's text."""
    yield f"retry: {BACK_IN}\n" + _mark(reader)
    while (come := await reader.next(heartbeat)) or not reader.closed:  # also what came just before it was closed
        yield "".join(_line(event) for event in come) if come else ": still here\n" + _mark(reader)


def _line(event: Logged | Gap) -> str:
    return f"id: {event.cursor}\ndata: {event.json}\n\n"


def _mark(reader: Reader) -> str:
    # An id without data moves the reader's cursor on: what it does not want may fall out of the log meanwhile.
    cursor = reader.position
    return f"id: {cursor}\n\n" if cursor else "\n"


def wanted_by(
    router: Router, caller: Caller, *, guild_id: str, types: str, kinds: str, jobs: str, roles: str
) -> Wanted:
    """What a caller asks for, within what it may see."""
    guilds = _names("guildId", guild_id)
    for guild in guilds:
        caller.enter(guild)
    named = _names("types", types)
    check_types(named, router.catalog)
    chosen = _names("kinds", kinds)
    if unknown := chosen - set(KINDS):
        rule = f"must be of {', '.join(KINDS)}"
        raise _invalid("kinds", rule, len(unknown))
    return Wanted(
        guilds or caller.guilds,
        named,
        chosen,
        _names("roles", roles),
        _names("jobId", jobs),
        within=caller.guilds,
    )


def _names(field: str, text: str) -> frozenset[str]:
    found = frozenset(name.strip() for name in text.split(",") if name.strip()) if text else frozenset()
    if len(found) > _NAMES or any(len(name) > 128 for name in found):
        raise _invalid(field, f"must be at most {_NAMES} names of at most 128 characters", len(found))
    return found


def _invalid(field: str, rule: str, count: int) -> HttpProblem:
    members: dict[str, Any] = {"field": field, "rule": rule, "shape": f"a list of {count}"}
    return HttpProblem(422, "invalid_message", f"{field} {rule}.", retryable=False, **members)
