"""One nursery for all chaos tests of a run: the imports are paid once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.nursery import Nursery, said
from tests.chaos.run import Scene


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    with Nursery(folder / "log", "tests.chaos.embedded") as nursery:
        yield nursery


@pytest.fixture
def scene(tmp_path: Path, nursery: Nursery) -> Iterator[Scene]:
    """A fresh store; when the test fails, what the lives printed is shown."""
    with said(nursery):
        yield Scene(tmp_path, nursery)


@pytest.fixture(scope="session")
def seed() -> int:
    """Of the random moments; CHAOS_SEED chooses another, and a failure shows it."""
    return int(os.environ.get("CHAOS_SEED", "20261122"))
