"""1,000 bots and 1,000 clients on one daemon: memory per connection, and whether they or a stalled one slow the others.

The daemon is a process of its own; its memory is read from outside. The bots own a shard each.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.measure import Figure, Row, percentile

GROUP = "connections: WebSockets on one daemon, memory store"
TYPE = "SEND_MESSAGE"
AT_ONCE = 50  # connections that are made at the same time
FILES = 8_192  # descriptors this process and the daemon may have
STALLED_BYTES = 65_536  # what the stalled one's own machine takes for it


def rows(*, peers: int, calls: int, repeats: int) -> list[Row]:
    """Memory of a connection; round trips with two connections, with all of them, and with one that reads nothing."""
    samples = [asyncio.run(_measure(peers, calls)) for _ in range(repeats)]
    figures = {name: Figure.of([sample[name] for sample in samples]) for name in samples[0]}
    many = f"{2 * peers:,} connections"
    slower = figures["crowd_p50"].over(figures["alone_p50"])
    return [
        Row(GROUP, f"memory of one of {many}", "kB", figures["memory"], "", "idle, half of them bots"),
        Row(GROUP, "connecting, greeting, announcing", "connections/s", figures["connects"], "", ""),
        Row(
            GROUP,
            "round trip with two connections, p50",
            "ms",
            figures["alone_p50"],
            "",
            "client - router - bot - back",
        ),
        Row(GROUP, "round trip with two connections, p99", "ms", figures["alone_p99"], "", ""),
        Row(GROUP, f"round trip with {many}, p50", "ms", figures["crowd_p50"], "", f"{slower:.2f} x of two"),
        Row(GROUP, f"round trip with {many}, p99", "ms", figures["crowd_p99"], "", ""),
        Row(GROUP, "a subscriber beside a stalled one: events lost", "events", figures["lost"], "= 0", ""),
        Row(GROUP, "events of 8 kB to a subscriber alone, p99", "ms", figures["quiet_p99"], "", "publish to heard"),
        Row(GROUP, "the same beside a stalled one, p99", "ms", figures["beside_p99"], "", "publish to heard"),
        Row(GROUP, "memory the stalled one adds", "kB", figures["stalled"], "", "above the same without it"),
    ]


async def _measure(peers: int, calls: int) -> dict[str, float]:
    _allow_files()
    async with _daemon() as (url, pid):
        async with AsyncExitStack() as stack:
            client = await _client(stack, url)
            bot = await _bot(stack, url, "alone", None, 1)
            executing = asyncio.create_task(_execute(bot))
            await _round_trips(client, calls // 5 + 1)  # warm up
            alone = await _round_trips(client, calls)
            executing.cancel()
        async with AsyncExitStack() as stack:
            before = _resident(pid)
            began = time.perf_counter()
            bots, clients = await _crowd(stack, url, peers)
            took = time.perf_counter() - began
            memory = (_resident(pid) - before) / (2 * peers)
            working = [asyncio.create_task(_execute(bot)) for bot in bots]
            crowd = await _round_trips(clients[0], calls)
            for task in working:
                task.cancel()
        stalled = await _stalled(url, pid, calls)
    return {
        "memory": memory / 1e3,
        "connects": 2 * peers / took,
        "alone_p50": percentile(alone, 0.5),
        "alone_p99": percentile(alone, 0.99),
        "crowd_p50": percentile(crowd, 0.5),
        "crowd_p99": percentile(crowd, 0.99),
        **stalled,
    }


# ---------------------------------------------------------------- peers


async def _open(stack: AsyncExitStack, url: str, **options: object) -> ClientConnection:
    connecting = connect(url, subprotocols=["router.v1.json"], compression=None, ping_interval=None, **options)
    return await stack.enter_async_context(connecting)


async def _client(stack: AsyncExitStack, url: str) -> ClientConnection:
    peer = await _open(stack, url)
    await _ask(peer, op="hello")
    return peer


async def _bot(stack: AsyncExitStack, url: str, name: str, shard: int | None, shards: int) -> ClientConnection:
    peer = await _open(stack, url)
    await _ask(peer, op="hello", name=name, instance=name)
    offer = {} if shard is None else {"shards": [shard], "shardCount": shards}
    await _ask(peer, op="announce", handles=[TYPE], **offer)
    return peer


async def _crowd(stack: AsyncExitStack, url: str, peers: int) -> tuple[list[ClientConnection], list[ClientConnection]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, *, bot: bool) -> ClientConnection:
        async with room:
            return await (_bot(stack, url, f"bot-{number}", number, peers) if bot else _client(stack, url))

    bots = await asyncio.gather(*(one(number, bot=True) for number in range(peers)))
    clients = await asyncio.gather(*(one(number, bot=False) for number in range(peers)))
    return bots, clients


async def _ask(peer: ClientConnection, **frame: object) -> dict[str, object]:
    await peer.send(json.dumps({"correlationId": "1", **frame}))
    answer: dict[str, object] = json.loads(await peer.recv())
    return answer


async def _execute(bot: ClientConnection) -> None:
    while True:
        order = json.loads(await bot.recv())
        said = {"correlationId": order["correlationId"], "id": order["envelope"]["id"], "attempt": order["attempt"]}
        await bot.send(json.dumps({"op": "ack", **said}))
        await bot.send(json.dumps({"op": "result", "outcome": "applied", **said}))


async def _round_trips(client: ClientConnection, calls: int) -> list[float]:
    """Milliseconds of each; one at a time, each for another shard."""
    took = []
    for number in range(calls):
        body = {"type": TYPE, "guildId": str((number + 1) << 22), "data": {"channelId": "1", "content": "hello"}}
        began = time.perf_counter()
        await client.send(json.dumps({"op": "command", "correlationId": "1", **body}))
        while json.loads(await client.recv())["op"] != "result":
            pass
        took.append((time.perf_counter() - began) * 1e3)
    return took


# ---------------------------------------------------------------- one that reads nothing


async def _stalled(url: str, pid: int, calls: int) -> dict[str, float]:
    """The same events to one subscriber alone, then beside one that reads nothing."""
    count = max(calls, 800)  # several times what the kernel takes for the stalled one
    async with AsyncExitStack() as stack:
        sender, good = await _client(stack, url), await _client(stack, url)
        await _ask(good, op="subscribe", subscription="a", kinds=["published"])
        await _events(sender, good, pid, count // 4)  # warm up
        alone = await _events(sender, good, pid, count)
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BYTES)
        deaf.connect((url.split("/")[2].split(":", maxsplit=1)[0], int(url.split(":")[2].split("/", maxsplit=1)[0])))
        stalled = await _open(stack, url, sock=deaf)
        await _ask(stalled, op="hello")
        await _ask(stalled, op="subscribe", subscription="a", kinds=["published"])
        stalled.transport.pause_reading()
        beside = await _events(sender, good, pid, count)
        stalled.transport.abort()
    return {
        "quiet_p99": alone["p99"],
        "beside_p99": beside["p99"],
        "lost": beside["lost"],
        "stalled": (beside["grown"] - alone["grown"]) / 1e3,
    }


async def _events(sender: ClientConnection, good: ClientConnection, pid: int, count: int) -> dict[str, float]:
    before = _resident(pid)
    took, lost, last = [], 0, 0
    notice = {"type": "UPDATE", "title": "t", "message": "x" * 8_000, "priority": "LOW"}
    body = {"type": "BROADCAST_NOTIFICATION", "data": {"notification": notice}}
    for _ in range(count):
        began = time.perf_counter()
        await sender.send(json.dumps({"op": "event", "correlationId": "1", **body}))
        event = json.loads(await good.recv())
        took.append((time.perf_counter() - began) * 1e3)
        number = int(event["cursor"].rpartition(".")[2])
        lost += number - last - 1 if last else 0
        last = number
        await sender.recv()
    return {"p99": percentile(took, 0.99), "lost": float(lost), "grown": float(_resident(pid) - before)}


# ---------------------------------------------------------------- the daemon


@asynccontextmanager
async def _daemon() -> AsyncIterator[tuple[str, int]]:
    """Its URL and its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.connections", stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        yield line.strip().replace("http://", "ws://") + "/ws", process.pid
    finally:
        process.terminate()
        await process.wait()


def _serve() -> int:
    from router.http.daemon import Daemon
    from router.router import Router
    from router.settings import Settings

    _allow_files()
    settings = Settings(
        store="memory://", port=0, drain=0, socket_connections=4_000, max_connections=4_000, log_level="error"
    )
    daemon = Daemon(Router(settings), settings)
    return daemon.run(lambda: print(daemon.url, flush=True))


def _allow_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _resident(pid: int) -> int:
    """Bytes of a process in memory (Linux; elsewhere 0)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(_serve())
