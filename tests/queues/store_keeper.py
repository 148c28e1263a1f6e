"""A small journal: runs store calls, one transaction a slice, as the engine's does; it can be told to fail."""

from __future__ import annotations

from threading import Condition
from typing import Any

from actors.errors import StoreError, StoreUnavailable
from actors.messages import StoreCall
from actors.runtime.actor import Actor


class Disk:
    """What a test holds of the journal: the store, and whether it can be written."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.full = False
        self.calls = 0
        self.changed = Condition()  #: notified after every slice


class StoreKeeper(Actor):
    """Takes ``StoreCall``."""

    drain_on_stop = True

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk
        self._calls: list[StoreCall] = []

    def on_receive(self, message: Any) -> None:
        self._calls.append(message)

    def on_flush(self) -> None:
        calls, self._calls = self._calls, []
        answers: list[Any] = []
        try:
            with self._disk.store.together():
                if self._disk.full:
                    raise StoreUnavailable("the disk is full")
                for call in calls:
                    self._disk.calls += 1
                    answers.append(call.fn(self._disk.store, self.clock.now()))
        except StoreError as error:
            answers = [error] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            call.reply(answer)
        with self._disk.changed:
            self._disk.changed.notify_all()
