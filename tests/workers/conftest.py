"""Nurseries for workers: the imports are paid once for all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.nursery import Nursery

AT_ONCE = 2  # workers of one test


@pytest.fixture(scope="session")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Nursery]]:
    folder = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        yield [
            stack.enter_context(Nursery(folder / f"log{number}", "tests.workers.served")) for number in range(AT_ONCE)
        ]
