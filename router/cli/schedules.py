"""``guild-router schedules``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client, segment
from router.cli.dead_letters import when
from router.cli.output import JsonOption, show_json, show_table
from router.cli.send import milliseconds, payload

app = typer.Typer(help="What is sent again and again: show, make, pause, resume, remove.", no_args_is_help=False)
Id = Annotated[str, typer.Argument(metavar="ID")]
COLUMNS = ("id", "type", "guild", "when", "overlap", "next", "last", "fired", "passed")


@app.callback(invoke_without_command=True)
def schedules(
    context: typer.Context, url: UrlOption = DEFAULT_URL, token: TokenOption = "", as_json: JsonOption = False
) -> None:
    """Show all schedules."""
    if context.invoked_subcommand is not None:
        return
    answer = answer_of(make_client(url, token), "GET", "/api/schedules")
    if as_json:
        show_json(answer)
        return
    show_table(COLUMNS, [_row(each) for each in answer["schedules"]], empty="no schedules")


@app.command()
def add(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="Of a command, such as SEND_MESSAGE.")],
    cron: Annotated[str, typer.Option(help="Such as '0 4 * * *'; six fields: with seconds in front.")] = "",
    every: Annotated[float, typer.Option(help="Seconds.")] = 0,
    at: Annotated[int, typer.Option(help="Once, at this time in ms since the epoch.")] = 0,
    timezone: Annotated[str, typer.Option(help="Of --cron, such as Europe/Berlin.")] = "UTC",
    overlap: Annotated[str, typer.Option(help="skip, buffer_one or allow.")] = "skip",
    catch_up: Annotated[float, typer.Option("--catch-up", min=0, help="Seconds a tick may be late.")] = 60,
    id: Annotated[str, typer.Option("--id", help="Replaces the schedule of this id.")] = "",
    guild: Annotated[str, typer.Option("--guild", "-g")] = "",
    user: Annotated[str, typer.Option("--user", "-u", help="Who acts.")] = "",
    data: Annotated[
        str,
        typer.Option(
            "--data", "-d", metavar="JSON", help="The command's own fields; @FILE reads a file, - standard input."
        ),
    ] = "{}",
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send a command at the ticks of --cron, --every so many seconds, or once --at a time."""
    body: dict[str, Any] = {
        "type": type,
        "data": payload(data),
        "overlap": overlap,
        "catchUpMs": round(catch_up * 1000),
    }
    body |= {"cron": cron, "timezone": timezone} if cron else {}
    body |= {"everyMs": milliseconds("--every", every)} if every else {}
    body |= {"at": at} if at else {}
    given = {"id": id, "guildId": guild, "userId": user}
    body |= {name: value for name, value in given.items() if value}
    answer = answer_of(make_client(url, token), "POST", "/api/schedules", body)
    if as_json:
        show_json(answer)
    else:
        typer.echo(f"{answer['id']}: next at {when(answer['next'])}")


@app.command()
def pause(id: Id, url: UrlOption = DEFAULT_URL, token: TokenOption = "") -> None:
    """Send nothing more until it is resumed; it survives a restart."""
    answer_of(make_client(url, token), "POST", f"/api/schedules/{segment(id)}/pause")
    typer.echo(f"{id} is paused")


@app.command()
def resume(id: Id, url: UrlOption = DEFAULT_URL, token: TokenOption = "") -> None:
    """Go on with the next tick that comes."""
    answer_of(make_client(url, token), "POST", f"/api/schedules/{segment(id)}/resume")
    typer.echo(f"{id} goes on")


@app.command()
def remove(id: Id, url: UrlOption = DEFAULT_URL, token: TokenOption = "") -> None:
    """Send nothing more, and forget it; what it sent goes on."""
    answer_of(make_client(url, token), "DELETE", f"/api/schedules/{segment(id)}")
    typer.echo(f"{id} is removed")


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    if one["cron"]:
        rule = one["cron"] + ("" if one["timezone"] == "UTC" else f" {one['timezone']}")
    else:
        rule = f"every {one['everyMs'] / 1000:g} s" if one["everyMs"] else "once"
    coming = "paused" if one["paused"] else when(one["next"]) if one["next"] else "never"
    last = when(one["last"]) if one["last"] else ""
    return (
        one["id"],
        one["type"],
        one["guild"],
        rule,
        one["overlap"],
        coming,
        last,
        one["fired"],
        one["passed"],
    )
