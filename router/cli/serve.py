"""``guild-router serve``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.apps import load_app
from router.cli.output import fail, needs_extra
from router.cli.report import Inherited, inherited
from router.cli.several import run_several, run_worker
from router.errors import RouterError

if TYPE_CHECKING:
    from router.http.daemon import Daemon
    from router.router import Router
    from router.settings import Settings

DURABLE = {"store": "sqlite:///router.db"}  #: a daemon that is told nothing keeps what it accepts


def serve(
    app: Annotated[
        str,
        typer.Option("--app", metavar="MODULE:NAME", help="A Router whose handlers execute here; else it only routes."),
    ] = "",
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Default: sqlite:///router.db")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Default: 127.0.0.1; a public one needs tokens.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Default: 8600; 0: any free one.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.")] = None,
    drain: Annotated[float | None, typer.Option("--drain", min=0, help="Seconds for running work at the end.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Router processes on one port and one store.")
    ] = None,
    min_workers: Annotated[
        int | None, typer.Option("--min-workers", min=1, max=256, help="Take some away when they idle, to this number.")
    ] = None,
    max_workers: Annotated[
        int | None, typer.Option("--max-workers", min=1, max=256, help="Add some under load, up to this number.")
    ] = None,
) -> None:
    """Run the daemon. SIGTERM drains; a second SIGTERM stops at once. Status 1 when the router gives up."""
    given = {"store": store, "host": host, "port": port, "drain": drain}
    place = inherited(os.environ)
    try:
        if place is None and (workers or min_workers or max_workers):
            settings = settings_of(load_router(app) if app else None, config, given)
            raise typer.Exit(run_several(settings, workers, min_workers, max_workers))
        daemon = build(app, config, given, place)
    except RouterError as error:
        fail(str(error), 2)
    status = run(daemon) if place is None else run_worker(daemon, place)
    if daemon.cause:
        fail(f"the router gave up: {daemon.cause}")
    raise typer.Exit(status)


def settings_of(router: Router | None, config: Path | None, given: dict[str, Any]) -> Settings:
    """What is set: an application's own below everything else."""
    from router.settings import Settings

    defaults = DURABLE | (own_settings(router) if router else {})
    return Settings.load(config, defaults=defaults, **given)


def build(app: str, config: Path | None, given: dict[str, Any], place: Inherited | None = None) -> Daemon:
    """A daemon that is not started yet; a wrong setting is a ``SettingsError``, anything else ends the command."""
    try:
        from router.http.daemon import Daemon
        from router.logs import configure
        from router.router import Router
    except ModuleNotFoundError as error:
        needs_extra(error)
    router = load_router(app) if app else None
    settings = settings_of(router, config, given)
    configure(settings.log_level, settings.debug)
    try:
        if router is None:
            router = Router(settings)
        else:
            router.configure(settings)
        return Daemon(router, settings, place.listening if place else None, shared=place is not None)
    except (OSError, ValueError) as error:
        fail(f"cannot serve on {settings.host}:{settings.port}: {error}")


def run(daemon: Daemon) -> int:
    """Serve until the end, saying where."""
    store = daemon.router.settings.public()["store"]

    def ready() -> None:
        typer.echo(f"guild-router listens on {daemon.url} with {store}")
        sys.stdout.flush()

    return run_daemon(daemon, ready)


def run_daemon(daemon: Daemon, ready: Callable[[], None]) -> int:
    """Serve until the end; the exit status. A start that fails is one line with its cause."""
    try:
        return daemon.run(ready)
    except Exception as error:  # noqa: BLE001 - whatever the cause, the operator gets it as one line
        fail(f"cannot start: {_cause(error)}")


def load_router(name: str) -> Router:
    """The router that ``module:name`` means."""
    from router.router import Router

    return load_app(name, Router, "bot.main:router")


def own_settings(router: Router) -> dict[str, Any]:
    """What an application's router was made with; environment, file and arguments stand above it."""
    settings = router.settings
    return {name: getattr(settings, name) for name in settings.model_fields_set}


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
