"""``@handles``: marks a method as the handler of a type, for ``router.bind`` to find. Nothing is registered here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar

from router.messages.base import Message

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "__guild_router_handles__"


class Mark(NamedTuple):
    """What was declared of one handler; see ``Handlers.handler``."""

    message: type[Message] | str
    timeout: float | None
    protocols: Collection[str]  #: empty: all
    idempotent: bool | None
    verify: Any  #: a function, or the name of a method of the same object


def handles(
    message: type[Message] | str,
    *,
    timeout: float | None = None,
    protocols: Collection[str] = (),
    idempotent: bool | None = None,
    verify: Callable[..., Any] | str | None = None,
) -> Callable[[F], F]:
    """Mark a method ``fn(self, command, ctx)`` as the handler of a type; several marks may stand on one method.

    As ``Router.handler``; ``verify`` may also be a method of the same class, or its name.
    """
    mark = Mark(message, timeout, protocols, idempotent, verify)

    def decorate(function: F) -> F:
        setattr(function, _ATTRIBUTE, (*marks_of(function), mark))
        return function

    return decorate


def marks_of(function: object) -> tuple[Mark, ...]:
    """The marks on a function; none for anything else."""
    try:
        marks = getattr(function, _ATTRIBUTE, ())
    except Exception:  # noqa: BLE001 - an attribute of a user's class may raise anything when it is looked at
        return ()
    return marks if isinstance(marks, tuple) else ()
