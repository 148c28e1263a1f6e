"""A bot that executes what a router sends it: ``python -m examples.bot [URL]``, with ``guild-router serve`` beside it.

In a real bot the client lives on the bot's own loop. discord.py: start it in ``setup_hook`` and stop it in ``close``;
hikari: in listeners of ``StartingEvent`` and ``StoppingEvent``. It has no thread and imports no chat library.
"""

from __future__ import annotations

import asyncio
import os
import sys

from router import Reject, RetryLater
from router.client import BotClient
from router.messages import BanUser, SendMessage, UnbanUser

URL = "http://127.0.0.1:8600"
banned: set[tuple[str, str]] = set()
silent_until: dict[str, float] = {}


def make_bot(url: str = URL) -> BotClient:
    """A name that stays, and a file for its record: so it can answer for what it did before it was restarted."""
    bot = BotClient(
        url,
        os.environ.get("GUILD_ROUTER_TOKEN", ""),
        name="example-bot",
        record=os.environ.get("BOT_RECORD"),  # such as bot.record
        capacity=20,
        # shards=[0, 1], shard_count=4: only the commands of the guilds of these shards
    )

    @bot.handler(BanUser)
    async def ban(command: BanUser, ctx) -> dict[str, object]:
        # await guild.ban(discord.Object(command.user_id), reason=ctx.audit_reason)
        banned.add((command.guild_id, command.user_id))
        return {"banned": True, "user": command.user_id}

    @bot.handler(UnbanUser)
    async def unban(command: UnbanUser, ctx) -> dict[str, object]:
        if (command.guild_id, command.user_id) not in banned:
            raise Reject("not_banned", "this user is not banned here")
        banned.discard((command.guild_id, command.user_id))
        return {"banned": False}

    @bot.handler(SendMessage, timeout=2)
    async def send_message(command: SendMessage, ctx) -> dict[str, str]:
        now = asyncio.get_running_loop().time()
        wait = silent_until.get(command.channel_id, 0.0) - now
        if wait > 0:
            raise RetryLater(wait)  # slow mode: costs no attempt, and the command keeps its place
        silent_until[command.channel_id] = now + 0.5
        return {"messageId": ctx.id}

    return bot


async def main(url: str) -> None:
    """Until Ctrl-C; then it drains."""
    bot = make_bot(url)
    await bot.start()
    print(f"{bot.name} is connected to {url}", flush=True)
    await bot.run()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else URL))
    except KeyboardInterrupt:
        print("bye")
