"""Rules of schedules as bytes: ``[1, cron, timezone, every, anchor, at, overlap, catch_up]`` in msgpack."""

from __future__ import annotations

from actors.codec import pack, unpack
from actors.errors import EnvelopeError
from actors.policy.ticks import Overlap, Rule

VERSION = 1


def encode_rule(rule: Rule) -> bytes:
    """The rule as bytes."""
    return pack((VERSION, *rule))


def decode_rule(data: bytes) -> Rule:
    """The rule that was encoded; raises ``EnvelopeError`` for anything else, and for another version."""
    fields = unpack(data)
    if type(fields) is not list or len(fields) <= len(Rule._fields) or fields[0] != VERSION:
        raise EnvelopeError(f"not a rule of version {VERSION}", field="rule")
    rule = Rule._make(fields[1 : len(Rule._fields) + 1])
    try:
        return rule._replace(overlap=Overlap(rule.overlap))
    except ValueError as error:
        raise EnvelopeError("not a rule's overlap", field="rule") from error
