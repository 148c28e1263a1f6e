"""``guild-router serve --workers``: several router processes on one port and one store."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from router.cli.foreman import Foreman, worker_command
from router.cli.output import fail, needs_extra
from router.cli.report import Inherited, Report
from router.scaling import Bounds

if TYPE_CHECKING:
    from router.http.daemon import Daemon
    from router.settings import Settings


def run_several(settings: Settings, workers: int | None, least: int | None, most: int | None) -> int:
    """Start them and keep them until the end; the exit status. What cannot work ends the command."""
    try:
        from router.http.server import bind, url_of
        from router.logs import configure
        from router.stores.url import is_shared
    except ModuleNotFoundError as error:
        needs_extra(error)
    store = settings.public()["store"]
    if not is_shared(settings.store):
        fail(f"--workers needs a store that routers share, such as redis://localhost; {store} is for one alone", 2)
    bounds = bounds_of(workers, least, most)
    count = workers or bounds.least
    configure(settings.log_level, settings.debug)
    try:
        listening = bind(settings.host, settings.port)
    except (OSError, ValueError) as error:
        fail(f"cannot serve on {settings.host}:{settings.port}: {error}")

    def ready() -> None:
        typer.echo(f"guild-router listens on {url_of(listening)} with {store}, {count} workers")
        sys.stdout.flush()

    with listening:
        foreman = asyncio.run(_run(Foreman(worker_command(sys.argv[1:]), listening, count, bounds), ready))
    if foreman.cause:
        fail(foreman.cause)
    return foreman.status


async def _run(foreman: Foreman, ready: Callable[[], None]) -> Foreman:
    await foreman.run(ready)
    return foreman


def bounds_of(workers: int | None, least: int | None, most: int | None) -> Bounds:
    """Between how many; without ``--min-workers`` or ``--max-workers`` that end does not move from ``--workers``."""
    count = workers or least or 1
    for name, bound in (("--min-workers", least), ("--workers", workers)):
        if most and bound and bound > most:
            fail(f"{name} {bound} is above --max-workers {most}", 2)
    if least and count < least:
        fail(f"--workers {count} is below --min-workers {least}", 2)
    return Bounds(least or count, most or count)


def run_worker(daemon: Daemon, place: Inherited) -> int:
    """One of several: it reports to the foreman instead of saying where it listens."""
    from router.cli.serve import run_daemon

    report = Report(place.pipe, lambda: float(str(daemon.router.engine.about()["load"])), daemon.close)
    try:
        return run_daemon(daemon, report.ready)
    finally:
        report.close()
