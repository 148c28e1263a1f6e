"""Settings of the WebSocket: its bounds, who gets a command, and what events are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

KINDS = ("accepted", "duplicate", "conflict", "started", "attempted", "settled", "published", "breaker")
_KEY = re.compile(rf"({'|'.join(KINDS)})(@[!-~]{{1,128}})?")
_NAME = re.compile(r"[!-~]{1,128}")


def _named(value: Mapping[str, str]) -> Mapping[str, str]:
    for key, name in value.items():
        if not _KEY.fullmatch(key):
            raise ValueError(f"must have keys such as settled or settled@chat_messages, of {', '.join(KINDS)}")
        if not _NAME.fullmatch(name):
            raise ValueError("must have names of 1 to 128 visible ASCII characters")
    return value


class SocketSettings(BaseModel):
    """A part of ``Settings``."""

    socket_connections: int = Field(2_000, ge=0, le=1_000_000, description="WebSockets at once; more get 503")
    socket_hello_timeout: float = Field(10.0, gt=0, le=600, description="seconds for a peer's first frame")
    socket_ping_interval: float = Field(20.0, gt=0, le=3_600, description="seconds between two pings of the server")
    socket_ping_timeout: float = Field(20.0, gt=0, le=3_600, description="seconds for the answer to one")
    socket_buffer: int = Field(
        1_048_576, ge=65_536, le=1 << 30, description="bytes that wait for one peer; one that has more is cut off"
    )
    socket_in_flight: int = Field(1_000, ge=1, le=100_000, description="commands of one peer without their end")
    socket_subscriptions: int = Field(32, ge=1, le=1_000, description="subscriptions of one peer")
    socket_balance: Literal["round_robin", "least_connections", "weighted"] = Field(
        "round_robin", description="which of several bots gets a command that no shard decides"
    )
    socket_events: Annotated[Mapping[str, str], AfterValidator(_named)] = Field(
        default_factory=dict, description="names of events: settled, settled@QUEUE or settled@TYPE to a name"
    )


class EventNames:
    """What this installation calls its events: by type, else by queue, else by kind, else as we call them."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def of(self, kind: str, queue: str, type_: str) -> str:
        """The name of one event."""
        names = self._names
        if not names:
            return kind
        found = names.get(f"{kind}@{type_}") or names.get(f"{kind}@{queue}") or names.get(kind)
        return found or kind
