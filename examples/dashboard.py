"""A dashboard in a terminal: ``python -m examples.dashboard [URL]``. Follows a guild, sends it a ban and an unban."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing

from router.client import Gap, RouterClient
from router.errors import Overloaded, RateLimited
from router.messages import BanUser, Command, UnbanUser

URL = "http://127.0.0.1:8600"
GUILD, MODERATOR, TARGET = "81384788765712384", "53908232506183680", "175928847299117063"


async def follow(router: RouterClient) -> None:
    """The stream goes on over cuts and restarts; a gap says that the shown state must be asked for anew."""
    async with aclosing(router.events(guild_id=GUILD, kinds=["started", "settled"])) as events:
        async for event in events:
            if isinstance(event, Gap):
                print(f"  (events are missing: {event.why})", flush=True)
            elif event.response is not None:
                print(f"  {event.type} {event.response.status} over {event.response.method}", flush=True)
            else:
                print(f"  {event.type} {event.kind}", flush=True)


async def ask(router: RouterClient, command: Command) -> None:
    """Whoever is refused is told when to come back."""
    try:
        response = await router.request(command, timeout=10)
    except (Overloaded, RateLimited) as error:
        print(f"{command.type}: come back in {error.retry_after} ms", flush=True)
    except TimeoutError:
        print(f"{command.type}: no answer yet; it goes on", flush=True)
    else:
        print(f"{command.type}: {response.status} {response.data}", flush=True)


async def main(url: str) -> None:
    """One conversation."""
    async with RouterClient(url, os.environ.get("GUILD_ROUTER_TOKEN", "")) as router:
        following = asyncio.create_task(follow(router))
        who = {"guild_id": GUILD, "user_id": TARGET, "moderator_id": MODERATOR}
        await ask(router, BanUser(**who, reason="spam"))
        await ask(router, UnbanUser(**who, reason="it was a mistake"))
        following.cancel()
        await asyncio.wait({following})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else URL))
