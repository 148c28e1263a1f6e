"""What a handler raises to say something else than "it failed"."""

from __future__ import annotations

import math

DAY = 86_400.0  # seconds; the longest a handler may ask to wait


class Signal(Exception):
    """Base of what a handler may raise on purpose."""


class RetryLater(Signal):
    """Not now: come back after ``after`` seconds (at most a day). Costs no attempt."""

    def __init__(self, after: float, message: str = "") -> None:
        if not math.isfinite(after) or after < 0:
            raise ValueError(f"RetryLater takes a number of seconds from 0, not {after!r}")
        super().__init__(message)
        self.after = min(float(after), DAY)


class Reject(Signal):
    """Final: trying again cannot help. ``code`` is stable and goes to the sender, as ``message`` does."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class Fail(Signal):
    """It failed, with a ``code`` of its own: as any other exception it is tried again by the rules of its type."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class InDoubt(Signal):
    """Nobody knows whether it happened, and neither asking nor trying again can tell: the sender is answered so."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class Noop(Signal):
    """Nothing to do: the effect stood already (unbanning who is not banned). A success, with ``data``.

    May be raised or returned.
    """

    def __init__(self, data: object = None) -> None:
        super().__init__("there was nothing to do")
        self.data = data
