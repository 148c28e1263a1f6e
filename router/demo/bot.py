"""An example bot: handlers that do nothing to Discord and write down what they would have done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from router.client.bot import BotClient
from router.demo.ledger import Ledger
from router.messages.communication import SendMessage
from router.messages.moderation import BanUser, KickUser, TimeoutUser, UnbanUser
from router.messages.music import PlayMusic
from router.protocols.context import Context
from router.router import Router

WORK = 0.02  # seconds one message takes to send


class ExampleBot:
    """Its world is a folder: the ledger of effects, and ``voice-is-up`` when the voice server is repaired.

    ``router`` is whoever takes handlers: the router itself, or a client that is connected to one. ``by`` names the
    process in the ledger.
    """

    def __init__(self, router: Router | BotClient, folder: Path, by: str) -> None:
        self.ledger = Ledger(folder / "ledger.jsonl", by)
        self.voice = folder / "voice-is-up"
        router.handler(BanUser)(self.ban)
        router.handler(UnbanUser)(self.unban)
        router.handler(KickUser)(self.kick)
        router.handler(TimeoutUser)(self.silence)
        router.handler(SendMessage)(self.say)
        router.handler(PlayMusic)(self.play)

    async def ban(self, command: BanUser, ctx: Context) -> dict[str, Any]:
        """Works at the first attempt."""
        self._note("ban", ctx, command.user_id, command.reason)
        return {"banned": True, "user": command.user_id}

    async def unban(self, command: UnbanUser, ctx: Context) -> dict[str, Any]:
        """Works at the first attempt."""
        self._note("unban", ctx, command.user_id, command.reason)
        return {"banned": False, "user": command.user_id}

    async def silence(self, command: TimeoutUser, ctx: Context) -> dict[str, Any]:
        """Takes its time, so that others have to wait behind it in the lane of the same user."""
        self._note("begin", ctx, command.user_id, command.reason)
        await asyncio.sleep(0.5)
        self._note("timeout", ctx, command.user_id, command.reason)
        return {"silenced": command.user_id}

    def kick(self, command: KickUser, ctx: Context) -> dict[str, Any]:
        """Fails twice; a sync function, so it runs on the pool of threads."""
        if ctx.attempt < 3:
            self._note("failed kick", ctx, command.user_id, command.reason)
            raise ConnectionError(f"the chat service hung up (attempt {ctx.attempt})")
        self._note("kick", ctx, command.user_id, command.reason)
        return {"kicked": command.user_id}

    async def say(self, command: SendMessage, ctx: Context) -> dict[str, Any]:
        """Sends one message."""
        text = command.content or ""
        self._note("begin", ctx, command.channel_id, text)
        await asyncio.sleep(WORK)
        self._note("message", ctx, command.channel_id, text)
        return {"messageId": ctx.id}

    async def play(self, command: PlayMusic, ctx: Context) -> dict[str, Any]:
        """Cannot, until somebody repairs the voice server."""
        if not self.voice.exists():
            raise ConnectionError("the voice server is down")
        self._note("play", ctx, "music", command.query)
        return {"playing": command.query}

    def _note(self, what: str, ctx: Context, subject: str, text: str) -> None:
        self.ledger.write(what, ctx.envelope.guild, subject, text, ctx.id, ctx.attempt)
