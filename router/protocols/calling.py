"""What kind of function a user gave us."""

from __future__ import annotations

import inspect


def is_async(function: object) -> bool:
    """Whether calling it gives something to await; a function that only happens to return such a thing is not."""
    if inspect.iscoroutinefunction(function):
        return True
    return not inspect.isroutine(function) and inspect.iscoroutinefunction(vars(type(function)).get("__call__"))


def cannot_take(function: object, count: int) -> str:
    """Why it cannot be called with ``count`` arguments; "": it can, as far as can be seen."""
    if not callable(function):
        return f"{function!r} cannot be called"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built-in functions have none to look at
        return ""
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        return str(error)
    return ""
