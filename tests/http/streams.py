"""A reader of the event stream over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.http.daemons import PATIENCE, Served


class Stream:
    """What comes, one event at a time, and the cursor so far."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.cursor = ""
        self.comments = 0
        self._lines = answer.iter_lines()
        self._data: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        for line in self._lines:
            if line.startswith("id: "):
                self.cursor = line[4:]
            elif line.startswith("data: "):
                self._data.append(line[6:])
            elif line.startswith(":"):
                self.comments += 1
            elif not line and self._data:
                event: dict[str, Any] = json.loads("\n".join(self._data))
                self._data = []
                return event
        raise StopIteration

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What comes up to the first that fits."""
        come = []
        for event in self:
            come.append(event)
            if holds(event):
                return come
        raise AssertionError(f"the stream ended after {come}")

    def begin(self) -> None:
        """Wait for the first mark: from then on nothing is missed."""
        for line in self._lines:
            if line.startswith("id: "):
                self.cursor = line[4:]
                return


@contextmanager
def listen(served: Served, *, cursor: str = "", token: str = "", **query: str) -> Iterator[Stream]:
    """A stream with these filters."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # A client of its own: a stream keeps its connection.
    with (
        httpx.Client(base_url=served.daemon.url, timeout=PATIENCE, headers=served.client.headers) as client,
        client.stream("GET", "/api/events/stream", params=query, headers=headers) as answer,
    ):
        if answer.status_code != 200:
            answer.read()
        yield Stream(answer)
