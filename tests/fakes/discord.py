"""Discord's REST interface in small, over real sockets: it remembers, it enforces, and it fails on request.

The guild, its members with the height of their highest role, bans, timeouts, messages with nonces and reactions, direct
channels. ``ledger`` is every effect it ever had, in order, as often as it had it. Answers have the headers of a bucket,
``Via`` and exactly ``application/json``.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Condition
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from aiohttp import web

from tests.fakes.served import CAP, Served, application

GUILD, OWNER, BOT, USER, MODERATOR = "81384788765712384", "1" * 17, "2" * 17, "175928847299117063", "5" * 17
ROLE = "334385199974967042"
CHANNEL, MESSAGE, DIRECT = "381870553235193857", "90" + "1" * 15, "77" + "1" * 15
TOKEN = "bot-token"
JOINED = "2023-01-01T00:00:00+00:00"

Effect = tuple[str, ...]
Answer = tuple[int, Any]
Commit = Callable[[], Answer]
#: what a fault does: it gets the request and the rest of the work, and may commit before, after or never
Fault = Callable[["Discord", web.Request, Commit], Awaitable[Any]]


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        self.answer = status, {"code": code, "message": message, **more}


class Discord:
    """``faults``: one for each of the next requests; ``None`` is none."""

    def __init__(self, *faults: Fault | None) -> None:
        self.faults = list(faults)
        self.ledger: list[Effect] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.members: dict[str, dict[str, Any]] = {
            OWNER: {"height": 100, "joined_at": JOINED, "communication_disabled_until": None, "roles": []},
            BOT: {"height": 50, "joined_at": JOINED, "communication_disabled_until": None, "roles": []},
            USER: {"height": 10, "joined_at": JOINED, "communication_disabled_until": None, "roles": []},
        }
        self.bans: set[str] = set()
        self.messages: dict[str, dict[str, Any]] = {}
        self.nonces: dict[str, str] = {}
        self.allowed = True  # whether the bot has the permission
        self.token = TOKEN
        self.calm: set[str] = set()  # paths where nothing goes wrong
        self.limit = 5  # of each bucket
        self.used: dict[tuple[str, str], int] = {}
        self.longest_reason = 512  # after decoding
        self.longest_header = 10_000
        self.go_on = asyncio.Event()
        self._changed = Condition()
        self.say(MESSAGE, "old")
        self.served = Served(application("/api/v10/{tail:.*}", self._handle))

    @property
    def url(self) -> str:
        return f"{self.served.url}/api/v10"

    def __enter__(self) -> Discord:
        self.served.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self.served.__exit__()

    def release(self) -> None:
        """Whoever hangs goes on."""

        async def go() -> None:
            self.go_on.set()

        self.served.call(go())

    def say(self, id_: str, content: str, channel: str = CHANNEL) -> None:
        self.messages[id_] = {
            "id": id_, "channel_id": channel, "content": content, "author": {"id": BOT}, "flags": 0, "type": 0,
            "embeds": [], "reactions": [],
        }  # fmt: skip

    def effect(self, *what: str) -> None:
        with self._changed:
            self.ledger.append(what)
            self._changed.notify_all()

    def effects(self, count: int = 1) -> list[Effect]:
        """The ledger, as soon as it has so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ledger) >= count, CAP), self.ledger
            return list(self.ledger)

    def asked(self, count: int = 1) -> None:
        """Wait until so many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, CAP)

    # ------------------------------------------------------------ one request

    async def _handle(self, request: web.Request) -> Any:
        body = await request.read()
        path = request.raw_path.removeprefix("/api/v10")
        given = json.loads(body) if body else None
        with self._changed:
            self.requests.append((request.method, path, dict(request.headers), given))
            self._changed.notify_all()
        fault = self.faults.pop(0) if self.faults and path not in self.calm else None

        def commit() -> Answer:
            try:
                return self._do(request, path, given)
            except Refused as refused:
                return refused.answer

        if fault is not None:
            return await fault(self, request, commit)
        return self.answer(request, *commit())

    def answer(self, request: web.Request, status: int, content: Any, **headers: str) -> web.Response:
        """With the headers of its bucket; ``X_RateLimit_Scope="..."`` and the like go before them."""
        key = self._bucket(request)
        used = self.used.get(key, 0)
        given = {
            "Via": "1.1 google",
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - used)),
            "X-RateLimit-Reset-After": "2.000",
            "X-RateLimit-Bucket": f"{crc32(key[0].encode()):08x}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        body = b"" if content is None else json.dumps(content).encode()
        response = web.Response(status=status, body=body, headers=given)
        if content is not None:
            response.headers["Content-Type"] = "application/json"
        return response

    def _bucket(self, request: web.Request) -> tuple[str, str]:
        path = request.raw_path
        major = re.search(r"/(?:guilds|channels)/\d+", path)
        shape = re.sub(r"\d{15,20}", "N", re.sub(r"(?<=/reactions/)[^/]+", "E", path))
        return f"{request.method} {shape}", major[0] if major else ""

    def reset(self) -> None:
        """The windows of all buckets are over."""
        self.used.clear()

    # ------------------------------------------------------------ what it does

    def _do(self, request: web.Request, path: str, given: Any) -> Answer:
        if request.headers.get("Authorization") != f"Bot {self.token}":
            raise Refused(401, 0, "401: Unauthorized")
        key = self._bucket(request)
        if self.used.get(key, 0) >= self.limit:
            raise Refused(429, 0, "You are being rate limited.", retry_after=2.0, **{"global": False})
        self.used[key] = self.used.get(key, 0) + 1
        reason = request.headers.get("X-Audit-Log-Reason", "")
        if len(unquote(reason)) > self.longest_reason or len(reason) > self.longest_header:
            errors = {"reason": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 512 or fewer."}]}}
            raise Refused(400, 50_035, "Invalid Form Body", errors=errors)
        for pattern, name in _ROUTES:
            if match := re.fullmatch(pattern, f"{request.method} {path}"):
                answer: Answer = getattr(self, f"_{name}")(given, *match.groups())
                return answer
        raise Refused(404, 0, "404: Not Found")

    def _member(self, user: str) -> dict[str, Any]:
        if user not in self.members:
            raise Refused(404, 10_007, "Unknown Member")
        return self.members[user]

    def _allowed(self, guild: str, user: str = "") -> None:
        if guild != GUILD:
            raise Refused(404, 10_004, "Unknown Guild")
        if not self.allowed or self.members.get(user, {"height": 0})["height"] >= self.members[BOT]["height"]:
            raise Refused(403, 50_013, "Missing Permissions")

    def _ban(self, given: Any, guild: str, user: str) -> Answer:
        self._allowed(guild, user)
        if not 0 <= given.get("delete_message_seconds", 0) <= 604_800:
            raise Refused(400, 50_035, "Invalid Form Body")
        if user not in self.bans:
            self.effect("ban", user)
        self.bans.add(user)
        self.members.pop(user, None)
        return 204, None

    def _bulk_ban(self, given: Any, guild: str) -> Answer:
        self._allowed(guild)
        ids = given["user_ids"]
        if not 1 <= len(set(ids)) == len(ids) <= 200 or not 0 <= given.get("delete_message_seconds", 0) <= 604_800:
            raise Refused(400, 50_035, "Invalid Form Body")
        banned = []
        for user in ids:
            with suppress(Refused):
                if user not in self.bans:
                    self._ban({}, guild, user)
                    banned.append(user)
        if not banned:
            raise Refused(400, 500_000, "Failed to ban users")
        return 200, {"banned_users": banned, "failed_users": [user for user in ids if user not in banned]}

    def _get_ban(self, _: Any, guild: str, user: str) -> Answer:
        if user not in self.bans:
            raise Refused(404, 10_026, "Unknown Ban")
        return 200, {"user": {"id": user}, "reason": None}

    def _unban(self, _: Any, guild: str, user: str) -> Answer:
        self._allowed(guild)
        if user not in self.bans:
            raise Refused(404, 10_026, "Unknown Ban")
        self.bans.discard(user)
        self.effect("unban", user)
        return 204, None

    def _kick(self, _: Any, guild: str, user: str) -> Answer:
        self._allowed(guild, user)
        self._member(user)
        del self.members[user]
        self.effect("kick", user)
        return 204, None

    def _get_member(self, _: Any, guild: str, user: str) -> Answer:
        return 200, {**self._member(user), "user": {"id": user}, "flags": 0}

    def _patch_member(self, given: Any, guild: str, user: str) -> Answer:
        self._allowed(guild, user)
        member = self._member(user)
        if member["communication_disabled_until"] != given["communication_disabled_until"]:
            self.effect("timeout", user, str(given["communication_disabled_until"]))
        member["communication_disabled_until"] = given["communication_disabled_until"]
        return self._get_member(None, guild, user)

    def _add_role(self, _: Any, guild: str, user: str, role: str) -> Answer:
        self._allowed(guild, user)
        roles = self._member(user).setdefault("roles", [])
        if role not in roles:
            roles.append(role)
            self.effect("role", user, role)
        return 204, None

    def _remove_role(self, _: Any, guild: str, user: str, role: str) -> Answer:
        self._allowed(guild, user)
        roles = self._member(user).setdefault("roles", [])
        if role in roles:
            roles.remove(role)
            self.effect("no role", user, role)
        return 204, None

    def _delete_many(self, given: Any, channel: str) -> Answer:
        ids = given["messages"]
        if not 2 <= len(set(ids)) == len(ids) <= 100:
            raise Refused(400, 50_035, "Invalid Form Body")
        for id_ in ids:
            if self.messages.pop(id_, None) is not None:
                self.effect("delete", id_)
        return 204, None

    def _me(self, _: Any) -> Answer:
        return 200, {"id": BOT, "bot": True}

    def _open(self, given: Any) -> Answer:
        return 200, {"id": DIRECT, "type": 1, "recipients": [{"id": given["recipient_id"]}]}

    def _post(self, given: Any, channel: str) -> Answer:
        if channel not in (CHANNEL, DIRECT):
            raise Refused(404, 10_003, "Unknown Channel")
        if not self.allowed:
            raise Refused(403, 50_007 if channel == DIRECT else 50_001, "Missing Access")
        if not (given.get("content") or given.get("embeds") or given.get("components")):
            raise Refused(400, 50_006, "Cannot send an empty message")
        if len(given.get("nonce", "")) > 25:
            raise Refused(400, 50_035, "Invalid Form Body")
        nonce = given.get("nonce") if given.get("enforce_nonce") else None
        if nonce in self.nonces:
            known = self.messages.get(self.nonces[nonce])
            if known is None:
                raise Refused(404, 10_008, "Unknown Message")
            return 200, known
        id_ = str(10**17 + len(self.messages))
        self.say(id_, given.get("content", ""), channel)
        if nonce:
            self.nonces[nonce] = id_
        self.effect("send", channel, given.get("content", ""))
        return 200, self.messages[id_]

    def _find(self, channel: str, message: str) -> dict[str, Any]:
        if message not in self.messages:
            raise Refused(404, 10_008, "Unknown Message")
        return self.messages[message]

    def _get_message(self, _: Any, channel: str, message: str) -> Answer:
        return 200, self._find(channel, message)

    def _edit(self, given: Any, channel: str, message: str) -> Answer:
        found = self._find(channel, message)
        if found["author"]["id"] != BOT:
            raise Refused(403, 50_005, "Cannot edit a message authored by another user")
        if found["content"] != given.get("content", found["content"]):
            self.effect("edit", message, given["content"])
        found.update(given)
        return 200, found

    def _delete(self, _: Any, channel: str, message: str) -> Answer:
        self._find(channel, message)
        del self.messages[message]
        self.effect("delete", message)
        return 204, None

    def _react(self, _: Any, channel: str, message: str, emoji: str) -> Answer:
        reactions = self._find(channel, message)["reactions"]
        name = unquote(emoji).partition(":")[0]
        if not any(one["emoji"]["name"] == name for one in reactions):
            reactions.append({"emoji": {"name": name}, "me": True, "count": 1})
            self.effect("react", message, unquote(emoji))
        return 204, None

    def _unreact(self, _: Any, channel: str, message: str, emoji: str, user: str) -> Answer:
        found = self._find(channel, message)
        name = unquote(emoji).partition(":")[0]
        left = [one for one in found["reactions"] if one["emoji"]["name"] != name]
        if len(left) < len(found["reactions"]):
            self.effect("unreact", message, unquote(emoji))
        found["reactions"] = left
        return 204, None


_G, _U, _C, _M = r"/guilds/(\d+)", r"(\d+)", r"/channels/(\d+)/messages", r"(\d+)"
_ROUTES = [
    (rf"PUT {_G}/bans/{_U}", "ban"),
    (rf"POST {_G}/bulk-ban", "bulk_ban"),
    (rf"GET {_G}/bans/{_U}", "get_ban"),
    (rf"DELETE {_G}/bans/{_U}", "unban"),
    (rf"DELETE {_G}/members/{_U}", "kick"),
    (rf"GET {_G}/members/{_U}", "get_member"),
    (rf"PATCH {_G}/members/{_U}", "patch_member"),
    (rf"PUT {_G}/members/{_U}/roles/(\d+)", "add_role"),
    (rf"DELETE {_G}/members/{_U}/roles/(\d+)", "remove_role"),
    (rf"POST {_C}/bulk-delete", "delete_many"),
    (r"GET /users/@me", "me"),
    (r"POST /users/@me/channels", "open"),
    (rf"POST {_C}", "post"),
    (rf"GET {_C}/{_M}", "get_message"),
    (rf"PATCH {_C}/{_M}", "edit"),
    (rf"DELETE {_C}/{_M}", "delete"),
    (rf"PUT {_C}/{_M}/reactions/([^/]+)/@me", "react"),
    (rf"DELETE {_C}/{_M}/reactions/([^/]+)/(@me|\d+)", "unreact"),
]


# ---------------------------------------------------------------- faults


def fails_before(status: int) -> Fault:
    """A 5xx, and nothing happened."""

    async def fault(discord: Discord, request: web.Request, commit: Commit) -> Any:
        return discord.answer(request, status, None)

    return fault


def fails_after(status: int) -> Fault:
    """A 5xx, though it happened."""

    async def fault(discord: Discord, request: web.Request, commit: Commit) -> Any:
        commit()
        return discord.answer(request, status, None)

    return fault


async def drops_before(discord: Discord, request: web.Request, commit: Commit) -> Any:
    request.transport.abort()
    return web.Response()


async def drops_after(discord: Discord, request: web.Request, commit: Commit) -> Any:
    commit()
    request.transport.abort()
    return web.Response()


async def hangs_after(discord: Discord, request: web.Request, commit: Commit) -> Any:
    answer = commit()
    await discord.go_on.wait()
    return discord.answer(request, *answer)


async def hangs_before(discord: Discord, request: web.Request, commit: Commit) -> Any:
    await discord.go_on.wait()
    return discord.answer(request, 503, None)


async def babbles(discord: Discord, request: web.Request, commit: Commit) -> Any:
    """It happened, and the answer cannot be read."""
    status, _ = commit()
    response = discord.answer(request, 200 if status == 204 else status, None)
    response.body = b'{"id": '
    return response


def limits(scope: str, seconds: float = 3.0) -> Fault:
    """A 429 of Discord's: ``user``, ``shared`` or ``global``."""

    async def fault(discord: Discord, request: web.Request, commit: Commit) -> Any:
        content = {"message": "You are being rate limited.", "retry_after": seconds, "global": scope == "global"}
        more = {"X_RateLimit_Scope": scope, "Retry_After": str(int(seconds) + 1)}
        more["X_RateLimit_Reset_After"] = f"{seconds:.3f}"
        if scope == "global":
            more["X_RateLimit_Global"] = "true"
        return discord.answer(request, 429, content, **more)

    return fault


def cloudflare(retry_after: str = "") -> Fault:
    """A 429 that never came to Discord."""

    async def fault(discord: Discord, request: web.Request, commit: Commit) -> Any:
        headers = {"Retry-After": retry_after} if retry_after else {}
        text = "<html>error code: 1015</html>"
        return web.Response(status=429, text=text, content_type="text/html", headers=headers)

    return fault
