"""``guild-router monitor``: a running daemon, looked at as long as one likes."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from router.cli.breakers import span
from router.cli.client import DEFAULT_URL, Client, Refusal, TokenOption, Unreachable, UrlOption, make_client, told
from router.cli.output import JsonOption, clean, fail, show_json

PATHS = {
    "health": "/api/health",
    "metrics": "/api/metrics",
    "queues": "/api/queue/status",
    "services": "/api/health/services",
    "alerts": "/api/alerts",
}
STATES = {"closed": "green", "half_open": "yellow", "open": "red", "forced_open": "red"}


class Look(NamedTuple):
    """All that was seen at one time; ``queues`` is ``None`` while the store does not answer."""

    at: float
    seen: dict[str, Any]


def monitor(
    interval: Annotated[float, typer.Option("--interval", "-i", min=0.2, max=3_600, help="Seconds between looks.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Watch queues, lanes, breakers, rates and what is wrong, live; with --json one document per look."""
    client = make_client(url, token, timeout=10.0)
    first = _look_or_end(client)
    if once:
        if as_json:
            show_json(first.seen)
        else:
            Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(screen(first, None, url))
        return
    if as_json:
        _stream(client, first, interval)
    _live(client, first, interval, url)


def _look(client: Client) -> Look:
    """Raises ``Unreachable``, and ``Refusal`` for anything but a store that is away: then there is most to look at."""
    seen = {}
    for name, path in PATHS.items():
        try:
            seen[name] = client.ask("GET", path)[1]
        except Refusal as error:
            if name != "queues" or error.code != "store_unavailable":
                raise
            seen[name] = None
    return Look(time.monotonic(), seen)


def _look_or_end(client: Client) -> Look:
    try:
        return _look(client)
    except (Refusal, Unreachable) as error:
        fail(told(error))


def _stream(client: Client, look: Look, interval: float) -> None:
    while True:
        typer.echo(json.dumps(look.seen))
        time.sleep(interval)
        look = _look_or_end(client)


def _live(client: Client, look: Look, interval: float, url: str) -> None:
    before: Look | None = None
    with Live(screen(look, before, url), screen=Console().is_terminal, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                found = _look(client)
            except Unreachable as error:  # a restart is no reason to stop looking
                live.update(Group(screen(look, before, url), Text(clean(error), "red")), refresh=True)
                continue
            except Refusal as error:
                fail(str(error))
            before, look = look, found
            live.update(screen(look, before, url), refresh=True)


def screen(look: Look, before: Look | None, url: str) -> RenderableType:
    """One picture."""
    seen = look.seen
    parts: list[RenderableType] = [_head(seen, url), _rates(look, before), _queues(seen)]
    parts += [_breakers(seen), _lanes(seen), _times(seen)]
    if alerts := seen["alerts"]["alerts"]:
        parts.append(_alerts(alerts))
    return Group(*parts)


def _head(seen: dict[str, Any], url: str) -> Text:
    health = seen["health"]
    state, style = ("healthy", "bold green") if health["overall"] else ("not healthy", "bold red")
    text = Text.assemble((f"{clean(url)} is ", ""), (state, style))
    level = health["load"]["level"]
    text.append(f"   load {level:.0%}" + (f" ({clean(health['load']['cause'])})" if level >= 0.01 else ""))
    if health["overloaded"]:
        text.append("   overloaded", "bold red")
    text.append(f"   backlog {health['backlog']}   running {health['running']}\n")
    return text


def _rates(look: Look, before: Look | None) -> Table:
    table = _table("since the start", "accepted", "done", "failed", "retried", "duplicates", "dead letters")
    figures = look.seen["metrics"]
    names = ("messagesPublished", "messagesConsumed", "messagesFailed", "messagesRetried", "duplicateOperations")
    table.add_row("", *(str(figures[name]) for name in names), _or_dash(figures["deadLetterMessages"]))
    if before is not None:
        span_ = max(0.001, look.at - before.at)
        earlier = before.seen["metrics"]
        # after a restart the counters begin anew
        rates = [f"{max(0, figures[name] - earlier[name]) / span_:.1f}/s" for name in names]
        table.add_row("now", *rates, "")
    return table


def _or_dash(figure: int | None) -> str:
    return "-" if figure is None else str(figure)


def _queues(seen: dict[str, Any]) -> Table:
    table = _table("queue", "waiting", "active", "oldest due", "completed", "failed", "dead", "")
    ages = seen["metrics"]["scaling"]["queues"]
    if seen["queues"] is None:
        table.add_row(Text("the store does not answer", "red"))
        return table
    for queue in seen["queues"]["queues"]:
        age = ages.get(queue["name"], {}).get("oldestEligibleAge", 0)
        counts = (str(queue[name]) for name in ("completed", "failed", "dead"))
        paused = Text("paused", "yellow") if queue["paused"] else Text()
        oldest = span(age) if age else ""
        table.add_row(Text(clean(queue["name"])), str(queue["waiting"]), str(queue["active"]), oldest, *counts, paused)
    return table


def _breakers(seen: dict[str, Any]) -> Table:
    table = _table("breaker", "state", "asked in", "calls/min", "errors", "p50", "p95", "p99", "opened")
    services = seen["services"]["services"]
    for breaker in seen["services"]["breakers"]:
        service = services.get(breaker["name"], {})
        latency = service.get("latency") or {}
        table.add_row(
            Text(clean(breaker["name"])),
            Text(breaker["state"], STATES[breaker["state"]]),
            span(breaker["retryAfter"]),
            str(service.get("calls", 0)),
            f"{service.get('errorRate', 0):.0%}",
            *(span(latency.get(name)) for name in ("p50", "p95", "p99")),
            str(breaker["opened"]),
        )
    return table


def _lanes(seen: dict[str, Any]) -> Table:
    metrics = seen["metrics"]
    table = _table(f"guilds ({metrics['guildsLive']} live)", "unsettled")
    for guild in metrics["topGuilds"]:
        table.add_row(Text(clean(guild["guildId"])), str(guild["backlog"]))
    return table


def _times(seen: dict[str, Any]) -> Table:
    table = _table("priority", "answered", "mean", "objective", "within it")
    for name, times in seen["metrics"]["objectives"].items():
        objective = span(times["objectiveMs"]) or "best effort"
        mean = span(round(times["meanMs"])) if times["answered"] else ""
        table.add_row(name, str(times["answered"]), mean, objective, f"{times['share']:.1%}")
    return table


def _alerts(alerts: list[dict[str, Any]]) -> Table:
    table = _table("wrong now", "", "")
    for alert in alerts:
        style = "bold red" if alert["severity"] == "critical" else "yellow"
        table.add_row(Text(alert["code"], style), Text(clean(alert["about"])), Text(clean(alert["text"])))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", min_width=22 if number == 0 else 8)
    return table
