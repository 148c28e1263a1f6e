"""Who is asking: roles by bearer token, each perhaps limited to guilds."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Final

from fastapi import Depends, Request

from router.http.problems import HttpProblem
from router.settings_values import Role, Token

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="guild-router"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """A role, and the guilds it is limited to; none named: all."""

    role: Role
    guilds: frozenset[str] = frozenset()
    number: int = field(default=0, compare=False)  #: of its token, as they are listed, from 1; 0: it needed none

    @property
    def who(self) -> str:
        """As the audit trail names it: the role and the token's number, never anything made of the token."""
        return f"{self.role}#{self.number}" if self.number else self.role

    def reaches(self, guild: str) -> bool:
        """Whether something of this guild is the caller's business."""
        return not self.guilds or guild in self.guilds

    def enter(self, guild: str) -> None:
        """Refuse what is outside the caller's guilds."""
        if not self.reaches(guild):
            raise HttpProblem(403, "other_guild", "This token is limited to other guilds.", retryable=False)


class Gate:
    """Knows the tokens. Without any, the caller is the admin: the daemon then listens on loopback only."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._known = [
            (_digest(token.secret.get_secret_value().encode()), Caller(token.role, token.guilds, number))
            for number, token in enumerate(tokens, 1)
        ]

    @property
    def open(self) -> bool:
        """Whether nobody needs a token."""
        return not self._known

    def caller(self, authorization: bytes | None) -> Caller:
        """Who shows this ``Authorization`` header; a problem 401 for nobody we know."""
        if self.open:
            return Caller("admin")
        if authorization is None:
            raise HttpProblem(401, "token_missing", "A bearer token is needed.", headers=CHALLENGE, retryable=False)
        scheme, _, secret = authorization.partition(b" ")
        given = _digest(secret.strip() if scheme.lower() == b"bearer" else b"")
        found: Caller | None = None
        for digest, caller in self._known:  # all of them, always: the time says nothing about which is near
            if hmac.compare_digest(digest, given):
                found = caller
        if found is None:
            raise HttpProblem(
                401, "token_unknown", "This bearer token is not known.", headers=CHALLENGE, retryable=False
            )
        return found


def _digest(secret: bytes) -> bytes:
    # Equal lengths whatever was sent, and bytes: compare_digest refuses text beyond ASCII.
    return blake2b(secret, digest_size=32).digest()


def caller_of(request: Request) -> Caller:
    """The caller the door let in."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def allowed(*roles: Role, everywhere: bool = False) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: the caller, if it has one of the roles, and with ``everywhere`` is not limited to guilds."""

    async def check(request: Request) -> Caller:  # async, or FastAPI would run it on a thread
        caller = caller_of(request)
        if caller.role not in roles:
            raise HttpProblem(403, "role", f"This needs the role {' or '.join(roles)}.", retryable=False)
        if everywhere and caller.guilds:
            raise HttpProblem(403, "other_guild", "This needs a token for all guilds.", retryable=False)
        return caller

    return check


#: for routes that want to know no more of their caller
ANYONE: Final = (Depends(allowed("bot", "client", "admin")),)
OPERATOR: Final = (Depends(allowed("admin", everywhere=True)),)
Anyone = Annotated[Caller, Depends(allowed("bot", "client", "admin"))]
Admin = Annotated[Caller, Depends(allowed("admin"))]
Operator = Annotated[Caller, Depends(allowed("admin", everywhere=True))]
