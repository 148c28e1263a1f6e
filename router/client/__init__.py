"""What a dashboard, a bot or a terminal imports to talk to a running router: asyncio on the loop it is used on.

::

    async with RouterClient("http://127.0.0.1:8600", token) as router:
        response = await router.request(BanUser(guild_id=..., user_id=..., moderator_id=..., reason="spam"))

    bot = BotClient("http://127.0.0.1:8600", token, name="my-bot")

    @bot.handler(BanUser)
    async def ban(command, ctx): ...

    await bot.run()

No thread is started and no chat library imported. See ``errors`` for what is raised.
"""

from router.client.bot import BotClient
from router.client.commander import RouterClient, Sent
from router.client.errors import (
    ClientClosed,
    ClientError,
    Forbidden,
    NotFound,
    Replaced,
    RequestRefused,
    Unauthorized,
    Unreachable,
)
from router.client.happenings import Gap, Happening

__all__ = [
    "BotClient",
    "ClientClosed",
    "ClientError",
    "Forbidden",
    "Gap",
    "Happening",
    "NotFound",
    "Replaced",
    "RequestRefused",
    "RouterClient",
    "Sent",
    "Unauthorized",
    "Unreachable",
]
