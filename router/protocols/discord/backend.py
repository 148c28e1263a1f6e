"""The backend with a client of its own: one request in, one reply out, within Discord's limits.

Short waits are waited for here, at most ``PATIENCE``; longer ones are handed back, for the router to hold the command's
lane and nothing else. Nothing is sent twice, with one exception that is none: a request that was refused because its
reason was too long goes again with a shorter one.
"""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import SecretStr
from yarl import URL

from actors.runtime.clock import Clock
from actors.runtime.errors import NotRunning
from router.protocols.discord.call import Applied, Call, Lapsed, NotSent, RateLimited, Rejected, Reply, Unknown
from router.protocols.discord.limits import CLOUDFLARE, Ledger, wait_of
from router.protocols.discord.reason import HEADER, header_of, shorter_header_of
from router.protocols.rest import http
from router.protocols.results import clean
from router.strict_json import BadJson, parse_json

PATIENCE = 1_000  # ms of waiting for a limit, in all
AGAIN = 1_000  # ms, of a 429 that does not say
PROJECT = "https://pypi.org/project/guild-router"


def own_name() -> str:
    """``DiscordBot (url, version)``: without the like, Cloudflare answers instead of Discord (40333)."""
    try:
        return f"DiscordBot ({PROJECT}, {version('guild-router')})"
    except PackageNotFoundError:  # run from its sources
        return f"DiscordBot ({PROJECT}, 0)"


class HttpBackend:
    """``base``: such as ``https://discord.com/api/v10``; another one for a proxy of the kind of nirn, or for tests."""

    def __init__(
        self, token: SecretStr, *, clock: Clock, base: str, user_agent: str = "", ledger: Ledger | None = None
    ) -> None:
        self._token = token
        self._clock = clock
        self._base = base.rstrip("/")
        self._user_agent = user_agent or own_name()
        self.ledger = ledger or Ledger()
        self._http: http.Http | None = None

    async def request(self, call: Call, *, deadline: int, lapsed: Lapsed | None = None) -> Reply:
        """See ``RestBackend``."""
        reply = await self._once(call, header_of(call.reason), deadline, lapsed)
        if isinstance(reply, Rejected) and reply.status == 400 and call.reason and _blames_the_reason(reply):
            reply = await self._once(call, shorter_header_of(call.reason), deadline, lapsed)
        return reply

    async def close(self) -> None:
        """Hang up."""
        client, self._http = self._http, None
        if client is not None:
            await client.close()

    async def _once(self, call: Call, reason: str, deadline: int, lapsed: Lapsed | None) -> Reply:
        held = await self._admitted(call, deadline, lapsed)
        if held is not None:
            return held
        headers = {"Authorization": f"Bot {self._token.get_secret_value()}"}
        if reason:
            headers[HEADER] = reason
        body = None
        if call.json is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(call.json, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            answer = await self._opened().send(
                call.method, URL(self._base + call.path, encoded=True), headers=headers, body=body
            )
        except http.NotSent as error:
            self.ledger.unanswered(call)
            return NotSent("unreachable", str(error), failed=True)
        except http.Lost as error:
            self.ledger.unanswered(call)
            return Unknown("connection_lost", str(error))
        except BaseException:
            self.ledger.unanswered(call)
            raise
        return self._understood(call, answer)

    async def _admitted(self, call: Call, deadline: int, lapsed: Lapsed | None) -> NotSent | None:
        """``None``: it may go now, and is counted."""
        patience = self._clock.now() + PATIENCE
        while True:
            now = self._clock.now()
            if deadline and now >= deadline:
                return NotSent("too_late", "its time was over before it could be sent", AGAIN)
            if lapsed is not None and lapsed():
                return NotSent("lease_lapsed", "its guild may be another router's by now", AGAIN)
            held = self.ledger.hold(call, now)
            if held is None:
                return None
            until = now + held.retry_after
            if until > patience or (deadline and until >= deadline):
                return held
            try:
                await _pause(self._clock, held.retry_after)
            except NotRunning:  # time itself has ended, and the router with it
                return held

    def _understood(self, call: Call, answer: http.Answer) -> Reply:
        now = self._clock.now()
        status, headers = answer.status, answer.headers
        self.ledger.answered(call, status, headers, now)
        said = _json(answer)
        if 200 <= status < 300:
            return Applied(said, status)
        if status == 429:
            known = isinstance(said, dict) and "retry_after" in said and "via" in headers
            if not known:  # Cloudflare itself: not in Discord's words, and not through its gateway
                wait = wait_of(None, headers, now, CLOUDFLARE)
                self.ledger.limited(call, "cloudflare", wait, now)
                return RateLimited(wait, "cloudflare")
            whole = said.get("global") is True or headers.get("x-ratelimit-scope") == "global"
            scope = "global" if whole else headers.get("x-ratelimit-scope", "user")
            wait = wait_of(said, headers, now, AGAIN)
            self.ledger.limited(call, scope, wait, now)
            return RateLimited(wait, clean(scope, 16))
        if 400 <= status < 500:
            return _rejected(status, said)
        return Unknown(f"http_{status}", f"Discord answered {status}")

    def _opened(self) -> http.Http:
        if self._http is None:
            self._http = http.Http(self._user_agent)
        return self._http


async def _pause(clock: Clock, ms: int) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(over.set)

    timer = clock.call_later(ms / 1000, wake)
    try:
        await over.wait()
    finally:
        timer.cancel()


def _json(answer: http.Answer) -> Any:
    try:
        return parse_json(answer.body, max_depth=64, max_elements=100_000) if answer.whole and answer.body else None
    except BadJson:
        return None


def _rejected(status: int, said: Any) -> Rejected:
    code = said.get("code") if isinstance(said, dict) else 0
    text = said.get("message") if isinstance(said, dict) else ""
    errors = said.get("errors") if isinstance(said, dict) else None
    message = clean(text) if isinstance(text, str) and text else f"Discord answered {status}"
    if errors:
        message = clean(f"{message}: {text_of_errors(errors)}")
    return Rejected(status, code if type(code) is int else 0, message, wait_of(said, {}, 0, 0))


def text_of_errors(errors: Any, path: str = "", depth: int = 8) -> str:
    """Discord's tree of form errors in one line: ``content: Must be 2000 or fewer in length.``"""
    if not isinstance(errors, dict) or depth == 0 or not isinstance(errors.get("_errors", []), list):
        return ""
    own = errors.get("_errors")
    found = [f"{path}: {one.get('message', '')}" for one in own or () if isinstance(one, dict)]
    for key, inner in errors.items():
        if key != "_errors" and (text := text_of_errors(inner, f"{path}.{key}" if path else str(key), depth - 1)):
            found.append(text)
    return "; ".join(found)


def _blames_the_reason(reply: Rejected) -> bool:
    """Its text names the reason or the header; a form error of another field does not."""
    return "reason" in reply.message.lower()
