"""How an actor ended, and what its supervisor makes of it. Pure."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["normal", "shutdown", "idle", "crash", "killed", "start_failed", "ignored"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]


class Exit(NamedTuple):
    """One actor's end.

    ``normal``: it stopped itself. ``shutdown``: it was asked to, or is a supervisor that gave up. ``idle``: it went to
    sleep because nothing waited for it. ``crash``: it raised. ``killed``: it was fenced. ``start_failed``: it never
    ran. ``ignored``: its factory made no actor, on purpose.
    """

    kind: Kind
    exception: BaseException | None = None
    message: Any = None  #: being handled when it crashed or was killed
    repeat: bool = False  #: the same redelivered message that killed the predecessor


NORMAL = Exit("normal")
SHUTDOWN = Exit("shutdown")
IDLE = Exit("idle")
IGNORED = Exit("ignored")


def is_failure(kind: Kind) -> bool:
    """Whether something went wrong."""
    return kind in {"crash", "killed", "start_failed"}


def should_restart(restart: Restart, kind: Kind) -> bool:
    """Permanent: always; transient: after a failure; temporary: never. A sleeper is woken by its next message."""
    if kind in {"idle", "ignored"} or restart == "temporary":
        return False
    return restart == "permanent" or is_failure(kind)
