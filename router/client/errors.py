"""What a client raises.

::

    RouterError
    ├── InvalidMessage      as ``router.errors``: a field breaks its rule
    ├── UnknownType
    └── ClientError
        ├── Unreachable     no answer from the router; retry later
        ├── Unauthorized    no token, or one nobody knows
        ├── Forbidden       the token's role or guilds do not reach so far
        ├── NotFound        no command has this id, or none of ours
        ├── Replaced        another bot of the same name has connected
        ├── ClientClosed    the client was closed before there was an answer
        └── RequestRefused  refused for another reason: ``code`` says which

What the router's door refuses is raised as by an embedded router: ``Overloaded``, ``RateLimited``, ``KeyReusedError``,
``ClockSkew``, ``Expired``, ``SequenceGap``, ``SequenceRepeat``, ``ShuttingDown``, ``OwnerAway``, ``StoreUnavailable``
and ``StoreDoubt``; each with ``retryable`` and ``retry_after`` (ms).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actors.errors import (
    ClockSkew,
    EngineError,
    Expired,
    KeyReusedError,
    Overloaded,
    OwnerAway,
    RateLimited,
    SequenceGap,
    SequenceRepeat,
    ShuttingDown,
    StoreDoubt,
    StoreUnavailable,
)
from router.errors import InvalidMessage, Problem, RouterError, UnknownType


class ClientError(RouterError):
    """Anything a client raises by itself."""

    code = "client_error"


class Unreachable(ClientError):
    """No answer from the router."""

    code = "unreachable"
    retryable = True


class Unauthorized(ClientError):
    """No token, or one nobody knows."""

    code = "unauthorized"


class Forbidden(ClientError):
    """The token does not reach so far."""

    code = "forbidden"


class NotFound(ClientError):
    """Not known, or none of ours."""

    code = "not_found"


class Replaced(ClientError):
    """Another bot of the same name has connected: of two, one must go."""

    code = "replaced"


class ClientClosed(ClientError):
    """The client was closed before there was an answer."""

    code = "client_closed"


class RequestRefused(ClientError):
    """Refused; ``code`` is the router's."""

    code = "refused"

    def __init__(self, code: str, message: str, *, retryable: bool = False, retry_after: int = 0) -> None:
        super().__init__(message, retry_after=retry_after)
        self.code = code  # type: ignore[misc]  # of the class for every other error; here it is the router's
        self.retryable = retryable  # type: ignore[misc]  # as above


#: the codes of the door's refusals
_ENGINE: Final[Mapping[str, type[EngineError]]] = {
    kind.code: kind
    for kind in (
        Overloaded,
        RateLimited,
        KeyReusedError,
        ClockSkew,
        Expired,
        SequenceGap,
        SequenceRepeat,
        ShuttingDown,
        OwnerAway,
        StoreDoubt,
        StoreUnavailable,
    )
}
_CLIENT: Final[Mapping[str, type[ClientError]]] = {
    "token_missing": Unauthorized,
    "token_unknown": Unauthorized,
    "role": Forbidden,
    "other_guild": Forbidden,
    "cross_site": Forbidden,
    "unknown_host": Forbidden,
    "unknown_command": NotFound,
    "not_found": NotFound,
}


def error_of(said: Mapping[str, Any], type_: str = "") -> EngineError | RouterError:
    """The error that a problem of HTTP or a ``nack`` speaks of; ``type_``: of the message it is about."""
    code = str(said.get("code") or "refused")
    message = str(said.get("detail") or said.get("message") or code)
    retry_after = said.get("retryAfter")
    after = retry_after if isinstance(retry_after, int) else 0
    if (engine := _ENGINE.get(code)) is not None:
        return engine(message, retry_after=after)
    if code == UnknownType.code:
        return UnknownType(type_)
    if code == InvalidMessage.code:
        lines = said.get("errors") or [said]
        problems = tuple(
            Problem(str(line.get("field") or ""), str(line.get("rule") or message), str(line.get("shape") or ""))
            for line in lines
        )
        return InvalidMessage(*problems[0], problems=problems)
    if (known := _CLIENT.get(code)) is not None:
        return known(message, retry_after=after)
    return RequestRefused(code, message, retryable=bool(said.get("retryable")), retry_after=after)
