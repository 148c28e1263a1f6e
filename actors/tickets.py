"""Attempts and outcomes as bytes: what an asker puts into a named queue and what a worker answers.

An attempt is an entry whose id is ``attempt/<envelope id>:<attempt>`` and whose frame is the msgpack array
``[1, asker, attempt, deadline, sequence, token, start_by, envelope frame]``. An outcome is
``[1, verdict, data, noop, executed, fault, retry_after]``; ``fault`` is nil or ``[code, message, retryable,
retry_after]``. Fields that a later release appends are ignored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.codec import BODY, ENVELOPE, NUMBER, check_value, decode, pack, unpack
from actors.errors import EnvelopeError
from actors.outcome import Fault, Outcome, Verdict
from actors.ports import Ticket
from actors.scan import Bounds, scan

VERSION = 1

MARK = "attempt/"
"""No envelope's id has a slash, so an attempt is known by its id."""

_NUMBERS = ("attempt", "deadline", "sequence", "token", "start_by")
_OUTCOME = 7
_TEXT = 2_000  # characters of a fault's code and message, at most


class Asked(NamedTuple):
    """An attempt as a worker finds it."""

    ticket: Ticket
    asker: str  #: whom the outcome is for; "": nobody waits for it


def entry_name(id_: str, attempt: int) -> str:
    """The id of the entry that asks for this attempt."""
    return f"{MARK}{id_}:{attempt}"


def envelope_of(entry: str) -> str:
    """The envelope an attempt's entry is about."""
    return entry.removeprefix(MARK).rpartition(":")[0]


def encode_ticket(ticket: Ticket, asker: str) -> bytes:
    """The frame of an entry that asks for this attempt."""
    numbers = [getattr(ticket, name) for name in _NUMBERS]
    return pack((VERSION, asker, *numbers, ticket.frame))


def decode_ticket(data: bytes) -> Asked:
    """The attempt that was encoded; raises ``EnvelopeError`` for anything else, and for another version."""
    fields = _fields(data, "attempt", 3 + len(_NUMBERS), ENVELOPE)
    asker, numbers, frame = fields[1], fields[2:7], fields[7]
    if type(asker) is not str or len(asker) > 128:
        raise EnvelopeError("not an asker's id", field="asker")
    for name, number in zip(_NUMBERS, numbers, strict=True):
        if type(number) is not int or not 0 <= number <= NUMBER:
            raise EnvelopeError("not a number from 0", field=name)
    if type(frame) is not bytes:
        raise EnvelopeError("not an envelope's frame", field="frame")
    attempt, deadline, sequence, token, start_by = numbers
    return Asked(Ticket(decode(frame), frame, attempt, deadline, sequence, token, start_by), asker)


def asker_of(data: bytes) -> str:
    """Whom the outcome of an attempt is for whose envelope cannot be read; "": nobody can be told."""
    try:
        asker = _fields(data, "attempt", 2, ENVELOPE)[1]
    except EnvelopeError:
        return ""
    return asker if type(asker) is str and len(asker) <= 128 else ""


def encode_outcome(outcome: Outcome) -> bytes:
    """An outcome as bytes; raises ``EnvelopeError`` when a text of it has no UTF-8."""
    return pack((VERSION, *outcome[: _OUTCOME - 1]))  # what is not on this list stays in the process


def decode_outcome(data: bytes) -> Outcome:
    """The outcome that was encoded; raises ``EnvelopeError`` for anything else, and for another version."""
    _, verdict, result, noop, executed, fault, retry_after = _fields(data, "outcome", _OUTCOME, BODY)[:_OUTCOME]
    try:
        verdict = Verdict(verdict)
    except ValueError as error:
        raise EnvelopeError("not a verdict", field="verdict") from error
    if type(result) is not bytes or type(noop) is not bool or type(executed) is not bool:
        raise EnvelopeError("not an outcome", field="outcome")
    if result:
        check_value(result)
    return Outcome(verdict, result, noop, executed, _fault(fault), _number(retry_after))


def _fault(fields: Any) -> Fault | None:
    if fields is None:
        return None
    if type(fields) is not list or len(fields) < len(Fault._fields):
        raise EnvelopeError("not a fault", field="fault")
    code, message, retryable, retry_after = fields[: len(Fault._fields)]
    if type(code) is not str or type(message) is not str or type(retryable) is not bool:
        raise EnvelopeError("not a fault", field="fault")
    return Fault(code[:_TEXT], message[:_TEXT], retryable, _number(retry_after))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= NUMBER:
        raise EnvelopeError("not milliseconds from 0", field="retry_after")
    return value


def _fields(data: bytes, what: str, least: int, bounds: Bounds) -> list[Any]:
    scan(data, bounds, what)
    fields = unpack(data)
    if type(fields) is not list or not fields or fields[0] != VERSION:
        raise EnvelopeError(f"not an {what} of version {VERSION}", field="version")
    if len(fields) < least:
        raise EnvelopeError(f"an {what} of {len(fields)} fields, {least} are needed", field=what)
    return fields
