"""``guild-router run-demo``: a daemon, an example bot in it, and a conversation over HTTP."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path
from typing import Annotated

import typer

from router.cli.client import Client, Refusal, Unreachable
from router.cli.output import fail, needs_extra
from router.cli.serve import run_daemon

PORT = 8_600
#: quicker than the defaults, so that nobody has to wait for a demonstration of patience
QUICK = {"backoff_ms": 100, "backoff_cap_ms": 400}


def run_demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the conversation instead of serving on.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: any free one.")] = PORT,
) -> None:
    """Show what the router does, step by step. Status 1 when a step does not hold."""
    try:
        from router.demo.bot import ExampleBot
        from router.demo.script import Broken, Conversation
        from router.http.daemon import Daemon
        from router.logs import configure
        from router.router import Router
        from router.settings import Settings
    except ModuleNotFoundError as error:
        needs_extra(error)

    configure("error", "")  # the bot fails on purpose; only what is wrong is worth a line
    with tempfile.TemporaryDirectory(prefix="guild-router-demo-") as name:
        folder = Path(name)
        settings = Settings(
            store=f"sqlite:///{folder / 'router.db'}",
            port=port,
            types={
                "BAN_USER": {"conflict": "supersede"},
                "UNBAN_USER": {"conflict": "supersede"},
                "KICK_USER": QUICK,
                "PLAY_MUSIC": QUICK,
            },
        )
        router = Router(settings)
        bot = ExampleBot(router, folder)
        daemon = Daemon(router, settings, _listen(settings.host, port))
        failure: list[str] = []

        def talk() -> None:
            try:
                Conversation(Client(daemon.url), bot.ledger, folder, typer.echo).run()
            except (Broken, Refusal, Unreachable) as error:
                failure.append(str(error))
            except Exception as error:  # noqa: BLE001 - a fault of the script is a failure of the demo too
                failure.append(f"{type(error).__name__}: {error}")
            else:
                typer.echo("\nEvery step held.")
            if failure or leave:
                daemon.close()
            else:
                typer.echo(f"The daemon goes on at {daemon.url}/docs until Ctrl-C.")

        def ready() -> None:
            typer.echo(f"guild-router listens on {daemon.url} with {settings.store}")
            threading.Thread(target=talk, name="conversation", daemon=True).start()

        try:
            status = run_daemon(daemon, ready)
        finally:
            bot.ledger.close()
        if failure or daemon.cause:
            fail(f"the router gave up: {daemon.cause}" if daemon.cause else failure[0])
        raise typer.Exit(status)


def _listen(host: str, port: int) -> socket.socket:
    from router.http.server import bind

    try:
        return bind(host, port)
    except OSError as error:
        if not port:
            fail(f"cannot listen on {host}: {error}")
        typer.echo(f"port {port} is taken: using a free one")
        return bind(host, 0)
