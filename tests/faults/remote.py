"""Executors in a process of their own, over real sockets: a connected bot, a bot's endpoint, a worker at a Redis."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

from router import Response, Router, Settings
from router.client import BotClient
from router.http.daemon import Daemon
from router.protocols.rest.endpoint import Endpoint
from router.worker import Worker
from tests.chaos.load import wait_until
from tests.chaos.nursery import Life
from tests.faults.bench import CAP, Bench, answer, was
from tests.faults.catalog import GUILD, Blocker, Deed, Set, Strike, catalog, perform
from tests.faults.in_process import waited_in_vain
from tests.faults.judge import Case
from tests.faults.ledger import Ledger
from tests.faults.wire import Wire
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer, find_server

LATE = 700  # ms an executor takes
SOON = 200  # ms an attempt may take where that is too long
SECRET = "matrix"
NAME = "matrix-bot"
PATIENTLY = {"attempts": 100, "backoff_ms": 50, "backoff_cap_ms": 100}


class House:
    """One case: a router, the wire to its executor, and the executor's process while it lives."""

    def __init__(self, bench: Remote, router: Router, wire: Wire, address: str) -> None:
        self.bench = bench
        self.router = router
        self.wire = wire
        self.address = address
        self.life: Life | None = None

    def start(self, **options: Any) -> None:
        """Start the executor, and wait until the router reaches it."""
        bench = self.bench
        self.life = bench.nursery.start(
            f"tests.faults.remote:{bench.target}",
            folder=str(bench.folder),
            address=self.address,
            mark=bench.mark,
            **options,
        )
        protocol = self.router.engine.protocols[bench.protocol]
        envelope = self.router._sealed(Strike(guild_id=GUILD, mark="look"), "look", {})
        wait_until(lambda: protocol.reaches(envelope) and self.listens(), CAP, lambda: "the executor does not come")

    def listens(self) -> bool:
        return self.bench.listens(self)

    def end(self) -> None:
        """Kill the executor."""
        if self.life is not None:
            self.life.signal(signal.SIGKILL)
            self.life.wait(CAP)
            self.life = None


class Remote(Bench):
    """What the three have in common: the executor is another process at the other end of a wire."""

    other = "direct"
    target: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {"circuit_breaker_recovery_timeout": 100}

    @contextmanager
    @abstractmethod
    def house(self, *, wired: bool = True, **settings: Any) -> Iterator[House]:
        """A running router and its wire, no executor yet. Not ``wired``: who sends meets the closed port itself."""

    def listens(self, house: House) -> bool:
        """Whether the executor takes connections, where it is the one that listens."""
        return True

    @contextmanager
    def scene(self, case: Case, *, types: dict[str, Any] | None = None, **options: Any) -> Iterator[House]:
        """A house with its executor, and for a fallback one in the router's process."""
        own = PATIENTLY | (types or {})
        with self.house(types={"FAULT_SET": own, "FAULT_STRIKE": own}) as house:
            try:
                self.second(house, case)
                house.start(**options)
                yield house
                wait_until(lambda: self.ledger.at_rest(self.mark), CAP, lambda: "an executor never ended")
            finally:
                house.end()

    def second(self, house: House, case: Case) -> None:
        """The executor of the fallback."""
        if case.fallback:
            for kind in (Set, Strike):
                house.router.handler(kind, protocols=["direct"])(lambda deed, ctx: perform(self.ledger, deed, ctx))

    # ------------------------------------------------------------ the faults

    def refused(self, case: Case) -> tuple[Response | None, bool]:
        own = {"FAULT_SET": PATIENTLY, "FAULT_STRIKE": PATIENTLY}
        with self.house(wired=False, types=own) as house:
            try:
                self.second(house, case)
                reply = self.send(house.router, case)
                reply.accepted(CAP)
                if case.fallback:
                    response = answer(reply)
                    return response, response is not None and response.method == "direct"
                wait_until(lambda: self.turned_away(house, reply.id), CAP, lambda: "it was not refused")
                house.start()
                return answer(reply), True
            finally:
                house.end()

    def turned_away(self, house: House, id_: str) -> bool:
        """Whether the router has noticed that nobody is there."""
        return "executors" in house.router.engine.tables.gate.waiting()

    def before_send(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case, types={"timeout_ms": SOON}, concurrency=1) as house:
            router = house.router
            blocking = router.send(Blocker(guild_id=GUILD), protocols=(self.protocol,))
            blocker = f"{self.mark}-blocker"
            wait_until(lambda: self.ledger.runs(blocker) > 0, CAP, lambda: "it does not block")
            reply = self.send(router, case)
            wait_until(lambda: put_off(router, reply.id), CAP, lambda: "it was not put off")
            self.ledger.end(blocker)
            response = answer(reply)
            blocking.result(CAP)
            return response, True

    def lost(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case) as house:
            reply = self.send(house.router, case, "hang", "do", ms=300)
            wait_until(lambda: self.ledger.effects(self.mark) > 0, CAP, lambda: "it was not done")
            house.wire.cut()
            return answer(reply), True

    def slow(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case, types={"timeout_ms": SOON}) as house:
            response = answer(self.send(house.router, case, "slow", "do", ms=LATE))
            return response, waited_in_vain(response, self.protocol) or was(response, self.protocol, "in_doubt")

    def adapter(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case) as house:
            reply = self.send(house.router, case, "slow", ms=300)
            self.begun()
            killed = house.router.engine.runtime.ref(f"adapter:{self.protocol}").kill()
            return answer(reply), killed

    def peer(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case) as house:
            reply = self.send(house.router, case, "die", "do")
            assert house.life is not None
            code = house.life.wait(CAP)
            house.life = None
            house.start()
            return answer(reply), code == 9

    def breaker(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case) as house:
            router = house.router
            breaker = router.engine.breakers.get(self.breaker_name)
            breaker.force_open(router.clock.now())
            reply = self.send(router, case)
            if case.fallback:
                response = answer(reply)
                return response, response is not None and response.method == "direct"
            wait_until(lambda: breaker_holds(router, reply.id), CAP, lambda: "nobody waits for the breaker")
            breaker.reset(router.clock.now())
            return answer(reply), True

    @property
    def breaker_name(self) -> str:
        """Of the target, where it has one of its own."""
        return self.protocol

    def limited(self, case: Case) -> tuple[Response | None, bool]:
        with self.scene(case) as house:
            response = answer(self.send(house.router, case, "later", "later", "do"))
            return response, was(response, self.protocol, "deferred")


class Socket(Remote):
    """A bot connected to the daemon."""

    protocol = name = "websocket"
    target = "live_bot"

    @contextmanager
    def house(self, *, wired: bool = True, **settings: Any) -> Iterator[House]:
        given = {"store": self.store, "port": 0, "drain": 5.0, "tokens": f"bot:{SECRET}", **self.settings, **settings}
        chosen = Settings(**given)
        router = Router(chosen, catalog=catalog)
        daemon = Daemon(router, chosen)
        ready = threading.Event()
        thread = threading.Thread(target=daemon.run, args=(ready.set,), name="daemon")
        thread.start()
        try:
            assert ready.wait(CAP)
            with Wire(int(daemon.url.rpartition(":")[2])) as wire:
                yield House(self, router, wire, f"http://127.0.0.1:{wire.port}")
        finally:
            daemon.close()
            thread.join(CAP)


class Rest(Remote):
    """A bot's endpoint that the router posts to."""

    protocol = name = "rest"
    target = "live_endpoint"
    breaker_name = "rest:main"

    @contextmanager
    def house(self, *, wired: bool = True, **settings: Any) -> Iterator[House]:
        port = free_port()  # the endpoint's from now on
        with Wire(port) as wire:
            there = wire.port if wired else port
            upstream = {"url": f"http://127.0.0.1:{there}/commands", "secret": SECRET, "records": True}
            one = {"concurrency": 1} if settings["types"]["FAULT_SET"].get("timeout_ms") else {}
            with self.router(upstreams={"main": upstream | one}, **settings) as router:
                yield House(self, router, wire, str(port))

    def listens(self, house: House) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(house.address)), 1).close()
        except OSError:
            return False
        return True

    def turned_away(self, house: House, id_: str) -> bool:
        story = house.router.explain(id_)
        return story is not None and any(line["outcome"] == "not_applied" for line in story["attempts"])


class RemoteQueue(Remote):
    """A worker at the Redis it shares with the router."""

    protocol = "queue"
    name = "worker"
    target = "live_worker"

    @contextmanager
    def house(self, *, wired: bool = True, **settings: Any) -> Iterator[House]:
        with ExitStack() as stack:
            redis = stack.enter_context(RedisServer())
            wire = stack.enter_context(Wire(redis.port))
            router = stack.enter_context(self.router(**{**settings, "store": redis.url}))
            yield House(self, router, wire, redis.url.replace(str(redis.port), str(wire.port)))

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be played here; "": it can."""
        return "" if find_server() else "there is no Redis server on this machine"


def put_off(router: Router, id_: str) -> bool:
    """Whether an attempt ended without having been sent, or it is kept back."""
    story = router.explain(id_)
    if story is None:
        return False
    held = any(step["event"] in ("held", "wait") for step in story["story"])
    return held or any(line["outcome"] in ("deferred", "not_applied") for line in story["attempts"])


def breaker_holds(router: Router, id_: str) -> bool:
    """Whether it waits for a breaker, of the protocol or of its only target."""
    return any(name.startswith("breaker:") for name in router.engine.tables.gate.waiting()) or put_off(router, id_)


# ---------------------------------------------------------------- the other process


def _attach(maker: Any, folder: str, mark: str) -> None:
    """The handlers, on whatever takes handlers."""
    ledger = Ledger(Path(folder) / "ledger")
    never = threading.Event()

    def run(deed: Deed, ctx: Any) -> dict[str, Any]:
        return perform(ledger, deed, ctx)

    def block(command: Blocker, ctx: Any) -> None:
        blocker = f"{mark}-blocker"
        ledger.begin(blocker)
        while not ledger.at_rest(blocker):
            never.wait(0.02)

    for kind in (Set, Strike):
        maker.handler(kind, timeout=CAP)(run)
    maker.handler(Blocker, timeout=CAP)(block)


def live_bot(folder: str, address: str, mark: str, concurrency: int = 4) -> None:
    """Connected until it is killed; its record is a file."""

    async def main() -> None:
        record = f"{folder}/{mark}.record"
        bot = BotClient(address, SECRET, name=NAME, capacity=concurrency, record=record, catalog=catalog)
        _attach(bot, folder, mark)
        await bot.run()

    asyncio.run(main())


def live_endpoint(folder: str, address: str, mark: str, concurrency: int = 4) -> None:
    """Listening until it is killed; its record goes with it."""
    endpoint = Endpoint(secret=SECRET, catalog=catalog, workers=concurrency)
    _attach(endpoint, folder, mark)
    endpoint.open()
    app = web.Application()
    app.router.add_route("*", "/commands{tail:.*}", endpoint.aiohttp)
    web.run_app(app, host="127.0.0.1", port=int(address), print=None, handle_signals=False)


def live_worker(folder: str, address: str, mark: str, concurrency: int = 4) -> None:
    """At its queues until it is killed."""
    worker = Worker(address, ["deeds"], concurrency=concurrency, lease=1.0, catalog=catalog)
    _attach(worker, folder, mark)
    with worker:
        threading.Event().wait()
