"""A real Redis as a town's ground: its scripts, its streams of news, its connections, and only its clock is the town's.

A router's lease lasts 500 ms of the server's time, and a town's time stands still while its routers act. With the
server's own clock a lease would end in the middle of whatever a slow machine makes of a step, and no run could be
repeated. So the one function in which the scripts ask for the time (``time.lua``) is another one here: it gives what
the town's clock showed when the call was sent. What they do with it stays theirs. All other scripts are given the time
as an argument in any case.

News come over the server too, on real lines with their threads. They are heard when all routers have come to rest: a
word is said to all behind everything that was said before, and since the server keeps the order of each line, whoever
has heard that word has heard the rest. Nobody waits for time to pass, and the order is the same in every run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha1
from threading import Condition
from typing import Any

from actors.errors import StoreUnavailable
from actors.ports import Result
from actors.sharing import News, SharedStore, Told
from router.stores.memory_hub import Faults
from router.stores.redis.ears import Heard, RedisEars
from router.stores.redis.leases import RedisLeases
from router.stores.redis.link import Call, plain
from router.stores.redis.scripts import HERE, Script
from router.stores.redis.store import RedisStore
from tests.servers.shared import options, server

PATIENCE = 20.0  # seconds of real time; a cap, nothing that is waited for
AGAIN = 0.005  # seconds until a word is said again to a line that may not have been there yet
NOW = "town:now"  # the key of the town's time
WORD = "town"  # topic of the word behind all others

REAL = (HERE / "time.lua").read_text(encoding="utf-8")
TURNED = f"local function now_ms() return tonumber(redis.call('GET', '{NOW}')) end\n"


class TurnedScript(Script):
    """A script that takes the town's time for the server's."""

    def __init__(self, script: Script) -> None:
        assert REAL in script.text
        self.name = script.name
        self.text = script.text.replace(REAL, TURNED)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_turned: dict[str, TurnedScript] = {}


def turned(call: Call) -> Call:
    """The same call at the town's time."""
    script = call.script
    if script is None or REAL not in script.text:
        return call
    if script.name not in _turned:
        _turned[script.name] = TurnedScript(script)
    other = _turned[script.name]
    return Call(call.key, (call.words[0], other.sha, *call.words[2:]), other)


class TurnedLeases(RedisLeases):
    """At the town's time."""

    def __init__(self, store: TurnedStore) -> None:
        super().__init__(store.address, store.options, store.names)
        self._store = store

    def time(self) -> int:
        super().time()
        return self._store.ground.clock.now()

    def _run(self, calls: list[Call]) -> list[Any]:
        self._store.reach()
        now = plain(self._names.members, "SET", NOW, self._store.ground.clock.now())
        return super()._run([now, *map(turned, calls)])[1:]


class TownEars(RedisEars):
    """Keeps what it heard until the town hears it."""

    def __init__(self, store: TurnedStore) -> None:
        super().__init__(store._another_link, store.names, store.router)
        self._store = store
        self._news: deque[News] = deque()
        self._heard: Heard | None = None
        self.word = 0  #: the last one that came

    def open(self, heard: Heard) -> None:
        self.close()
        self._heard = heard
        super().open(self._keep)
        self._store.ground.listen(self)

    def close(self) -> None:
        super().close()
        self._heard = None
        self._news.clear()
        self._store.ground.ignore(self)

    def _keep(self, news: News) -> None:
        """On the line's thread."""
        ground = self._store.ground
        with ground.changed:
            if isinstance(news, Told) and news.topic == WORD:
                self.word = max(self.word, int(news.detail))
                ground.changed.notify_all()
            else:
                self._news.append(news)

    def deliver(self) -> bool:
        """What came, on the town's thread; whether there was any."""
        deaf = self._store.ground.faults_of(self._store.router).deaf
        some = False
        while self._news:
            news = self._news.popleft()
            if not deaf and self._heard is not None:
                self._heard(news)
                some = True
        return some


class TurnedStore(RedisStore):
    """One router's handle, with its faults."""

    def __init__(self, ground: RedisGround, router: str) -> None:
        super().__init__(server().url, ground.options, router=router)
        self.ground = ground
        self._gone: list[Callable[[], None]] = []

    def reach(self) -> None:
        """Raises ``StoreUnavailable`` if it cannot."""
        if self.ground.faults_of(self.router).down:
            raise StoreUnavailable("the server cannot be reached")
        self.ground.quiet = False

    def _run(self, calls: Any, *, writes: bool = False) -> list[Any]:
        self.reach()
        return super()._run(calls, writes=writes)

    def write(self, batch: Any, now: int) -> list[Result]:
        faults = self.ground.faults_of(self.router)
        doubt, faults.doubt = faults.doubt, ""
        if doubt == "before":
            raise StoreUnavailable("the request was lost", doubt=True)
        results = super().write(batch, now)
        if doubt:
            raise StoreUnavailable("the answer was lost", doubt=True)
        return results

    def leases(self) -> RedisLeases:
        leases = TurnedLeases(self)
        self._gone.append(leases.close)
        return leases

    def ears(self) -> RedisEars:
        ears = TownEars(self)
        self._gone.append(ears.close)
        return ears

    def bury(self) -> None:
        """Its sockets are closed, as the kernel does."""
        for close in self._gone:
            close()
        self.close()


class RedisGround:
    """See ``Ground``; under a prefix of its own on the server of this session."""

    def __init__(self, clock: Any, partitions: int) -> None:
        self.clock = clock
        # What a slow machine makes of a round trip is no matter of this town's time.
        self.options = options(partitions=partitions, timeout=20_000, connect_timeout=20_000, lease_timeout=20_000)
        self.changed = Condition()
        self.quiet = True  #: nobody asked anything of the server since everybody heard everything
        self._faults: dict[str, Faults] = {}
        self._stores: dict[str, TurnedStore] = {}
        self._ears: list[TownEars] = []
        self._words = 0
        self._crier = TurnedStore(self, "crier")
        self._crier.open(0)

    def store(self, router: str) -> SharedStore:
        store = self._stores[router] = TurnedStore(self, router)
        return store

    def faults_of(self, router: str) -> Faults:
        return self._faults.setdefault(router, Faults())

    def take_away(self, partition: int) -> None:
        self._crier._run([plain("", "HSET", self.options_key(partition), "router", "", "until", 0)], writes=True)

    def options_key(self, partition: int) -> str:
        """Where a partition's lease stands."""
        return self._crier.names.partitions[partition]

    def listen(self, ears: TownEars) -> None:
        """It hears from now on."""
        self._ears.append(ears)
        self._hear_word([ears])

    def ignore(self, ears: TownEars) -> None:
        """It hears nothing more."""
        if ears in self._ears:
            self._ears.remove(ears)

    def deliver(self) -> bool:
        if self.quiet:
            return False
        self._hear_word(self._ears)
        self.quiet = True
        return sum(ears.deliver() for ears in list(self._ears)) > 0

    def _hear_word(self, all_ears: list[TownEars]) -> None:
        self._words += 1
        word = self._words
        with self.changed:
            for _ in range(round(PATIENCE / AGAIN)):
                self._crier.announce(WORD, b"%d" % word)
                # real time: a line has a thread of its own; it is woken by what comes, mostly within 0.2 ms
                if self.changed.wait_for(lambda: all(ears.word >= word for ears in all_ears), AGAIN):
                    return
        raise AssertionError("a line does not hear what the server says")

    def bury(self, router: str) -> None:
        faults = self.faults_of(router)
        faults.down = faults.deaf = True
        self._stores[router].bury()

    def clear(self) -> None:
        for store in self._stores.values():
            store.bury()
        keys = self._crier._link.ask(plain("", "KEYS", f"*{self.options.prefix}:*"))
        if keys:
            self._crier._link.ask(plain("", "UNLINK", *keys), writes=True)
        self._crier.close()
