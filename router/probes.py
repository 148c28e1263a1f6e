"""Looks at what lies behind the protocols of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.errand import Remove
from actors.errors import EngineError
from actors.ports import Sign
from actors.runtime.ref import Ref


class WebSocketProbe:
    """The connected bots. Without any it is not set up: that nobody came yet is no illness."""

    service = "websocket"
    interval = 5_000  #: it costs nothing

    def __init__(self, bots: Callable[[], tuple[int, int]]) -> None:
        self._bots = bots

    def probe(self, done: Callable[[Sign], None]) -> None:
        """Well unless all of them stall."""
        connected, stalled = self._bots()
        if not connected:
            done(Sign(well=False, detail="no bot is connected", counts=False))
        elif stalled == connected:
            done(Sign(well=False, detail=f"none of {connected} bots takes anything"))
        else:
            done(Sign(well=True, detail=f"{connected - stalled} of {connected} bots take commands"))


class QueueProbe:
    """The named queues: asked, as every consumer asks, for nothing at all."""

    service = "queue"
    interval = 0

    def __init__(self, queues: Callable[[], Ref]) -> None:
        self._queues = queues

    def probe(self, done: Callable[[Sign], None]) -> None:
        """Well if its actor and the store behind it answer."""

        def answered(answer: Any) -> None:
            well = not isinstance(answer, EngineError)
            done(Sign(well, "" if well else answer.code))

        self._queues().tell(Remove([], answered))
