"""What happens in a router, as a reader of its stream sees it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from router.messages.base import Message
from router.messages.registry import Catalog
from router.messages.registry import catalog as everything
from router.messages.wire import read_payload
from router.response import Response

NO_GUILD = "global"


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    cursor: str  #: to go on after it


class Happening(_Seen):
    """One event. ``kind``: accepted, duplicate, conflict, started, attempted or settled of a command; published."""

    kind: str
    at: int  #: ms since the epoch
    id: str  #: of the command, event or notification
    type: str
    guild_id: str  #: a guild id, ``user:<id>`` or ``global``
    queue: str = ""
    user_id: str | None = None
    request_id: str | None = None
    correlation_id: str | None = None
    sequence: int = 0
    detail: str | None = None
    response: Response | None = None  #: of what is settled
    data: dict[str, Any] | None = None  #: of what is published

    def message(self, catalog: Catalog = everything) -> Message:
        """What was published, as a message; raises ``UnknownType``, ``InvalidMessage``, ``LookupError`` for others."""
        if self.data is None:
            raise LookupError(f"{self.kind} has no data: only what is published has")
        cls = catalog.find(self.type)
        own = cls.__operation__.payload_guild or self.guild_id == NO_GUILD or self.guild_id.startswith("user:")
        return read_payload(cls, self.data, guild_id=None if own else self.guild_id, actor_id=self.user_id)


class Gap(_Seen):
    """Events are missing here: ask for the state anew."""

    kind: Literal["gap"] = "gap"
    why: str  #: ``slow``, ``too_old`` or ``other_log``
    missed: int | None = None


def read(shown: dict[str, Any]) -> Happening | Gap:
    """From the stream's JSON; fields of a newer router are ignored."""
    return Gap.model_validate(shown) if shown.get("kind") == "gap" else Happening.model_validate(shown)
