"""M20: a router that owns ten thousand guilds with work is killed, and its successor has them all."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from router import Router
from router.messages import BanUser
from tests.chaos.load import wait_until
from tests.chaos.nursery import Nursery, said
from tests.servers.redis import RedisServer, find_server

GUILDS = 10_000
BATCH = 1_000
WALKS = ("keys", "scan", "hscan", "sscan", "zscan")
"""Commands that walk over what there is, whoever it belongs to."""


def crowd(store: str, ready: str) -> None:
    """A life that has a command waiting in each guild, and nobody to execute it."""
    router = Router(store=store)
    with router:
        for first in range(0, GUILDS, BATCH):
            commands = [command(number) for number in range(first, first + BATCH)]
            for reply in router.send_many(commands):
                reply.accepted(timeout=60)
        Path(ready).touch()
        threading.Event().wait()


def command(number: int) -> BanUser:
    return BanUser(
        guild_id=str(81384788765712384 + number),
        user_id="175928847299117063",
        moderator_id="53908232506183680",
        reason="spam",
    )


def test_m20_ten_thousand_guilds_of_a_killed_router_are_its_successors(tmp_path: Path, nursery: Nursery) -> None:
    if find_server() is None:
        pytest.skip("there is no redis-server")
    done: list[str] = []
    times: list[float] = []
    over = threading.Event()
    with RedisServer(tmp_path / "redis") as server, said(nursery):
        life = nursery.start("tests.chaos.test_crowd:crowd", store=server.url, ready=str(tmp_path / "ready"))
        wait_until((tmp_path / "ready").exists, 120, lambda: "it is not there yet")
        client = server.client()
        client.config_resetstat()
        successor = Router(store=server.url)

        @successor.handler(BanUser, idempotent=True)
        def ban(command: BanUser, ctx: Any) -> None:
            times.append(time.monotonic())
            done.append(command.guild_id or "")
            if len(done) == GUILDS:
                over.set()

        life.signal(signal.SIGKILL)
        assert life.wait(10) == -signal.SIGKILL
        killed = time.monotonic()
        with successor:
            assert over.wait(120), f"{len(done)} of {GUILDS}"
        asked = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
        client.close()
    print(f"the first began {times[0] - killed:.2f} s after the kill, the last {times[-1] - killed:.2f} s")
    assert sorted(done) == sorted(command(number).guild_id or "" for number in range(GUILDS))
    assert "evalsha" in asked
    assert asked.intersection(WALKS) == set()
