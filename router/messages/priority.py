"""Priorities: ten numbers, four names."""

from __future__ import annotations

from enum import IntEnum

from router.errors import InvalidMessage, shape


class Priority(IntEnum):
    """The named priorities; any number from 1 (lowest) to 10 is one too."""

    LOW = 2
    NORMAL = 5
    HIGH = 8
    CRITICAL = 10


_NAMES = {priority.name: priority for priority in Priority}


def priority_of(value: Priority | int | str) -> int:
    """The number of a priority given as a number or, in any case, a name. Raises ``InvalidMessage``."""
    if isinstance(value, str):
        named = _NAMES.get(value.upper())
        if named is not None:
            return int(named)
    elif type(value) is not bool and isinstance(value, int) and 1 <= value <= 10:
        return int(value)
    raise InvalidMessage("priority", "must be 1 to 10, or low, normal, high or critical", shape(value))


def level_of(number: int) -> Priority:
    """The name a number belongs to: 10 critical, 8-9 high, 5-7 normal, 1-4 low."""
    if number >= Priority.CRITICAL:
        return Priority.CRITICAL
    if number >= Priority.HIGH:
        return Priority.HIGH
    return Priority.NORMAL if number >= Priority.NORMAL else Priority.LOW
