"""The product's errors.

::

    RouterError
    ├── InvalidMessage      a field breaks its rule; also a ``ValueError``; never retry
    ├── UnknownType         no message type of that name in the catalog; never retry
    ├── BadCatalog          a message class is declared wrongly; raised while it is being defined
    ├── BadHandler          a handler is declared wrongly, or there is one already
    ├── BadSubscription     a subscription is declared wrongly
    └── BadWorker           a worker is declared wrongly, or its store is one that processes do not share

The door's refusals (``Refused`` and below, see ``actors.errors``) can be imported from here too.

Every class has a stable ``code``, says whether a retry helps (``retryable``) and when (``retry_after``, ms). None of
them repeats a sender's value: ``shape`` tells its type and size instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from typing import ClassVar, NamedTuple

from actors.errors import (
    ClockSkew,
    Expired,
    KeyReusedError,
    Limited,
    Overloaded,
    RateLimited,
    Refused,
    SequenceGap,
    SequenceRepeat,
    ShuttingDown,
)
from actors.outcome import Fault

__all__ = [
    "BadCatalog",
    "BadHandler",
    "BadSubscription",
    "BadWorker",
    "ClockSkew",
    "Expired",
    "InvalidMessage",
    "KeyReusedError",
    "Limited",
    "Overloaded",
    "Problem",
    "RateLimited",
    "Refused",
    "RouterError",
    "SequenceGap",
    "SequenceRepeat",
    "ShuttingDown",
    "UnknownType",
    "shape",
    "shown",
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\[\]-]{0,127}")


class RouterError(Exception):
    """Anything the product raises on purpose."""

    code: ClassVar[str] = "router_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def fault(self) -> Fault:
        """The same, as a value that can travel."""
        return Fault(self.code, str(self), self.retryable, self.retry_after)


class Problem(NamedTuple):
    """One broken rule: where, which, and what stood there."""

    field: str  #: path such as ``data.userId`` (on the wire) or ``user_id`` (in Python)
    rule: str
    shape: str = ""  #: type and size of the value, such as ``string of 3 characters``; "": there was none

    def __str__(self) -> str:
        got = f", not {self.shape}" if self.shape else ""
        return f"{self.field} {self.rule}{got}" if self.field else f"{self.rule}{got}"


class InvalidMessage(RouterError, ValueError):
    """A field breaks its rule; ``problems`` holds all that were found, the first one is in the attributes."""

    code = "invalid_message"

    def __init__(self, field: str, rule: str, shape: str = "", *, problems: tuple[Problem, ...] = ()) -> None:
        self.problems = problems or (Problem(field, rule, shape),)
        first = self.problems[0]
        self.field, self.rule, self.shape = first
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"{first}{more}")


class UnknownType(RouterError):
    """No message type of that name."""

    code = "unknown_type"

    def __init__(self, name: object) -> None:
        self.type = shown(name)
        super().__init__(f"no message type {self.type}")


class BadCatalog(RouterError):
    """A message class is declared wrongly."""

    code = "bad_catalog"


class BadHandler(RouterError):
    """A handler is declared wrongly, or there is one already."""

    code = "bad_handler"


class BadSubscription(RouterError):
    """A subscription is declared wrongly."""

    code = "bad_subscription"


class BadWorker(RouterError):
    """A worker is declared wrongly, or its store is one that processes do not share."""

    code = "bad_worker"


def shape(value: object) -> str:
    """Type and size of a value in the words of the wire, never the value."""
    kind = type(value)
    if (plain := _PLAIN.get(kind)) is not None:
        return plain
    for base, words in _SIZED:
        if isinstance(value, base) and isinstance(value, Sized):
            return words.format(len(value))
    return f"a {kind.__name__[:64]}"


_PLAIN: dict[type, str] = {type(None): "null", bool: "a boolean", int: "an integer", float: "a number"}
_SIZED: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a string of {} characters"),
    ((bytes, bytearray, memoryview), "{} bytes"),
    (Mapping, "an object of {} fields"),
    ((list, tuple, set, frozenset), "a list of {}"),
)


def shown(name: object) -> str:
    """A sender's name for a field or type if it is harmless, else its shape."""
    return name if isinstance(name, str) and _NAME.fullmatch(name) else f"<{shape(name)}>"
