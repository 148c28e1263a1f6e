"""``guild-router dead-letters``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client
from router.cli.output import JsonOption, fail, show_json, show_table

app = typer.Typer(help="What failed for good: list, replay, purge.", no_args_is_help=True)
Guild = Annotated[str, typer.Option("--guild", "-g", help="Of this guild only.")]
Queue = Annotated[str, typer.Option("--queue", "-q", help="Of this queue only.")]
Type = Annotated[str, typer.Option("--type", "-t", help="Of this message type only.")]


@app.command("list")
def list_letters(
    guild: Guild = "",
    queue: Queue = "",
    type: Type = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Oldest first, in the order of their lanes."""
    query = {"guildId": guild, "queue": queue, "type": type, "limit": limit}
    answer = answer_of(make_client(url, token), "GET", "/api/dead-letters", query=query)
    if as_json:
        show_json(answer)
        return
    rows = [
        (
            one["id"],
            one["type"],
            one["guild"],
            one["queue"],
            len(one["attempts"]),
            one["replays"],
            when(one["diedAt"]),
            one["reason"],
        )
        for one in answer["deadLetters"]
    ]
    show_table(("id", "type", "guild", "queue", "attempts", "replays", "died", "reason"), rows, empty="no dead letters")


@app.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="These; else all that the filters match.")
    ] = None,
    guild: Guild = "",
    queue: Queue = "",
    type: Type = "",
    everything: Annotated[bool, typer.Option("--all", help="All dead letters there are.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1_000,
    max_replays: Annotated[int | None, typer.Option(min=1, help="Leave alone what lived so often.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which, change nothing.")] = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send dead letters on their way again, in their old order."""
    if not (ids or guild or queue or type or everything):
        fail("name ids, a filter, or --all", 2)
    body: dict[str, Any] = {"guildId": guild, "queue": queue, "type": type, "limit": limit, "dryRun": dry_run}
    body |= {"all": True} if everything else {}
    body |= {"ids": ids} if ids else {}
    body |= {"maxReplays": max_replays} if max_replays else {}
    answer = answer_of(make_client(url, token), "POST", "/api/dead-letters/replay", body)
    if as_json:
        show_json(answer)
        return
    verb = "would live again" if dry_run else "live again"
    typer.echo(f"{len(answer['replayed'])} {verb}, {len(answer['refused'])} were replayed too often already")


@app.command()
def purge(
    id: Annotated[str, typer.Option("--id", help="Only this one.")] = "",
    guild: Guild = "",
    queue: Queue = "",
    type: Type = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Forget dead letters for good."""
    if not yes:
        which = "these" if id or guild or queue or type else "ALL"
        typer.confirm(f"Forget {which} dead letters for good?", abort=True)
    query = {"id": id, "guildId": guild, "queue": queue, "type": type}
    if not any(query.values()):
        query["all"] = "true"
    answer = answer_of(make_client(url, token), "DELETE", "/api/dead-letters", query=query)
    if as_json:
        show_json(answer)
    else:
        typer.echo(f"{answer['purged']} forgotten")


def when(ms: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
