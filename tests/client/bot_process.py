"""A bot in a process of its own: ``python -m tests.client.bot_process URL NAME LEDGER [RECORD]``.

Its ledger has a line ``begin TEXT`` or ``done TEXT`` for each step. It waits in between until ``LEDGER.go`` exists.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from router.client import BotClient
from router.messages import BanUser, SendMessage


def wait_for(path: Path) -> None:
    """Until it exists; the process is killed in the end, however long that takes."""
    while not path.exists():
        time.sleep(0.01)  # real time: another process makes the file


async def main(url: str, name: str, ledger: Path, record: str | None) -> None:
    file = os.open(ledger, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    go = Path(f"{ledger}.go")
    bot = BotClient(url, name=name, record=record)

    async def work(text: str) -> None:
        os.write(file, f"begin {text}\n".encode())
        await asyncio.to_thread(wait_for, go)
        os.write(file, f"done {text}\n".encode())

    @bot.handler(BanUser)
    async def ban(command: BanUser, ctx: Any) -> dict[str, Any]:
        await work(command.user_id)
        return {"by": name}

    @bot.handler(SendMessage)
    async def say(command: SendMessage, ctx: Any) -> dict[str, Any]:
        await work(command.content or "")
        return {"by": name}

    await bot.start()
    os.write(file, b"ready\n")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None))
