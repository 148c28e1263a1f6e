"""``guild-router doctor``: are this machine and the store fit, and does the daemon answer?"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from actors.errors import EngineError
from router.cli.client import DEFAULT_URL, Client, Refusal, TokenOption, Unreachable, UrlOption
from router.cli.output import JsonOption, show_json, show_table
from router.errors import RouterError

WAL_BUG_FIXED = (3, 51, 3)  #: older ones may corrupt a WAL that two connections write; we use one


SURVIVES = {
    "process": "what is accepted is gone with the process that keeps it",
    "kernel": "what is accepted survives that process, and but for its last moments a power cut",
    "disk": "what is accepted survives a power cut",
}


class Finding(NamedTuple):
    """One line of the report."""

    check: str
    state: str  #: ok, note or bad
    text: str


def doctor(
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.")] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Instead of the settings' own.")] = None,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check Python, the extras, the settings, the store, SQLite, memory, and a daemon. Status 1 if anything is bad."""
    findings = list(examine(config, store, url, token))
    if as_json:
        show_json([finding._asdict() for finding in findings])
    else:
        show_table(("check", "", "finding"), findings, empty="")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def examine(config: Path | None, store: str | None, url: str, token: str) -> Iterator[Finding]:
    """All findings, in the order a start would meet them."""
    for check in (_python, _package, _extras):
        yield check()
    yield from _settings(config, store)
    for check in (_sqlite, _memory):
        yield check()
    yield from _daemon(url, token)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok" if sys.version_info >= (3, 11) else "bad", found)


def _package() -> Finding:
    try:
        return Finding("guild-router", "ok", version("guild-router"))
    except PackageNotFoundError:
        return Finding("guild-router", "note", "not installed; running from a source tree")


def _extras() -> Finding:
    missing = [name for name in ("fastapi", "uvicorn", "fastapi-offline") if not _installed(name)]
    if missing:
        return Finding("daemon extra", "note", f"missing {', '.join(missing)}: pip install 'guild-router[daemon]'")
    return Finding("daemon extra", "ok", f"fastapi {version('fastapi')}, uvicorn {version('uvicorn')}")


def _settings(config: Path | None, store: str | None) -> Iterator[Finding]:
    from router.cli.serve import settings_of

    try:
        settings = settings_of(None, config, {"store": store})
    except RouterError as error:
        yield Finding("settings", "bad", str(error))
        return
    shown = settings.public()
    text = f"store {shown['store']}, {shown['host']}:{shown['port']}, {len(shown['tokens'])} tokens"
    yield Finding("settings", "ok", text)
    yield from _store(settings.store)


def _store(url: str) -> Iterator[Finding]:
    """What it survives, and what speaks against it; a file is not opened, for a daemon may hold it."""
    from router.stores.url import file_of, open_store

    file = file_of(url)
    if file is not None and not os.access(file if file.exists() else file.parent, os.W_OK):
        yield Finding("store", "bad", f"{file} cannot be written" if file.parent.exists() else f"no {file.parent}")
        return
    store = open_store(url)
    examine = getattr(store, "examine", None)  # of one that is a server of its own
    if examine is None:
        yield Finding("store", "ok", SURVIVES[store.durability])
        return
    try:
        durability, unfit = examine()
    except EngineError as error:
        yield Finding("store", "bad", str(error))
        return
    yield Finding("store", "ok", SURVIVES[durability])
    for what in unfit:
        yield Finding("store", "note", what)


def _sqlite() -> Finding:
    found = sqlite3.sqlite_version_info
    text = sqlite3.sqlite_version
    if found < WAL_BUG_FIXED:
        fixed = ".".join(map(str, WAL_BUG_FIXED))
        return Finding(
            "sqlite", "note", f"{text}; below {fixed} only one connection may write, and only one of ours does"
        )
    return Finding("sqlite", "ok", text)


def _memory() -> Finding:
    from router.memory import MEGABYTE, MemoryMeter

    meter = MemoryMeter()
    if not meter.limit:
        text = "no container limits it: commands are shed by memory only if ROUTER_MEMORY_LIMIT_MB is set"
        return Finding("memory", "note", text)
    return Finding("memory", "ok", f"nothing more is taken at {meter.limit // MEGABYTE} MB")


def _daemon(url: str, token: str) -> Iterator[Finding]:
    client = Client(url, token, timeout=5.0)
    try:
        _, health = client.ask("GET", "/api/health")
        _, services = client.ask("GET", "/api/health/services")
        _, wrong = client.ask("GET", "/api/alerts")
    except Unreachable:
        yield Finding("daemon", "note", f"none answers on {url}")
        return
    except (Refusal, ValueError) as error:
        yield Finding("daemon", "bad", str(error))
        return
    state = "ok" if health["overall"] else "bad"
    yield Finding("daemon", state, f"{url}: {'healthy' if health['overall'] else 'not healthy'}")
    resting = [breaker["name"] for breaker in services["breakers"] if breaker["state"] != "closed"]
    if resting:
        yield Finding("breakers", "note", f"not closed: {', '.join(resting)}")
    else:
        yield Finding("breakers", "ok", f"{len(services['breakers'])}, all closed")
    for alert in wrong["alerts"]:
        state = "bad" if alert["severity"] == "critical" else "note"
        yield Finding(alert["code"], state, f"{alert['about']}: {alert['text']}")


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
