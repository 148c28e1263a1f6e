"""What the checker must know of takeovers, heard where the router says it: in its log."""

from __future__ import annotations

import logging

from router import Router
from tests.history.events import Nemesis
from tests.history.recorder import Recorder


class Takeovers(logging.Handler):
    """A router says in its log that it took guilds over; the history is told."""

    def __init__(self, router: Router, recorder: Recorder) -> None:
        super().__init__()
        self._router = router
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        """Write down what concerns the history."""
        if record.msg.startswith("took over"):
            taken = record.getMessage().removeprefix("took over ").replace(" ", "")
            partitions = self._router.store.partitions
            self._recorder.record(Nemesis, action="takeover", target=f"{taken}/{partitions}")

    def listen(self) -> None:
        """From now on."""
        logger = logging.getLogger("guild_router.partitions")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
