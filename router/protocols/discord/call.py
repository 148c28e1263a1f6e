"""One request to Discord, and what it came to: the words between commands and whoever sends them (``RestBackend``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import quote


class Call(NamedTuple):
    """One request. Made by ``call``."""

    method: str
    route: str  #: with places, such as ``/guilds/{guild}/bans/{user}``: what has one rate limit, with ``major``
    path: str  #: filled and quoted
    major: str  #: the guild, channel or webhook it is in: limits are counted apart for each
    json: Mapping[str, Any] | None = None
    reason: str = ""  #: for the guild's audit log

    @property
    def key(self) -> str:
        """Its rate limit's name until Discord has told the bucket's."""
        return f"{self.method} {self.route}"


MAJOR = ("guild", "channel", "webhook")


def call(method: str, route: str, *, json: Mapping[str, Any] | None = None, reason: str = "", **places: str) -> Call:
    """``call("PUT", "/guilds/{guild}/bans/{user}", guild=..., user=...)``."""
    path = route.format(**{name: quote(value, safe="") for name, value in places.items()})
    major = next((f"{name}:{places[name]}" for name in MAJOR if name in places), "")
    return Call(method, route, path, major, json, reason)


class Applied(NamedTuple):
    """It happened. ``data``: the JSON of the answer; ``None``: it had none that could be read."""

    data: Any = None
    status: int = 200


class NotSent(NamedTuple):
    """Proof that nothing left. ``failed``: Discord could not be reached; else it was held back here, and by what."""

    code: str
    message: str
    retry_after: int = 0  #: ms
    failed: bool = False


class Rejected(NamedTuple):
    """Discord refused; nothing happened."""

    status: int
    code: int  #: Discord's; 0: none
    message: str
    retry_after: int = 0  #: ms, where it said so


class RateLimited(NamedTuple):
    """A 429; nothing happened."""

    retry_after: int  #: ms
    scope: str  #: ``user``, ``global``, ``shared`` or ``cloudflare``


class Unknown(NamedTuple):
    """Sent, and nobody can tell."""

    code: str
    message: str


Reply: TypeAlias = Applied | NotSent | Rejected | RateLimited | Unknown


Lapsed: TypeAlias = Callable[[], bool]


class RestBackend(Protocol):
    """Whoever sends requests to Discord for one bot, within its limits. Used on one event loop.

    An adapter inside a bot's own process would share its library's buckets: two limiters on one token are avoidable
    429s.
    """

    async def request(self, call: Call, *, deadline: int, lapsed: Lapsed | None = None) -> Reply:
        """Send it, once. Never raises.

        Not sent later than ``deadline`` (ms since the epoch; 0: whenever), nor when ``lapsed`` says so right before.
        """

    async def close(self) -> None:
        """Let go of everything."""
