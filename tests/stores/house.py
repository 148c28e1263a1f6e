"""Routers on the Redis of this session, as users start them, for the tests that need several."""

from __future__ import annotations

import threading
from typing import Any

from router import Router
from router.messages import BanUser
from router.stores.url import open_store
from tests.servers.shared import options, server

MODERATOR = "53908232506183680"


def ban(user: int, guild: int = 1, reason: str = "spam") -> BanUser:
    where, whom = str(81384788765712384 + guild), str(175928847299117063 + user)
    return BanUser(guild_id=where, user_id=whom, moderator_id=MODERATOR, reason=reason)


def fresh_url() -> str:
    """A store nobody had before."""
    return f"{server().url}?prefix={options().prefix}&partitions=4&lease_timeout=2000"


class House:
    """A router, and what its handler was given."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.done: list[str] = []
        self.fails = False
        self.open = threading.Event()
        self.open.set()
        self.router = Router(store=url, queue_health_check_interval=600_000, **settings)

        @self.router.handler(BanUser, idempotent=True)
        def _(command: BanUser, ctx: Any) -> dict[str, int]:
            self.open.wait(10)
            self.done.append(command.user_id)
            if self.fails:
                raise RuntimeError("told to")
            return {"attempt": ctx.attempt}


def owners(store: Any) -> set[str]:
    """Whose leases run."""
    leases = open_store(f"{server().url}?prefix={store.options.prefix}&partitions={store.partitions}").leases()
    leases.open()
    found = {lease.router for lease in leases.look() if lease.left}
    leases.close()
    return found
