"""The bot of the benchmarks: a no-op BAN_USER of about 300 bytes."""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from router import Reply, Router
from router.messages import BanUser
from tests.servers.redis import RedisServer

MODERATOR = "81384788765712384"
REASON = "repeated advertising of another server after two warnings by the moderators of this guild"
FIRST_GUILD = 700_000_000_000_000_000
FIRST_USER = 200_000_000_000_000_000

BATCH = 200
"""Commands in one ``send_many``."""

LIVE = 86_400_000

WINDOW = 4_000
"""Commands on their way at once; below the router's backlog bounds, so nothing is refused."""


def ban(number: int, guilds: int) -> BanUser:
    """The ``number``-th ban, of a user of its own, in one of ``guilds`` guilds."""
    return BanUser(
        guild_id=str(FIRST_GUILD + number % guilds),
        user_id=str(FIRST_USER + number),
        moderator_id=MODERATOR,
        reason=REASON,
        delete_message_days=1,
    )


@contextmanager
def store_url(kind: str) -> Iterator[str]:
    """``memory``, ``sqlite`` (a new file, ``synchronous=FULL``) or ``redis`` (a new server, AOF ``everysec``)."""
    if kind == "memory":
        yield "memory://"
        return
    if kind == "redis":
        with RedisServer() as server:
            yield server.url
        return
    with tempfile.TemporaryDirectory(prefix="guild-router-bench-") as folder:
        yield f"sqlite:///{Path(folder) / 'bench.db'}"


@contextmanager
def running(store: str, handler: Callable[..., object] | None = None) -> Iterator[Router]:
    """A started router whose bans do nothing, or what ``handler`` does."""
    # A guild stays live however long the other cases take, and nothing is refused however much waits.
    router = Router(store=store, passivate_after_ms=LIVE, max_backlog=10_000_000)
    router.handler(BanUser)(handler or _nothing)
    with router:
        yield router


def _nothing(_command: BanUser, _ctx: object) -> None:
    """The work of the bot."""


def push(router: Router, messages: Iterable[BanUser], *, window: int = WINDOW, timeout: float = 60) -> None:
    """Send all, ``window`` on their way at most, and wait until each is answered ``ok``.

    ``messages`` may be made as they go: a producer makes them one after the other, too, and a heap of waiting ones
    would be work for the garbage collector that no router causes.
    """
    on_the_way: deque[Reply] = deque()
    source = iter(messages)
    while batch := list(islice(source, BATCH)):
        on_the_way.extend(router.send_many(batch))
        while len(on_the_way) > window:
            _expect_ok(on_the_way.popleft(), timeout)
    while on_the_way:
        _expect_ok(on_the_way.popleft(), timeout)


def _expect_ok(reply: Reply, timeout: float) -> None:
    response = reply.result(timeout=timeout)
    if response.status != "ok":
        raise RuntimeError(f"a ban of the benchmark ended {response.status}: {response.error}")


def threads() -> int:
    """Threads of this process now, as Python sees them."""
    return threading.active_count()
