"""What the checker must know of an owner's writes: which of them the store took, and under which token."""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from actors.ports import Accept, Lost, Note, Result, Write
from router.stores.url import is_shared
from tests.history.events import Commit
from tests.history.recorder import Recorder


class Witness:
    """Stands beside ``write`` of a shared store, changes nothing; anybody may accept and note, the rest is owners'."""

    def __init__(self, store: Any, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self._write = store.write
        store.write = self._watched

    def _watched(self, batch: Sequence[Write], now: int) -> list[Result]:
        asked, tokens = time.monotonic_ns(), dict(self._store._tokens)
        owned = [(at, write) for at, write in enumerate(batch) if not isinstance(write, Accept | Note)]
        places = [(at, self._store._partition_of(write)) for at, write in owned]
        results: list[Result] = self._write(batch, now)
        done, lost = Counter[int](), Counter[int]()
        for at, partition in places:
            result = results[at]
            if isinstance(result, Lost):
                lost[partition] += 1
            elif result:
                done[partition] += 1
        for partition in sorted(done.keys() | lost.keys()):
            token = tokens.get(partition, 0)
            if token == self._store._tokens.get(partition, 0) or not done[partition]:  # else nobody knows which it was
                self._recorder.record(
                    Commit, partition=partition, token=token, asked=asked, done=done[partition], lost=lost[partition]
                )
        return results


def witness(recorder: Recorder) -> None:
    """From here on every store that a router of this process shares has one beside it."""
    module: Any = importlib.import_module("router.router")
    honest = module.open_store

    def opened(url: str, *given: Any, **options: Any) -> Any:
        store = honest(url, *given, **options)
        if is_shared(url):
            Witness(store, recorder)
        return store

    module.open_store = opened
