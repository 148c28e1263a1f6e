"""``guild-router audit``."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client
from router.cli.dead_letters import when
from router.cli.output import JsonOption, fail, show_json, show_table

_AGO = re.compile(r"(\d{1,9})(s|m|h|d)", re.ASCII)
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def audit(
    id: Annotated[str, typer.Option("--id", help="Of this command.")] = "",
    guild: Annotated[str, typer.Option("--guild", "-g", help="Of this guild only.")] = "",
    user: Annotated[str, typer.Option("--user", "-u", help="By this acting user only.")] = "",
    type: Annotated[str, typer.Option("--type", "-t", help="Of this message type only.")] = "",
    since: Annotated[str, typer.Option(metavar="WHEN", help="Not before: 10m, 2h, 7d ago, or ms since 1970.")] = "",
    until: Annotated[str, typer.Option(metavar="WHEN", help="Not after: likewise.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Search the audit trail, newest first: what happened to whom, by whom, and when."""
    query = {"id": id, "guildId": guild, "userId": user, "type": type, "limit": limit}
    query |= {"since": instant("--since", since), "until": instant("--until", until)}
    answer = answer_of(make_client(url, token), "GET", "/api/audit", query=query)
    if as_json:
        show_json(answer)
        return
    rows = [
        (when(one["at"]), one["kind"], one["id"], one["type"], one["guild"], one["user"], _said(one))
        for one in answer["entries"]
    ]
    show_table(("when", "what", "id", "type", "guild", "user", "detail"), rows, empty="nothing was found")


def instant(option: str, text: str) -> int | str:
    """Milliseconds since the epoch; "" for nothing."""
    if not text:
        return ""
    if ago := _AGO.fullmatch(text):
        return max(0, round(time.time() * 1000) - int(ago[1]) * _UNITS[ago[2]])
    if text.isascii() and text.isdigit():
        return int(text)
    return fail(f"{option} must be a time such as 10m, 2h or 7d ago, or milliseconds since 1970, not {text}", 2)


def _said(entry: dict[str, Any]) -> str:
    response = entry.get("response")
    if response:
        error = response.get("error") or {}
        return " ".join(filter(None, (response["status"], response.get("method"), error.get("message"))))
    detail = entry.get("detail")
    if isinstance(detail, dict):
        return ", ".join(f"{name} {_short(value)}" for name, value in detail.items())
    return "" if detail is None else _short(detail)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"
