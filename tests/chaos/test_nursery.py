"""The harness itself: lives start, end, die and are known by how."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.chaos.nursery import Nursery

HERE = "tests.chaos.test_nursery"


def quiet() -> None:
    print("said")


def failing() -> None:
    raise ValueError("on purpose")


def leaving(code: int) -> None:
    os._exit(code)


def waiting() -> None:
    threading.Event().wait()


def test_lives_end_as_they_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Nursery(log, HERE) as nursery:
        assert nursery.start(f"{HERE}:quiet").wait(10) == 0
        assert nursery.start(f"{HERE}:failing").wait(10) == 1
        assert nursery.start(f"{HERE}:leaving", code=7).wait(10) == 7
        life = nursery.start(f"{HERE}:waiting")
        assert not life.ended(within=0.01)
        with pytest.raises(TimeoutError, match="still runs"):
            life.wait(0.01)
        life.signal(signal.SIGKILL)
        assert life.wait(10) == -signal.SIGKILL
        life.signal(signal.SIGKILL)  # gone: nothing happens
    assert "said" in log.read_text()
    assert "ValueError: on purpose" in log.read_text()
