"""A bot in one file, for ``guild-router serve --app examples.demo_bot:router``.

Then, from another terminal::

    guild-router send BAN_USER --guild 81384788765712384 --user 53908232506183680 \
        --data '{"userId": "175928847299117063", "reason": "spam"}' --wait
"""

from __future__ import annotations

import time

from router import Reject, RetryLater, Router
from router.messages import BanUser, SendMessage, UnbanUser

router = Router(store="sqlite:///demo_bot.db")
SLOW_MODE = 0.5  # seconds between two messages of a channel
banned: set[tuple[str, str]] = set()
channel_free_at: dict[str, float] = {}


@router.handler(BanUser)
async def ban(command: BanUser, ctx) -> dict[str, object]:
    """What a handler returns is the sender's ``data``."""
    banned.add((command.guild_id, command.user_id))
    ctx.logger.info("banned: %s", ctx.audit_reason)
    return {"banned": True, "user": command.user_id}


@router.handler(UnbanUser)
async def unban(command: UnbanUser, ctx) -> dict[str, object]:
    """A refusal for good: trying again cannot help."""
    if (command.guild_id, command.user_id) not in banned:
        raise Reject("not_banned", "this user is not banned here")
    banned.discard((command.guild_id, command.user_id))
    return {"banned": False}


@router.handler("SEND_MESSAGE", timeout=2)
def send_message(command: SendMessage, ctx) -> dict[str, str]:
    """A sync handler runs on a thread; asking to come back later costs no attempt, so the command waits in its lane."""
    wait = channel_free_at.get(command.channel_id, 0.0) - time.monotonic()
    if wait > 0:
        raise RetryLater(wait)
    channel_free_at[command.channel_id] = time.monotonic() + SLOW_MODE
    return {"messageId": ctx.id}
