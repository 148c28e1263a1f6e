"""The nurseries of all chaos tests of a run: the imports are paid once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.nursery import Nursery, said
from tests.chaos.run import Scene


@pytest.fixture(scope="session")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Nursery]]:
    """As many places as a test needs at once; each has one life at a time."""
    folder = tmp_path_factory.mktemp("nurseries")
    with ExitStack() as stack:
        yield [stack.enter_context(Nursery(folder / f"log-{place}", "tests.chaos.embedded")) for place in range(3)]


@pytest.fixture
def nursery(nurseries: list[Nursery]) -> Nursery:
    """One."""
    return nurseries[0]


@pytest.fixture
def scene(tmp_path: Path, nursery: Nursery) -> Iterator[Scene]:
    """A fresh store; when the test fails, what the lives printed is shown."""
    with said(nursery):
        yield Scene(tmp_path, nursery)


@pytest.fixture(scope="session")
def seed() -> int:
    """Of the random moments; CHAOS_SEED chooses another, and a failure shows it."""
    return int(os.environ.get("CHAOS_SEED", "20261122"))
