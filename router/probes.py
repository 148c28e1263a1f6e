"""Looks at what lies behind the protocols of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.errand import Remove
from actors.errors import EngineError
from actors.ports import Sign
from actors.runtime.ref import Ref


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
