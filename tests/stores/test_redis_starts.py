"""Starts counted over routers on one real Redis: this process and others; one of them is killed in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pytest

from router import Router
from router.messages import BanUser
from tests.servers.redis import wait_for
from tests.servers.shared import options, server

PATIENCE = 60  # on a busy machine
LIMIT = 5
ATTEMPT = 0.02  # seconds that one takes at least

HOUSE = textwrap.dedent(
    """
    import json, sys, threading, time
    from router import Router
    from router.messages import BanUser

    router = Router(store=sys.argv[1], queue_health_check_interval=600_000, **json.loads(sys.argv[2]))
    lock = threading.Lock()

    def say(*words):
        with lock:
            print(*words, flush=True)

    @router.handler(BanUser, idempotent=True)
    def ban(command, ctx):
        say("begin", time.monotonic(), command.user_id)
        threading.Event().wait(float(sys.argv[3]))  # real time: an attempt that takes a while
        say("end", time.monotonic(), command.user_id)

    with router:
        say("ready")
        sys.stdin.read()
    """
)


class House:
    """A router in a process, and when its attempts began and ended: ``(time, +1 or -1)``, of one clock for all."""

    def __init__(self, url: str, bounds: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOUSE, url, json.dumps(bounds), str(ATTEMPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.moments: list[tuple[float, int]] = []
        self.ended: set[str] = set()
        self.ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            match line.split():
                case ["ready"]:
                    self.ready.set()
                case ["begin", at, _] if line.endswith("\n"):
                    self.moments.append((float(at), 1))
                case ["end", at, user] if line.endswith("\n"):
                    self.moments.append((float(at), -1))
                    self.ended.add(user)

    def kill(self) -> None:
        """As the machine would; what it had in hand ends with it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        gone = time.monotonic()
        self._reader.join(PATIENCE)
        self.moments += [(gone, -1)] * sum(step for _, step in self.moments)

    def close(self) -> None:
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def most_at_once(moments: list[tuple[float, int]], since: float = 0.0) -> int:
    """The most attempts that ran at one moment."""
    moments = sorted(moments)
    counts = accumulate(step for _, step in moments)
    return max(count for (at, _), count in zip(moments, counts, strict=True) if at >= since)


@pytest.fixture
def url() -> str:
    return f"{server().url}?prefix={options().prefix}&partitions=16&lease_timeout=2000"


@pytest.fixture
def houses() -> Iterator[list[House]]:
    found: list[House] = []
    yield found
    for house in found:
        house.close()


def ban(number: int) -> BanUser:
    where, whom = str(81384788765712384 + number % 40), str(175928847299117063 + number)
    return BanUser(guild_id=where, user_id=whom, moderator_id="53908232506183680", reason="spam")


def test_three_routers_run_no_more_at_once_than_was_set_for_all(url: str, houses: list[House]) -> None:
    """Then one is killed in the middle, and the others use its slots too."""
    bounds: dict[str, Any] = {"queues": {"bot:moderation": {"concurrency": LIMIT}}}
    houses += [House(url, bounds) for _ in range(2)]
    killed, other = houses
    for house in houses:
        assert house.ready.wait(PATIENCE)
    moments: list[tuple[float, int]] = []
    router = Router(store=url, queue_health_check_interval=600_000, **bounds)

    @router.handler(BanUser, idempotent=True)
    def _(command: BanUser, ctx: Any) -> None:
        moments.append((time.monotonic(), 1))
        threading.Event().wait(ATTEMPT)  # real time: an attempt that takes a while
        moments.append((time.monotonic(), -1))

    with router:
        replies = router.send_many([ban(number) for number in range(400)])
        wait_for(lambda: len(killed.ended) > 10 and len(other.ended) > 10 and len(moments) > 20, PATIENCE)
        killed.kill()
        after = time.monotonic()
        assert not all(reply.done() for reply in replies)
        assert {reply.result(timeout=PATIENCE).status for reply in replies} == {"ok"}
    other.close()
    assert most_at_once(moments + killed.moments + other.moments) == LIMIT
    assert most_at_once(moments + other.moments, since=after) == LIMIT
