"""``guild-router events``: what happens, as it happens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, make_client
from router.cli.output import JsonOption, clean, fail, needs_extra

if TYPE_CHECKING:
    from router.client.happenings import Gap, Happening


Names = list[str] | None
Guilds = Annotated[Names, typer.Option("--guild", "-g", help="Only of this guild; may be repeated.")]
Types = Annotated[Names, typer.Option("--type", "-t", help="Only of this message type; may be repeated.")]
Kinds = Annotated[Names, typer.Option("--kind", "-k", help="Only of this kind, such as settled; may be repeated.")]
Jobs = Annotated[Names, typer.Option("--job", help="Only of this command; may be repeated.")]
After = Annotated[str, typer.Option("--after", help="Go on after this cursor; 0: with all that is remembered.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="End after so many; 0: with Ctrl-C.")]


def events(
    guild: Guilds = None,
    type: Types = None,
    kind: Kinds = None,
    job: Jobs = None,
    after: After = "",
    limit: Limit = 0,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Follow the event stream of a daemon, over its restarts too. With --json an object a line, with its cursor."""
    make_client(url, token)  # a bad URL or token is wrong use
    wanted = {"guild_id": guild or [], "types": type or [], "kinds": kind or [], "jobs": job or [], "after": after}
    try:
        asyncio.run(_follow(url, token, wanted, limit, as_json))
    except ModuleNotFoundError as error:
        needs_extra(error)
    except KeyboardInterrupt:
        return


async def _follow(url: str, token: str, wanted: Mapping[str, object], limit: int, as_json: bool) -> None:
    from actors.errors import EngineError
    from router.client.commander import RouterClient
    from router.errors import RouterError

    client = RouterClient(url, token)
    shown = 0
    try:
        await client.health()  # a daemon that is not there is said at once; one that goes away is waited for
        async with aclosing(client.events(**wanted)) as stream:  # type: ignore[arg-type]  # made of our own options
            async for event in stream:
                typer.echo(_line(event, as_json))
                shown += 1
                if shown == limit:
                    return
    except (EngineError, RouterError) as error:
        fail(f"{error} ({error.code})")
    finally:
        await client.close()


def _line(event: Happening | Gap, as_json: bool) -> str:
    if as_json:
        return json.dumps(event.model_dump(mode="json", by_alias=True, exclude_none=True))
    if event.kind == "gap":
        return f"-- events are missing before {event.cursor} --"
    return clean(" ".join(_words(event)))  # type: ignore[arg-type]  # a gap is no happening


def _words(event: Happening) -> list[str]:
    clock = time.strftime("%H:%M:%S", time.localtime(event.at / 1_000))
    words = [f"{clock}.{event.at % 1_000:03}", f"{event.kind:<9}", event.type, f"guild {event.guild_id}", event.id]
    if event.response is not None:
        words.append(event.response.status + (f" over {event.response.method}" if event.response.method else ""))
    elif event.data is not None:
        words.append(json.dumps(event.data, ensure_ascii=True))
    elif event.detail:
        words.append(event.detail)
    return words
