"""The keeper: runs store calls for whoever needs a store and no engine; a slice of its mailbox is one durable step."""

from __future__ import annotations

import logging
from typing import Any

from actors.errors import EngineError, StoreError, StoreUnavailable
from actors.messages import StoreCall, tell
from actors.ports import Backend
from actors.runtime.actor import Actor

logger = logging.getLogger("actors.keeper")

RETRY = 200  # ms; advice when to come back to a store that cannot answer


class Keeper(Actor):
    """Opens the store, takes ``StoreCall``, closes the store. ``StoreError`` at the start is the start's failure."""

    mailbox_capacity = 100_000
    slice_size = 1_000
    redeliver = 3
    drain_on_stop = True

    def __init__(self, store: Backend) -> None:
        super().__init__()
        self._store = store
        self._calls: list[StoreCall] = []
        self._failing = False

    def on_start(self) -> None:
        self._store.open(self.clock.now())

    def on_stop(self) -> None:
        self._store.close()

    def on_failure(self, *_: object) -> None:
        self._store.close()

    def on_receive(self, message: object) -> None:
        if isinstance(message, StoreCall):
            self._calls.append(message)

    def on_flush(self) -> None:
        calls, self._calls = self._calls, []
        if not calls:
            return
        try:
            with self._store.together():
                answers = [self._called(call) for call in calls]
        except StoreError as error:
            if not self._failing:
                self._failing = True
                logger.error("the store does not answer: %s", error)  # noqa: TRY400 - its text says it all
            refusal = StoreUnavailable(str(error), retry_after=RETRY)
            refusal.__cause__ = error
            answers = [refusal] * len(calls)
        else:
            if self._failing:
                self._failing = False
                logger.warning("the store answers again")
        for call, answer in zip(calls, answers, strict=True):
            tell(call.reply, answer)

    def _called(self, call: StoreCall) -> Any:
        try:
            return call.fn(self._store, self.clock.now())
        except StoreError:
            raise
        except Exception as error:
            logger.exception("a store call failed")
            return EngineError(f"the store could not do it: {type(error).__name__}")
