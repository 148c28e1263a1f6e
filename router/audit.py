"""The audit trail: what happened to whom, by whom, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from actors.answers import decode_answer
from actors.codec import decode, unpack
from actors.engine import Engine
from actors.envelope import Envelope
from actors.ports import AuditFilter, AuditLine
from actors.runtime.promise import Promise
from router.response import Response

PATIENCE = 30.0


class AuditView(BaseModel):
    """One line; camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    at: int  #: ms since the epoch
    kind: str  #: ``settled``, ``duplicate``, ``refused``, ``operator`` ...
    id: str | None
    guild: str | None
    user: str | None
    type: str | None
    detail: Any = None
    response: Response | None = None


class Audit:
    """``router.audit``."""

    def __init__(self, engine: Engine, hide: Callable[[Envelope], Callable[[Any], Any]]) -> None:
        self._engine = engine
        self._hide = hide  # of one command: what repeats its secrets, without them

    def search(
        self,
        *,
        id: str = "",
        guild_id: str | int | None = "",
        user_id: str | int | None = "",
        type: str = "",
        since: int | datetime | None = 0,
        until: int | datetime | None = 0,
        limit: int = 100,
    ) -> list[AuditView]:
        """Newest first; what is not given does not filter. Times are ms since the epoch or datetimes."""
        which = AuditFilter(id, _text(guild_id), _text(user_id), type, _ms(since), _ms(until))
        return self._search(which, limit).get(timeout=PATIENCE)

    async def asearch(
        self,
        *,
        id: str = "",
        guild_id: str | int | None = "",
        user_id: str | int | None = "",
        type: str = "",
        since: int | datetime | None = 0,
        until: int | datetime | None = 0,
        limit: int = 100,
    ) -> list[AuditView]:
        """As ``search``."""
        which = AuditFilter(id, _text(guild_id), _text(user_id), type, _ms(since), _ms(until))
        return await self._search(which, limit)

    def _search(self, which: AuditFilter, limit: int) -> Promise[list[AuditView]]:
        return self._engine.store_call(lambda store, _: [self._view(line) for line in store.audit(which, limit)])

    def _view(self, line: AuditLine) -> AuditView:
        response = Response.of(decode_answer(line.answer)) if line.answer else None
        if response is not None and response.data is not None and line.frame:
            hide = self._hide(decode(line.frame, trusted=True))
            response = response.model_copy(update={"data": hide(response.data)})
        return AuditView(
            at=line.at,
            kind=line.kind,
            id=line.id or None,
            guild=line.guild or None,
            user=line.user or None,
            type=line.type or None,
            detail=unpack(line.detail) if line.detail else None,
            response=response,
        )


def _text(given: str | int | None) -> str:
    return "" if given is None else str(given)


def _ms(time: int | datetime | None) -> int:
    if time is None:
        return 0
    return time if isinstance(time, int) else int(time.timestamp() * 1_000)
