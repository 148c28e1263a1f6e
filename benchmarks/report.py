"""The results as a table for people or as JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure, Row


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.system(),
    }


def as_json(rows: Sequence[Row], before: dict[str, object]) -> str:
    """One object: the machine, and a list of rows."""
    return json.dumps({"machine": before, "results": [asdict(row) for row in rows]}, indent=2)


def print_table(rows: Sequence[Row], before: dict[str, object], console: Console | None = None) -> None:
    """A table for each group."""
    console = console or Console(width=None if sys.stdout.isatty() else 150)
    console.print("  ".join(f"{name} {value}" for name, value in before.items()), highlight=False)
    for group in dict.fromkeys(row.group for row in rows):
        table = Table(title=group, title_justify="left", title_style="bold")
        for column in ("what", "unit", "median", "(min - max)", "goal", "note"):
            table.add_column(column, justify="right" if column in ("median", "(min - max)") else "left")
        for row in rows:
            if row.group == group:
                median, spread = _shown(row.figure)
                table.add_row(row.name, row.unit, median, spread, row.goal, row.note)
        console.print(table)


def _shown(figure: Figure) -> tuple[str, str]:
    def show(number: float) -> str:
        return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.2f}"

    return show(figure.median), f"({show(figure.lowest)} - {show(figure.highest)})"
