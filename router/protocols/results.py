"""What a handler returned or raised, as an outcome. Nothing in here raises, whatever the value."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from pydantic_core import to_jsonable_python

from actors import codec
from actors.errors import EnvelopeError
from actors.outcome import WORKER_LOST, Fault, Outcome, Verdict
from router.errors import InvalidMessage, RouterError, UnknownType
from router.protocols.signals import Fail, InDoubt, Noop, Reject, RetryLater

logger = logging.getLogger("router.protocols.handlers")

MESSAGE = 500  # characters of a fault's message
CODE = 64
DATA = 512 * 1024  # bytes of a result; a frame that carries it stays below 1 MiB
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_APPLIED = Outcome(Verdict.APPLIED)


def of_value(value: object) -> Outcome:
    """The handler returned: it happened, even when what it returned cannot be sent."""
    if value is None:
        return _APPLIED
    noop = isinstance(value, Noop)
    if noop:
        value = value.data  # type: ignore[attr-defined]  # noop says that it has one
    try:
        data = data_of(value)
    except Exception as error:  # noqa: BLE001 - any value may come, and its own methods may raise anything
        text = text_of(error)
        logger.warning("the result of a handler cannot be sent: %s", text)
        return Outcome(Verdict.APPLIED, noop=noop, fault=Fault("bad_result", text))
    return Outcome(Verdict.APPLIED, data, noop)


def data_of(value: object) -> bytes:
    """msgpack of a dict, model, list, text, number or ``None`` (empty), everything in it as JSON has it: bytes become
    base64, NaN and infinity null, keys text.

    Raises for anything that has no JSON form or is larger than 512 KiB.
    """
    if value is None:
        return b""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        value = dump(mode="json", by_alias=True)
    data = codec.pack(to_jsonable_python(value, by_alias=True, bytes_mode="base64", inf_nan_mode="null"))
    if len(data) > DATA:
        raise ValueError(f"{len(data)} bytes, at most {DATA} are allowed")
    return data


def of_error(error: BaseException) -> Outcome:
    """The handler raised."""
    match error:
        case RetryLater():
            after = round(error.after * 1000)
            fault = Fault("retry_later", text_of(error, bare=True), True, after)
            return Outcome(Verdict.DEFERRED, executed=True, fault=fault, retry_after=after)
        case Reject():
            return Outcome(
                Verdict.REJECTED, fault=Fault(clean(error.code, CODE) or "rejected", text_of(error, bare=True))
            )
        case Fail():
            return failed(clean(error.code, CODE) or "handler_error", text_of(error, bare=True))
        case InDoubt():
            fault = Fault(clean(error.code, CODE) or "in_doubt", text_of(error, bare=True))
            return Outcome(Verdict.IN_DOUBT, executed=True, fault=fault, final=True)
        case Noop():
            return of_value(error)
        case asyncio.CancelledError():
            return failed("handler_error", "CancelledError: it was cancelled from within")
        case _:
            return failed("handler_error", text_of(error))


def of_undecodable(error: Exception) -> Outcome:
    """The body is not a valid message; no handler was called."""
    code = error.code if isinstance(error, UnknownType) else InvalidMessage.code
    # An error that is not ours may quote the value.
    text = text_of(error, bare=True) if isinstance(error, RouterError | EnvelopeError) else type(error).__name__
    return Outcome(Verdict.REJECTED, fault=Fault(code, text))


def failed(code: str, message: str) -> Outcome:
    """The handler ran and failed: the attempt is spent."""
    return Outcome(Verdict.NOT_APPLIED, executed=True, fault=Fault(code, message, True))


def deferred(code: str, message: str, retry_after: int) -> Outcome:
    """It was not started: proof that nothing happened, at no cost. ``retry_after`` in ms."""
    return Outcome(Verdict.DEFERRED, fault=Fault(code, message, True, retry_after), retry_after=retry_after)


def lost(worker: str) -> Outcome:
    """A worker began it and went away: nobody can tell what came of it."""
    return in_doubt(WORKER_LOST, f"{worker or 'a worker'} began it and did not say how it ended")


def in_doubt(code: str, message: str) -> Outcome:
    """It was started, and nobody can tell what came of it."""
    return Outcome(Verdict.IN_DOUBT, executed=True, fault=Fault(code, message, True))


def text_of(error: BaseException, *, bare: bool = False) -> str:
    """An exception in at most 500 harmless characters, also when its ``str()`` raises. ``bare``: without its class."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - its text is the handler's code too
        return clean(f"{name} (its text cannot be read)")
    if bare:
        return clean(text)
    return clean(f"{name}: {text}" if text else name)


def clean(text: Any, limit: int = MESSAGE) -> str:
    """Text without control characters and lone surrogates, cut to ``limit``."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(text)[:limit])
