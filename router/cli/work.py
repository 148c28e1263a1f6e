"""``guild-router work``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from router.cli.output import fail, needs_extra
from router.errors import RouterError


def work(
    app: Annotated[str, typer.Option("--app", metavar="MODULE:NAME", help="A Worker and its handlers.")],
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="Instead of the worker's own: redis://...")
    ] = None,
    queues: Annotated[
        str | None, typer.Option("--queues", metavar="NAME,NAME", help="Instead of the worker's own.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, max=10_000, help="Commands of one queue at once.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="For lists of workers; default: host:pid.")] = None,
    drain: Annotated[float | None, typer.Option("--drain", min=0, help="Seconds for running work at the end.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.")] = None,
) -> None:
    """Execute the commands of named queues. SIGTERM drains; a second one stops at once. Status 1 when it gives up."""
    try:
        from router.cli.apps import load_app
        from router.logs import configure
        from router.settings import Settings
        from router.worker import Worker
    except ModuleNotFoundError as error:
        needs_extra(error)
    try:
        worker = load_app(app, Worker, "bot.jobs:worker")
        settings = Settings.load(config)
        configure(settings.log_level, settings.debug)
        worker.use(
            store=store,
            queues=None if queues is None else [each.strip() for each in queues.split(",") if each.strip()],
            settings=settings if config is not None else None,
            concurrency=concurrency,
            name=name,
            drain=drain,
        )
    except RouterError as error:
        fail(str(error), 2)

    def ready() -> None:
        typer.echo(f"worker {worker.id} consumes {', '.join(worker.consumes) or 'nothing yet'}")
        sys.stdout.flush()

    try:
        status = worker.run(ready)
    except Exception as error:  # noqa: BLE001 - whatever the cause, the operator gets it as one line
        fail(f"cannot start: {_cause(error)}")
    if worker.cause is not None:
        fail(f"the worker gave up: {worker.cause}")
    raise typer.Exit(status)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
