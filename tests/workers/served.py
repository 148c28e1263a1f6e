"""``guild-router work`` as a forked life: the same command in a process of its own, without the seconds of imports."""

from __future__ import annotations

import os

import router.stores.redis.store
import router.worker  # noqa: F401 - what the command imports when it is called
from router.cli.main import app


def work(environment: dict[str, str]) -> None:
    """Run the worker of the tests to its end."""
    os.environ.update(environment)
    app(["work", "--app", "tests.workers.app:worker"])
