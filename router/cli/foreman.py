"""Several router processes on one port: started, restarted when they die, more or fewer by load, drained together.

They listen on one socket that this process bound and never accepts from, so a worker that dies takes no waiting
connection with it. This process executes nothing and holds no connection to the store.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence

from actors.runtime.restart import add_restart
from router.cli.report import VARIABLE
from router.scaling import Bounds, Changes, wanted
from router.signals import DRAIN, STOP, Echoes

log = logging.getLogger("guild_router.foreman")

INTENSITY = 5
"""More restarts than this within ``PERIOD`` seconds: the foreman gives up."""

PERIOD = 30.0

PAUSE = 0.5
"""Seconds before a worker that died is started again."""

LOOK = 1.0
"""Seconds between looks at the loads."""


class Worker:
    """One process."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.process = process
        self.ready = False
        self.leaving = False  #: it was told to end
        self.load: float | None = None  #: as it said last


class Foreman:
    """Keeps ``bounds.least`` to ``bounds.most`` workers, each started as ``command``; beginning with ``count``."""

    def __init__(
        self,
        command: Sequence[str],
        listening: socket.socket,
        count: int,
        bounds: Bounds,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = list(command)
        self._listening = listening
        self._count = count
        self._bounds = bounds
        self._monotonic = monotonic
        self._workers: dict[int, Worker] = {}
        self._numbers = 0
        self._echoes = Echoes(monotonic)
        self._changes = Changes(None, monotonic())
        self._restarts: tuple[float, ...] = ()
        self._draining = False
        self._over = asyncio.Event()
        self._ready: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self.status = 0
        self.cause = ""  #: why it gave up

    async def run(self, ready: Callable[[], None]) -> int:
        """Until all are gone; the exit status. ``ready`` is called once, when the first ones serve."""
        self._ready = ready
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        scaling = asyncio.create_task(self._scale())
        try:
            for _ in range(self._count):
                await self._start()
            await self._over.wait()
        finally:
            scaling.cancel()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        await asyncio.gather(*self._tasks)
        return self.status

    # ------------------------------------------------------------ workers

    async def _start(self) -> None:
        self._numbers += 1
        reading, writing = os.pipe()
        try:
            listening = self._listening.fileno()
            process = await asyncio.create_subprocess_exec(
                *self._command,
                pass_fds=(listening, writing),
                env={**os.environ, VARIABLE: f"{listening}:{writing}"},
            )
        finally:
            os.close(writing)
        worker = self._workers[self._numbers] = Worker(self._numbers, process)
        log.info("worker %d started: process %d", worker.number, process.pid)
        for work in (self._listen(worker, reading), self._watch(worker)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._draining:  # told to end while it was being started
            self._end(worker)

    async def _listen(self, worker: Worker, pipe: int) -> None:
        reader = asyncio.StreamReader()
        with os.fdopen(pipe, "rb", buffering=0) as file:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), file
            )
            try:
                while line := await reader.readline():
                    word, _, figure = line.decode("ascii", "replace").partition(" ")
                    if word.strip() == "ready":
                        worker.ready = True
                        self._look_if_ready()
                    elif word == "load":
                        worker.load = float(figure)
            finally:
                transport.close()

    def _look_if_ready(self) -> None:
        if sum(worker.ready for worker in self._workers.values()) >= self._count:
            ready, self._ready = self._ready, lambda: None
            ready()

    async def _watch(self, worker: Worker) -> None:
        status = await worker.process.wait()
        del self._workers[worker.number]
        if worker.leaving or self._draining:
            if status not in (0, -signal.SIGTERM, -signal.SIGINT, -DRAIN):  # or before it listened to signals
                log.error("worker %d ended with status %d", worker.number, status)
                self.status = 1
        else:
            await self._replace(worker, status)
        if self._draining and not self._workers:
            self._over.set()

    async def _replace(self, worker: Worker, status: int) -> None:
        log.error("worker %d died with status %d", worker.number, status)
        self._restarts, exceeded = add_restart(self._restarts, self._monotonic(), PERIOD, INTENSITY)
        if exceeded:
            self.cause = f"more than {INTENSITY} workers died within {PERIOD:g} s, the last with status {status}"
            self.status = 1
            self._drain()
            return
        await asyncio.sleep(PAUSE)
        if not self._draining:
            await self._start()

    def _end(self, worker: Worker, word: int = DRAIN) -> None:
        worker.leaving = True
        if worker.process.returncode is None:
            worker.process.send_signal(word)

    # ------------------------------------------------------------ how many

    async def _scale(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """One more or one fewer, if it is time."""
        if self._draining:
            return
        working = [worker for worker in self._workers.values() if not worker.leaving]
        if len(working) < self._count:
            return  # one is just being replaced
        loads = [worker.load for worker in working if worker.load is not None]
        now = self._monotonic()
        count = wanted(len(working), loads, self._changes, now, self._bounds)
        if count > len(working):
            self._changes = Changes(now, now)
            self._count = count
            log.warning("load %.2f: one more worker, %d in all", sum(loads) / max(1, len(loads)), count)
            await self._start()
        elif count < len(working):
            self._changes = self._changes._replace(any=now)
            self._count = count
            log.warning("load %.2f: one worker fewer, %d in all", sum(loads) / max(1, len(loads)), count)
            self._end(max(working, key=lambda worker: worker.number))

    # ------------------------------------------------------------ the end

    def _on_signal(self, number: int) -> None:
        if not self._echoes.is_echo(number):
            self._drain()

    def _drain(self) -> None:
        """Once: they drain; again: they stop at once."""
        word = STOP if self._draining else DRAIN
        self._draining = True
        if not self._workers:
            self._over.set()
        for worker in list(self._workers.values()):
            self._end(worker, word)


def worker_command(arguments: Sequence[str]) -> list[str]:
    """How a worker is started: this very program, told the same."""
    return [sys.executable, "-m", "router", *arguments]
