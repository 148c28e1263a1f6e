"""Answers as bytes: what a store keeps for duplicates and for those who ask later.

``[version, id, status, data, fault, method, attempts, duplicate, original, sequence, accepted_at, settled_at]`` in
msgpack; ``fault`` is nil or ``[code, message, retryable, retry_after]``, an attempt is
``[number, protocol, verdict, ms, code, message, at]``. Fields that a later release appends are ignored.
"""

from __future__ import annotations

from actors.codec import pack, unpack
from actors.errors import EnvelopeError
from actors.outcome import Answer, Attempt, Fault, Status

VERSION = 1
_FIELDS = 12


def encode_answer(answer: Answer) -> bytes:
    """The answer as bytes; raises ``EnvelopeError`` when a text of it has no UTF-8."""
    return pack(
        (
            VERSION,
            answer.id,
            answer.status,
            answer.data,
            answer.fault,
            answer.method,
            answer.attempts,
            answer.duplicate,
            answer.original,
            answer.sequence,
            answer.accepted_at,
            answer.settled_at,
        )
    )


def decode_answer(data: bytes) -> Answer:
    """The answer that was encoded; raises ``EnvelopeError`` for anything else, and for another version."""
    fields = unpack(data)
    if type(fields) is not list or not fields or fields[0] != VERSION:
        raise EnvelopeError(f"not an answer of version {VERSION}", field="version")
    if len(fields) < _FIELDS:
        raise EnvelopeError(f"an answer of {len(fields)} fields, {_FIELDS} are needed", field="answer")
    # Only our own stores hold answers, so the fields' types are not checked one by one.
    _, id_, status, result, fault, method, attempts, duplicate, original, sequence, accepted, settled = fields[:_FIELDS]
    try:
        return Answer(
            id=id_,
            status=Status(status),
            data=result,
            fault=None if fault is None else Fault._make(fault[:4]),
            method=method,
            attempts=tuple(Attempt._make(attempt[:7]) for attempt in attempts),
            duplicate=duplicate,
            original=original,
            sequence=sequence,
            accepted_at=accepted,
            settled_at=settled,
        )
    except (ValueError, TypeError) as error:
        raise EnvelopeError(f"not an answer: {type(error).__name__}", field="answer") from error
