"""``guild-router queues``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client, segment
from router.cli.output import JsonOption, show_json, show_table

app = typer.Typer(help="Show queues; pause, resume or purge one.", no_args_is_help=False)
Name = Annotated[str, typer.Argument(metavar="QUEUE", help="Its name, such as bot:moderation.")]
COLUMNS = ("waiting", "active", "completed", "failed", "dead", "paused")


@app.callback(invoke_without_command=True)
def queues(
    context: typer.Context, url: UrlOption = DEFAULT_URL, token: TokenOption = "", as_json: JsonOption = False
) -> None:
    """Show what waits, runs and failed in each queue."""
    if context.invoked_subcommand is not None:
        return
    answer = answer_of(make_client(url, token), "GET", "/api/queue/status")
    if as_json:
        show_json(answer)
        return
    rows = [(queue["name"], *(_cell(queue[column]) for column in COLUMNS)) for queue in answer["queues"]]
    show_table(("queue", *COLUMNS), rows, empty="no queue has had a message yet")


@app.command()
def pause(queue: Name, url: UrlOption = DEFAULT_URL, token: TokenOption = "") -> None:
    """Start nothing more of a queue until it is resumed; it survives a restart."""
    answer_of(make_client(url, token), "POST", f"/api/queue/pause/{segment(queue)}")
    typer.echo(f"{queue} is paused")


@app.command()
def resume(queue: Name, url: UrlOption = DEFAULT_URL, token: TokenOption = "") -> None:
    """Go on with a paused queue."""
    answer_of(make_client(url, token), "POST", f"/api/queue/resume/{segment(queue)}")
    typer.echo(f"{queue} goes on")


@app.command()
def purge(
    queue: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take back everything of a queue that waits; what has started goes on."""
    if not yes:
        typer.confirm(f"Take back everything that waits in {queue}?", abort=True)
    answer = answer_of(make_client(url, token), "DELETE", f"/api/queue/purge/{segment(queue)}")
    if as_json:
        show_json(answer)
    else:
        typer.echo(f"{answer['purged']} taken back")


def _cell(value: Any) -> str:
    return {True: "yes", False: ""}.get(value, "") if isinstance(value, bool) else str(value)
