"""A world over each store, made by the fixture ``make``, and over memory alone, for what no store can change.

And a town, where several are on one store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.town import Town
from tests.engine.world import Maker, World

Make = Callable[..., World]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """``make(**options)``: a world; ``make(after=world)``: one more, on what the other had stored when killed."""
    maker = Maker(request.param, tmp_path)
    yield maker
    maker.clear()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Make]:
    """As ``make``, over memory alone."""
    maker = Maker("memory", tmp_path)
    yield maker
    maker.clear()


@pytest.fixture
def world(memory: Make) -> World:
    """One over memory."""
    return memory()


@pytest.fixture
def town() -> Iterator[Town]:
    """Nobody is in it yet."""
    town = Town()
    yield town
    town.clear()
