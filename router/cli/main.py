"""The commands of ``guild-router``. Exit status: 0 done, 1 failed, 2 used wrongly."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from router.cli import (
    audit,
    bench,
    breakers,
    dead_letters,
    demo,
    doctor,
    events,
    look,
    monitor,
    queues,
    schedules,
    send,
    serve,
    work,
)

app = typer.Typer(
    name="guild-router",
    help="A command router for bots in many guilds: once, in order, over whichever protocol is open.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("work")(work.work)
app.command("run-demo")(demo.run_demo)
app.command("send")(send.send)
app.command("events")(events.events)
app.command("monitor")(monitor.monitor)
app.add_typer(queues.app, name="queues")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(schedules.app, name="schedules")
app.command("explain")(look.explain)
app.command("audit")(audit.audit)
app.command("tree")(look.tree)
app.command("cluster")(look.cluster)
app.add_typer(breakers.app, name="breakers")
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        try:
            typer.echo(version("guild-router"))
        except PackageNotFoundError:
            typer.echo("not installed")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
