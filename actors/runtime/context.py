"""What this thread is doing, as far as the runtime must know it to wait safely."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actors.runtime.incarnation import Incarnation


class Pool(Protocol):
    """A pool whose worker can be stood in for while it waits."""

    def blocking(self) -> AbstractContextManager[None]:
        """Around a wait."""


class Stepping(Protocol):
    """Runs actors on the waiting thread, for otherwise nobody would."""

    def run(self) -> int:
        """Run until nothing is runnable; how many slices."""


class Context(threading.local):
    """Per thread."""

    incarnation: Incarnation | None = None  #: whose slice runs here
    pool: Pool | None = None  #: whose worker this is
    stepper: Stepping | None = None
    serves_all: bool = False  #: a clock's thread: while it waits, nobody's timeout fires


context = Context()
