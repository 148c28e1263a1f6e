"""``guild-router serve`` as a forked life: the same command in a process of its own, without the seconds of imports."""

from __future__ import annotations

import os

import httptools  # noqa: F401 - uvicorn imports it at its start
import uvloop  # noqa: F401 - likewise

import router.http.daemon  # noqa: F401 - what ``serve`` imports when it is called
import tests.chaos.bot  # noqa: F401 - so that the app has little left to import
from router.cli.main import app


def serve(environment: dict[str, str], arguments: list[str]) -> None:
    """Run the command line ``arguments`` to its end."""
    os.environ.update(environment)
    app(arguments)
