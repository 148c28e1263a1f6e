"""``guild-router bench``: how fast are this machine and this store, with a router in this process?"""

from __future__ import annotations

import math
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import Progress

from actors.errors import EngineError
from router.cli.output import JsonOption, fail, show_json, show_table
from router.errors import RouterError

if TYPE_CHECKING:
    from router.messages import BanUser
    from router.router import Router

BATCH = 200
"""Commands that are handed over together, and stored together."""

WINDOW = 2_000
"""Commands on their way at once; far below what a router refuses."""

WARM = 500
"""Commands before anything is measured."""

PATIENCE = 60.0
"""Seconds for one answer; whoever gets none has no figure to tell."""

GUILD, USER, MODERATOR = 700_000_000_000_000_000, 200_000_000_000_000_000, "81384788765712384"


def bench(
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Instead of the settings' own.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.")] = None,
    commands: Annotated[int, typer.Option("--commands", min=1, max=10_000_000, help="For the rate.")] = 20_000,
    trips: Annotated[int, typer.Option("--trips", min=1, max=1_000_000, help="For the round trip.")] = 1_000,
    guilds: Annotated[int, typer.Option("--guilds", min=1, max=100_000, help="That they are spread over.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Measure commands a second and the round trip of one, with an empty handler, in a place of its own of the store.

    The place is a file beside the one of SQLite, or a prefix of its own in Redis; both are removed at the end. A Redis
    that others use meanwhile is slower for them, too.
    """
    from router.cli.serve import settings_of
    from router.logs import configure
    from router.settings import Settings

    configure("error", "")  # what the store is like, the doctor says
    try:
        url = settings_of(None, config, {"store": store}).store
        with _place(url) as place, _running(place) as router:
            found = {
                "store": Settings(store=url).public()["store"],
                "survives": router.store.durability,
                "guilds": guilds,
                **_measure(router, commands, trips, guilds),
            }
    except RouterError as error:
        fail(str(error), 2)
    except (EngineError, OSError, TimeoutError) as error:
        fail(f"cannot measure: {error}")
    if as_json:
        show_json(found)
        return
    rows = [
        ("store", f"{found['store']} ({found['survives']})"),
        ("throughput", f"{found['commandsPerSecond']:,.0f} commands/s, {commands:,} over {guilds:,} guilds"),
        ("round trip", "{p50:.3f} ms at p50, {p99:.3f} ms at p99, one at a time".format(**found["roundTripMs"])),
    ]
    show_table(("", ""), rows, empty="")


def _measure(router: Router, commands: int, trips: int, guilds: int) -> dict[str, Any]:
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        steps = progress.add_task("measuring", total=commands + trips)
        _push(router, _bans(0, WARM, guilds))
        began = time.perf_counter()
        _push(router, _bans(WARM, commands, guilds), lambda count: progress.advance(steps, count))
        rate = commands / (time.perf_counter() - began)
        times = []
        for message in _bans(WARM + commands, trips, guilds):
            began = time.perf_counter()
            _expect_ok(router.send(message))
            times.append((time.perf_counter() - began) * 1_000)
            progress.advance(steps)
    times.sort()
    return {
        "commands": commands,
        "commandsPerSecond": round(rate, 1),
        "trips": trips,
        "roundTripMs": {"p50": round(percentile(times, 0.5), 4), "p99": round(percentile(times, 0.99), 4)},
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of the ordered values that ``share`` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _bans(first: int, count: int, guilds: int) -> Iterator[BanUser]:
    # Each of a user of its own: none is a duplicate, none waits behind another in its lane.
    from router.messages import BanUser

    for number in range(first, first + count):
        guild, user = str(GUILD + number % guilds), str(USER + number)
        yield BanUser(guild_id=guild, user_id=user, moderator_id=MODERATOR, reason="advertising, after two warnings")


def _push(router: Router, messages: Iterator[BanUser], told: Callable[[int], None] = lambda _: None) -> None:
    on_the_way: deque[Any] = deque()
    while batch := list(islice(messages, BATCH)):
        on_the_way.extend(router.send_many(batch))
        while len(on_the_way) > WINDOW:
            _expect_ok(on_the_way.popleft())
        told(len(batch))
    for reply in on_the_way:
        _expect_ok(reply)


def _expect_ok(reply: Any) -> None:
    response = reply.result(PATIENCE)
    if response.status != "ok":
        fail(f"a command ended {response.status}: {response.error}")


@contextmanager
def _running(url: str) -> Iterator[Router]:
    from router.messages import BanUser
    from router.router import Router

    router = Router(store=url)

    @router.handler(BanUser)
    def nothing(_command: BanUser, _ctx: object) -> None:
        """The fastest bot there is."""

    with router:
        yield router


@contextmanager
def _place(url: str) -> Iterator[str]:
    """A new store on the same disk or server, which goes when it is left."""
    from router.stores.url import file_of, is_shared

    before, _, query = url.partition("?")
    if is_shared(url):
        options = dict(parse_qsl(query, keep_blank_values=True))
        options["prefix"] = f"{options.get('prefix', 'guild-router')[:40]}-bench-{uuid4().hex[:12]}"
        place = f"{before}?{urlencode(options)}"
        try:
            yield place
        finally:
            from router.stores.redis.erasing import erase

            erase(place)
    elif file := file_of(url):
        with tempfile.TemporaryDirectory(prefix=".guild-router-bench-", dir=file.parent) as name:
            yield f"sqlite:///{quote(str(Path(name) / 'bench.db'))}" + (f"?{query}" if query else "")
    else:
        yield url
