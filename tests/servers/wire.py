"""A wire between one client and a server, as a process of its own: it goes dead, slow or bad while much runs over it.

Run as ``python -m tests.servers.wire PORT SEED``. It prints the port where it listens, then is told over stdin how to
be, one JSON object a line, and answers each with a line.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Wire:
    """The parent's side."""

    def __init__(self, target: int, seed: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.wire", str(target), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.port = int(self._line())

    @property
    def url(self) -> str:
        """A store URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the wire broke"
        return line

    @contextmanager
    def being(self, how: str, **values: Any) -> Iterator[None]:
        """Well before and afterwards.

        ``dead``: nothing passes, and connections stand; what was sent meanwhile comes late, as TCP repeats it.
        ``slow``: each piece takes up to ``ms``, in order. ``bad``: a ``share`` of the answers' pieces is lost with its
        connection, some of them by half.
        """
        self._be(how, **values)
        try:
            yield
        finally:
            self._be("well")

    def _be(self, how: str, **values: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"how": how, **values}) + "\n")
        self._process.stdin.flush()
        self._line()

    def close(self) -> None:
        """Cut for ever."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(10)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Relay:
    """The wire's side."""

    def __init__(self, target: int, seed: int) -> None:
        self._target = target
        self._dice = random.Random(seed)
        self._alive = asyncio.Event()
        self._alive.set()
        self._ms = 0.0
        self._share = 0.0

    def be(self, order: dict[str, Any]) -> None:
        """From now on."""
        self._ms = order["ms"] if order["how"] == "slow" else 0.0
        self._share = order["share"] if order["how"] == "bad" else 0.0
        if order["how"] == "dead":
            self._alive.clear()
        else:
            self._alive.set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        with suppress(OSError):
            await self._alive.wait()
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
            pumps = [
                asyncio.create_task(self._pump(reader, forth, answers=False)),
                asyncio.create_task(self._pump(back, writer, answers=True)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            forth.close()
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if self._ms:
                    await asyncio.sleep(self._dice.uniform(0, self._ms) / 1_000)  # real time: the wire is slow
                await self._alive.wait()
                if answers and self._dice.random() < self._share:
                    writer.write(data[: len(data) // 2 * self._dice.randrange(2)])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()


async def _main(target: int, seed: int) -> None:
    loop = asyncio.get_running_loop()
    relay = _Relay(target, seed)
    server = await asyncio.start_server(relay.take, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        relay.be(json.loads(line))
        print("so be it", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
