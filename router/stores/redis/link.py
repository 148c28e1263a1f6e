"""Calls to Redis: one connection per server, everything of one step in one round trip.

redis-py would send a command again by itself, ten times by default, whatever it was. Here it is sent again **once**,
when a connection broke, because a connection that was idle over a restart or a failover of Redis is found broken only
by using it, and every script of ours may be sent again: done twice, it is done once and answers the same. After a
timeout nothing is sent again: the server is there and slow, and the caller's patience is the timeout. What comes after
that is the engine's, which holds its writes and tries them later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.exceptions import AskError, MovedError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from actors.errors import StoreUnavailable
from router.stores.redis.address import Address
from router.stores.redis.errors import code_of, meaning_of, unavailable
from router.stores.redis.routes import Clustered, Fixed, Node, Route, Watched
from router.stores.redis.scripts import Script

ROUNDS = 4  # of one run: first, scripts loaded, slots or master found anew, and once more

_ELSEWHERE = frozenset({"MOVED", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN"})


class Call(NamedTuple):
    """One command; ``key`` decides the server."""

    key: str
    words: tuple[Any, ...]
    script: Script | None = None


def plain(key: str, *words: Any) -> Call:
    """A command of Redis."""
    return Call(key, words)


def run_script(script: Script, keys: Sequence[str], *arguments: Any) -> Call:
    """A script of ours."""
    return Call(keys[0], ("EVALSHA", script.sha, len(keys), *keys, *arguments), script)


class Link:
    """Not thread-safe. Connects when it is used."""

    def __init__(self, address: Address, *, connect_timeout: int, timeout: int, seal: Seal | None = None) -> None:
        self.address = address
        self.clustered = address.kind == "cluster"
        self._seal = seal
        self._options: dict[str, Any] = {
            "socket_connect_timeout": connect_timeout / 1000,
            "socket_timeout": timeout / 1000,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        self._connections: dict[Node, Connection] = {}
        self._route: Route = self._routed()

    def _routed(self) -> Route:
        match self.address.kind:
            case "cluster":
                return Clustered(self.address, self.connection)
            case "sentinel":
                return Watched(self.address, self._options | self._tls() | {"ssl": self.address.tls})
            case _:
                return Fixed(self.address)

    def _tls(self) -> dict[str, Any]:
        options: dict[str, Any] = dict(self.address.tls_options)
        if "ssl_check_hostname" in options:
            options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in ("false", "0", "no")
        return options

    def connection(self, node: Node) -> Connection:
        """A new connection, not open."""
        address = self.address
        options = dict(
            self._options,
            host=node[0],
            port=node[1],
            db=address.db,
            username=address.username or None,
            password=address.password or None,
        )
        return SSLConnection(**options, **self._tls()) if address.tls else Connection(**options)

    def node(self, key: str) -> Node:
        """The server of a key."""
        try:
            return self._route.node(key)
        except (RedisError, OSError) as error:
            raise unavailable(error, self.address.named, sent=False) from error

    def close(self) -> None:
        """Let go of all connections; using it again connects again."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.disconnect()
        self._route.forget()

    # ------------------------------------------------------------ calls

    def ask(self, call: Call, *, writes: bool = False) -> Any:
        """The answer to one call; raises ``StoreUnavailable``."""
        return self.run((call,), writes=writes)[0]

    def run(self, calls: Sequence[Call], *, writes: bool = False) -> list[Any]:
        """The answers, all of them; raises ``StoreUnavailable`` when one is missing or an error.

        ``writes``: they change something, so a missing answer leaves doubt, and the seal stands behind them.
        """
        run = _Run(calls, writes)
        for number in range(ROUNDS):
            try:
                self._round(run)
            except StoreUnavailable:
                raise
            except (RedisError, OSError) as error:
                self.close()
                if number or isinstance(error, RedisTimeout) or meaning_of(error).refused:
                    raise unavailable(error, self.address.named, sent=writes and run.sent) from error
                continue
            if not run.left:
                return run.results
        raise run.failure(self.address.named)

    def _round(self, run: _Run) -> None:
        groups: dict[Node, list[int]] = {}
        for number in run.left:
            node = run.asking.get(number) or self._route.node(run.calls[number].key)
            groups.setdefault(node, []).append(number)
        seal = self._seal if run.writes else None
        for node, numbers in groups.items():
            connection = self._connections.get(node)
            if connection is None:
                connection = self._connections[node] = self.connection(node)
                connection.connect()
            commands: list[tuple[Any, ...]] = []
            for number in numbers:
                call = run.calls[number]
                if number in run.missing and call.script is not None:
                    commands.append(("SCRIPT", "LOAD", call.script.text))
                if number in run.asking:
                    commands.append(("ASKING",))
                commands.append(call.words)
            if seal is not None:
                commands.append(seal.words)
            packed = connection.pack_commands(commands)
            run.sent = True
            connection.send_packed_command(packed)
        answers: list[tuple[Node, list[int], Any]] = []
        for node, numbers in groups.items():
            connection = self._connections[node]
            for number in numbers:
                for _ in range((number in run.missing) + (number in run.asking)):
                    _read(connection)
                run.results[number] = _read(connection)
            answers.append((node, numbers, None if seal is None else _read(connection)))
        self._sort_out(run)
        if seal is not None and not run.left:
            for node, _, answer in answers:
                seal.check(answer, f"{node[0]}:{node[1]}")

    def _sort_out(self, run: _Run) -> None:
        """What can be had by asking again stays; anything else that is an error is raised."""
        left: list[int] = []
        run.asking.clear()
        for number in run.left:
            answer = run.results[number]
            if not isinstance(answer, ResponseError):
                continue
            code = code_of(answer)
            if code == "NOSCRIPT":
                run.missing.add(number)
            elif isinstance(answer, AskError) and not isinstance(answer, MovedError):
                run.asking[number] = answer.node_addr
            elif code in _ELSEWHERE and self.address.kind != "single":
                self.close()
            else:
                raise run.failure(self.address.named)
            left.append(number)
        run.left = left


class _Run:
    """Calls, and what came of them so far."""

    def __init__(self, calls: Sequence[Call], writes: bool) -> None:
        self.calls = calls
        self.writes = writes
        self.results: list[Any] = [None] * len(calls)
        self.left: Sequence[int] = range(len(calls))
        self.missing: set[int] = set()  # calls whose script their server did not have
        self.asking: dict[int, Node] = {}  # calls that another node takes this once
        self.sent = False

    def failure(self, where: str) -> StoreUnavailable:
        """The first error; in doubt, unless every answer is a refusal."""
        errors = [answer for answer in self.results if isinstance(answer, ResponseError)]
        refused = len(errors) == len(self.results) and all(meaning_of(error).refused for error in errors)
        failure = unavailable(errors[0], where, sent=self.writes and not refused)
        failure.__cause__ = errors[0]
        return failure


def _read(connection: Connection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


class Seal(NamedTuple):
    """Stands behind writes: their answers count only when enough servers, or their disks, have them."""

    disk: bool
    replicas: int
    timeout: int  #: ms

    @property
    def words(self) -> tuple[Any, ...]:
        """``WAIT``, or ``WAITAOF``, of which Redis 6 knows nothing."""
        if self.disk:
            return ("WAITAOF", 1, self.replicas, self.timeout)
        return ("WAIT", self.replicas, self.timeout)

    def check(self, answer: Any, where: str) -> None:
        """Raises ``StoreUnavailable`` when there were too few."""
        if isinstance(answer, ResponseError):
            raise unavailable(answer, where, sent=True)
        disks, replicas = answer if self.disk else (1, answer)
        if disks < 1:
            raise StoreUnavailable(f"Redis did not write its disk in {self.timeout} ms ({where})", doubt=True)
        if replicas < self.replicas:
            raise StoreUnavailable(
                f"{replicas} of {self.replicas} replicas have the write after {self.timeout} ms ({where})", doubt=True
            )
