"""A dashboard in a process of its own: ``python -m router.demo.dashboard_process URL``.

Follows what happens and says so; a line ``ban USER REASON`` on its standard input is asked, and answered with a line.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

import typer

from router.client.commander import RouterClient
from router.client.happenings import Gap
from router.demo.script import GUILD, MODERATOR
from router.logs import configure
from router.messages.moderation import BanUser

CONNECTED = "connected"
ANSWER = "answer: "


async def follow(router: RouterClient) -> None:
    """Say what has ended in the guild."""
    async with aclosing(router.events(guild_id=GUILD, kinds=["settled"])) as events:
        async for event in events:
            if isinstance(event, Gap):
                typer.echo(f"missed {event.missed or 'some'} events: {event.why}")
            elif event.response is not None:
                over = f" over {event.response.method}" if event.response.method else ""
                typer.echo(f"{event.type} {event.response.status}{over}")


async def main(url: str) -> None:
    """Until its standard input ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with RouterClient(url) as router:
        following = asyncio.create_task(follow(router))
        typer.echo(CONNECTED)
        while line := (await lines.readline()).decode():
            _, user, reason = line.strip().split(" ", 2)
            command = BanUser(guild_id=GUILD, user_id=user, moderator_id=MODERATOR, reason=reason)
            response = await router.request(command, timeout=20)
            typer.echo(f"{ANSWER}{command.type} {response.status} over {response.method}")
        following.cancel()
        await asyncio.wait({following})


if __name__ == "__main__":
    configure("error", "")
    asyncio.run(main(sys.argv[1]))
