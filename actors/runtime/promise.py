"""An answer to come: a pykka future that is cheap, and safe to await on any event loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import pykka

from actors.runtime import waiting

if TYPE_CHECKING:
    from actors.runtime.cell import Cell

logger = logging.getLogger("actors.runtime")

T = TypeVar("T")
J = TypeVar("J")
M = TypeVar("M")
R = TypeVar("R")

ExcInfo: TypeAlias = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
Callback: TypeAlias = Callable[["Promise[Any]"], object]

_PENDING: Any = object()
_FAILED: Any = object()

# One lock for all promises: it is held for a handful of bytecodes, and a lock in each would double a promise's price.
# Re-entrant, because a signal handler may settle a promise while its thread is in here.
_lock = threading.RLock()


class Promise(pykka.Future[T]):
    """Settled once, by any thread; waited for by any number of threads and event loops.

    ``map``, ``filter``, ``join`` and ``reduce`` are lazy as pykka's: the function runs where the result is asked for.
    """

    __slots__ = ("_callbacks", "_error", "_get_hook", "_get_hook_result", "_sources", "_value", "asked")

    def __init__(self) -> None:
        # not calling pykka's __init__, which only makes the two hook fields, and one object for each
        self._value: Any = _PENDING
        self._callbacks: list[Callback] | None = None
        self._get_hook = None
        self.asked: Cell | None = None  #: who is to answer, if an actor was asked

    def __repr__(self) -> str:
        return f"<Promise {'done' if self.done() else 'pending'}>"

    # ------------------------------------------------------------ settling

    def set(self, value: T | None = None) -> None:
        """Settle with a value. Raises ``queue.Full`` when settled already, or when it has a get hook."""
        if not self._settle(value, None):
            raise queue.Full

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Settle with an exception: ``exc_info``, or the one being handled. Raises as ``set``."""
        kind, error, traceback = exc_info or sys.exc_info()
        if error is None:
            if kind is None:
                raise ValueError("no exception given and none being handled")
            error = kind()
        if not self._settle(_FAILED, (error, traceback)):
            raise queue.Full

    def fail(self, exception: BaseException) -> None:
        """Settle with this exception. Raises as ``set``."""
        if not self._settle(_FAILED, (exception, exception.__traceback__)):
            raise queue.Full

    def offer(self, value: T | None = None) -> bool:
        """As ``set``, but says False instead of raising when it is settled already."""
        return self._settle(value, None)

    def offer_failure(self, exception: BaseException) -> bool:
        """As ``fail``, but says False instead of raising when it is settled already."""
        return self._settle(_FAILED, (exception, exception.__traceback__))

    def _settle(self, value: Any, error: tuple[BaseException, TracebackType | None] | None) -> bool:
        with _lock:
            if self._value is not _PENDING or self._get_hook is not None:
                return False
            if error is not None:
                self._error = error
            self._value = value
            callbacks = self._callbacks
            self._callbacks = None
        if callbacks is not None:
            for callback in callbacks:
                self._call(callback)
        return True

    # ------------------------------------------------------------ asking

    def done(self) -> bool:
        """Whether ``get`` would return or raise at once."""
        if self._get_hook is None:
            return self._value is not _PENDING
        return self._value is not _PENDING or (
            self._sources is not None and all(_is_done(source) for source in self._sources)
        )

    def get(self, timeout: float | None = None) -> T:
        """The value, or its exception raised.

        Raises ``pykka.Timeout`` after ``timeout`` seconds; in an actor also ``AskDeadlock`` and ``PoolExhausted``.
        """
        if self._value is _PENDING:
            hook = self._get_hook
            if hook is not None:
                return self._from_hook(hook, timeout)
            if not waiting.wait(self, timeout):
                raise pykka.Timeout(f"{timeout} seconds")
            if self._get_hook is not None:  # set while we waited
                return self._from_hook(self._get_hook, timeout)
        if self._value is _FAILED:
            error, traceback = self._error
            # each raise would otherwise lengthen the same traceback
            raise error.with_traceback(traceback)
        return cast("T", self._value)

    def _from_hook(self, hook: Callable[[float | None], T], timeout: float | None) -> T:
        value = hook(timeout)
        with _lock:
            callbacks = self._callbacks
            if self._value is _PENDING:
                self._value = value
                self._callbacks = None
            else:
                callbacks = None
        for callback in callbacks or ():
            self._call(callback)
        return cast("T", self._value)

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Compute the value by ``func(timeout)`` when it is first asked for. Raises ``queue.Full`` when settled."""
        self._set_hook(func, None)

    def _set_hook(self, func: Callable[[float | None], T], sources: tuple[pykka.Future[Any], ...] | None) -> None:
        with _lock:
            if self._value is not _PENDING:
                raise queue.Full
            self._sources = sources
            self._get_hook = func
            callbacks = self._callbacks
            self._callbacks = None
        for callback in callbacks or ():  # who waits already now waits for the hook
            self.add_done_callback(callback)

    # ------------------------------------------------------------ callbacks

    def add_done_callback(self, callback: Callback) -> None:
        """Call ``callback(promise)`` in the thread that settles it, or now. What it raises is logged.

        With a get hook of ``map`` and friends: when all it derives from is settled; with a hook of ``set_get_hook``: in
        the thread whose ``get`` computed it.
        """
        with _lock:
            if self._value is _PENDING and (self._get_hook is None or self._sources is None):
                if self._callbacks is None:
                    self._callbacks = [callback]
                else:
                    self._callbacks.append(callback)
                return
            sources = self._sources if self._value is _PENDING else None
        if sources is None:
            self._call(callback)
        else:
            _Countdown(self, sources, callback)

    def discard_callback(self, callback: Callback) -> None:
        """Forget a callback that was not called yet, so that a wait given up leaves nothing behind."""
        with _lock:
            if self._callbacks is not None and callback in self._callbacks:
                self._callbacks.remove(callback)

    def _call(self, callback: Callback) -> None:
        try:
            callback(self)
        except Exception:  # a stranger's; the callbacks behind it are called all the same
            logger.exception("a promise's callback raised: %r", callback)

    # ------------------------------------------------------------ event loops

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            yield from _until_done(self)
        return self.get(timeout=0 if self._get_hook is None else None)

    __iter__ = __await__

    # ------------------------------------------------------------ derived ones

    def map(self, func: Callable[[T], M]) -> Promise[M]:
        """Of ``func(value)``."""
        return _derived((self,), lambda timeout: func(self.get(timeout=timeout)))

    def filter(self: Promise[Iterable[J]], func: Callable[[J], bool]) -> Promise[Iterable[J]]:
        """Of the items for which ``func(item)``."""
        return _derived((self,), lambda timeout: list(filter(func, self.get(timeout=timeout))))

    def join(self: Promise[Any], *futures: pykka.Future[Any]) -> Promise[Iterable[Any]]:
        """Of the list of all values."""
        every = (self, *futures)
        return _derived(every, lambda timeout: [one.get(timeout=timeout) for one in every])

    def reduce(self: Promise[Iterable[J]], func: Callable[[R, J], R], *args: R) -> Promise[R]:
        """Of ``functools.reduce(func, value, *args)``."""
        return _derived((self,), lambda timeout: functools.reduce(cast("Any", func), self.get(timeout=timeout), *args))


class _Countdown:
    """Calls back once all sources are settled."""

    def __init__(self, promise: Promise[Any], sources: tuple[pykka.Future[Any], ...], callback: Callback) -> None:
        self._promise = promise
        self._callback = callback
        self._left = len(sources)
        for source in sources:
            if isinstance(source, Promise):
                source.add_done_callback(self._one)
            else:
                _watch(source, self._one)

    def _one(self, _: Promise[Any]) -> None:
        with _lock:
            self._left -= 1
            if self._left:
                return
        self._promise._call(self._callback)


def _derived(sources: tuple[pykka.Future[Any], ...], hook: Callable[[float | None], Any]) -> Promise[Any]:
    promise: Promise[Any] = Promise()
    promise._set_hook(hook, sources)
    return promise


def _is_done(future: pykka.Future[Any]) -> bool:
    if isinstance(future, Promise):
        return future.done()
    try:
        future.get(timeout=0)
    except pykka.Timeout:
        return False
    except Exception:  # noqa: BLE001 - an exception is a result, too
        return True
    return True


def _watch(future: pykka.Future[Any], callback: Callback) -> None:
    """Wait for a future that cannot call back, in a thread of its own."""
    told: Promise[None] = Promise()
    told.add_done_callback(callback)

    def run() -> None:
        with suppress(BaseException):  # whoever asks for the value gets the exception
            future.get()
        told.set(None)

    threading.Thread(target=run, name="promise-watch", daemon=True).start()


def _until_done(promise: Promise[Any]) -> Generator[Any, None, None]:
    """Suspend the task, not the loop."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def finish() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def wake(_: Promise[Any]) -> None:
        try:
            loop.call_soon_threadsafe(finish)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits there any more
            logger.debug("a promise was settled after the loop that awaited it was closed")

    if promise._get_hook is not None and promise._sources is None:
        _watch(promise, wake)  # a foreign hook may block: never on the loop
    else:
        promise.add_done_callback(wake)
    try:
        yield from waiter
    finally:
        promise.discard_callback(wake)
