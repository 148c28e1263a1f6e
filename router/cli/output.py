"""How commands speak: data as JSON or as a table, trouble as one line on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not _speaks_unicode()))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Rows under their columns; what came from a sender is shown as text, never as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
        count += 1
    if count:
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    else:
        typer.echo(empty)


def clean(value: object) -> str:
    """A value on one line, without what a terminal would obey."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), "" if value is None else str(value))


def fail(text: str, status: int = 1) -> NoReturn:
    """One line on standard error, and the end: 1 failed, 2 used wrongly."""
    typer.echo(f"guild-router: {clean(text)}", err=True)
    raise typer.Exit(status)


def needs_extra(error: ModuleNotFoundError) -> NoReturn:
    """The end of a command whose libraries are not installed; a module of our own that is missing is a bug."""
    if (error.name or "").partition(".")[0] in ("actors", "router"):
        raise error
    fail(f"this needs the daemon's extra (there is no {error.name}): pip install 'guild-router[daemon]'")


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
