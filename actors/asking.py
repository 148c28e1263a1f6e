"""How those outside ask the actors, and through them the store: promises settled once, answers that are added up."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from actors.errors import StoreError
from actors.runtime.promise import Promise

S = TypeVar("S")


class Barrier:
    """Asked of an actor: everything sent before has been received when it answers."""


class Tally:
    """Counts answers from several actors into one promise; an error of one is the answer. Thread-safe."""

    def __init__(self, expected: int, promise: Promise[int]) -> None:
        self._lock = Lock()
        self._left = expected
        self._count = 0
        self._promise = promise

    def voice(self) -> Callable[[Any], None]:
        """For one of them: it counts once, however often it is called, as messages may be handled again."""
        used = False

        def answer(count: Any) -> None:
            nonlocal used
            if isinstance(count, Exception):
                self._promise.offer_failure(count)
                return
            with self._lock:
                if used:
                    return
                used = True
                self._count += count
                self._left -= 1
                if self._left:
                    return
            self._promise.offer(self._count)

        return answer


def settle(promise: Promise[Any]) -> Callable[[Any], None]:
    """Settles it with a value or an error; only the first one counts."""

    def answer(value: Any) -> None:
        if isinstance(value, Exception):
            promise.offer_failure(value)
        else:
            promise.offer(value)

    return answer


def outcome_of(promise: Promise[Any]) -> Any:
    """What a promise that is done came to: its value, or its error."""
    try:
        return promise.get(timeout=0)
    except Exception as error:  # noqa: BLE001 - handed on
        return error


def ask_store(fn: Callable[[S, int], Any], store: S, now: int) -> Any:
    """What it returned, or raised, for whoever asked; what the store raises is for all whose step it is."""
    try:
        return fn(store, now)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - handed to the one who asked, whose function it was
        return error
