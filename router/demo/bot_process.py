"""The example bot in a process of its own: ``python -m router.demo.bot_process URL FOLDER``."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import typer

from router.client.bot import BotClient
from router.demo.bot import ExampleBot
from router.logs import configure

CONNECTED = "connected"  #: the line it says when it executes


async def main(url: str, folder: Path) -> None:
    """Until SIGTERM, or until its standard input ends: the conversation is over then, however that came."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    bot = BotClient(url, name="example-bot", record=folder / "bot.record")
    ExampleBot(bot, folder, "bot")
    await bot.start()
    typer.echo(CONNECTED)
    running = asyncio.create_task(bot.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    ended = asyncio.create_task(lines.read())
    await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, ended):
        task.cancel()
    await asyncio.wait({running, ended})


if __name__ == "__main__":
    configure("error", "")
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
