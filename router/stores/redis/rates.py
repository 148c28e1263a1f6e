"""Rates that hold over all routers: a connection of its own, since whoever asks waits for the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from uuid import uuid4

from actors.rates import Rated, Spent
from router.stores.redis.link import Call, Link, run_script
from router.stores.redis.names import Names
from router.stores.redis.scripts import GIVE_BACK, TAKE

MOST = 250
"""Commands in one run of the script: 3 ms of the server's time when each has three levels of its own."""


class RedisRates:
    """``Rates``. Each question has a name: asked again because its answer was lost, it is answered as before."""

    def __init__(self, link: Link, names: Names, router: str) -> None:
        self._link = link
        self._names = names
        self._asker = names.rates_asked(router)
        self._me = uuid4().hex
        self._numbers = count(1)

    def open(self) -> None:
        """When it is first asked."""

    def close(self) -> None:
        self._link.close()

    def take(self, asked: Sequence[Sequence[Rated]]) -> list[Spent | None]:
        questions = [_Question(asked[first : first + MOST]) for first in range(0, len(asked), MOST)]
        calls = [self._call(number, question) for number, question in enumerate(questions)]
        answers = self._link.run(calls, writes=True) if calls else []
        return [each for question, answer in zip(questions, answers, strict=True) for each in question.read(answer)]

    def give_back(self, unused: Mapping[Rated, int]) -> None:
        if unused:
            keys = [f"{self._asker}:back", *(self._names.rate(level.kind, level.name) for level in unused)]
            question = f"{self._me}-{next(self._numbers)}"
            self._link.ask(run_script(GIVE_BACK, keys, question, *unused.values()), writes=True)

    def _call(self, number: int, question: _Question) -> Call:
        levels = question.levels
        keys = [f"{self._asker}:{number}", *(self._names.rate(level.kind, level.name) for level in levels)]
        rules = [value for level in levels for value in (level.rate, level.per)]
        return run_script(TAKE, keys, f"{self._me}-{next(self._numbers)}", *rules, *question.wanted)


class _Question:
    """Of some commands, as the script takes it: each level once, and for each command how many it has, and which."""

    def __init__(self, asked: Sequence[Sequence[Rated]]) -> None:
        places: dict[Rated, int] = {}
        self.wanted: list[int] = []
        for levels in asked:
            self.wanted.append(len(levels))
            self.wanted += [places.setdefault(level, len(places) + 1) for level in levels]
        self.levels = list(places)

    def read(self, answer: Sequence[int]) -> Iterator[Spent | None]:
        """For each command, what refuses it."""
        for place, wait in zip(answer[::2], answer[1::2], strict=True):
            yield Spent(self.levels[place - 1].kind, self.levels[place - 1].name, wait) if place else None
