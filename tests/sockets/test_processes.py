"""Several router processes on one Redis, and a bot that is connected to one of them; killed in mid-attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.sharing import partition_of
from router.cli.client import Client
from router.client.bot import BotClient
from router.messages import SendMessage
from tests.cli.processes import Process, running
from tests.servers.shared import options, server

PATIENCE = 30.0  # of a test that waits for other processes on a busy machine
PARTITIONS = 8
GUILDS = {str(81384788765712384 + number) for number in range(24)}


async def until(look: Callable[[], Awaitable[Any]], done: Callable[[Any], Any]) -> Any:
    for _ in range(int(PATIENCE / 0.02)):
        if done(found := await look()):
            return found
        await asyncio.sleep(0.02)  # real time: other processes do something
    raise AssertionError(f"it never came to it: {found}")


class Bot:
    """A bot of this process. What is ``slow`` it has not done before the test says so."""

    def __init__(self, url: str) -> None:
        self.calls: list[str] = []
        self.release = asyncio.Event()
        self.client = BotClient(url, name="bot", capacity=100)
        self.client.handler(SendMessage)(self.send)

    async def send(self, command: SendMessage, ctx: Any) -> dict[str, str | None]:
        self.calls.append(ctx.id)
        if command.content == "slow":
            await self.release.wait()
        return {"said": command.content}

    async def count(self) -> int:
        return len(self.calls)


class Cluster:
    """The routers, as whoever comes to their port sees them."""

    def __init__(self, process: Process) -> None:
        self.client = process.listening()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await asyncio.to_thread(Client(self.client.url).ask, method, path, body)
        assert status in (200, 202), answer
        return answer

    async def look(self, done: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The cluster, once it is so. Asked by whichever router accepts."""
        return await until(lambda: self.ask("GET", "/api/cluster"), done)

    async def send(self, guild: str, text: str) -> str:
        body = {"type": "SEND_MESSAGE", "guildId": guild, "ttlMs": 120_000}
        data = {"channelId": "381870553235193857", "content": text}
        answer = await self.ask("POST", "/api/commands", body | {"data": data})
        return str(answer["jobId"])

    async def ended(self, id_: str) -> dict[str, Any]:
        answer = await until(lambda: self.ask("GET", f"/api/commands/{id_}"), lambda found: found.get("result"))
        return answer["result"]


def shared(view: dict[str, Any]) -> bool:
    """Two live, and each owns its half."""
    return [each["partitions"] for each in view["members"]] == [PARTITIONS // 2] * 2


def with_bot(view: dict[str, Any]) -> dict[str, Any] | None:
    return next((each for each in view["members"] if each["bots"]), None)


def owners(view: dict[str, Any]) -> Counter[str]:
    """How many of the guilds each router owns."""
    routers = {each["partition"]: each["router"] for each in view["partitions"]}
    return Counter(routers[partition_of(guild, PARTITIONS)] for guild in GUILDS)


@pytest.mark.timeout(180)
def test_one_bot_executes_for_all_routers_and_outlives_the_one_it_was_connected_to(tmp_path: Path) -> None:
    store = f"redis://127.0.0.1:{server().port}/0?prefix={options().prefix}&partitions={PARTITIONS}"

    async def story(process: Process) -> None:
        cluster = Cluster(process)
        await cluster.look(shared)
        bot = Bot(cluster.client.url)
        async with bot.client:
            view = await cluster.look(with_bot)
            assert len(owners(view)) == 2

            ids = [await cluster.send(guild, "quick") for guild in GUILDS]
            answers = [await cluster.ended(id_) for id_ in ids]
            assert {(answer["status"], answer["method"]) for answer in answers} == {("ok", "websocket")}
            assert Counter(bot.calls) == Counter(ids)

            bot.calls.clear()
            ids = [await cluster.send(guild, "slow") for guild in GUILDS]
            await until(bot.count, lambda count: count == len(ids))
            its = with_bot(await cluster.look(with_bot))
            assert its is not None
            psutil.Process(int(its["name"].rpartition(":")[2])).kill()
            await cluster.look(lambda view: (other := with_bot(view)) and other["router"] != its["router"])
            bot.release.set()
            answers = [await cluster.ended(id_) for id_ in ids]
            assert {(answer["status"], answer["method"]) for answer in answers} == {("ok", "websocket")}
            assert Counter(bot.calls) == Counter(ids), "and nothing twice"

    with running("serve", "--port", "0", "--store", store, "--workers", "2", cwd=tmp_path) as process:
        asyncio.run(story(process))
