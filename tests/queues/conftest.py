"""A house per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from actors.policy.consuming import QueueRules
from tests.queues.house import House

Build = Callable[..., House]


@pytest.fixture
def build() -> Iterator[Build]:
    """Houses with given rules, closed at the end."""
    houses: list[House] = []

    def make(rules: QueueRules | Callable[[str], QueueRules] | None = None) -> House:
        houses.append(House(rules))
        return houses[-1]

    yield make
    for house in houses:
        house.close()
