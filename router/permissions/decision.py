"""The port of an authorizer: may this user do this, now?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from actors.envelope import Envelope

if TYPE_CHECKING:
    from router.messages.base import Message


class Allowed(NamedTuple):
    """Go on."""

    reason: str = ""  #: for the audit trail, such as ``owner``


class Denied(NamedTuple):
    """Final: the command is answered ``rejected`` with this code."""

    code: str = "permission_denied"  #: stable; goes to the sender, like ``message``
    message: str = "the acting user may not do this"


class Unknown(NamedTuple):
    """Nobody can tell now: the command waits and is asked about again; it is never executed unchecked."""

    retry_after: int = 1_000  #: ms
    message: str = "it cannot be told now whether the acting user may do this"


Decision: TypeAlias = Allowed | Denied | Unknown
ALLOWED = Allowed()


class Authorizer(Protocol):
    """Asked before each attempt, over every protocol; sync or async.

    ``command`` is the validated message, ``envelope.user`` the acting user ("" when nobody is named) and
    ``envelope.source`` the door it came through. What is raised counts as ``Unknown``. An authorizer may have two more
    attributes: ``quick = True`` says that it never waits, and is then asked without a thread or a cache between; and
    ``cache_key(command, envelope)`` gives what its answer depends on (``None``: not to be kept).
    """

    def authorize(self, command: Message, envelope: Envelope) -> Decision | Awaitable[Decision]:
        """May it be done?"""


#: the same as a function
Judge: TypeAlias = Callable[[Any, Envelope], "Decision | Awaitable[Decision]"]


def told_of(decision: Decision) -> dict[str, object]:
    """A decision as the audit trail shows it."""
    match decision:
        case Allowed(reason):
            return {"decision": "allowed", "reason": reason} if reason else {"decision": "allowed"}
        case Denied(code, message):
            return {"decision": "denied", "code": code, "message": message}
        case Unknown(retry_after, message):
            return {"decision": "unknown", "message": message, "retryAfter": retry_after}
