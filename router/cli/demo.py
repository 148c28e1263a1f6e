"""``guild-router run-demo``: a daemon, a bot and a dashboard as processes, and a conversation about what they do."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.client import Client, Refusal, Unreachable
from router.cli.output import fail, needs_extra
from router.cli.serve import run_daemon

if TYPE_CHECKING:
    from router.demo.processes import BotRun, DashboardRun
    from router.demo.script import Conversation

PORT = 8_600
#: quicker than the defaults, so that nobody has to wait for a demonstration of patience
QUICK = {"backoff_ms": 100, "backoff_cap_ms": 400}
TYPES = {
    "BAN_USER": {"conflict": "supersede"},
    "UNBAN_USER": {"conflict": "supersede"},
    "KICK_USER": QUICK,
    "PLAY_MUSIC": QUICK,
}


def run_demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the conversation instead of serving on.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: any free one.")] = PORT,
) -> None:
    """Show what the router does, step by step. Status 1 when a step does not hold."""
    try:
        from router.demo.bot import ExampleBot
        from router.demo.processes import BotRun, DashboardRun
        from router.demo.script import Conversation
        from router.http.daemon import Daemon
        from router.logs import configure
        from router.router import Router
        from router.settings import Settings
    except ModuleNotFoundError as error:
        needs_extra(error)

    configure("error", "")  # the bot fails on purpose; only what is wrong is worth a line
    with tempfile.TemporaryDirectory(prefix="guild-router-demo-") as name:
        folder = Path(name)
        settings = Settings(store=f"sqlite:///{folder / 'router.db'}", port=port, types=TYPES)
        router = Router(settings)
        inside = ExampleBot(router, folder, "daemon")  # the way that is left when the bot's process is gone
        daemon = Daemon(router, settings, _listen(settings.host, port))
        bot = BotRun(daemon.url, folder, typer.echo)
        dashboard = DashboardRun(daemon.url, typer.echo)
        conversation = Conversation(Client(daemon.url), inside.ledger, folder, bot, dashboard, typer.echo)
        failure: list[str] = []

        def talk() -> None:
            failure.extend(_broken(conversation, bot, dashboard))
            if failure or leave:
                dashboard.stop()
                bot.stop()
                daemon.close()
            else:
                typer.echo(f"The daemon goes on at {daemon.url}/docs until Ctrl-C.")

        def ready() -> None:
            typer.echo(f"guild-router listens on {daemon.url} with {settings.store}")
            threading.Thread(target=talk, name="conversation", daemon=True).start()

        try:
            status = run_daemon(daemon, ready)
        finally:
            dashboard.stop()
            bot.stop()
            inside.ledger.close()
        if failure or daemon.cause:
            fail(f"the router gave up: {daemon.cause}" if daemon.cause else failure[0])
        raise typer.Exit(status)


def _broken(conversation: Conversation, bot: BotRun, dashboard: DashboardRun) -> list[str]:
    """Hold it; why a step does not hold, if so."""
    from router.demo.processes import Fallen
    from router.demo.script import Broken

    try:
        bot.start()
        dashboard.start()
        typer.echo(f"a bot (process {bot.pid}) and a dashboard (process {dashboard.pid}) are connected")
        conversation.run()
    except (Broken, Fallen, Refusal, Unreachable) as error:
        return [str(error)]
    except Exception as error:  # noqa: BLE001 - a fault of the script is a failure of the demo too
        return [f"{type(error).__name__}: {error}"]
    typer.echo("\nEvery step held.")
    return []


def _listen(host: str, port: int) -> socket.socket:
    from router.http.server import bind

    try:
        return bind(host, port)
    except OSError as error:
        if not port:
            fail(f"cannot listen on {host}: {error}")
        typer.echo(f"port {port} is taken: using a free one")
        return bind(host, 0)
