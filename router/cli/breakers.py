"""``guild-router breakers``."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client, segment
from router.cli.output import JsonOption, show_json, show_table

app = typer.Typer(help="Show circuit breakers; close one by hand.", no_args_is_help=False)
COLUMNS = ("failures", "permitted", "rejected", "succeeded", "failed", "opened")


@app.callback(invoke_without_command=True)
def breakers(
    context: typer.Context, url: UrlOption = DEFAULT_URL, token: TokenOption = "", as_json: JsonOption = False
) -> None:
    """Show each breaker: its state, and what it counted since the daemon's start."""
    if context.invoked_subcommand is not None:
        return
    found = answer_of(make_client(url, token), "GET", "/api/health/services")["breakers"]
    if as_json:
        show_json(found)
        return
    rows = [
        (each["name"], each["state"], span(each["retryAfter"]), *(each[name] for name in COLUMNS)) for each in found
    ]
    show_table(("breaker", "state", "asked in", *COLUMNS), rows, empty="there are no breakers")


@app.command()
def reset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the list names it, such as websocket or rest:api.")],
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
) -> None:
    """Close a breaker at once; whoever waits for it goes on."""
    answer_of(make_client(url, token), "POST", f"/api/admin/circuit-breaker/reset/{segment(name)}")
    typer.echo(f"{name} is closed")


def span(ms: int | None) -> str:
    """Milliseconds as a person reads them."""
    if ms is None:
        return ""
    if ms < 1_000:
        return f"{ms} ms"
    seconds = ms / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
