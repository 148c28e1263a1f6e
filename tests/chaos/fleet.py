"""Several daemons over one shared store, each in a slot of its own, whose lives follow one another."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from tests.chaos.daemon import Daemon, HttpDoor
from tests.chaos.load import Order, Told
from tests.chaos.nursery import Nursery
from tests.history.events import Nemesis, Unknown
from tests.history.recorder import Recorder
from tests.servers.ports import free_port


class Slot:
    """A place for one router: a port, a nursery, and the life that is in it now."""

    def __init__(self, number: int, folder: Path, store: str, nursery: Nursery) -> None:
        self.number = number
        self.port = free_port()
        self._folder = folder
        self._store = store
        self._nursery = nursery
        self._lives = 0
        self.daemon: Daemon | None = None

    def start(self) -> Daemon:
        """The next life; does not wait until it is ready."""
        self._lives += 1
        name = f"router-{self.number}-{self._lives}"
        options = ["--app", "tests.chaos.app:router", "--store", self._store, "--port", str(self.port), "--drain", "5"]
        environment = {
            "ROUTER_STORE": self._store,
            "CHAOS_FOLDER": str(self._folder),
            "CHAOS_LIFE": name,
            "CHAOS_SHARED": "1",
        }
        life = self._nursery.start("tests.chaos.served:serve", environment=environment, arguments=["serve", *options])
        self.daemon = Daemon(name, self.port, life)
        return self.daemon


class Line(Protocol):
    """Between one router and the store."""

    @property
    def url(self) -> str:
        """The store, over this line."""

    def being(self, how: str, **values: float) -> AbstractContextManager[None]:
        """See ``tests.servers.wire.Wire.being``."""


class Fleet:
    """A slot for each nursery; what is done to them is written down.

    ``lines``: one for each slot, over which it reaches the store; none: all reach it directly.
    """

    def __init__(self, folder: Path, store: str, nurseries: Sequence[Nursery], lines: Sequence[Line] = ()) -> None:
        self.folder = folder
        self.store = store
        self.lines = lines
        ways = [line.url for line in lines] or [store] * len(nurseries)
        self.slots = [
            Slot(number, folder, way, nursery)
            for number, (way, nursery) in enumerate(zip(ways, nurseries, strict=True), 1)
        ]
        self._nemesis = Recorder(folder, "nemesis")

    @property
    def ports(self) -> list[int]:
        """Where they listen."""
        return [slot.port for slot in self.slots]

    def start(self) -> None:
        """All of them, until each takes commands."""
        daemons = [slot.start() for slot in self.slots]
        for daemon in daemons:
            daemon.ready()

    def kill(self, slot: Slot) -> None:
        """kill -9, and written down when it is gone: nothing of that life comes after this line."""
        assert slot.daemon is not None
        slot.daemon.kill()
        self.note("kill", slot.daemon.name)

    def retire(self, slot: Slot) -> None:
        """SIGTERM, and wait until it has handed over and gone; it must end well."""
        assert slot.daemon is not None
        self.note("term", slot.daemon.name)
        slot.daemon.process.signal(signal.SIGTERM)
        code = slot.daemon.process.wait(20)
        if code:
            raise AssertionError(f"{slot.daemon.name} ended with {code}; see its log")
        self.note("gone", slot.daemon.name)

    def freeze(self, slot: Slot) -> None:
        """SIGSTOP: it knows nothing of the time that passes."""
        assert slot.daemon is not None
        slot.daemon.process.signal(signal.SIGSTOP)
        self.note("stop", slot.daemon.name)

    def thaw(self, slot: Slot) -> None:
        """SIGCONT."""
        assert slot.daemon is not None
        self.note("cont", slot.daemon.name)
        slot.daemon.process.signal(signal.SIGCONT)

    @contextmanager
    def being(self, how: str, lines: Sequence[Line], **values: float) -> Iterator[None]:
        """Lines that are not well for a while."""
        target = ", ".join(f"line {self.lines.index(line) + 1}" for line in lines)
        self.note("cut", target)
        with ExitStack() as stack:
            for line in lines:
                stack.enter_context(line.being(how, **values))
            yield
        self.note("mend", target)

    def stop(self) -> None:
        """SIGTERM to all, which must end well."""
        daemons = [slot.daemon for slot in self.slots if slot.daemon is not None]
        for daemon in daemons:
            daemon.process.signal(signal.SIGTERM)
        for daemon in daemons:
            code = daemon.process.wait(20)
            if code:
                raise AssertionError(f"{daemon.name} ended with {code}; see its log")

    def note(self, action: str, target: str) -> None:
        """Write down a fault."""
        self._nemesis.record(Nemesis, action=action, target=target)


class FleetDoor:
    """A client that knows all routers, and goes to the next when one gives no answer; not shared by threads."""

    def __init__(self, ports: Sequence[int], first: int) -> None:
        self._doors = [HttpDoor(port) for port in ports]
        self._at = first % len(ports)

    def submit(self, order: Order) -> Told:
        """To the router that answered last."""
        told = self._doors[self._at].submit(order)
        if told.kind is Unknown:
            self._at = (self._at + 1) % len(self._doors)
        return told

    def close(self) -> None:
        """Hang up."""
        for door in self._doors:
            door.close()


@contextmanager
def nurseries(folder: Path, count: int) -> Iterator[list[Nursery]]:
    """One for each slot, with a log each."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(Nursery(folder / f"nursery-{number}.log", "tests.chaos.served"))
            for number in range(1, count + 1)
        ]
