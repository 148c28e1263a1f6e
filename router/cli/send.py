"""``guild-router send``."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client
from router.cli.output import JsonOption, clean, fail, show_json

NUMBERS = tuple(str(number) for number in range(1, 11))
PRIORITIES = ("critical", "high", "normal", "low")
_KEY = re.compile(r"[!-~]{1,128}")


def send(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="Message type, such as BAN_USER.")],
    guild: Annotated[str, typer.Option("--guild", "-g", help="Guild id.")] = "",
    user: Annotated[str, typer.Option("--user", "-u", help="Acting user's id.")] = "",
    data: Annotated[
        str, typer.Option("--data", "-d", help="Payload as JSON; @FILE reads a file, - standard input.")
    ] = "{}",
    priority: Annotated[str, typer.Option(help="1 to 10, or critical, high, normal, low.")] = "",
    delay: Annotated[float, typer.Option(min=0, help="Seconds until it enters its lane.")] = 0.0,
    ttl: Annotated[float, typer.Option(min=0, help="Seconds in which it must start; 0: the type's own.")] = 0.0,
    key: Annotated[str, typer.Option("--idempotency-key", help="Equal keys are one operation.")] = "",
    real_time: Annotated[bool, typer.Option("--real-time", help="The fastest protocol first.")] = False,
    reliable: Annotated[bool, typer.Option("--reliable", help="The most durable protocol first.")] = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end of its way.")] = False,
    timeout: Annotated[float, typer.Option(min=0.001, max=3_600, help="Seconds to wait with --wait.")] = 30.0,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send a command to a daemon. With --wait the exit status is 0 only when it succeeded in that time."""
    body: dict[str, Any] = {"type": type, "data": payload(data)}
    body |= {"guildId": guild} if guild else {}
    body |= {"userId": user} if user else {}
    body |= {"priority": _priority(priority)} if priority else {}
    body |= {"delayMs": milliseconds("--delay", delay)} if delay else {}
    body |= {"ttlMs": milliseconds("--ttl", ttl)} if ttl else {}
    body |= {"requiresRealTime": True} if real_time else {}
    body |= {"requiresReliability": True} if reliable else {}
    if key and not _KEY.fullmatch(key):
        fail("--idempotency-key must be 1 to 128 visible ASCII characters", 2)
    longest = milliseconds("--timeout", timeout)
    client = make_client(url, token, timeout + 10)
    query = {"wait": longest} if wait else {}
    headers = {"Idempotency-Key": key} if key else {}
    answer = answer_of(client, "POST", "/api/commands", body, query=query, headers=headers)
    if as_json:
        show_json(answer)
    elif "status" in answer:
        _say_end(answer)
    else:
        again = f", a duplicate of {answer['originalId']}" if answer["duplicate"] else ""
        typer.echo(f"accepted {answer['jobId']}, position {answer['position']}{again}")
    if wait and not answer.get("status"):
        fail(f"not ended in {timeout:g} s; ask with: guild-router explain {answer['jobId']}")
    if wait and not answer["success"]:
        raise typer.Exit(1)


def _priority(text: str) -> int | str:
    if text in NUMBERS:
        return int(text)
    if text.lower() not in PRIORITIES:
        fail(f"--priority must be 1 to 10, or {', '.join(PRIORITIES)}, not {text}", 2)
    return text


def milliseconds(option: str, seconds: float) -> int:
    if not math.isfinite(seconds * 1_000):
        fail(f"{option} must be a number of seconds, not {seconds}", 2)
    return round(seconds * 1_000)


def payload(text: str) -> Any:
    source = "--data"
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            source = text[1:]
            text = Path(source).read_text("utf-8")
        return json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{source} cannot be read: {error}", 2)
    except json.JSONDecodeError as error:
        fail(f"{source} is not JSON: {error}", 2)


def _say_end(answer: dict[str, Any]) -> None:
    error = answer.get("error")
    parts = [answer["status"], answer["jobId"]]
    if answer.get("method"):
        parts.append(f"over {answer['method']} in {answer['executionTime']} ms")
    if answer.get("duplicate"):
        parts.append("(duplicate)")
    if error:
        parts.append(f"- {error['code']}: {error['message']}")
    if answer.get("data") is not None:
        parts.append(json.dumps(answer["data"], ensure_ascii=True))
    typer.echo(clean(" ".join(parts)))
